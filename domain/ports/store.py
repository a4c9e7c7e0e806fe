"""The event store: the only truth, and the one append through which anything becomes true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from domain.event import Event
from domain.marks import Marks

# What a message makes a dozen of is a struct, which is made in a third of a named tuple's time and of no concern to the garbage collector.

# --- what goes in ----------------------------------------------------------------------------------------------------


class StreamAppend(msgspec.Struct, frozen=True, gc=False):
    """New events of one stream: the first gets version `expected` + 1. `open` says whether the stream is open after them
    (None: it was and is not open, nothing to index)."""

    stream: str
    expected: int
    events: Sequence[Event]
    open: bool | None = None


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message on its way: for whom, its encoded document, and its id (for logs and tests)."""

    receiver: str
    value: bytes
    message_id: str


class Received(NamedTuple):
    """Which message an append answers: its sender and the number it was sent under."""

    sender: str
    number: int


class Snapshot(NamedTuple):
    stream: str
    version: int
    state: bytes


class Append(msgspec.Struct, frozen=True, gc=False):
    """One unit of work, all or nothing.

    `writer` is the agent that appends and `epoch` its epoch, checked against the fence; a request from outside (CLI, API) has
    epoch None and is not fenced. With `claim` the epoch must be the fence's plus one, and becomes the fence.
    """

    writer: str
    epoch: int | None
    streams: Sequence[StreamAppend] = ()
    received: Sequence[Received] = ()
    outgoing: Sequence[Outgoing] = ()
    contents: Sequence[bytes] = ()
    snapshots: Sequence[Snapshot] = ()
    claim: bool = False


# --- what comes out -------------------------------------------------------------------------------------------------


class Appended(msgspec.Struct, frozen=True, gc=False):
    """The append is durable. `numbers` are those given to the outgoing messages, in their order; `position` is the log's end."""

    position: int
    numbers: Sequence[int]


class Recorded(NamedTuple):
    """A stored event: its position in the log (rising, with holes), its stream, its version in it."""

    position: int
    stream: str
    version: int
    event: Event


class Stored(NamedTuple):
    """An event as it lies in the store, not decoded."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class StreamInfo(NamedTuple):
    stream: str
    version: int
    events: int


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """A message in the outbox: not yet applied by its receiver as far as the sender knows."""

    receiver: str
    number: int
    value: bytes


class Refused(Exception):
    """The append was refused and changed nothing. Definite: the store looked and said no."""


class Fenced(Refused):
    """The writer's epoch is over: another process owns the agent. The writer must stop."""


class VersionConflict(Refused):
    """A stream is not at the expected version: reload it and decide again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class AlreadyApplied(Refused):
    """One of the received messages was applied before: drop those named and append again without them."""

    def __init__(self, received: Sequence[Received]) -> None:
        super().__init__(", ".join(f"{sender}#{number}" for sender, number in received))
        self.received = tuple(received)


class StoreUnavailable(Exception):
    """The store could not do it (disk full, file gone, no connection). Nothing was appended; it may be tried again later.

    `passes`: it is a server that comes back by itself, so that even a process that only begins should wait for it.
    `final`: it lets this process in no more, so that not even one that is at work should wait for it.
    """

    passes = False
    final = False


class NoContent(KeyError):
    """No content document has this digest: it was erased, or never stored."""


# --- the port -------------------------------------------------------------------------------------------------------


class EventStore(Protocol):
    """Append and read. Reads see everything that was appended before them by anybody."""

    async def append(self, request: Append) -> Appended:
        """Append all of the request or nothing of it. When it returns, the request is durable.

        Raises:
            Fenced, VersionConflict, AlreadyApplied: refused, nothing changed.
            ValueError: the request names a stream or a received message twice, or claims without an epoch; nothing changed.
            StoreUnavailable: nothing changed; the store is in trouble.
        """

    async def append_all(self, requests: Sequence[Append]) -> list[Appended | Refused | StoreUnavailable]:
        """Append many requests, each of them by itself: one that is refused does not touch the others. Gives for each, in order,
        what `append` would give or raise. They go to the disk together, so the last costs hardly more than the first.

        Raises:
            ValueError: a request contradicts itself, as for `append`; those before it may have been appended.
        """

    async def read(self, stream: str, after: int = 0, upto: int | None = None) -> list[Recorded]:
        """The events of a stream with version in (after, upto]."""

    async def history(self, stream: str, after: int = 0, upto: int | None = None) -> list[Event]:
        """Like `read`, the events alone: what a fold needs, at a third of the cost. Versions follow without a hole."""

    async def snapshot(self, stream: str, upto: int | None = None) -> Snapshot | None:
        """The last snapshot of a stream at or below a version. Snapshots may vanish at any time; a newer one makes the older ones go."""

    async def identity(self) -> str:
        """The id of this store, 32 hexadecimal digits: given when it is first asked for, and never another. What several stores share
        (a Kafka cluster, say) tells them apart by it."""

    async def log(self, after: int, limit: int) -> list[Stored]:
        """Events of all streams behind a position, in the order of their commits."""

    async def head(self) -> int:
        """The position of the last event, 0 when there is none."""

    async def streams(self, prefix: str = "") -> list[StreamInfo]:
        """All streams whose name begins so, by name."""

    async def open_streams(self, owner: str) -> list[str]:
        """The streams that an agent has work with."""

    async def epochs(self) -> dict[str, int]:
        """The fence: the epoch of each agent that was ever claimed."""

    async def marks(self, receiver: str) -> dict[str, Marks]:
        """What a receiver has applied, by sender."""

    async def unapplied(self, sender: str) -> dict[str, tuple[Marks, int]]:
        """For each receiver that has not applied all of a sender's messages: its marks, and the last number sent to it."""

    async def parcels(self, sender: str, receiver: str, numbers: Sequence[int] | None = None, limit: int = 1000) -> list[Parcel]:
        """Messages of the outbox that the receiver has not applied, by number: these numbers, or all."""

    async def content(self, digest: str) -> bytes:
        """A content document.

        Raises:
            NoContent: there is none with this digest.
        """

    async def close(self) -> None:
        """Finish what was asked and let go of files and connections."""
