"""Topics of a real cluster: created before agents start, with a partition a shard, and looked at.

A topic only grows: partitions that exist are never taken away, since another run of the same swarm may use them. Messages are no truth, so
nothing of the cluster's own settings is overridden but the clean-up policy: a compacted topic would keep one message a receiver.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaError, for_code

from broker.connection import REQUEST_TIMEOUT_MS, Cluster
from broker.diagnosis import CLIENT, KafkaRefused
from broker.topics import address, needed
from domain.role import agent_id

MOST_REPLICAS = 3
COORDINATOR_S = 10.0
_OK, _EXISTS_ALREADY = 0, 36


class Changed(NamedTuple):
    """A topic that was created, or that got more partitions."""

    topic: str
    created: bool
    partitions: int


class ShardRow(NamedTuple):
    """One partition: where its log ends, how far its agent has read (None: it has not said, or Kafka does not tell), and what lies
    between."""

    agent: str
    partition: int
    begin: int
    end: int
    committed: int | None
    lag: int


class TopicRow(NamedTuple):
    """One topic. `wanted` is 0 for one that this swarm has no agents for any more, `partitions` 0 for one that is not there."""

    topic: str
    role: str
    wanted: int
    partitions: int
    shards: Sequence[ShardRow]


class Admin:
    """An administrator's connection to a cluster; an asynchronous context manager."""

    def __init__(self, cluster: Cluster, client_id: str = CLIENT) -> None:
        self._cluster = cluster
        given = cluster.security.aiokafka()
        self._client = AIOKafkaAdminClient(
            bootstrap_servers=cluster.bootstrap, client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS, **given
        )
        self.untold: KafkaError | None = None
        """Why Kafka does not tell how far was read, where it does not."""

    async def __aenter__(self) -> Admin:
        """Raises:
        KafkaError: nobody answers. `diagnosis.look` says why.
        """
        await self._client.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def cluster_id(self) -> str:
        """The id that the cluster was formatted with. The question names no topic: the library's own would be told of all."""
        return str((await self._client._get_cluster_metadata(topics=[])).cluster_id or "")

    async def ensure(self, wanted: Mapping[str, int], replication: int = 0) -> list[Changed]:
        """Create topics that are missing and add partitions where there are fewer. `replication` 0: three copies, or as many as
        there are brokers.

        Raises:
            KafkaRefused: the cluster does not let us; the message says what to do by hand.
            KafkaError: it cannot be reached.
        """
        there = await self._partitions(wanted)
        missing = {topic: count for topic, count in wanted.items() if not there[topic]}
        short = {topic: count for topic, count in wanted.items() if 0 < there[topic] < count}
        if missing:
            replicas = replication or min(MOST_REPLICAS, len((await self._client.describe_cluster())["brokers"]))
            new = [
                NewTopic(topic, count, replicas, topic_configs={"cleanup.policy": "delete"}) for topic, count in missing.items()
            ]
            _check(await self._client.create_topics(new), missing, f"created with {_count(replicas, 'replica')}")
        if short:
            await self._grow(short)
        await self._until_known({**missing, **short})
        return [
            *(Changed(topic, True, n) for topic, n in missing.items()),
            *(Changed(topic, False, n) for topic, n in short.items()),
        ]

    async def _until_known(self, wanted: Mapping[str, int]) -> None:
        """A broker answers before it tells others: who asks it at once may hear of the partitions that there were."""
        until = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        while wanted and time.monotonic() < until:
            there = await self._partitions(wanted)
            if all(there[topic] >= count for topic, count in wanted.items()):
                return
            await asyncio.sleep(0.05)

    async def _grow(self, short: Mapping[str, int]) -> None:
        try:
            await self._client.create_partitions({topic: NewPartitions(count) for topic, count in short.items()})
        except KafkaError as error:
            if error.retriable:
                raise
            raise KafkaRefused(f"{error}; give them so many partitions by hand: {_listed(short)}") from error

    async def _partitions(self, topics: Mapping[str, int]) -> dict[str, int]:
        """How many partitions these topics have, 0 where there is no such topic."""
        # Asked by name, a topic that is missing would be created on the spot where the cluster creates topics by itself.
        described = await self._client.describe_topics() if topics else []
        found = {row["topic"]: len(row["partitions"]) for row in described if row["error_code"] == _OK}
        return {topic: found.get(topic, 0) for topic in topics}

    async def survey(self, agents: Sequence[str]) -> list[TopicRow]:
        """The topics of these agents and all others of this swarm, with how far each shard has been read."""
        wanted = needed(agents, self._cluster.prefix)
        roles = {address(agent, self._cluster.prefix).topic: agent_id(agent).role for agent in agents}
        for topic in await self._client.list_topics():
            role = topic.removeprefix(self._cluster.prefix)
            if topic.startswith(self._cluster.prefix) and "." not in role:
                roles.setdefault(topic, role.replace("-", "_"))
        there = await self._partitions(dict.fromkeys(roles, 0))
        places = [TopicPartition(topic, partition) for topic, count in there.items() for partition in range(count)]
        begins, ends = await self._edges(places)
        rows = []
        for topic, role in sorted(roles.items()):
            shards = [
                await self._shard(f"{role}/{place.partition}", place, begins[place], ends[place])
                for place in places
                if place.topic == topic
            ]
            rows.append(TopicRow(topic, role, wanted.get(topic, 0), there[topic], shards))
        return rows

    async def _shard(self, agent: str, place: TopicPartition, begin: int, end: int) -> ShardRow:
        committed = await self._committed(agent, place)
        return ShardRow(agent, place.partition, begin, end, committed, end - max(begin, committed or 0))

    async def _committed(self, agent: str, place: TopicPartition) -> int | None:
        until = time.monotonic() + COORDINATOR_S
        while self.untold is None:
            try:
                found = await self._client.list_consumer_group_offsets(self._cluster.group(agent), partitions=[place])
            except KafkaError as error:
                if not error.retriable:
                    raise
                if time.monotonic() > until:
                    self.untold = error
                    return None
                await asyncio.sleep(0.1)  # the first question about offsets has a cluster make the topic that keeps them
                continue
            offset = found[place].offset if place in found else -1
            return offset if offset >= 0 else None
        return None

    async def _edges(self, places: Sequence[TopicPartition]) -> tuple[Mapping[Any, int], Mapping[Any, int]]:
        if not places:
            return {}, {}
        given = self._cluster.security.aiokafka()
        consumer = AIOKafkaConsumer(bootstrap_servers=self._cluster.bootstrap, client_id=CLIENT, **given)
        await consumer.start()
        try:
            return await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        finally:
            await consumer.stop()


def _listed(wanted: Mapping[str, int]) -> str:
    return ", ".join(f"{topic} {count}" for topic, count in wanted.items())


def _check(response: Any, wanted: Mapping[str, int], done: str) -> None:
    for topic, code, *message in response.topic_errors:
        if code in {_OK, _EXISTS_ALREADY}:
            continue
        error: type[KafkaError] = for_code(code)
        why = next((text for text in message if text), None) or error.__name__
        raise KafkaRefused(
            f"the topic {topic} could not be {done}: {why.rstrip('.')}; give it {_count(wanted[topic], 'partition')} by hand, "
            "or let this user create topics (REHYDRATE_KAFKA_REPLICATION sets the number of replicas)"
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
