"""`messages`: one row a message that an event was told in: from whom to whom, and which event.

The rows follow from the events alone; whether a message arrived is not told here (the receiver's next event does). The message
ids are those on the wire. `workflow_id` is the workflow that the message speaks of, empty for the request of a run. Sender and
receiver that the event itself does not name are those of the task's or workflow's row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Index
from sqlalchemy.schema import Table

from domain import deadletter, streams
from domain.message import MessageType, message_id
from domain.ports.store import Recorded
from domain.role import CLIENT
from domain.run import LEAD_0, ClosingStarted, Requested, WorkflowsStarted
from domain.task import Completed, Failed
from domain.workflow import Ended, StepAssigned, StepCancelled
from projections.model import METADATA, Model, big_column, count_column, key_column, text_column
from projections.models.workflows import lead_of
from projections.rows import Ref, Row

TABLE = Table(
    "messages",
    METADATA,
    key_column("message_id"),
    text_column("type"),
    text_column("sender"),
    text_column("receiver"),
    text_column("workflow_id"),
    text_column("task_id"),
    text_column("stream"),
    count_column("version"),
    count_column("part"),
    big_column("at_ms"),
    big_column("position"),
    Index("messages_by_workflow", "workflow_id", "position", "part"),
)

_NO_REFS: Mapping[str, Ref] = {}


def rows(recorded: Recorded) -> Iterable[Row]:
    """The messages that an event is told in: the same, in the same order, as the `tells` of its stream's kind."""
    stream, event = recorded.stream, recorded.event
    match event:
        case Completed():
            yield _answer(recorded, MessageType.TASK_COMPLETE)
        case StepAssigned(step=step, agent=agent):
            task = streams.task_stream(stream, step)
            refs = {"sender": Ref("workflows", stream, "lead")}
            yield _message(recorded, MessageType.TASK_ASSIGN, stream, task, receiver=agent, refs=refs)
        case Ended():
            refs = {"sender": Ref("workflows", stream, "lead"), "receiver": Ref("workflows", stream, "reply_to")}
            yield _message(recorded, MessageType.TASK_COMPLETE, stream, stream, refs=refs)
        case WorkflowsStarted(items=items):
            for part, item in enumerate(items):
                workflow = streams.workflow_stream(stream, item.index)
                refs = {"receiver": lead_of(stream, item.handle)}
                yield _message(recorded, MessageType.TASK_ASSIGN, workflow, workflow, sender=LEAD_0, refs=refs, part=part)
        case Failed():
            yield _answer(recorded, MessageType.TASK_FAIL)
        case StepCancelled(step=step):
            task = streams.task_stream(stream, step)
            refs = {"sender": Ref("workflows", stream, "lead"), "receiver": Ref("tasks", task, "agent")}
            yield _message(recorded, MessageType.TASK_CANCEL, stream, task, refs=refs)
        case ClosingStarted():
            workflow = streams.workflow_stream(stream, "close")
            yield _message(recorded, MessageType.TASK_ASSIGN, workflow, workflow, sender=LEAD_0, receiver=LEAD_0)
        case deadletter.Recorded():
            for part, tell in enumerate(deadletter.tells(stream, deadletter.DeadLetter(), event)):
                workflow = workflow_of(event.task_id)
                yield _message(
                    recorded, tell.type, workflow, event.task_id, sender=event.agent, receiver=tell.receiver, part=part
                )
        case Requested():
            yield _message(recorded, MessageType.TASK_ASSIGN, "", stream, sender=CLIENT, receiver=LEAD_0)


def _answer(recorded: Recorded, kind: MessageType) -> Row:
    task = recorded.stream
    refs = {"sender": Ref("tasks", task, "agent"), "receiver": Ref("tasks", task, "reply_to")}
    return _message(recorded, kind, workflow_of(task), task, refs=refs)


def workflow_of(task: str) -> str:
    """The workflow of a task; empty for a task outside of workflows, whose name holds none. A workflow is a task, too."""
    if task.startswith("workflow-"):
        return task
    try:
        return streams.task_name(task).workflow
    except streams.UnknownKind:
        return ""


def _message(
    recorded: Recorded,
    kind: MessageType,
    workflow: str,
    task: str,
    *,
    sender: str = "",
    receiver: str = "",
    refs: Mapping[str, Ref] = _NO_REFS,
    part: int = 0,
) -> Row:
    position, stream, version, event = recorded
    put: dict[str, Any] = {
        "type": kind.value,
        "sender": sender,
        "receiver": receiver,
        "workflow_id": workflow,
        "task_id": task,
        "stream": stream,
        "version": version,
        "part": part,
        "at_ms": event.at_ms,
        "position": position,
    }
    return Row((message_id(stream, version, part),), put=put, refs=refs)


MODEL = Model(
    "messages",
    (Completed, StepAssigned, Ended, WorkflowsStarted, Failed, StepCancelled, ClosingStarted, Requested, deadletter.Recorded),
    rows,
)
