"""The event store in memory: the twin of the real ones, for tests and for trying things out.

It is written for clarity, and by another road than the real stores, so that the contract tests compare two thoughts and not one. A
`MemoryWorld` is the database; several `MemoryStore` on one world behave like several processes. Events are kept as the bytes that would be
stored, so nothing that a caller holds is ever shared. Positions leave holes, as PostgreSQL's do: nobody may count on their being dense.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from domain.event import Event, decode, encode
from domain.marks import Marks
from domain.ports.store import (
    AlreadyApplied,
    Append,
    Appended,
    Fenced,
    NoContent,
    Parcel,
    Recorded,
    Refused,
    Snapshot,
    Stored,
    StoreUnavailable,
    StreamInfo,
    VersionConflict,
)
from store.memory_keeping import MemoryKeeping
from store.memory_world import MemoryWorld, Pair


class MemoryStore:
    """The port `EventStore` on a `MemoryWorld`."""

    def __init__(self, world: MemoryWorld | None = None) -> None:
        self._shared = MemoryWorld() if world is None else world
        self._closed = False

    @property
    def world(self) -> MemoryWorld:
        """What lies in the store. Raises `StoreUnavailable` once this handle is closed."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return self._shared

    # --- append ------------------------------------------------------------------------------------------------------

    async def append(self, request: Append) -> Appended:
        encoded = [[(event.TOPIC, encode(event)) for event in part.events] for part in request.streams]
        _refuse_contradiction(request)
        self._check(request)
        appended = self._apply(request, encoded)
        await asyncio.sleep(0)  # as with the real ones, a caller may be cancelled after its append has happened
        return appended

    async def append_all(self, requests: Sequence[Append]) -> list[Appended | Refused | StoreUnavailable]:
        found: list[Appended | Refused | StoreUnavailable] = []
        for request in requests:
            try:
                found.append(await self.append(request))
            except (Refused, StoreUnavailable) as refusal:
                found.append(refusal)
        return found

    def _check(self, request: Append) -> None:
        world = self.world
        world.position += 1  # a refused request leaves a hole
        fence = world.fences.get(request.writer, 0)
        if request.epoch is not None and request.epoch != fence + request.claim:
            raise Fenced(f"{request.writer} comes with epoch {request.epoch}, but the store is at epoch {fence}")
        seen = [item for item in request.received if self._marks(request.writer, item.sender).seen(item.number)]
        if seen:
            raise AlreadyApplied(seen)
        for part in request.streams:
            actual = len(world.streams[part.stream]) if part.stream in world.streams else 0
            if part.expected != actual:
                raise VersionConflict(part.stream, part.expected, actual)

    def _apply(self, request: Append, encoded: Sequence[Sequence[tuple[str, bytes]]]) -> Appended:
        world = self.world
        if request.claim and request.epoch is not None:
            world.fences[request.writer] = request.epoch
        for sender, number in request.received:
            world.applied[request.writer, sender] = self._marks(request.writer, sender).add((number,))
        for part, events in zip(request.streams, encoded, strict=True):
            for version, (topic, state) in enumerate(events, part.expected + 1):
                world.position += 1
                stored = Stored(world.position, part.stream, version, topic, state)
                world.log.append(stored)
                world.streams[part.stream].append(stored)
            if part.open:
                world.open[part.stream] = request.writer
            elif part.open is False:
                world.open.pop(part.stream, None)
        for data in request.contents:
            world.contents.setdefault(hashlib.sha256(data).hexdigest(), bytes(data))
        for taken in request.snapshots:
            world.snapshots[taken.stream, taken.version] = bytes(taken.state)
            for key in [key for key in world.snapshots if key[0] == taken.stream]:
                if any(stream == key[0] and version > key[1] for stream, version in world.snapshots):
                    del world.snapshots[key]
        numbers = [self._send((request.writer, out.receiver), out.value) for out in request.outgoing]
        self._trim(request.writer)
        return Appended(world.log[-1].position if world.log else 0, numbers)

    def _send(self, pair: Pair, value: bytes) -> int:
        number = self.world.counters[pair] = self.world.counters.get(pair, 0) + 1
        self.world.outbox[pair][number] = bytes(value)
        return number

    def _trim(self, writer: str) -> None:
        for (sender, receiver), rows in self.world.outbox.items():
            if sender == writer:
                mark = self._marks(receiver, sender).mark
                for number in [number for number in rows if number <= mark]:
                    del rows[number]

    def _marks(self, receiver: str, sender: str) -> Marks:
        return self.world.applied.get((receiver, sender), Marks())

    # --- read --------------------------------------------------------------------------------------------------------

    async def read(self, stream: str, after: int = 0, upto: int | None = None) -> list[Recorded]:
        return [
            Recorded(row.position, stream, row.version, decode(row.topic, row.state)) for row in self._rows(stream, after, upto)
        ]

    async def history(self, stream: str, after: int = 0, upto: int | None = None) -> list[Event]:
        return [decode(row.topic, row.state) for row in self._rows(stream, after, upto)]

    def _rows(self, stream: str, after: int, upto: int | None) -> Sequence[Stored]:
        rows = self.world.streams.get(stream, ())
        return [row for row in rows if row.version > after and (upto is None or row.version <= upto)]

    async def log(self, after: int, limit: int) -> list[Stored]:
        return [row for row in self.world.log if row.position > after][:limit]

    async def check_access(self) -> None:
        """It lies in this process."""

    async def identity(self) -> str:
        return self.world.identity

    async def head(self) -> int:
        return self.world.log[-1].position if self.world.log else 0

    async def streams(self, prefix: str = "") -> list[StreamInfo]:
        found = sorted((name, rows) for name, rows in self.world.streams.items() if name.startswith(prefix) and rows)
        return [StreamInfo(name, rows[-1].version, len(rows)) for name, rows in found]

    async def snapshot(self, stream: str, upto: int | None = None) -> Snapshot | None:
        versions = [version for name, version in self.world.snapshots if name == stream and (upto is None or version <= upto)]
        return Snapshot(stream, max(versions), self.world.snapshots[stream, max(versions)]) if versions else None

    async def snapshots(self) -> list[Snapshot]:
        return [Snapshot(stream, version, state) for (stream, version), state in sorted(self.world.snapshots.items())]

    async def open_streams(self, owner: str) -> list[str]:
        return sorted(stream for stream, holder in self.world.open.items() if holder == owner)

    async def epochs(self) -> dict[str, int]:
        return dict(sorted(self.world.fences.items()))

    async def marks(self, receiver: str) -> dict[str, Marks]:
        return {sender: marks for (holder, sender), marks in self.world.applied.items() if holder == receiver}

    async def unapplied(self, sender: str) -> dict[str, tuple[Marks, int]]:
        sent = {receiver: last for (holder, receiver), last in self.world.counters.items() if holder == sender}
        known = {receiver: (self._marks(receiver, sender), last) for receiver, last in sent.items()}
        return {receiver: (marks, last) for receiver, (marks, last) in known.items() if marks.mark < last}

    async def parcels(self, sender: str, receiver: str, numbers: Sequence[int] | None = None, limit: int = 1000) -> list[Parcel]:
        rows = self.world.outbox.get((sender, receiver), {})
        marks = self._marks(receiver, sender)
        wanted = sorted(rows if numbers is None else set(numbers) & rows.keys())
        return [Parcel(receiver, number, rows[number]) for number in wanted if not marks.seen(number)][:limit]

    async def content(self, digest: str) -> bytes:
        found = self.world.contents.get(digest)
        if found is None:
            raise NoContent(digest)
        return found

    async def erase(self, digest: str) -> None:
        """Erase a content document, for good. The events that name it keep its digest."""
        self.world.contents.pop(digest, None)

    def keeping(self) -> MemoryKeeping:
        """What keeps the store small."""
        return MemoryKeeping(lambda: self.world)

    async def close(self) -> None:
        self._closed = True


def _refuse_contradiction(request: Append) -> None:
    streams = [part.stream for part in request.streams]
    if len(set(streams)) < len(streams) or len(set(request.received)) < len(request.received):
        raise ValueError(f"{request.writer} names a stream or a received message twice in one request")
    if request.claim and request.epoch is None:
        raise ValueError(f"{request.writer} claims without an epoch")
