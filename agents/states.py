"""States of streams, as this process knows them: loaded by replay, kept while it owns them.

A cached state can only be wrong if somebody else appended to the stream; then the append at the expected version is refused, and
the state is dropped and loaded again. So the cache is never a second truth.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from domain.ports.store import EventStore
from domain.streams import Kind, kind_of, snapshot_codec

CAPACITY = 4096


class Held(msgspec.Struct, frozen=True, gc=False):
    """A state and the version of the stream that it follows from."""

    state: Any
    version: int


class States:
    """The least recently used states beyond `capacity` are forgotten."""

    def __init__(self, store: EventStore, capacity: int = CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._held: OrderedDict[str, Held] = OrderedDict()

    async def get(self, stream: str) -> Held:
        """The state of a stream; for one that has no events, its kind's initial state at version 0."""
        held = self._held.get(stream)
        if held is None:
            held = await load(self._store, stream)
            self.put(stream, held)
        else:
            self._held.move_to_end(stream)
        return held

    async def get_or_assume_new(self, stream: str) -> Held:
        """Like `get`, but a stream that this process has not met is taken to have no events, without a look.

        Safe where events are appended at the version assumed: if the stream does exist, the append is refused and `get` looks.
        """
        held = self._held.get(stream)
        return Held(kind_of(stream).initial, 0) if held is None else held

    def put(self, stream: str, held: Held) -> None:
        self._held[stream] = held
        if len(self._held) > self._capacity:
            self._held.popitem(last=False)

    def drop(self, stream: str) -> None:
        self._held.pop(stream, None)


async def load(store: EventStore, stream: str, upto: int | None = None) -> Held:
    """The state of a stream at a version (None: the last one), by the last snapshot before it and the events since."""
    kind = kind_of(stream)
    state, version = kind.initial, 0
    if kind.snapshot_every:
        snapshot = await store.snapshot(stream, upto)
        if snapshot is not None:
            state, version = codec_of(kind)[1](snapshot.state), snapshot.version
    events = await store.history(stream, version, upto)
    return Held(kind.fold(events, state), version + len(events))


_codecs: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {}


def codec_of(kind: Kind[Any]) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Encoder and decoder of a kind's states, built once."""
    found = _codecs.get(kind.name)
    if found is None:
        found = _codecs[kind.name] = snapshot_codec(kind)
    return found
