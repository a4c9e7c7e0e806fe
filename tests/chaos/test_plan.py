"""A plan says what goes wrong, and is refused as a whole where it makes no sense."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chaos import plan
from chaos.census import Count
from chaos.crash import Crash
from chaos.loss import Drop
from domain.ports.probe import Point

GOOD = {"id": "k", "process": "lead/0", "position": 7}


def written(folder: Path, entries: object) -> Path:
    path = folder / "plan.json"
    path.write_bytes(msgspec.json.encode(entries))
    return path


def test_entries_are_sorted_by_kind_and_a_crash_is_the_default(tmp_path: Path) -> None:
    """One file for all kinds of faults."""
    at_point = {"id": "p", "process": "lead/0", "point": "after_commit", "hit": 2}
    entries = [GOOD, {"id": "d", "kind": "drop", "share": 0.05}, at_point, {"id": "c", "kind": "count"}]
    assert plan.read(written(tmp_path, entries)) == plan.Plan(
        (Crash(id="k", process="lead/0", position=7), Crash(id="p", process="lead/0", point=Point.AFTER_COMMIT, hit=2)),
        (Drop(id="d", share=0.05),),
        (Count(id="c"),),
    )


@pytest.mark.parametrize(
    "entries",
    [
        {},
        [{"id": "x", "kind": "flood"}],
        [{"id": "x", "process": "lead/0"}],
        [{**GOOD, "point": "after_commit"}],
        [{**GOOD, "signal": "HUP"}],
        [{"id": "x", "process": "lead/0", "point": "at_lunch"}],
        [{"id": "x", "kind": "drop", "share": 1.5}],
        [{"id": "x", "kind": "drop", "share": 0.5, "typo": 1}],
        [GOOD, GOOD],
    ],
    ids=str,
)
def test_a_plan_without_sense_is_refused(entries: object, tmp_path: Path) -> None:
    """Before anything starts, with the file's name."""
    with pytest.raises(plan.BadPlan, match=r"plan\.json"):
        plan.read(written(tmp_path, entries))


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A campaign without faults would prove nothing."""
    with pytest.raises(plan.BadPlan):
        plan.read(tmp_path / "absent.json")
