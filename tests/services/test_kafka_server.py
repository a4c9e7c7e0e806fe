"""The Kafka that other tests lean on: it starts, keeps what it has, and lets in who may."""

from __future__ import annotations

import ssl

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.services.kafka.fixtures import Start
from tests.services.kafka.server import MECHANISMS, PASSWORD, USER, KafkaServer

pytestmark = pytest.mark.services

TOPIC = "kept"


@pytest.mark.slow
async def test_what_is_acknowledged_survives_a_kill_and_a_restart(own_kafka: Start) -> None:
    """SIGKILL, then the same port, the same cluster and the same records."""
    server = own_kafka()
    address = server.bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True)
    await producer.start()
    for number in range(20):
        await producer.send_and_wait(TOPIC, b"%d" % number, partition=0)
    await producer.stop()

    server.kill()
    server.start()

    assert server.bootstrap == address
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(TOPIC, 0)])
        assert [int((await consumer.getone()).value) for _ in range(20)] == list(range(20))
    finally:
        await consumer.stop()


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_password_opens_the_listeners_with_sasl(mechanism: str, kafka_server: KafkaServer) -> None:
    """By every mechanism, with and without TLS."""
    assert kafka_server.certificates is not None
    context = ssl.create_default_context(cafile=kafka_server.certificates.authority)
    for protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka_server.addresses[protocol],
            security_protocol=protocol,
            sasl_mechanism=mechanism,
            sasl_plain_username=USER,
            sasl_plain_password=PASSWORD,
            ssl_context=context if protocol == "SASL_SSL" else None,
        )
        await producer.start()
        await producer.stop()


@pytest.mark.parametrize("listener", ["SSL", "MUTUAL"])
async def test_certificates_open_the_listeners_with_tls(listener: str, kafka_server: KafkaServer) -> None:
    """The client trusts the authority and, where it is asked, shows a certificate of its own."""
    assert kafka_server.certificates is not None
    context = ssl.create_default_context(cafile=kafka_server.certificates.authority)
    if listener == "MUTUAL":
        context.load_cert_chain(kafka_server.certificates.client, kafka_server.certificates.client_key)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_server.addresses[listener], security_protocol="SSL", ssl_context=context)
    await producer.start()
    await producer.stop()
