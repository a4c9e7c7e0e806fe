"""Writing a folded batch: references looked up, then one statement for all rows that touch the same columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Table, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.database import insert_into
from projections.models import METADATA, MODELS
from projections.rows import Batch, Key, Pending, Ref, Shape

_LOOKUP_CHUNK = 500
"""Keys of one look-up: below the number of parameters that any SQLite takes."""

_KEY = "key_"


async def write(connection: AsyncConnection, batch: Batch) -> None:
    """Carry out the changes of a batch, in the transaction that is open."""
    for model in MODELS:
        await _resolve(connection, batch, model.name)
        table = METADATA.tables[model.name]
        for shape, rows in batch.by_shape(model.name).items():
            sql, names = _prepared(table, shape, connection.dialect)
            await connection.exec_driver_sql(sql, _parameters(table, shape, names, rows))


async def _resolve(connection: AsyncConnection, batch: Batch, table: str) -> None:
    """Put values in the place of the references that rows of a table hold."""
    missing: dict[tuple[str, str], list[tuple[Pending, str, Ref]]] = {}
    for pending, column, ref in batch.refs.get(table, ()):
        value = batch.known(ref)
        if value is None:
            missing.setdefault((ref.table, ref.column), []).append((pending, column, ref))
        else:
            pending.put[column] = value if ref.then is None else ref.then(value)
    for (of_table, of_column), waiting in missing.items():
        values = await _look_up(connection, of_table, of_column, sorted({ref.key for _, _, ref in waiting}))
        for pending, column, ref in waiting:
            value = values.get(ref.key)
            pending.put[column] = "" if value is None else value if ref.then is None else ref.then(value)


async def _look_up(connection: AsyncConnection, name: str, column: str, keys: Sequence[str]) -> dict[str, Any]:
    table = METADATA.tables[name]
    (key,) = table.primary_key.columns
    found: dict[str, Any] = {}
    for start in range(0, len(keys), _LOOKUP_CHUNK):
        chunk = keys[start : start + _LOOKUP_CHUNK]
        result = await connection.execute(select(key, table.c[column]).where(key.in_(chunk)))
        found.update((row[0], row[1]) for row in result)
    return found


class _Prepared(NamedTuple):
    """A statement as the driver takes it, and the names of its parameters in their order."""

    sql: str
    names: tuple[str, ...]


@lru_cache(maxsize=512)
def _prepared(table: Table, shape: Shape, dialect: Dialect) -> _Prepared:
    # Compiled once and given to the driver as it is: SQLAlchemy would look at each parameter of each row again.
    columns = None if shape.amends else [*(column.name for column in table.primary_key.columns), *shape.put, *shape.add]
    compiled: Any = _statement(table, shape, dialect.name).compile(dialect=dialect, column_keys=columns)
    return _Prepared(str(compiled), tuple(compiled.positiontup))


def _statement(table: Table, shape: Shape, dialect: str) -> Any:
    keys = list(table.primary_key.columns)
    if shape.amends:
        values: dict[str, Any] = {name: bindparam(name) for name in shape.put}
        values |= {name: table.c[name] + bindparam(name) for name in shape.add}
        return update(table).where(*(key == bindparam(_KEY + key.name) for key in keys)).values(values)
    insert = insert_into(table, dialect)
    changes = {name: insert.excluded[name] for name in shape.put}
    changes |= {name: table.c[name] + insert.excluded[name] for name in shape.add}
    return insert.on_conflict_do_update(index_elements=keys, set_=changes)


def _parameters(table: Table, shape: Shape, names: Sequence[str], rows: Sequence[tuple[Key, Pending]]) -> list[tuple[Any, ...]]:
    """The values of each row, in the order in which the statement names them."""
    prefix = _KEY if shape.amends else ""
    keys = [prefix + column.name for column in table.primary_key.columns]
    pick = itemgetter(*names)  # at least two: a key, and what changes
    return [pick({**dict(zip(keys, key, strict=True)), **pending.put, **pending.add}) for key, pending in rows]
