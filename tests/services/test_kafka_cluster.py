"""What a real cluster asks of us: topics, numbers that wrap, refusals, passwords and certificates."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from broker import producing
from broker.admin import Admin, Changed
from broker.connection import MECHANISMS, Cluster, Security
from broker.diagnosis import KafkaRefused, look
from broker.topics import needed
from tests.services.kafka.fixtures import Start
from tests.services.kafka.server import PASSWORD, USER, KafkaServer

pytestmark = pytest.mark.services

acl: Any = importlib.import_module("confluent_kafka.admin")  # aiokafka's administrator makes no rules; its names are not typed

NEAR_THE_END = 2**31 - 7
RECORDS = 30
LARGEST = 2000


@pytest.fixture
def cluster(kafka_address: str) -> Cluster:
    """A cluster, with names of this test's own."""
    return Cluster(kafka_address, prefix=f"test.{uuid4().hex[:8]}.")


async def test_topics_are_created_and_grow_and_never_shrink(cluster: Cluster) -> None:
    """Asked again it finds nothing to do."""
    lead, listing = f"{cluster.prefix}lead", f"{cluster.prefix}product-listing"
    async with Admin(cluster) as admin:
        assert await admin.ensure({lead: 1, listing: 2}) == [Changed(lead, True, 1), Changed(listing, True, 2)]
        assert await admin.ensure({lead: 1, listing: 2}) == []
        assert await admin.ensure({lead: 1, listing: 4}) == [Changed(listing, False, 4)]
        assert await admin.ensure({lead: 1, listing: 1}) == []
        rows = await admin.survey(["lead/0", "product_listing/0"])
    assert [(row.topic, row.role, row.wanted, row.partitions) for row in rows] == [
        (lead, "lead", 1, 1),
        (listing, "product_listing", 1, 4),
    ]
    assert [(shard.agent, shard.end, shard.committed, shard.lag) for shard in rows[0].shards] == [("lead/0", 0, None, 0)]


async def test_more_replicas_than_brokers_are_refused_in_a_line(cluster: Cluster) -> None:
    """The message names the topic, the broker's reason and the setting."""
    async with Admin(cluster) as admin:
        with pytest.raises(KafkaRefused, match=r"lead could not be created with 3 replicas: .*REHYDRATE_KAFKA_REPLICATION"):
            await admin.ensure({f"{cluster.prefix}lead": 1}, replication=3)


async def _topic(cluster: Cluster, **config: str) -> str:
    name = f"{cluster.prefix}numbers"
    client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await client.start()
    await client.create_topics([NewTopic(name, 1, 1, topic_configs=config)])
    await client.close()
    return name


async def _values(cluster: Cluster, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.fixture
async def producer(cluster: Cluster) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    yield producer
    await producer.stop()


async def test_the_numbers_of_a_producer_wrap_to_zero(cluster: Cluster, producer: AIOKafkaProducer) -> None:
    """After 2³¹ records of a partition, which a busy swarm sends in some days."""
    topic = await _topic(cluster)
    producing.wrap_numbers(producer)
    producer._txn_manager._sequence_numbers[TopicPartition(topic, 0)] = NEAR_THE_END
    for number in range(RECORDS):
        await producer.send_and_wait(topic, b"%d" % number, partition=0)
    assert await _values(cluster, topic, RECORDS) == [b"%d" % number for number in range(RECORDS)]


async def test_a_producer_goes_on_behind_a_batch_that_was_refused(cluster: Cluster, producer: AIOKafkaProducer) -> None:
    """The numbers of the refused batch are missing at the broker: without another identity it refuses all that follows."""
    topic = await _topic(cluster, **{"max.message.bytes": str(LARGEST)})
    await producer.send_and_wait(topic, b"first", partition=0)
    with pytest.raises(KafkaError, match="MessageSizeTooLarge"):
        await producer.send_and_wait(topic, b"x" * LARGEST * 2, partition=0)
    producing.begin_anew(producer)
    for number in range(RECORDS):
        await producer.send_and_wait(topic, b"%d" % number, partition=0)
    assert await _values(cluster, topic, RECORDS + 1) == [b"first", *(b"%d" % number for number in range(RECORDS))]


RULES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",  # who comes without a password: the broker itself, and this test
}


