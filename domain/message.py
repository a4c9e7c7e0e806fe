"""Messages: an event told to somebody.

A message is never thought up beside the events: its id follows from the stream, the version and the index of the event that it
tells, so the same event is always the same message, however often it is sent. The document is `{header, body}` in plain JSON.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

PROTOCOL_VERSION = "1.0"
_namespaced = hashlib.sha1(uuid.UUID("6f1d0a3e-5b0e-5d2c-9d55-6a1f3f0e7b10").bytes, usedforsecurity=False)
_VARIANT = {digit: f"{int(digit, 16) & 0x3 | 0x8:x}" for digit in "0123456789abcdef"}


class MessageType(StrEnum):
    """What a message means. The types that this version speaks; more follow with the protocol."""

    TASK_ASSIGN = "TASK_ASSIGN"
    TASK_COMPLETE = "TASK_COMPLETE"
    TASK_FAIL = "TASK_FAIL"
    TASK_CANCEL = "TASK_CANCEL"
    NOT_UNDERSTOOD = "NOT_UNDERSTOOD"


class Tell(msgspec.Struct, frozen=True, gc=False):
    """What an event says to somebody, before it is put into an envelope. `receiver` is an agent name, `body` a body struct below."""

    type: MessageType
    receiver: str
    body: Any
    correlation_id: str
    deadline_ms: int | None = None


# --- bodies ---------------------------------------------------------------------------------------------------------


class TaskRef(msgspec.Struct, frozen=True, gc=False):
    """Which task: `task_id` is the name of its stream."""

    task_id: str
    task_type: str


class Task(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A task as it is assigned. `context` holds what earlier steps gave, by step; `expected_output_schema` refers to the step's schema."""

    task_id: str
    task_type: str
    parameters: dict[str, Any]
    context: dict[str, Any] = {}
    expected_output_schema: dict[str, Any] = {}


class Failure(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a task failed. `error_class` is fatal, transient or degradable; `code` is for programs, `reason` for people."""

    error_class: str
    code: str
    reason: str


class TaskAssign(msgspec.Struct, frozen=True, gc=False):
    task: Task


class TaskComplete(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """`attempts` counts how often the work was begun, resumptions after a crash and retries included."""

    task: TaskRef
    output: dict[str, Any]
    attempts: int = 1


class TaskFail(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    task: TaskRef
    failure: Failure
    attempts: int = 1


class TaskCancel(msgspec.Struct, frozen=True, gc=False):
    task: TaskRef
    reason: str


class NotUnderstood(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to a message that was authentic and refused: which one, and why. `task` names the task that fails by it."""

    message_id: str
    reason: str
    task: TaskRef | None = None


BODIES: dict[str, type[msgspec.Struct]] = {
    MessageType.TASK_ASSIGN: TaskAssign,
    MessageType.TASK_COMPLETE: TaskComplete,
    MessageType.TASK_FAIL: TaskFail,
    MessageType.TASK_CANCEL: TaskCancel,
    MessageType.NOT_UNDERSTOOD: NotUnderstood,
}


# --- envelope -------------------------------------------------------------------------------------------------------


class Header(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Who says what to whom, and from which event it follows.

    `stream` and `version` are the event that the message tells; `correlation_id` is the run; `causation_id` the message that led
    to the event; `timestamp` is the event's time (RFC 3339, UTC). Numbers for repair are not here: they are given at commit and
    travel in the Kafka headers.
    """

    message_id: str
    message_type: str
    sender: str
    receiver: str
    timestamp: str
    correlation_id: str
    stream: str
    version: int
    protocol_version: str = PROTOCOL_VERSION
    causation_id: str | None = None
    deadline: str | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message in the clear: header and typed body."""

    header: Header
    body: Any


def message_id(stream: str, version: int, index: int) -> str:
    """The id of the message with this index among those that one event is told in (RFC 9562, UUID version 5).

    Written out, since `uuid.uuid5` costs eight times as much and every message needs one.
    """
    hashed = _namespaced.copy()
    hashed.update(f"{stream}\x1f{version}\x1f{index}".encode())
    text = hashed.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def envelope(tell: Tell, *, sender: str, stream: str, version: int, index: int, at_ms: int, causation_id: str | None) -> Message:
    """Put what an event says into its envelope."""
    return Message(
        Header(
            message_id=message_id(stream, version, index),
            message_type=tell.type._value_,  # the property costs as much as the whole struct
            sender=sender,
            receiver=tell.receiver,
            timestamp=rfc3339(at_ms),
            correlation_id=tell.correlation_id,
            stream=stream,
            version=version,
            causation_id=causation_id,
            deadline=None if tell.deadline_ms is None else rfc3339(tell.deadline_ms),
        ),
        tell.body,
    )


@lru_cache(maxsize=1024)
def rfc3339(at_ms: int) -> str:
    """Milliseconds since the epoch as an RFC 3339 date-time in UTC."""
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"  # remembered: messages of one group share their times


@lru_cache(maxsize=64)
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1024)
def from_rfc3339(text: str) -> int:
    """The milliseconds since the epoch that an RFC 3339 date-time stands for.

    Raises:
        ValueError: the text is no date-time with an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return round(moment.timestamp() * 1000)
