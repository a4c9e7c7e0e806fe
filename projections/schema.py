"""The tables of the read database, their version, and the position up to which the log is folded into them."""

from __future__ import annotations

import hashlib

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, insert, inspect, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import CreateTable

from projections import presence
from projections.database import ensure_namespace, reading, writing
from projections.models import METADATA

MEANING = 1
"""Raise it when a column keeps its name and type but means something else; a change of the tables themselves is seen without."""

POSITION = Table(
    "position",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""One row: all events up to and with this position are in the read models, none after it."""

_STABLE = MetaData()  # this table keeps its form for ever, since every version has to read it
SCHEMA = Table(
    "read_schema",
    _STABLE,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False),
)


class SchemaMismatch(Exception):
    """The read database was made by another version of this program. Nothing is lost: it can be built again from the events."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(
            f"the read models have schema {found or 'none'}, this version needs {wanted}: run `rehydrate projections rebuild`, "
            "which builds them again from the events"
        )
        self.found, self.wanted = found, wanted


def _version() -> str:
    dialect = sqlite.dialect()  # any one does: the same tables give the same text
    every = (*METADATA.sorted_tables, *presence.METADATA.sorted_tables)
    tables = "".join(str(CreateTable(table).compile(dialect=dialect)) for table in every)
    return f"{MEANING}-{hashlib.sha256(tables.encode()).hexdigest()[:12]}"


SCHEMA_VERSION = _version()


async def create_schema(engine: AsyncEngine) -> None:
    """Make the tables where there are none. Tables of this version stay as they are.

    Raises:
        SchemaMismatch: there are tables, of another version.
    """
    async with reading(engine) as connection:
        found = await found_version(connection)
    if found is None:
        async with writing(engine) as connection:
            await ensure_namespace(connection)
            found = await found_version(connection)
            if found is None:
                await renew(connection)
                found = SCHEMA_VERSION
    if found != SCHEMA_VERSION:
        raise SchemaMismatch(found, SCHEMA_VERSION)


async def found_version(connection: AsyncConnection) -> str | None:
    """The version of the tables that are there, None where there are none."""
    if not await connection.run_sync(lambda sync: inspect(sync).has_table(SCHEMA.name)):
        return None
    return await connection.scalar(select(SCHEMA.c.version))


async def check_schema(connection: AsyncConnection) -> None:
    """Raises `SchemaMismatch` unless the tables are those of this version."""
    found = await found_version(connection)
    if found != SCHEMA_VERSION:
        raise SchemaMismatch(found or "", SCHEMA_VERSION)


async def renew(connection: AsyncConnection) -> None:
    """Put empty tables of this version in the place of whatever is there; `presence` keeps its rows where its table fits."""
    fits = await found_version(connection) == SCHEMA_VERSION
    for metadata in (METADATA, _STABLE) if fits else (METADATA, _STABLE, presence.METADATA):
        await connection.run_sync(metadata.drop_all)
    for metadata in (METADATA, _STABLE, presence.METADATA):
        await connection.run_sync(metadata.create_all)
    await connection.execute(insert(SCHEMA).values(id=1, version=SCHEMA_VERSION))
    await connection.execute(insert(POSITION).values(id=1, position=0))


async def position_of(connection: AsyncConnection, *, lock: bool = False) -> int:
    """Up to where the log is folded in; with `lock` nobody else moves it before this transaction ends."""
    statement = select(POSITION.c.position)
    found = await connection.scalar(statement.with_for_update() if lock else statement)
    return int(found or 0)


async def move_position(connection: AsyncConnection, old: int, new: int) -> bool:
    """Move the position on, unless it is not where the caller believes: then somebody else has moved it, and nothing changes."""
    moved = await connection.execute(update(POSITION).where(POSITION.c.position == old).values(position=new))
    return moved.rowcount == 1
