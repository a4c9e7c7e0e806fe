"""Keeping a PostgreSQL store small: see `store.keeping`.

Each transaction is one call of a function that lives as long as the connection, under the lock that appends take: none of its locks ever
waits for a client. A row of `commits` goes when its writer closes, or when another process claims its agent (`store.postgres.writer`); what
clients that were killed have left goes when the log has left it far behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from domain.streams import agent_stream
from store.keeping import BATCH, TABLES, Erased, Table, Trimmed
from store.postgres.connection import Place, connect, told
from store.postgres.schema import APPEND_LOCK, SCHEMA

FAR_BEHIND = 10_000
"""Events. A writer whose last batch is so far back has its answer: asking what became of a lost one takes seconds."""

_FUNCTIONS = (Path(__file__).parent / "keeping.sql").read_text().format(lock=APPEND_LOCK)
_TRIMS = (
    (
        "outbox",
        "o.sender, o.receiver, o.n FROM outbox o JOIN applied a ON a.receiver = o.receiver AND a.sender = o.sender WHERE o.n <= a.mark",
    ),
    (
        "snapshots",
        "s.originator_id, s.originator_version FROM snapshots s WHERE EXISTS (SELECT FROM snapshots n "
        "WHERE n.originator_id = s.originator_id AND n.originator_version > s.originator_version)",
    ),
    (
        "commits",
        f"c.writer FROM commits c WHERE coalesce(c.head, 0) < (SELECT max(notification_id) FROM stored_events) - {FAR_BEHIND}",
    ),
)
_KEYS = {"outbox": "sender, receiver, n", "snapshots": "originator_id, originator_version", "commits": "writer"}


class PostgresKeeping:
    """`store.keeping.Keeping` of a database."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def tables(self) -> Sequence[Table]:
        async with self._connected() as sql:
            return [
                Table(
                    name,
                    await sql.fetchval(f"SELECT count(*) FROM {name}"),
                    await sql.fetchval("SELECT pg_total_relation_size($1::regclass)", f"{SCHEMA}.{name}"),
                )
                for name in TABLES
            ]

    async def trim(self, *, dry_run: bool = False) -> Trimmed:
        async with self._connected() as sql:
            if dry_run:
                return Trimmed(*[await sql.fetchval(f"SELECT count(*) FROM (SELECT {rows}) AS found") for _, rows in _TRIMS])
            found = []
            for table, rows in _TRIMS:
                dropped = 0
                statement = f"DELETE FROM {table} WHERE ({_KEYS[table]}) IN (SELECT {rows} LIMIT {BATCH})"
                while (batch := await sql.fetchval("SELECT pg_temp.drop_rows($1)", statement)) == BATCH:
                    dropped += batch
                found.append(dropped + batch)
            return Trimmed(*found)

    async def collect(self, digests: Collection[str], position: int) -> Erased:
        async with self._connected() as sql:
            row = await sql.fetchrow(
                "SELECT * FROM pg_temp.collect($1, $2)", [bytes.fromhex(name) for name in sorted(digests)], position
            )
            return Erased(row["documents"], row["bytes"])

    async def forget(self, sender: str, version: int, *, dry_run: bool = False) -> int:
        async with self._connected() as sql:
            found: int = await sql.fetchval(
                "SELECT pg_temp.forget($1, $2, $3, $4)", sender, agent_stream(sender), version, dry_run
            )
            return found

    async def compact(self) -> None:
        async with self._connected() as sql:
            await sql.execute(f"VACUUM (SKIP_LOCKED) {', '.join(TABLES)}", timeout=None)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection: Any = await connect(self._place, "keeping")
        try:
            with told(self._place):
                await connection.execute(_FUNCTIONS)
                yield connection
        finally:
            connection.terminate()
