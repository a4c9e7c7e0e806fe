"""Medians and ratios of rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.compare.rounds import Run
from evaluation.compare.summary import ratio, summary
from tests.evaluation.compare.runs import ROUNDS, run


def _systems(runs: Sequence[Run]) -> dict[str, Any]:
    return {system["system"]: system for system in summary(runs, {})}


def test_figures_are_medians_of_the_rounds() -> None:
    """One disturbed round of three moves nothing but itself."""
    ours = _systems(ROUNDS)["rehydrate"]
    assert ours["results"][0]["steps_per_second"] == 8000
    assert ours["results"][0]["rounds"] == [8000, 3000, 9000]
    assert ours["bytes_per_workflow"] == 5100


def test_ratios_are_taken_within_a_round() -> None:
    """8000/800, 3000/200, 9000/1000 are 10, 15 and 9; the ratio of the medians would say 10 as well, that to raw inserts would not."""
    systems = _systems(ROUNDS)
    assert systems["langgraph"]["results"][0]["rehydrate_is_times"] == 10.0
    assert systems["rehydrate"]["results"][0]["ratio_to_raw_inserts"] == 0.5  # of 0.5, 0.4, 0.6; of the medians: 0.53
    assert systems["langgraph"]["results"][0]["ratio_to_raw_inserts"] == 0.05  # of 0.05, 0.03, 0.07


def test_concurrencies_are_not_mixed() -> None:
    runs = [*ROUNDS, run("rehydrate", 0, 100, at_once=1), run("raw inserts", 0, 1000, at_once=1)]
    results = _systems(runs)["rehydrate"]["results"]
    assert [(each["concurrency"], each["steps_per_second"], each["ratio_to_raw_inserts"]) for each in results] == [
        (16, 8000, 0.5),
        (1, 100, 0.1),
    ]


def test_a_round_that_failed_is_left_out_of_medians_and_ratios() -> None:
    runs = [each for each in ROUNDS if (each.system, each.round) != ("langgraph", 1)]
    runs.append(run("langgraph", 1, None, reason="TimeoutError: pool"))
    peer = _systems(runs)["langgraph"]
    assert peer["status"] == "measured"
    assert peer["reason"] == "TimeoutError: pool"
    assert peer["results"][0]["rounds"] == [800, 1000]
    assert peer["results"][0]["rehydrate_is_times"] == 9.5


def test_a_system_that_failed_in_every_round_has_no_figures_but_a_reason() -> None:
    systems = summary([*ROUNDS, *(run("dbos", number, None, reason="OperationalError: no") for number in range(3))], {})
    failed = next(system for system in systems if system["system"] == "dbos")
    assert failed == {"system": "dbos", "status": "failed", "reason": "OperationalError: no"}


def test_a_system_that_could_not_be_installed_is_named_with_the_reason() -> None:
    assert summary(ROUNDS, {"dbos": "cannot be installed: no index"})[-1] == {
        "system": "dbos",
        "status": "unavailable",
        "reason": "cannot be installed: no index",
    }


def test_there_is_no_ratio_without_a_common_round() -> None:
    assert ratio({0: 10.0}, {1: 5.0}) is None
    assert ratio({0: 10.0, 1: 30.0}, {1: 5.0}) == 6.0
