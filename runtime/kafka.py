"""The Kafka of a swarm: which cluster it is, under which names, and that its topics are there.

Names of topics and groups begin with a prefix and the id of the store, so swarms never read each other's messages on one cluster, whatever
their settings. The data dir remembers which cluster it was. Nothing is lost with a cluster, for offsets are hints and the outbox sends
again what is not applied: so another cluster is refused only because it is likely a mistake.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiokafka.errors import KafkaError

from broker.admin import Admin, Changed
from broker.connection import Cluster, Security
from broker.diagnosis import KafkaRefused, Seen, look
from broker.topics import needed
from runtime.datadir import DataDir
from runtime.settings import Settings

LOOK_EVERY_S = 1.0
ENSURE_EVERY_S = 10.0
ANSWER_S = 5.0
SWARM_LENGTH = 10
"""Hexadecimal digits of the store's id in names: two of a thousand swarms share one with a probability of 5 in 10 million."""


class KafkaLost(Exception):
    """The cluster of a swarm at work is not the one that it began with, or its topics are gone for good."""


def security(settings: Settings) -> Security:
    """How to get into the cluster, by the settings.

    Raises:
        BadSecurity: they contradict each other.
    """
    made = Security(
        settings.kafka_security_protocol,
        settings.kafka_sasl_mechanism,
        settings.kafka_username,
        settings.kafka_password.get_secret_value() if settings.kafka_password else "",
        settings.kafka_ca_file,
        settings.kafka_cert_file,
        settings.kafka_key_file,
    )
    made.check()
    return made


def prefix(settings: Settings, identity: str) -> str:
    """What the names of this swarm's topics and groups begin with on a real cluster."""
    return f"{settings.topic_prefix}.{identity[:SWARM_LENGTH]}."


def cluster(settings: Settings, identity: str = "") -> Cluster:
    """The cluster of `--kafka`, as the swarm of this store uses it."""
    return Cluster(settings.kafka, prefix(settings, identity), security=security(settings))


# --- what a data dir remembers --------------------------------------------------------------------------------------


class Memory(NamedTuple):
    """The cluster that a swarm ran on last, and the address of its embedded broker where that is the one in use."""

    cluster_id: str = ""
    bootstrap: str = ""
    embedded: str = ""


def recall(data: DataDir) -> Memory:
    """What is remembered; a file that is damaged is as good as none, since it only guards against a mistake."""
    try:
        return Memory(**json.loads((data.root / "kafka.json").read_text()))
    except (OSError, ValueError, TypeError):
        return Memory()


def remember(data: DataDir, memory: Memory) -> None:
    """Write it down, all or nothing."""
    path = data.root / "kafka.json"
    temporary = path.with_suffix(".writing")
    temporary.write_text(json.dumps(memory._asdict()) + "\n")
    temporary.replace(path)


def must_be_the_same(memory: Memory, seen: Seen, bootstrap: str) -> None:
    """Raises:
    KafkaRefused: it is another cluster than the swarm ran on.
    """
    if memory.cluster_id and seen.cluster_id != memory.cluster_id:
        raise KafkaRefused(
            f"--kafka {bootstrap} is the cluster {seen.cluster_id}, and this swarm ran on {memory.cluster_id} (at {memory.bootstrap}); "
            "give that one, or --new-kafka to move: nothing is lost, what is not applied is sent again"
        )


# --- while a swarm runs ---------------------------------------------------------------------------------------------


class Keeper:
    """Has the topics of a swarm made before it starts, and looks after them while it runs."""

    def __init__(
        self, cluster: Cluster, agents: Sequence[str], replication: int, data: DataDir, tell: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._wanted = needed(agents, cluster.prefix)
        self._replication = replication
        self._data = data
        self._tell = tell
        self._seen = Seen("", ())

    async def prepare(self) -> None:
        """Create what is missing, and remember the cluster.

        Raises:
            KafkaRefused, BadSecurity: it cannot be used, or is another than before.
        """
        self._seen = await look(self._cluster)
        must_be_the_same(recall(self._data), self._seen, self._cluster.bootstrap)
        try:
            await self._ensure()
        except KafkaError as error:
            raise KafkaRefused(f"--kafka {self._cluster.bootstrap}: topics cannot be created: {error}") from error
        remember(self._data, Memory(self._seen.cluster_id, self._cluster.bootstrap))

    async def run(self) -> None:
        """Look until cancelled: tell when Kafka is away and when it is back, and put back topics that somebody deleted.

        Raises:
            KafkaLost: another cluster answers at the address.
        """
        away_since: float | None = None
        while True:
            try:
                await look(self._cluster)
                async with Admin(self._cluster) as admin:
                    self._must_be_the_same(await admin.cluster_id())
                    if away_since is not None:
                        self._tell(f"Kafka is back after {time.monotonic() - away_since:.0f} s")
                        away_since = None
                    await self._while_it_answers(admin)
            except (KafkaRefused, KafkaError, TimeoutError) as error:
                if away_since is None:
                    away_since = time.monotonic()
                    self._tell(f"waiting for Kafka: {await self._why(error)}")
                await asyncio.sleep(LOOK_EVERY_S)

    async def _why(self, error: Exception) -> str:
        """The reason in words for a user; what a client at work says of a broker that went is about its own state."""
        try:
            await look(self._cluster)
        except KafkaRefused as refused:
            return str(refused)
        return str(error) or "it does not answer"

    async def _while_it_answers(self, admin: Admin) -> None:
        while True:
            for change in await admin.ensure(self._wanted, self._replication):
                self._tell(f"the topic {change.topic} was gone or too small: it has {change.partitions} partitions again")
            ensured = time.monotonic()
            while time.monotonic() - ensured < ENSURE_EVERY_S:
                await asyncio.sleep(LOOK_EVERY_S)
                self._must_be_the_same(await asyncio.wait_for(admin.cluster_id(), ANSWER_S))

    def _must_be_the_same(self, cluster_id: str) -> None:
        if cluster_id != self._seen.cluster_id:
            raise KafkaLost(
                f"--kafka {self._cluster.bootstrap} was the cluster {self._seen.cluster_id} and is now {cluster_id}; "
                "the same command with --new-kafka goes on with this one: nothing is lost, what is not applied is sent again"
            )

    async def _ensure(self) -> Sequence[Changed]:
        async with Admin(self._cluster) as admin:
            return await admin.ensure(self._wanted, self._replication)
