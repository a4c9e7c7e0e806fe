"""The summary that is folded live and the read models say the same about a run, at any moment of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from projections import queries
from projections.projector import Projector
from projections.run_summary import RunSummary
from tests.projections.launch_events import Launch, MemoryLog, launch, upto


def _summary(log: MemoryLog, run_id: str) -> RunSummary:
    summary = RunSummary(run_id)
    for recorded in log.recorded:
        summary.feed(recorded)
    return summary


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
async def test_the_summary_equals_the_read_models(engine: AsyncEngine, share: float) -> None:
    """In the middle of a run and at its end, with failures and recoveries."""
    whole, played = launch(60, seed=3)
    log = upto(whole, int(len(whole.stored) * share))
    await Projector(engine, log).catch_up()
    document = await queries.run_document(engine, played.run_id)
    summary = _summary(log, played.run_id)
    assert msgspec.to_builtins(document) == summary.document()
    assert summary.document()["recoveries"]


def test_the_document_has_the_keys_and_the_order_that_are_promised() -> None:
    """Workflows by their place in the feed and the closing one last, steps as the graph declares them, times in RFC 3339."""
    log, played = launch(20, seed=4, trouble=False)
    document: dict[str, Any] = _summary(log, played.run_id).document()
    assert list(document) == ["run_id", "workflow", "status", "seed", "workflows", "recoveries"]
    assert document["status"] == "completed" and document["seed"] == 4
    ids = [workflow["workflow_id"].rpartition("-")[2] for workflow in document["workflows"]]
    assert ids == [*(str(index) for index in range(20)), "close"]
    first = document["workflows"][0]
    steps = ["CREATE_LISTING", "GENERATE_DESCRIPTION", "SET_PRICE", "RESERVE_STOCK", "SCHEDULE_POSTS", "MONITOR_FEEDBACK"]
    assert [step["task_type"] for step in first["steps"]] == steps
    assert first["started_at"].endswith("Z") and first["started_at"] <= first["ended_at"]
    assert all(step["status"] == "completed" and step["attempts"] >= 1 for step in first["steps"])
    assert document["recoveries"] == []


def test_progress_ends_where_all_is_done() -> None:
    """Steps that will never be are not waited for."""
    log, played = launch(60, seed=3)
    summary = _summary(log, played.run_id)
    progress = summary.progress()
    assert summary.over
    assert summary.outputs
    assert (progress.products, progress.started, progress.ended) == (60, 60, 60)
    assert progress.failed > 0
    assert progress.steps_done == progress.steps_total
    lead = next(agent for agent in progress.agents if agent.agent == "lead/0")
    assert (lead.last_event, lead.epoch) == ("run.Completed", 1)
    assert progress.recoveries


def test_progress_rises_and_never_passes_its_total() -> None:
    """What a live view shows makes sense at every event."""
    log, played = launch(20, seed=5)
    summary, done = RunSummary(played.run_id), 0
    for recorded in log.recorded:
        summary.feed(recorded)
        progress = summary.progress()
        assert done <= progress.steps_done <= max(progress.steps_total, 0)
        assert progress.ended <= progress.started <= progress.products
        done = progress.steps_done


def test_other_runs_and_recoveries_before_the_request_do_not_count() -> None:
    """A summary is of one run."""
    log = MemoryLog()
    first = Launch(log, 3, seed=1)
    first.owners()
    first.claim("lead/0", "exit")
    first.begin()
    while first.step():
        pass
    alone = _summary(log, first.run_id)
    Launch(log, 3, seed=2, trouble=False).play()
    both = _summary(log, first.run_id)
    assert alone.document() == both.document()
    assert not any(recovery.agent == "lead/0" and recovery.old_epoch == 2 for recovery in both.progress().recoveries)


def test_a_summary_before_any_event_is_empty() -> None:
    """Asking early is allowed."""
    summary = RunSummary("run-x-1")
    assert summary.document()["status"] == "unknown"
    assert summary.progress().steps_total == 0
    assert not summary.over