@pytest.mark.slow
async def test_two_rules_are_all_that_a_user_needs(own_kafka: Start) -> None:
    """Without them the line says that it is a matter of rights; with them topics are made, and looked at with their offsets."""
    server = own_kafka(secure=True, **RULES)
    security = Security("SASL_PLAINTEXT", username=USER, password=PASSWORD)
    cluster = Cluster(server.addresses["SASL_PLAINTEXT"], security=security)
    wanted = needed(["lead/0"], cluster.prefix)
    await look(cluster)
    async with Admin(cluster) as admin:
        with pytest.raises(
            KafkaRefused, match="lead could not be created with 1 replica: Authorization failed; give it 1 partition"
        ):
            await admin.ensure(wanted)
        rules = [
            acl.AclBinding(
                kind, "rehydrate.", acl.ResourcePatternType.PREFIXED, f"User:{USER}", "*", operation, acl.AclPermissionType.ALLOW
            )
            for kind, operation in (
                (acl.ResourceType.TOPIC, acl.AclOperation.CREATE),
                (acl.ResourceType.TOPIC, acl.AclOperation.READ),
                (acl.ResourceType.TOPIC, acl.AclOperation.WRITE),
                (acl.ResourceType.TOPIC, acl.AclOperation.ALTER),
                (acl.ResourceType.GROUP, acl.AclOperation.READ),
            )
        ]
        ruler = acl.AdminClient({"bootstrap.servers": server.bootstrap})
        for made in ruler.create_acls(rules).values():
            await asyncio.to_thread(made.result, 20)
        assert await admin.ensure(wanted) == [Changed(topic, True, 1) for topic in wanted]
        assert await admin.ensure(dict.fromkeys(wanted, 2)) == [Changed(topic, False, 2) for topic in wanted]
        (row,) = await admin.survey(["lead/0"])
        assert [shard.lag for shard in row.shards] == [0, 0]
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, enable_idempotence=True, **security.aiokafka())
    await producer.start()
    await producer.send_and_wait(row.topic, b"x", partition=0)
    await producer.stop()


# --- getting in -----------------------------------------------------------------------------------------------------


def tls(server: KafkaServer) -> Mapping[str, Path]:
    """The files of a client that is trusted."""
    assert server.certificates is not None
    made = server.certificates
    return {"authority": made.authority, "client": made.client, "client_key": made.client_key, "stranger": made.stranger}


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_password_is_told_by_every_mechanism(protocol: str, mechanism: str, kafka_server: KafkaServer) -> None:
    """With and without TLS; a wrong one is told apart from everything else."""
    ca_file = tls(kafka_server)["authority"] if protocol == "SASL_SSL" else None
    security = Security(protocol, mechanism, USER, PASSWORD, ca_file)
    cluster = Cluster(kafka_server.addresses[protocol], security=security)
    assert (await look(cluster)).cluster_id == kafka_server.cluster_id
    with pytest.raises(KafkaRefused, match=f"it refuses 'alice' with this password by {mechanism}"):
        await look(replace(cluster, security=replace(security, password="another")))


async def test_certificates_are_checked_on_both_sides(kafka_server: KafkaServer) -> None:
    """The broker's by the authority that is named, ours where the broker asks for one."""
    files = tls(kafka_server)
    trusting = Security("SSL", ca_file=files["authority"])
    assert await look(Cluster(kafka_server.addresses["SSL"], security=trusting))
    for security in (Security("SSL"), Security("SSL", ca_file=files["stranger"])):
        with pytest.raises(KafkaRefused, match="its certificate is not trusted"):
            await look(Cluster(kafka_server.addresses["SSL"], security=security))
    with pytest.raises(KafkaRefused, match="certificate"):
        await look(Cluster(kafka_server.addresses["MUTUAL"], security=trusting))
    showing = replace(trusting, cert_file=files["client"], key_file=files["client_key"])
    assert await look(Cluster(kafka_server.addresses["MUTUAL"], security=showing))


@pytest.mark.slow
async def test_brokers_that_cannot_be_reached_where_they_say_they_are_are_told_from_a_dead_cluster(own_kafka: Start) -> None:
    """The usual mistake with containers: the first address answers, and the one that it names does not."""
    server = own_kafka(**{"advertised.listeners": "PLAINTEXT://127.0.0.1:1"})
    with pytest.raises(
        KafkaRefused, match=r"answers, but .* \(127.0.0.1:1: nobody answers \(Connection refused\)\); set .*advertised"
    ):
        await look(Cluster(server.bootstrap))


@pytest.mark.parametrize(
    ("listener", "security", "said"),
    [
        ("SASL_PLAINTEXT", Security(), "may ask for TLS or a password"),
        ("SSL", Security(), "may ask for TLS or a password"),
        ("PLAINTEXT", Security("SSL"), "may not speak TLS there"),
        ("PLAINTEXT", Security("SASL_PLAINTEXT", username=USER, password=PASSWORD), "it asks for no password"),
    ],
)
async def test_a_wrong_protocol_is_told_with_the_setting(
    listener: str, security: Security, said: str, kafka_server: KafkaServer
) -> None:
    """Whatever the listener makes of it, the line names the setting to look at and its value."""
    with pytest.raises(KafkaRefused, match=said) as refused:
        await look(Cluster(kafka_server.addresses[listener], security=security))
    assert re.search(rf"REHYDRATE_KAFKA_SECURITY_PROTOCOL \({security.protocol}\)$", str(refused.value))
