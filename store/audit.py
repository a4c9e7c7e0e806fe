"""Everything that a store holds, as of one moment: for verifying it as a whole, beside the port that agents use.

All reads of one `Audit` see the same state, also while a swarm appends: it is one read transaction on a connection of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from domain.marks import Marks
from domain.ports.store import Snapshot, StoreUnavailable
from store.batch import marks_of

AT_ONCE = 1000


class Sent(NamedTuple):
    """What is known of the messages from one agent to another: the last number given, what is applied, what is in the outbox."""

    last: int
    applied: Marks
    outbox: Sequence[int]


class Audit:
    """The content of a store file. Use as a context manager; it never writes.

    Raises:
        StoreUnavailable: the file cannot be opened or read, on entering or later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Audit:
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT 1 FROM meta").fetchone()  # the first read fixes the moment
        except sqlite3.DatabaseError as error:
            self.__exit__(None, None, None)
            raise StoreUnavailable(f"{self._path}: {error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def events(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        """All events in log order: position, stream, version, topic, state. Plain tuples: there are many."""
        return self._rows(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events ORDER BY notification_id"
        )

    def snapshots(self) -> Iterator[Snapshot]:
        """All snapshots."""
        return (Snapshot(*row) for row in self._rows("SELECT originator_id, originator_version, state FROM snapshots"))

    def fences(self) -> dict[str, int]:
        """Agent → the epoch that may append."""
        return dict(self._rows("SELECT agent, epoch FROM fences"))

    def open_streams(self) -> list[tuple[str, str]]:
        """Owner and stream of everything that somebody has work with."""
        return list(self._rows("SELECT owner, stream FROM open_streams ORDER BY stream, owner"))

    def sent(self) -> dict[tuple[str, str], Sent]:
        """(sender, receiver) → what is known of the messages between them."""
        counters = {(sender, receiver): n for sender, receiver, n in self._rows("SELECT sender, receiver, n FROM counters")}
        applied = {
            (sender, receiver): marks_of(mark, above)
            for sender, receiver, mark, above in self._rows("SELECT sender, receiver, mark, above FROM applied")
        }
        outbox: dict[tuple[str, str], list[int]] = {}
        for sender, receiver, number in self._rows("SELECT sender, receiver, n FROM outbox ORDER BY sender, receiver, n"):
            outbox.setdefault((sender, receiver), []).append(number)
        return {
            pair: Sent(counters.get(pair, 0), applied.get(pair, Marks()), outbox.get(pair, ()))
            for pair in sorted(counters.keys() | applied.keys() | outbox.keys())
        }

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        """All content documents with their digests."""
        return self._rows("SELECT digest, data FROM contents")

    def _rows(self, sql: str) -> Iterator[Any]:
        assert self._connection is not None, "an audit is read inside its context"
        try:
            cursor = self._connection.execute(sql)
            while rows := cursor.fetchmany(AT_ONCE):
                yield from rows
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error
