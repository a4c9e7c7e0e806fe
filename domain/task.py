"""A task is one step of a workflow, given to one agent.

    (nothing) ──assign──▶ ASSIGNED ──complete──▶ COMPLETED
        │                    ├──────fail───────▶ FAILED
        └──cancel──▶ CANCELLED ◀──cancel──┘

Only the agent that the task is assigned to writes this stream. Messages may come in any order: a cancellation that comes before
its assignment is remembered, and the assignment is then refused. A step that needs no waiting is assigned and completed in
one append. A step that waits is assigned in a first append, which holds its input and the intents of its effects, and completed
in a second: between the two a new owner can pick it up from what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.decision import NOTHING, Decision
from domain.event import Event
from domain.message import Failure, MessageType, Task, TaskComplete, TaskFail, TaskRef, Tell


class Status(StrEnum):
    UNKNOWN = "unknown"
    ASSIGNED = "assigned"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


# --- events ---------------------------------------------------------------------------------------------------------


class Assigned(Event, frozen=True):
    """The agent took the task. `input` is stored where the work outlives this append: who resumes it needs it."""

    TOPIC = "task.Assigned"
    task_type: str
    reply_to: str
    deadline_ms: int | None = None
    input: Task | None = None


class EffectIntended(Event, frozen=True):
    """The agent is about to act on the world. `key` is the idempotency key; `payload` the digest of what will be sent."""

    TOPIC = "task.EffectIntended"
    key: str
    kind: str
    target: str
    payload: str


class EffectPerformed(Event, frozen=True):
    """The target confirmed the effect: `receipt` is its own reference."""

    TOPIC = "task.EffectPerformed"
    key: str
    receipt: str


class Resumed(Event, frozen=True):
    """A new owner picked the task up after the one before it died."""

    TOPIC = "task.Resumed"
    epoch: int


class Completed(Event, frozen=True):
    TOPIC = "task.Completed"
    output: dict[str, Any]
    attempts: int = 1


class Failed(Event, frozen=True):
    TOPIC = "task.Failed"
    error_class: str
    code: str
    reason: str
    attempts: int = 1


class Cancelled(Event, frozen=True):
    TOPIC = "task.Cancelled"
    reason: str


TaskEvent = Assigned | EffectIntended | EffectPerformed | Resumed | Completed | Failed | Cancelled


# --- state ----------------------------------------------------------------------------------------------------------


class TaskState(msgspec.Struct, frozen=True):
    """`intents` are the effects not yet confirmed, in order; `receipts` those confirmed: key → receipt."""

    status: Status = Status.UNKNOWN
    task_type: str = ""
    reply_to: str = ""
    input: Task | None = None
    intents: tuple[EffectIntended, ...] = ()
    receipts: dict[str, str] = {}
    attempts: int = 0


def evolve(task: TaskState, event: TaskEvent) -> TaskState:
    match event:
        case Assigned(task_type=task_type, reply_to=reply_to, input=given):
            return replace(task, status=Status.ASSIGNED, task_type=task_type, reply_to=reply_to, input=given, attempts=1)
        case Completed():
            return replace(task, status=Status.COMPLETED, intents=(), input=None)
        case EffectIntended():
            return replace(task, intents=(*task.intents, event))
        case EffectPerformed(key=key, receipt=receipt):
            rest = tuple(intent for intent in task.intents if intent.key != key)
            return replace(task, intents=rest, receipts={**task.receipts, key: receipt})
        case Resumed():
            return replace(task, attempts=task.attempts + 1)
        case Failed():
            return replace(task, status=Status.FAILED, intents=(), input=None)
        case Cancelled():
            return replace(task, status=Status.CANCELLED, intents=(), input=None)


# --- decisions ------------------------------------------------------------------------------------------------------


def accepts(task: TaskState) -> bool:
    """Whether an assignment begins work: it does once, and never after a cancellation."""
    return task.status is Status.UNKNOWN


def take(
    task: TaskState, given: Task, reply_to: str, deadline_ms: int | None, intents: Sequence[EffectIntended], now_ms: int
) -> Decision:
    """First append of a step that waits: the task with its input, and what it is about to do."""
    if not accepts(task):
        return NOTHING
    assigned = Assigned(at_ms=now_ms, task_type=given.task_type, reply_to=reply_to, deadline_ms=deadline_ms, input=given)
    return Decision([assigned, *intents])


def at_once(given: Task, reply_to: str, deadline_ms: int | None, now_ms: int) -> Assigned:
    """The assignment of a step that completes or fails in the same append, and so needs no stored input."""
    return Assigned(at_ms=now_ms, task_type=given.task_type, reply_to=reply_to, deadline_ms=deadline_ms)


def resume(task: TaskState, epoch: int, now_ms: int) -> Decision:
    return Decision([Resumed(at_ms=now_ms, epoch=epoch)]) if task.status is Status.ASSIGNED else NOTHING


def complete(task: TaskState, output: dict[str, Any], receipts: Mapping[str, str], retries: int, now_ms: int) -> Decision:
    """The work is done. After a cancellation the result comes too late and changes nothing."""
    if task.status is not Status.ASSIGNED:
        return NOTHING
    performed = [
        EffectPerformed(at_ms=now_ms, key=key, receipt=receipt) for key, receipt in receipts.items() if key not in task.receipts
    ]
    return Decision([*performed, Completed(at_ms=now_ms, output=output, attempts=task.attempts + retries)])


def fail(task: TaskState, failure: Failure, retries: int, now_ms: int) -> Decision:
    if task.status is not Status.ASSIGNED:
        return NOTHING
    return Decision(
        [
            Failed(
                at_ms=now_ms,
                error_class=failure.error_class,
                code=failure.code,
                reason=failure.reason,
                attempts=task.attempts + retries,
            )
        ]
    )


def cancel(task: TaskState, reason: str, now_ms: int) -> Decision:
    return NOTHING if task.status in OVER else Decision([Cancelled(at_ms=now_ms, reason=reason)])


# --- messages -------------------------------------------------------------------------------------------------------


def tells(stream: str, task: TaskState, event: Event) -> Iterable[Tell]:
    """Completion and failure go back to whoever assigned the task; a cancellation is not answered, its sender decided it."""
    match event:
        case Completed(output=output, attempts=attempts):
            body: Any = TaskComplete(TaskRef(stream, task.task_type), output, attempts)
            yield Tell(MessageType.TASK_COMPLETE, task.reply_to, body, streams.run_of(stream))
        case Failed(error_class=error_class, code=code, reason=reason, attempts=attempts):
            body = TaskFail(TaskRef(stream, task.task_type), Failure(error_class, code, reason), attempts)
            yield Tell(MessageType.TASK_FAIL, task.reply_to, body, streams.run_of(stream))


def is_open(task: TaskState) -> bool:
    return task.status is Status.ASSIGNED


KIND = streams.register(streams.Kind("task", TaskState(), evolve, tells, is_open))
