"""Building the read models again from the events, and proving that they are what the events say.

Both fold the log from zero into a scratch database first, while everybody goes on reading. A rebuild then puts its rows in the
place of the old ones in one short transaction, so no reader sees half of it. A verification compares them row by row with a
snapshot of the read models, at the position of that snapshot: what the projector has yet to do is no mismatch.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, Table, Text, collate, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from projections.database import open_engine, reading, writing
from projections.models import METADATA, MODELS
from projections.projector import Log, Projector
from projections.schema import (
    POSITION,
    SCHEMA_VERSION,
    check_schema,
    create_schema,
    found_version,
    move_position,
    position_of,
    renew,
)

LISTED = 100
"""Mismatches that are named one by one; all are counted."""

_COPIED_AT_ONCE = 2000


class Rebuilt(msgspec.Struct, frozen=True):
    """How many events the read models were built from again, and up to which position."""

    events: int
    position: int


class Mismatch(msgspec.Struct, frozen=True):
    """One value that is not what the events say. For a row that only one side has, `column` is empty and the value is the row."""

    table: str
    key: dict[str, Any]
    column: str
    read_model: Any
    replayed: Any


class Mismatches(msgspec.Struct, frozen=True):
    """What a verification found. `mismatches` names the first hundred of `total`; `rows` counts what was compared, by table."""

    position: int
    events: int
    rows: dict[str, int]
    total: int
    mismatches: list[Mismatch]

    def __bool__(self) -> bool:
        return self.total > 0


@asynccontextmanager
async def _scratch() -> AsyncIterator[AsyncEngine]:
    """An empty read database that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rehydrate-") as directory:
        engine = open_engine(f"sqlite+aiosqlite:///{Path(directory) / 'read.db'}")
        try:
            await create_schema(engine)
            yield engine
        finally:
            await engine.dispose()


# --- rebuild --------------------------------------------------------------------------------------------------------


async def rebuild(engine: AsyncEngine, log: Log) -> Rebuilt:
    """Build all read models again, from the first event; also where their tables are missing or of another version.

    A projector may go on meanwhile; it continues from where the rebuilt tables are.

    Raises:
        CannotProject: an event cannot be read; the read models are as they were.
    """
    async with _scratch() as scratch:
        projector = Projector(scratch, log)
        events = await projector.catch_up()
        async with writing(engine) as target:
            fits = await found_version(target) == SCHEMA_VERSION
            if fits:
                await position_of(target, lock=True)
            # What came while the scratch was built, so that readers are never taken back to an older state.
            events += await projector.catch_up()
            await (_empty(target) if fits else renew(target))
            async with reading(scratch) as source:
                for model in MODELS:
                    await _copy(source, target, METADATA.tables[model.name])
            await move_position(target, 0, projector.position)
    return Rebuilt(events, projector.position)


async def _empty(target: AsyncConnection) -> None:
    """Rows are deleted and tables stay: whoever reads in a transaction meanwhile goes on seeing the old rows."""
    for model in MODELS:
        await target.execute(delete(METADATA.tables[model.name]))
    await target.execute(update(POSITION).values(position=0))


async def _copy(source: AsyncConnection, target: AsyncConnection, table: Table) -> None:
    result = await source.stream(select(table))
    async for rows in result.mappings().partitions(_COPIED_AT_ONCE):
        await target.execute(insert(table), [dict(row) for row in rows])


# --- verify ---------------------------------------------------------------------------------------------------------


async def verify(engine: AsyncEngine, log: Log, listed: int = LISTED) -> Mismatches:
    """Compare the read models with what a rebuild up to the same position gives; name at most `listed` differences.

    Raises:
        SchemaMismatch: the tables are of another version, or missing.
        CannotProject: an event cannot be read.
    """
    async with reading(engine) as found:
        await check_schema(found)
        position = await position_of(found)
        async with _scratch() as scratch:
            projector = Projector(scratch, log)
            events = await projector.catch_up(upto=position)
            comparison = _Comparison(listed)
            async with reading(scratch) as replayed:
                for model in MODELS:
                    await comparison.compare(METADATA.tables[model.name], found, replayed)
    return Mismatches(position, events, comparison.rows, comparison.total, comparison.mismatches)


class _Comparison:
    """Walks two tables side by side, in the order of their keys, so that neither has to fit into memory."""

    def __init__(self, listed: int) -> None:
        self._listed = listed
        self.total = 0
        self.rows: dict[str, int] = {}
        self.mismatches: list[Mismatch] = []

    async def compare(self, table: Table, found: AsyncConnection, replayed: AsyncConnection) -> None:
        keys = [column.name for column in table.primary_key.columns]
        left, right = _walk(found, table), _walk(replayed, table)
        a, b = await anext(left, None), await anext(right, None)
        count = 0
        while a is not None or b is not None:
            count += 1
            # No row sorts behind every row.
            here = None if a is None else tuple(a[name] for name in keys)
            there = None if b is None else tuple(b[name] for name in keys)
            first = there is None or (here is not None and here <= there)
            second = here is None or (there is not None and there <= here)
            self._compare(table, keys, a if first else None, b if second else None)
            a = await anext(left, None) if first else a
            b = await anext(right, None) if second else b
        self.rows[table.name] = count

    def _compare(self, table: Table, keys: list[str], a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> None:
        if a is not None and b is not None:
            for name in a:
                if a[name] != b[name]:
                    self._add(Mismatch(table.name, {key: a[key] for key in keys}, name, a[name], b[name]))
            return
        row = a if a is not None else b
        assert row is not None, "one of the two sides holds the row"
        key = {name: row[name] for name in keys}
        self._add(Mismatch(table.name, key, "", None if a is None else dict(a), None if b is None else dict(b)))

    def _add(self, mismatch: Mismatch) -> None:
        self.total += 1
        if self.total <= self._listed:
            self.mismatches.append(mismatch)


async def _walk(connection: AsyncConnection, table: Table) -> AsyncIterator[Mapping[str, Any]]:
    result = await connection.stream(_by_key(table, connection.dialect.name))
    async for rows in result.mappings().partitions(_COPIED_AT_ONCE):
        for row in rows:
            yield row


def _by_key(table: Table, dialect: str) -> Select[Any]:
    """All rows, ordered by code points as Python and SQLite order texts, whatever the language of the database is."""
    order: list[ColumnElement[Any]] = []
    for column in table.primary_key.columns:
        order.append(collate(column, "C") if dialect == "postgresql" and isinstance(column.type, Text) else column)
    return select(table).order_by(*order)
