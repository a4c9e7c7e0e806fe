"""Opening what the reading commands read: the event store, and the read models brought up to date where nobody else does it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.cli.common import Call
from runtime.datadir import DataDirError
from store.opening import is_postgres

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from runtime.datadir import DataDir
    from store.opening import Store


async def supervisor_of(data: DataDir) -> int | None:
    """The process id of the supervisor, 0 for one on another machine, None when there is none."""
    found = data.supervisor()
    if found is None and is_postgres(data.database):
        from store.postgres.connection import place_of
        from store.postgres.lock import held

        return 0 if await held(place_of(data.database)) else None
    return found


def drop_damaged(data: DataDir) -> bool:
    """Remove the read models if SQLite cannot read them; whether it was so. Only while nobody else writes them.

    Raises:
        DataDirError: they are damaged, and a swarm is writing them.
    """
    if is_postgres(data.database) or not _damaged(data.read_models):
        return False
    if data.supervisor() not in {None, os.getpid()}:
        raise DataDirError(f"{data.read_models}: damaged, and a swarm is using it; stop the swarm, then build it again")
    for ending in ("", "-wal", "-shm"):
        Path(f"{data.read_models}{ending}").unlink(missing_ok=True)
    return True


def _damaged(path: Path) -> bool:
    if not path.exists():
        return False
    connection = sqlite3.connect(path)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorcode in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    finally:
        connection.close()


class Opened(NamedTuple):
    """A store with its read models. `supervisor` is the process id of the supervisor, None while the swarm is stopped."""

    store: Store
    engine: AsyncEngine
    supervisor: int | None


@asynccontextmanager
async def event_store(call: Call) -> AsyncIterator[Store]:
    """The event store of the data dir."""
    import domain.all_streams  # noqa: F401 - every kind of stream must be known before anything is read
    from store.opening import open_store

    data = call.data()
    store = await open_store(data.database, data.events)
    try:
        data.recognise(await store.identity())
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def read_models(call: Call) -> AsyncIterator[Opened]:
    """The read models. While no swarm runs they are brought up to date here; else the projector does it, and the lag is told."""
    from projections import queries
    from projections.database import open_engine
    from projections.projector import Projector
    from projections.schema import create_schema

    data = call.data()
    async with event_store(call) as store:
        engine = open_engine(data.read_models_url)
        try:
            await create_schema(engine)
            supervisor = await supervisor_of(data)
            if supervisor is None:
                await Projector(engine, store).catch_up()
            elif (lag := await queries.lag(engine, store)).behind:
                call.out.say(f"the read models are at most {lag.behind} events behind the log")
            yield Opened(store, engine, supervisor)
        finally:
            await engine.dispose()
