"""Everything that a store holds, as of one moment: for verifying it as a whole, beside the port that agents use.

All reads of one `Audit` see the same state, also while a swarm appends: it is one read transaction on a connection of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol

from domain.marks import Marks
from domain.ports.store import Snapshot

AT_ONCE = 1000
"""Rows that are taken together where there are many."""

EventRow = tuple[int, str, int, str, bytes]
"""Position, stream, version, topic, state. A plain tuple: there are many."""

Pair = tuple[str, str]


class Sent(NamedTuple):
    """What is known of the messages from one agent to another: the last number given, what is applied, what is in the outbox."""

    last: int
    applied: Marks
    outbox: Sequence[int]


class Audit(Protocol):
    """The content of a store. Use as an asynchronous context manager; it never writes.

    Raises:
        StoreUnavailable: the store cannot be read, on entering or later.
    """

    async def __aenter__(self) -> Audit: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def events(self) -> AsyncIterator[Sequence[EventRow]]:
        """All events in log order, many at a time."""

    async def snapshots(self) -> Sequence[Snapshot]:
        """All snapshots."""

    async def fences(self) -> dict[str, int]:
        """Agent → the epoch that may append."""

    async def open_streams(self) -> Sequence[tuple[str, str]]:
        """Owner and stream of everything that somebody has work with."""

    async def sent(self) -> dict[Pair, Sent]:
        """(sender, receiver) → what is known of the messages between them."""

    def contents(self) -> AsyncIterator[Sequence[tuple[bytes, bytes]]]:
        """All content documents with their digests, many at a time."""


def joined(
    counters: Mapping[Pair, int], applied: Mapping[Pair, Marks], outbox: Iterable[tuple[str, str, int]]
) -> dict[Pair, Sent]:
    """What `sent` tells, put together from the three tables; rows of the outbox are sender, receiver, number."""
    waiting: dict[Pair, list[int]] = {}
    for sender, receiver, number in outbox:
        waiting.setdefault((sender, receiver), []).append(number)
    return {
        pair: Sent(counters.get(pair, 0), applied.get(pair, Marks()), waiting.get(pair, ()))
        for pair in sorted(counters.keys() | applied.keys() | waiting.keys())
    }
