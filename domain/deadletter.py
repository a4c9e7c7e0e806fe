"""A dead letter is a message that ended without being handled: kept, with the reason, until somebody decides about it.

    (nothing) ──record──▶ WAITING ──replay──▶ REPLAYED
                             └─────discard──▶ DISCARDED

What is not authentic (undecodable, wrong digest) is recorded once by its bytes and does not count as applied: its sender repairs it.
What is authentic and refused counts as applied. The bytes are a content document and can be erased; the event keeps the digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.decision import NOTHING, Decision
from domain.event import Event
from domain.message import MessageType, NotUnderstood, TaskRef, Tell
from domain.role import CLIENT

UNANSWERED = frozenset({"undecodable", "digest", "unreachable"})
"""Reasons that are answered to nobody: what is not authentic says nothing about its sender, who repairs it by itself; where the
receiver was never there, nobody can answer in its name, and the deadline of the task tells the sender."""


class Status(StrEnum):
    UNKNOWN = "unknown"
    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Recorded(Event, frozen=True):
    """`reason` is one word for programs (undecodable, digest, schema, refused, unreachable), `detail` a sentence for people."""

    TOPIC = "deadletter.Recorded"
    reason: str
    detail: str
    agent: str
    raw: str
    message_id: str = ""
    message_type: str = ""
    sender: str = ""
    correlation_id: str = ""
    task_id: str = ""
    task_type: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1


class Replayed(Event, frozen=True):
    TOPIC = "deadletter.Replayed"


class Discarded(Event, frozen=True):
    TOPIC = "deadletter.Discarded"


DeadLetterEvent = Recorded | Replayed | Discarded


class DeadLetter(msgspec.Struct, frozen=True):
    status: Status = Status.UNKNOWN
    recorded: Recorded | None = None


def evolve(letter: DeadLetter, event: DeadLetterEvent) -> DeadLetter:
    match event:
        case Recorded():
            return DeadLetter(Status.WAITING, event)
        case Replayed():
            return replace(letter, status=Status.REPLAYED)
        case Discarded():
            return replace(letter, status=Status.DISCARDED)


class NotReplayable(Exception):
    """The letter's bytes never were a message: there is nothing to put back. Its sender repairs it by itself."""


def record(letter: DeadLetter, event: Recorded) -> Decision:
    """The same bytes refused again are the same letter; a replayed one that is refused again waits again."""
    return NOTHING if letter.status is Status.WAITING else Decision([event])


def replay(letter: DeadLetter, now_ms: int) -> Decision:
    if letter.recorded is None or not letter.recorded.message_id:
        raise NotReplayable
    return NOTHING if letter.status is not Status.WAITING else Decision([Replayed(at_ms=now_ms)])


def discard(letter: DeadLetter, now_ms: int) -> Decision:
    return NOTHING if letter.status is not Status.WAITING else Decision([Discarded(at_ms=now_ms)])


def stream_of(raw_digest: str) -> str:
    """One letter for one sequence of bytes."""
    return f"deadletter-{raw_digest[:24]}"


def tells(stream: str, letter: DeadLetter, event: Event) -> Iterable[Tell]:
    """Whoever sent an authentic message learns that it was refused, and which task fails by it. A refusal is never refused back."""
    if not isinstance(event, Recorded) or event.reason in UNANSWERED or event.sender in {"", CLIENT}:
        return
    if event.message_type != MessageType.NOT_UNDERSTOOD:
        task = TaskRef(event.task_id, event.task_type) if event.task_id else None
        body = NotUnderstood(event.message_id, f"{event.reason}: {event.detail}", task)
        yield Tell(MessageType.NOT_UNDERSTOOD, event.sender, body, event.correlation_id)


KIND = streams.register(streams.Kind("deadletter", DeadLetter(), evolve, tells))
