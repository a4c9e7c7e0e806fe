"""Kill anything, at any moment: nobody can tell from what the run gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.system.campaign import Kill, draw, table
from tests.system.conftest import Target, Undisturbed, launch
from tests.system.feed import Feed
from tests.system.swarm import Swarm

SEED = 20261121
MUST_HIT = 0.9
AT_A_TIME = 2
"""Much of a run with kills is waiting, and no figure of it depends on time: so two swarms share the machine."""


class War(NamedTuple):
    """A run that was not left in peace: what it was given, and which of the kills came off."""

    kills: Sequence[Kill]
    home: Path
    swarm: Swarm
    document: Any

    @property
    def hit(self) -> list[Kill]:
        return [self.kills[int(entry.id[1:])] for entry in self.swarm.injected()]


def wage(kills: Sequence[Kill], home: Path, feed: Feed, target: Target, **settings: object) -> War:
    swarm = launch(home, feed, target, [kill.entry(f"k{index}") for index, kill in enumerate(kills)], **settings)
    return War(kills, home, swarm, swarm.finish().document)


def check(war: War, peace: Undisturbed, target: Target) -> None:
    """All that a user could tell is as in the undisturbed run."""
    told = f"{war.home.name} with {war.kills}"
    assert war.document["status"] == "completed", told
    assert {step["status"] for flow in war.document["workflows"] for step in flow["steps"]} == {"completed"}, told
    assert war.swarm.done("task.Completed") == dict.fromkeys(peace.tasks, 1), told
    assert target.done(war.home.name) == peace.effects, told
    assert not [entry for entry in target.entries(war.home.name) if entry.outcome == "conflict"], told
    assert war.swarm.outputs() == peace.outputs, told
    assert war.swarm.verify()["mismatches"] == [], told


@pytest.mark.kills
def test_no_kill_leaves_a_trace_in_what_a_run_gives(
    tmp_path: Path,
    target: Target,
    peace: Undisturbed,
    report: Callable[[str], None],
    pytestconfig: pytest.Config,
) -> None:
    """SIGKILL at seeded moments for every kind of process: each run completes, each step is done once, each effect once, and every
    output file is byte for byte that of the undisturbed run."""
    runs = draw(pytestconfig.getoption("--kills"), SEED, peace.census, peace.head)

    def one(number: int) -> list[Kill]:
        war = wage(runs[number], tmp_path / f"war-{number}", peace.feed, target)
        check(war, peace, target)
        return war.hit

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        hit = [kill for kills in pool.map(one, range(len(runs))) for kill in kills]
    planned = sum(map(len, runs))
    report(f"kills: {len(hit)} of {planned} planned hit, in {len(runs)} runs")
    for line in table(runs, hit):
        report(f"  {line.what:28} {line.hit:4} of {line.planned}")
    assert len(hit) >= MUST_HIT * planned
