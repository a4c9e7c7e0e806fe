"""What `rehydrate run` finds out before anything begins: whether its surroundings will do. What it refuses leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.cli.common import Call
from runtime.cli.errors import BadUsage

if TYPE_CHECKING:
    from broker.diagnosis import Seen
    from runtime.datadir import DataDir
    from runtime.settings import Settings

HIGHEST_PORT = 65535


def kafka_answers(settings: Settings) -> Seen | None:
    """The Kafka of `--kafka` lets us in. Asked here, because later every process would say so, each in its own words. Gives what it
    tells about itself, None for the embedded broker.

    Raises:
        BadUsage: these are no addresses.
        BadSecurity, KafkaRefused: it cannot be used, and why.
    """
    if not settings.kafka:
        return None
    for address in settings.kafka.split(","):
        host, colon, port = address.strip().rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT:
            raise BadUsage(f"--kafka {address}: is no HOST:PORT; without it the embedded broker is used")
    import asyncio

    from broker.diagnosis import look
    from runtime import kafka

    return asyncio.run(look(kafka.cluster(settings)))


def kafka_is_the_same(call: Call, data: DataDir, seen: Seen | None, moves: bool) -> None:
    """The swarm stays on its cluster, or moves because it is told to. The data dir is locked.

    Raises:
        KafkaRefused: it is another cluster, and nobody said that the swarm moves.
    """
    from runtime import kafka

    memory = kafka.recall(data)
    if seen is None:
        if memory.bootstrap and not memory.embedded:
            call.out.say(
                f"this swarm ran on the Kafka at {memory.bootstrap}; without --kafka it goes on with the embedded broker"
            )
    elif moves:
        kafka.remember(data, memory._replace(cluster_id=""))
    else:
        kafka.must_be_the_same(memory, seen, call.settings.kafka)


async def database_answers(url: str) -> None:
    """A PostgreSQL database lets us in and has no swarm at work: asked before a data dir is made that would remember it.

    Raises:
        BadDatabase, DatabaseRefused, InUse, StoreUnavailable: the message says why.
    """
    from store.opening import BadDatabase, is_postgres

    if not is_postgres(url):
        return
    from store.postgres.connection import place_of
    from store.postgres.lock import must_be_free

    try:
        place = place_of(url)
    except ValueError as error:
        raise BadDatabase(f"--database {error}") from error
    await must_be_free(place)


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
