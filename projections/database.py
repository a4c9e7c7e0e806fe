"""The read database: how it is opened, how a transaction begins, and which of its errors pass by themselves.

SQLite by default (`sqlite+aiosqlite:///…/read.db`), PostgreSQL in production (`postgresql://…`, in a schema of its own).
Everything here can be built again from the events, so SQLite does not wait for the disk at each commit (WAL, NORMAL: a power loss may
drop the last commits whole, and the projector then goes on from the position before them).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateSchema

BUSY_TIMEOUT_MS = 2000
"""How long a statement waits for SQLite's write lock by default; other writers hold it for milliseconds."""

# PostgreSQL: serialization failure, deadlock, lock not available, time-out; then a server that is going, coming or full.
_PASSING_SQLSTATES = frozenset({"40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53300", "53100"})
_PASSING_TEXTS = ("database is locked", "database table is locked", "database schema is locked", "database or disk is full")
SCHEMA = "rehydrate_read"
"""Where the tables are on PostgreSQL: beside those of the events, and never mixed with them."""
CONNECT_TIMEOUT_S = 10.0
_CREATION_LOCK = 7_403_511_902  # any number
_BEGIN = "rehydrate_begin"


def open_engine(url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> AsyncEngine:
    """An engine for the read database at a SQLAlchemy URL. Nothing is connected yet; `await engine.dispose()` when done."""
    if make_url(url).get_backend_name() != "sqlite":
        return _open_postgres(url)
    engine = create_async_engine(url)
    event.listen(engine.sync_engine, "connect", _on_sqlite_connect(busy_timeout_ms))
    event.listen(engine.sync_engine, "begin", _on_sqlite_begin)
    return engine


def _open_postgres(url: str) -> AsyncEngine:
    """The driver reads the URL itself: it knows more options (sslmode, sslrootcert, …) than SQLAlchemy passes on."""
    import asyncpg  # noqa: PLC0415 a swarm on SQLite does without it

    session = {"application_name": "rehydrate read models", "search_path": SCHEMA, "jit": "off"}

    async def connect() -> Any:
        try:
            return await asyncpg.connect(url, server_settings=session, timeout=CONNECT_TIMEOUT_S)
        except asyncpg.PostgresError as error:
            # SQLAlchemy translates what statements raise, and leaves what this raises as it is.
            raise ConnectionError(f"PostgreSQL: {error}") from error

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_pre_ping=True, pool_size=2)


def _on_sqlite_connect(busy_timeout_ms: int) -> Any:
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: it would leave out DDL and every SELECT.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {busy_timeout_ms:d}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    return prepare


def _on_sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql(str(connection.get_execution_options().get(_BEGIN, "BEGIN")))


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that is going to write: committed at the end, rolled back on an error.

    SQLite takes its write lock at once; a transaction that reads first and writes later would be refused when another one wrote
    in between, without waiting.
    """
    async with engine.connect() as connection:
        connection = await connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        async with connection.begin():
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction whose reads all see the same state of the database."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            yield connection


async def ensure_namespace(connection: AsyncConnection) -> None:
    """Make the schema of our tables on PostgreSQL where it is missing. Whoever makes tables holds a lock until this transaction ends:
    two processes may start at once."""
    if connection.dialect.name != "postgresql":
        return
    await connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
    if not await connection.scalar(select(func.to_regnamespace(SCHEMA).is_not(None))):
        await connection.execute(CreateSchema(SCHEMA))


def insert_into(table: Any, dialect: str) -> Any:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    if dialect != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 as the driver: a swarm on SQLite does without it

    return postgresql.insert(table)


def is_passing(error: DBAPIError) -> bool:
    """Whether a database error passes by itself, or when somebody makes room: locked, gone for a while, a full disk. Trying again is then
    right."""
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate in _PASSING_SQLSTATES
    text = str(error.orig).lower()
    return any(passing in text for passing in _PASSING_TEXTS)
