"""`rehydrate topics`: what of the swarm lies in Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from runtime.cli.common import Call, command
from runtime.cli.errors import BadUsage
from runtime.cli.output import Table

if TYPE_CHECKING:
    from broker.admin import TopicRow
    from broker.connection import Cluster


def register(app: typer.Typer) -> None:
    """Declare the command of this module."""
    command(app, "topics", "rehydrate topics --kafka localhost:9092", "rehydrate topics --json")(topics)


def topics(call: Call) -> None:
    """List the swarm's topics in Kafka, and how far each shard has read.

    Partitions: those that are there, of those that the last run wants.
    It looks at the Kafka of --kafka, or at the one that the swarm ran on last; at the embedded broker while a run is on. The lag is what
    Kafka knows, which hears of progress twice a second; what is really applied is in the store.
    """
    found = asyncio.run(_look(call))
    rows: list[tuple[object, ...]] = []
    for topic in found:
        about = (topic.topic, topic.role, f"{topic.partitions} of {topic.wanted}")
        rows += [(*about, shard.partition, shard.end, shard.committed, shard.lag) for shard in topic.shards] or [
            (*about, *[None] * 4)
        ]
    document = [{**topic._asdict(), "shards": [shard._asdict() for shard in topic.shards]} for topic in found]
    call.out.result(document, Table(("topic", "role", ">partitions", ">shard", ">end", ">read", ">lag"), rows))


async def _look(call: Call) -> Sequence[TopicRow]:
    from aiokafka.errors import KafkaError

    from broker.admin import Admin
    from broker.diagnosis import KafkaRefused, look
    from domain.role import CLIENT, Role
    from runtime import request
    from runtime.cli.reading import event_store
    from runtime.runner import runs

    async with event_store(call) as store:
        known = await runs(store)
        cluster = _cluster(call, await store.identity())
    shards = known[-1].run.asked.shards if known else {role.value: 1 for role in Role}
    await look(cluster)
    try:
        async with Admin(cluster) as admin:
            found = await admin.survey([CLIENT, *request.agents_of(shards)])
            if admin.untold is not None:
                call.out.say(f"Kafka does not tell how far was read: {admin.untold}; the lag is all that is there")
            return found
    except KafkaError as error:
        raise KafkaRefused(f"Kafka at {cluster.bootstrap} does not tell about its topics: {error}") from error


def _cluster(call: Call, identity: str) -> Cluster:
    from broker.connection import Cluster
    from runtime import kafka

    data, settings = call.data(), call.settings
    memory = kafka.recall(data)
    if settings.kafka:
        return kafka.cluster(settings, identity)
    if memory.embedded and data.supervisor() is not None:
        return Cluster(memory.embedded, embedded=True)
    if memory.bootstrap and not memory.embedded:
        return kafka.cluster(settings.model_copy(update={"kafka": memory.bootstrap}), identity)
    raise BadUsage(
        "there is no broker to look at: the embedded one lives only while a run is on; give --kafka HOST:PORT for another"
    )
