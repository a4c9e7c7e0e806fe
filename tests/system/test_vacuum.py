"""A vacuum takes nothing that a running swarm needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.system.conftest import Target, Undisturbed, launch
from tests.system.swarm import until

TIMES = 2
"""At least. Five are usual; on a machine that others keep busy each takes a third of the run's time."""
LIMITS = {"outbox": 100, "commits": 20, "snapshots": 1, "applied": 100, "counters": 100, "open_streams": 0}
"""What may be left of a run besides its events: bookkeeping of its processes, whatever its length."""


def test_a_store_is_vacuumed_while_its_swarm_runs(
    tmp_path: Path, target: Target, peace: Undisturbed, report: Callable[[str], None]
) -> None:
    """Again and again, from the first event to the last: the run gives what an undisturbed one gives."""
    swarm = launch(tmp_path / "vacuumed", peace.feed, target, [])
    running = swarm.start()
    until(swarm.head, "there is an event")
    times = 0
    while running.process.poll() is None:
        swarm.ask("store", "vacuum", "--older-than", "0s")
        times += 1
    assert running.wait().document["status"] == "completed"
    assert times >= TIMES
    report(f"vacuum: {times} times beside one run")
    assert swarm.outputs() == peace.outputs
    assert target.done("vacuumed") == peace.effects
    verified = swarm.verify()
    assert (verified["mismatches"], verified["notes"]) == ([], [])
    left = {name: swarm.query(f"SELECT count(*) FROM {name}")[0][0] for name in LIMITS}
    assert all(left[name] <= limit for name, limit in LIMITS.items()), left
