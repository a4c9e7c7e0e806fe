"""`tasks`: one row a step of a workflow, as the lead sees it and as the agent that does it sees it.

`status` is the lead's word and the one that counts: assigned, completed, failed or cancelled. `work` is what the agent recorded
in the task's own stream; the two differ while an answer is on its way, and for good where a result came after its deadline.
`attempts` counts how often the work was begun. `assigned_at_ms` and `ended_at_ms` are the lead's times, `started_at_ms` and
`done_at_ms` the agent's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Index
from sqlalchemy.schema import Table

from domain import streams
from domain.ports.store import Recorded
from domain.task import Assigned, Cancelled, Completed, Failed, Resumed, Status
from domain.workflow import StepAssigned, StepCancelled, StepCompleted, StepFailed, StepStatus
from projections.model import METADATA, Model, count_column, key_column, moment_column, text_column
from projections.rows import Row

TABLE = Table(
    "tasks",
    METADATA,
    key_column("task_id"),
    text_column("workflow_id"),
    text_column("run_id"),
    text_column("task_type"),
    text_column("agent"),
    text_column("reply_to"),
    text_column("status"),
    text_column("work"),
    count_column("attempts"),
    text_column("reason"),
    text_column("work_reason"),
    moment_column("deadline_ms"),
    moment_column("assigned_at_ms"),
    moment_column("started_at_ms"),
    moment_column("done_at_ms"),
    moment_column("ended_at_ms"),
    Index("tasks_by_workflow", "workflow_id"),
)


def rows(recorded: Recorded) -> Iterable[Row]:
    """What an event of a workflow or of a task changes in the row of the task."""
    stream, event = recorded.stream, recorded.event
    match event:
        case Assigned(at_ms=at_ms, reply_to=reply_to):
            put: dict[str, Any] = {"reply_to": reply_to, "work": Status.ASSIGNED.value, "attempts": 1, "started_at_ms": at_ms}
            yield Row((stream,), put=put)
        case Completed(at_ms=at_ms, attempts=attempts):
            yield Row((stream,), put={"work": Status.COMPLETED.value, "attempts": attempts, "done_at_ms": at_ms})
        case Failed(at_ms=at_ms, reason=reason, attempts=attempts):
            put = {"work": Status.FAILED.value, "attempts": attempts, "work_reason": reason, "done_at_ms": at_ms}
            yield Row((stream,), put=put)
        case Cancelled(at_ms=at_ms, reason=reason):
            yield Row((stream,), put={"work": Status.CANCELLED.value, "work_reason": reason, "done_at_ms": at_ms})
        case Resumed():
            yield Row((stream,), add={"attempts": 1})
        case StepAssigned(step=step, agent=agent, at_ms=at_ms, deadline_ms=deadline_ms):
            put = {"workflow_id": stream, "run_id": streams.run_of(stream), "task_type": step, "agent": agent}
            put |= {"status": StepStatus.ASSIGNED.value, "assigned_at_ms": at_ms, "deadline_ms": deadline_ms}
            yield Row((streams.task_stream(stream, step),), put=put)
        case StepCompleted(step=step, at_ms=at_ms):
            yield _over(stream, step, StepStatus.COMPLETED, at_ms, "")
        case StepFailed(step=step, at_ms=at_ms, reason=reason):
            yield _over(stream, step, StepStatus.FAILED, at_ms, reason)
        case StepCancelled(step=step, at_ms=at_ms, reason=reason):
            yield _over(stream, step, StepStatus.CANCELLED, at_ms, reason)


def _over(workflow: str, step: str, status: StepStatus, at_ms: int, reason: str) -> Row:
    put = {"status": status.value, "ended_at_ms": at_ms, "reason": reason}
    return Row((streams.task_stream(workflow, step),), put=put)


MODEL = Model(
    "tasks",
    (Assigned, Completed, Failed, Cancelled, Resumed, StepAssigned, StepCompleted, StepFailed, StepCancelled),
    rows,
)
