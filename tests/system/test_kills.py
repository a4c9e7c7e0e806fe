"""Kill anything, at any moment: nobody can tell from what the run gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from chaos import census
from tests.system.campaign import Kill, draw, table
from tests.system.conftest import Target
from tests.system.feed import Feed
from tests.system.swarm import Swarm

PRODUCTS = 16
WINDOW = 8
"""Few products at a time make many moments: commits stay small and follow each other."""
SEED = 20261121
MUST_HIT = 0.9


class Undisturbed(NamedTuple):
    """What a run gives that is left in peace."""

    outputs: dict[str, bytes]
    effects: Counter[tuple[str, str]]
    tasks: set[str]
    head: int
    census: Sequence[census.Passed]


def launch(home: Path, feed: Feed, target: Target, plan: Sequence[dict[str, object]]) -> Swarm:
    """A swarm whose effects go to a book of its own."""
    return Swarm(home, feed, plan=plan, effects_url=target.url(home.name), window=WINDOW)


def undisturbed(home: Path, feed: Feed, target: Target) -> Undisturbed:
    swarm = launch(home, feed, target, [{"kind": "count", "id": "census"}])
    assert swarm.run().document["status"] == "completed"
    counted = census.read(swarm.data / "chaos")
    return Undisturbed(swarm.outputs(), target.done(home.name), set(swarm.done("task.Completed")), swarm.head(), counted)


@pytest.mark.kills
def test_no_kill_leaves_a_trace_in_what_a_run_gives(
    tmp_path: Path,
    target: Target,
    feed_of: Callable[[int], Feed],
    report: Callable[[str], None],
    pytestconfig: pytest.Config,
) -> None:
    """SIGKILL at seeded moments for every kind of process: each run completes, each step is done once, each effect once, and every
    output file is byte for byte that of the undisturbed run."""
    feed = feed_of(PRODUCTS)
    peace = undisturbed(tmp_path / "peace", feed, target)
    runs = draw(pytestconfig.getoption("--kills"), SEED, peace.census, peace.head)
    hit: list[Kill] = []
    for number, kills in enumerate(runs):
        home = tmp_path / f"war-{number}"
        swarm = launch(home, feed, target, [kill.entry(f"k{index}") for index, kill in enumerate(kills)])
        document = swarm.finish().document
        hit += [kills[int(entry.id[1:])] for entry in swarm.injected()]
        told = f"run {number} with {kills}"
        assert document["status"] == "completed", told
        assert {step["status"] for flow in document["workflows"] for step in flow["steps"]} == {"completed"}, told
        assert swarm.done("task.Completed") == dict.fromkeys(peace.tasks, 1), told
        assert target.done(home.name) == peace.effects, told
        assert not [entry for entry in target.entries(home.name) if entry.outcome == "conflict"], told
        assert swarm.outputs() == peace.outputs, told
        assert swarm.verify()["mismatches"] == [], told
    planned = sum(map(len, runs))
    report(f"kills: {len(hit)} of {planned} planned hit, in {len(runs)} runs")
    for line in table(runs, hit):
        report(f"  {line.what:28} {line.hit:4} of {line.planned}")
    assert len(hit) >= MUST_HIT * planned
