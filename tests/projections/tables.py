"""Looking into the read models as tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.database import open_engine, writing
from projections.models import METADATA
from projections.projector import Projector
from projections.schema import create_schema
from tests.projections.launch_events import MemoryLog

Tables = dict[str, list[tuple[Any, ...]]]


async def dump(engine: AsyncEngine) -> Tables:
    """All rows of all read models and the position, each table in the order of its key."""
    async with engine.connect() as connection:
        found: Tables = {}
        for table in METADATA.sorted_tables:
            rows = await connection.execute(select(table).order_by(*table.primary_key.columns))
            found[table.name] = [tuple(row) for row in rows]
        return found


async def rows(engine: AsyncEngine, table: str) -> list[dict[str, Any]]:
    """The rows of one table by column name."""
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(select(METADATA.tables[table]))).mappings()]


async def change(engine: AsyncEngine, sql: str) -> None:
    """Do to the read database what nobody should."""
    async with writing(engine) as connection:
        await connection.execute(text(sql))


@asynccontextmanager
async def empty() -> AsyncIterator[AsyncEngine]:
    """Another read database with empty tables."""
    with TemporaryDirectory() as directory:
        opened = open_engine(f"sqlite+aiosqlite:///{Path(directory) / 'read.db'}")
        await create_schema(opened)
        yield opened
        await opened.dispose()


async def projected(log: MemoryLog) -> Tables:
    """The tables that a log gives, projected in one go."""
    async with empty() as engine:
        await Projector(engine, log).catch_up()
        return await dump(engine)
