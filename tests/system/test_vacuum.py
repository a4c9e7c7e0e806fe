"""A vacuum takes nothing that a running swarm needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.system.conftest import Target, Undisturbed, launch
from tests.system.swarm import REHYDRATE, Running

VACUUM = ("store", "vacuum", "--older-than", "0s", "--json")
TIMES = 3
LIMITS = {"outbox": 100, "commits": 20, "snapshots": 1, "applied": 100, "counters": 100, "open_streams": 0}
"""What may be left of a run besides its events: bookkeeping of its processes, whatever its length."""


def test_a_store_is_vacuumed_while_its_swarm_runs(
    tmp_path: Path, target: Target, peace: Undisturbed, report: Callable[[str], None]
) -> None:
    """Again and again, from the first event to the last: the run gives what an undisturbed one gives."""
    swarm = launch(tmp_path / "vacuumed", peace.feed, target, [])
    beside = tmp_path / "beside"
    beside.mkdir()
    running = swarm.start()
    times = 0
    while running.process.poll() is None and times < TIMES:
        if swarm.head():
            ended = Running([str(REHYDRATE), *VACUUM], beside, swarm.environment).wait()
            assert ended.code == 0, ended.err
            times += 1
    assert running.wait().document["status"] == "completed"
    assert times >= TIMES - 1
    report(f"vacuum: {times} times beside one run")
    assert swarm.outputs() == peace.outputs
    assert target.done("vacuumed") == peace.effects
    verified = swarm.verify()
    assert (verified["mismatches"], verified["notes"]) == ([], [])
    left = {name: swarm.query(f"SELECT count(*) FROM {name}")[0][0] for name in LIMITS}
    assert all(left[name] <= limit for name, limit in LIMITS.items()), left
