"""What `rehydrate run` finds out before anything begins: whether its surroundings will do. What it refuses leaves nothing behind."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from runtime.cli.common import Call
from runtime.cli.errors import BadUsage

if TYPE_CHECKING:
    from runtime.datadir import DataDir

KAFKA_PATIENCE_S = 3.0


def kafka_answers(addresses: str) -> None:
    """One of these addresses takes a connection. Asked here, because later every process would say so, each in its own words.

    Raises:
        BadUsage: none does, or they are no addresses.
    """
    if not addresses:
        return
    reasons = []
    for address in addresses.split(","):
        host, colon, port = address.strip().rpartition(":")
        if not colon or not host or not port.isdecimal():
            raise BadUsage(f"--kafka {address}: is no HOST:PORT; without it the embedded broker is used")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=KAFKA_PATIENCE_S).close()
        except (OSError, OverflowError) as error:
            reasons.append(f"{address.strip()}: {getattr(error, 'strerror', None) or error}")
        else:
            return
    raise BadUsage(f"--kafka: nobody answers ({'; '.join(reasons)}); start it, or leave it out to use the embedded broker")


async def database_answers(url: str) -> None:
    """A PostgreSQL database lets us in: asked before a data dir is made that would remember it.

    Raises:
        BadDatabase, DatabaseRefused, StoreUnavailable: it does not; the message says why.
    """
    from store.opening import BadDatabase, is_postgres

    if not is_postgres(url):
        return
    from store.postgres.connection import connect, place_of

    try:
        place = place_of(url)
    except ValueError as error:
        raise BadDatabase(f"--database {error}") from error
    connection = await connect(place, "client")
    await connection.close()


async def read_models_fit(call: Call, data: DataDir) -> None:
    """The read models can be gone on with. Damaged ones are put away, since a run builds them again by itself. The data dir is locked.

    Raises:
        BadUsage: they know of more events than there are; that is told before new events hide it.
        SchemaMismatch: they are of another version.
    """
    from projections.database import open_engine, reading
    from projections.schema import create_schema, position_of
    from runtime.cli.reading import drop_damaged, event_store
    from runtime.datadir import shown

    if not data.has_read_models():
        return
    if drop_damaged(data):
        call.out.say(f"{data.read_models}: was damaged; it is built again from the events")
        return
    engine = open_engine(data.read_models_url)
    try:
        await create_schema(engine)
        async with reading(engine) as connection:
            position = await position_of(connection)
    finally:
        await engine.dispose()
    async with event_store(call) as store:
        head = await store.head()
    if position > head:
        raise BadUsage(
            f"{shown(data.database) or data.events}: ends at event {head}, but the read models know of {position}: it was lost, or is "
            "an older copy. Put the right one back, or go on with this one after `rehydrate projections rebuild`"
        )
