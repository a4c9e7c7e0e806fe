"""The audit of a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from domain.ports.store import Snapshot, StoreUnavailable
from store.audit import AT_ONCE, EventRow, Pair, Sent, joined
from store.batch import marks_of


class SqliteAudit:
    """`store.audit.Audit` of a store file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> SqliteAudit:
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT 1 FROM meta").fetchone()  # the first read fixes the moment
        except sqlite3.DatabaseError as error:
            await self.__aexit__(None, None, None)
            raise StoreUnavailable(f"{self._path}: {error}") from error
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def events(self) -> AsyncIterator[Sequence[EventRow]]:
        for rows in self._many(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events ORDER BY notification_id"
        ):
            yield rows

    async def snapshots(self) -> Sequence[Snapshot]:
        return [Snapshot(*row) for row in self._rows("SELECT originator_id, originator_version, state FROM snapshots")]

    async def fences(self) -> dict[str, int]:
        return dict(self._rows("SELECT agent, epoch FROM fences"))

    async def open_streams(self) -> Sequence[tuple[str, str]]:
        return list(self._rows("SELECT owner, stream FROM open_streams ORDER BY stream, owner"))

    async def sent(self) -> dict[Pair, Sent]:
        counters = {(sender, receiver): n for sender, receiver, n in self._rows("SELECT sender, receiver, n FROM counters")}
        applied = {
            (sender, receiver): marks_of(mark, above)
            for sender, receiver, mark, above in self._rows("SELECT sender, receiver, mark, above FROM applied")
        }
        return joined(counters, applied, self._rows("SELECT sender, receiver, n FROM outbox ORDER BY sender, receiver, n"))

    async def contents(self) -> AsyncIterator[Sequence[tuple[bytes, bytes]]]:
        for rows in self._many("SELECT digest, data FROM contents"):
            yield rows

    def _rows(self, sql: str) -> Iterator[Any]:
        for rows in self._many(sql):
            yield from rows

    def _many(self, sql: str) -> Iterator[list[Any]]:
        assert self._connection is not None, "an audit is read inside its context"
        try:
            cursor = self._connection.execute(sql)
            while rows := cursor.fetchmany(AT_ONCE):
                yield rows
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error
