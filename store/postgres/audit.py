"""The audit of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any

import asyncpg

from domain.marks import Marks
from domain.ports.store import Snapshot
from store.audit import AT_ONCE, EventRow, Pair, Sent, joined
from store.postgres.connection import Place, connect, told


class PostgresAudit:
    """`store.audit.Audit` of a database."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection: asyncpg.Connection | None = None

    async def __aenter__(self) -> PostgresAudit:
        self._connection = await connect(self._place, "audit")
        with told(self._place):
            await self._connection.transaction(isolation="repeatable_read", readonly=True).start()
            await self._connection.fetchval("SELECT 1 FROM meta LIMIT 1")  # the first read fixes the moment
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def events(self) -> AsyncIterator[Sequence[EventRow]]:
        return self._many(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events ORDER BY notification_id"
        )

    async def snapshots(self) -> Sequence[Snapshot]:
        return [Snapshot(*row) for row in await self._all("SELECT originator_id, originator_version, state FROM snapshots")]

    async def fences(self) -> dict[str, int]:
        return dict(await self._all("SELECT agent, epoch FROM fences"))

    async def open_streams(self) -> Sequence[tuple[str, str]]:
        return [
            (owner, stream) for owner, stream in await self._all("SELECT owner, stream FROM open_streams ORDER BY stream, owner")
        ]

    async def sent(self) -> dict[Pair, Sent]:
        counters = {(sender, receiver): n for sender, receiver, n in await self._all("SELECT sender, receiver, n FROM counters")}
        applied = {
            (sender, receiver): Marks(mark, frozenset(above))
            for sender, receiver, mark, above in await self._all("SELECT sender, receiver, mark, above FROM applied")
        }
        return joined(counters, applied, await self._all("SELECT sender, receiver, n FROM outbox ORDER BY sender, receiver, n"))

    def contents(self) -> AsyncIterator[Sequence[tuple[bytes, bytes]]]:
        return self._many("SELECT digest, data FROM contents")

    async def _all(self, sql: str) -> list[Any]:
        assert self._connection is not None, "an audit is read inside its context"
        with told(self._place):
            rows: list[Any] = await self._connection.fetch(sql)
        return rows

    async def _many(self, sql: str) -> AsyncIterator[list[Any]]:
        assert self._connection is not None, "an audit is read inside its context"
        with told(self._place):
            cursor = await self._connection.cursor(sql)
            while rows := await cursor.fetch(AT_ONCE):
                yield rows
