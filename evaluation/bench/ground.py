"""What a benchmark of the store stands on: a database of its own, which is gone afterwards, and the baseline beside it.

The baseline is a single-row autocommit insert of 256 B: what disk and database give at all, in the same minutes. SQLite takes it from one
connection with our pragmas, PostgreSQL from 16 at a time.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from evaluation.bench import noop
from evaluation.server import Server
from store.opening import Store, check_url, is_postgres, open_store
from store.sqlite import connect as connect_sqlite

RAW_INSERTS = {"sqlite": 1500, "postgresql": 4000}
RAW_CONNECTIONS = 16


class Ground(Protocol):
    """A database for one benchmark. `kind` is sqlite or postgresql, `url` what `--database` would be (empty: the default)."""

    kind: str
    url: str

    async def open(self) -> Store:
        """A store on it."""

    async def raw_inserts(self) -> float:
        """Rows a second that the baseline reaches just now."""

    async def size(self) -> int:
        """Bytes of all tables and indexes, free pages included."""


@asynccontextmanager
async def ground(database: str) -> AsyncIterator[Ground]:
    """An empty database beside the one that a URL names; an empty URL stands for SQLite in a temporary folder.

    Raises:
        BadDatabase, StoreUnavailable: there can be none.
    """
    check_url(database)
    if not is_postgres(database):
        with tempfile.TemporaryDirectory(
            prefix="rehydrate-bench-", dir=os.environ.get("REHYDRATE_BENCH_DIR", "/var/tmp")
        ) as folder:
            yield _OnSqlite(Path(folder))
        return
    async with Server(database).database() as url:
        yield _OnPostgres(url)


class _OnSqlite:
    kind = "sqlite"
    url = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self) -> Store:
        return await open_store("", self._folder / "events.db")

    async def raw_inserts(self) -> float:
        connection = connect_sqlite(self._folder / "raw.db")
        connection.execute("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, flow BLOB, number INTEGER, state BLOB)")
        payload = b"x" * noop.PAYLOAD_BYTES
        begun = time.perf_counter()
        for number in range(RAW_INSERTS[self.kind]):
            connection.execute("INSERT INTO raw (flow, number, state) VALUES (?, ?, ?)", (os.urandom(16), number, payload))
        speed = RAW_INSERTS[self.kind] / (time.perf_counter() - begun)
        connection.close()
        return speed

    async def size(self) -> int:
        connection = sqlite3.connect(self._folder / "events.db")
        try:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            size = connection.execute("PRAGMA page_size").fetchone()[0]
        finally:
            connection.close()
        return int(pages * size)


class _OnPostgres:
    kind = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url

    async def open(self) -> Store:
        return await open_store(self.url, Path())

    async def raw_inserts(self) -> float:
        import asyncpg

        count, payload = RAW_INSERTS[self.kind], b"x" * noop.PAYLOAD_BYTES
        async with asyncpg.create_pool(self.url, min_size=RAW_CONNECTIONS, max_size=RAW_CONNECTIONS) as pool:
            await pool.execute(
                "CREATE TABLE IF NOT EXISTS public.raw (id bigserial PRIMARY KEY, flow uuid, number int, state bytea)"
            )
            numbers = iter(range(count))

            async def insert() -> None:
                async with pool.acquire() as connection:
                    statement = await connection.prepare("INSERT INTO public.raw (flow, number, state) VALUES ($1, $2, $3)")
                    for number in numbers:
                        await statement.fetch(uuid.uuid4(), number, payload)

            begun = time.perf_counter()
            await asyncio.gather(*(insert() for _ in range(RAW_CONNECTIONS)))
            return count / (time.perf_counter() - begun)

    async def size(self) -> int:
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            found: int = await connection.fetchval(
                "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = 'rehydrate' AND c.relkind = 'r'"
            )
        finally:
            await connection.close()
        return int(found)
