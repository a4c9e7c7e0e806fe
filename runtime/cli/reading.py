"""Opening what the reading commands read: the event store, and the read models brought up to date where nobody else does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from runtime.cli.common import Call

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from runtime.datadir import DataDir
    from store.sqlite import SqliteStore


def read_models_url(data: DataDir) -> str:
    """As in `runtime.wiring`, which imports Kafka clients and agents: they would double the time of every command that looks."""
    return f"sqlite+aiosqlite:///{data.read_models}"


class Opened(NamedTuple):
    """A store with its read models. `supervisor` is the process id of the supervisor, None while the swarm is stopped."""

    store: SqliteStore
    engine: AsyncEngine
    supervisor: int | None


@asynccontextmanager
async def event_store(call: Call) -> AsyncIterator[SqliteStore]:
    """The event store of the data dir."""
    import domain.all_streams  # noqa: F401 - every kind of stream must be known before anything is read
    from store.sqlite import SqliteStore

    store = SqliteStore(call.data().events)
    try:
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
        engine = open_engine(read_models_url(data))
        try:
            await create_schema(engine)
            supervisor = data.supervisor()
            if supervisor is None:
                await Projector(engine, store).catch_up()
            elif (lag := await queries.lag(engine, store)).behind:
                call.out.say(f"the read models are at most {lag.behind} events behind the log")
            yield Opened(store, engine, supervisor)
        finally:
            await engine.dispose()
