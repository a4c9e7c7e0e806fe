"""What the rounds come to: medians of the rounds, and ratios that are taken within a round before their median is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from evaluation.compare.rounds import Run
from evaluation.compare.systems import OURS, RAW, ROAD


def summary(runs: Sequence[Run], missing: Mapping[str, str]) -> list[dict[str, Any]]:
    """One object a system, in the order in which they were measured; `missing` says why a system could not even begin."""
    names = list(dict.fromkeys(run.system for run in runs))
    systems = [_system(name, runs) for name in names]
    return systems + [{"system": name, "status": "unavailable", "reason": reason} for name, reason in missing.items()]


def _system(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    own = [run for run in runs if run.system == name]
    done = [run.measured for run in own if run.measured is not None]
    reasons = list(dict.fromkeys(run.reason for run in own if run.measured is None))
    about: dict[str, Any] = {"system": name, "status": "measured" if done else "failed", "reason": "; ".join(reasons) or None}
    if not done:
        return about
    sizes = [each.bytes_per_workflow for each in done if each.bytes_per_workflow is not None]
    return {
        **about,
        "store": done[-1].store,
        "versions": done[-1].versions,
        "settings": done[-1].settings,
        "bytes_per_workflow": round(median(sizes)) if sizes else None,
        "results": [
            result
            for at_once in dict.fromkeys(run.concurrency for run in own)
            if (result := _result(name, at_once, [run for run in runs if run.concurrency == at_once]))
        ],
    }


def _result(name: str, at_once: int, runs: Sequence[Run]) -> dict[str, Any] | None:
    """Figures of a system at a concurrency; None: it failed in every round."""
    speeds = _speeds(name, runs)
    if not speeds:
        return None
    workflows = next(run.measured.workflows for run in runs if run.system == name and run.measured)
    result: dict[str, Any] = {
        "concurrency": at_once,
        "workflows": workflows,
        "steps_per_second": round(median(speeds.values())),
        "rounds": [round(each) for each in speeds.values()],
    }
    if name != RAW:
        result["ratio_to_raw_inserts"] = ratio(speeds, _speeds(RAW, runs))
    if name not in (OURS, ROAD, RAW):
        result["rehydrate_is_times"] = ratio(_speeds(OURS, runs), speeds)
        result["whole_road_is_times"] = ratio(_speeds(ROAD, runs), speeds)
    return result


def _speeds(name: str, runs: Iterable[Run]) -> dict[int, float]:
    """Steps a second by round, of the rounds in which it did not fail."""
    return {run.round: run.measured.steps_per_second for run in runs if run.system == name and run.measured is not None}


def ratio(speeds: Mapping[int, float], to: Mapping[int, float]) -> float | None:
    """The median of the ratios of each round that has both; None: there is no such round."""
    ratios = [speed / to[number] for number, speed in speeds.items() if number in to]
    return round(median(ratios), 2) if ratios else None
