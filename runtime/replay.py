"""Replay: any stream, at any version or moment, from its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.states import codec_of
from domain.event import Event, encode
from domain.message import rfc3339
from domain.ports.store import EventStore, Recorded
from domain.streams import KINDS, UnknownKind, kind_of


class StreamRow(msgspec.Struct, frozen=True):
    """A stream in a list. `kind` is empty where this version knows no such kind."""

    stream: str
    kind: str
    version: int
    events: int


class EventRow(msgspec.Struct, frozen=True):
    """An event of a stream: `event` are its fields, `at` its time (RFC 3339)."""

    version: int
    topic: str
    at: str
    event: msgspec.Raw


class Replayed(msgspec.Struct, frozen=True):
    """A stream up to a version, and the state that follows from its events."""

    stream: str
    kind: str
    version: int
    state: msgspec.Raw
    events: Sequence[EventRow]


class NoSuchStream(Exception):
    """There are no events under this name, or not so many."""


async def streams(store: EventStore, kind: str | None = None) -> list[StreamRow]:
    """All streams, or those of one kind, by name.

    Raises:
        UnknownKind: there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise UnknownKind(f"{kind!r} is no kind of stream; there are {', '.join(sorted(KINDS))}")
    found = await store.streams("" if kind is None else f"{kind}-")
    return [StreamRow(info.stream, _kind(info.stream), info.version, info.events) for info in found]


def _kind(stream: str) -> str:
    name = stream.partition("-")[0]
    return name if name in KINDS else ""


async def show(store: EventStore, stream: str, *, version: int | None = None, at_ms: int | None = None) -> Replayed:
    """A stream as it was: at a version, at a moment (milliseconds since the epoch), or now.

    At a moment means before the first event that was decided later. Version 0 is the state before the first event.

    Raises:
        UnknownKind: the name is none of a stream.
        NoSuchStream: it has no events, or none of this version.
        UnknownTopic, CorruptEvent: an event cannot be decoded.
    """
    kind = kind_of(stream)
    recorded = await store.read(stream, 0, version)
    if not recorded and (version != 0 or not await store.read(stream, 0, 1)):
        raise NoSuchStream(f"{stream}: there is no such stream; `rehydrate replay list` lists them")
    if version is not None and recorded and recorded[-1].version < version:
        raise NoSuchStream(f"{stream} has {recorded[-1].version} events; there is no version {version}")
    if at_ms is not None:
        recorded = _until(recorded, at_ms)
    state = kind.fold(item.event for item in recorded)
    return Replayed(
        stream=stream,
        kind=kind.name,
        version=recorded[-1].version if recorded else 0,
        state=msgspec.Raw(codec_of(kind)[0](state)),
        events=[EventRow(item.version, item.event.TOPIC, rfc3339(item.event.at_ms), _fields(item.event)) for item in recorded],
    )


def _until(recorded: Sequence[Recorded], at_ms: int) -> list[Recorded]:
    until = next((index for index, item in enumerate(recorded) if item.event.at_ms > at_ms), len(recorded))
    return list(recorded[:until])


def _fields(event: Event) -> msgspec.Raw:
    return msgspec.Raw(encode(event))


def decoded(raw: msgspec.Raw) -> Any:
    """The plain value that encoded JSON stands for."""
    return msgspec.json.decode(raw)
