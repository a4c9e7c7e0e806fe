"""`presence`: who is alive just now, by the heartbeats that the supervisor sees.

It lies in the read database because it is read with the read models, and stands outside of what replay builds, rebuilds or
verifies: a heartbeat is no event. One row an agent (or follower); times in milliseconds since the epoch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from projections.database import ensure_namespace, insert_into, is_passing, open_engine, writing

METADATA = MetaData()
TABLE = Table(
    "presence",
    METADATA,
    Column("agent", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("last_heartbeat_at", BigInteger, nullable=False),
)

PATIENCE_MS = 200
"""How long a beat waits for a locked database: the next beat brings the same rows, only newer."""
SERVER_PATIENCE_S = 2.0
"""How long it waits for a server, which may first have to be connected to."""


class Presence(msgspec.Struct, frozen=True):
    """What the last heartbeat of an agent said. `task_id`, `step` and `note` are empty while it has nothing in hand."""

    agent: str
    pid: int
    epoch: int
    status: str
    last_heartbeat_at: int
    task_id: str = ""
    step: str = ""
    note: str = ""


class PresenceWriter:
    """Writes presence from a thread that has no event loop. Not to be shared by threads.

    It drives the same driver as everything else through a loop of its own, so that a database needs one driver only.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, busy_timeout_ms=PATIENCE_MS)
        self._runner = asyncio.Runner()
        self._created = False

    def upsert(self, rows: Sequence[Presence]) -> bool:
        """Write what heartbeats said. False: the database was locked or away, and nothing was written."""
        return not rows or self._try(rows, clear=False)

    def clear(self) -> bool:
        """Forget everybody: a supervisor that starts knows nobody yet. False as for `upsert`."""
        return self._try((), clear=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._runner.run(self._engine.dispose())
        self._runner.close()

    def _try(self, rows: Sequence[Presence], *, clear: bool) -> bool:
        try:
            self._runner.run(self._write(rows, clear))
        except DBAPIError as error:
            if not is_passing(error):
                raise
            return False
        except (TimeoutError, OSError):
            return False
        return True

    async def _write(self, rows: Sequence[Presence], clear: bool) -> None:
        # SQLite ends its own wait.
        async with asyncio.timeout(None if self._engine.dialect.name == "sqlite" else SERVER_PATIENCE_S):
            async with writing(self._engine) as connection:
                if not self._created:
                    await ensure_namespace(connection)
                    await connection.run_sync(METADATA.create_all)
                if clear:
                    await connection.execute(delete(TABLE))
                if rows:
                    await _upsert(connection, rows)
        self._created = True


async def _upsert(connection: AsyncConnection, rows: Sequence[Presence]) -> None:
    insert = insert_into(TABLE, connection.dialect.name)
    others = {column.name: insert.excluded[column.name] for column in TABLE.columns if column.name != "agent"}
    statement = insert.on_conflict_do_update(index_elements=[TABLE.c.agent], set_=others)
    await connection.execute(statement, [msgspec.structs.asdict(row) for row in rows])


async def read(engine: AsyncEngine) -> list[Presence]:
    """What the last heartbeat of each agent said, by agent."""
    async with engine.connect() as connection:
        return await read_all(connection)


async def read_all(connection: AsyncConnection) -> list[Presence]:
    """As `read`, in a transaction that is open."""
    result = await connection.execute(select(TABLE).order_by(TABLE.c.agent))
    return [Presence(**row) for row in result.mappings()]
