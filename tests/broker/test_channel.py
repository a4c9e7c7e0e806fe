"""A channel over the embedded broker, and the same over Apache Kafka where it can be started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from broker import codec
from broker.admin import Admin
from broker.channel import KafkaChannel
from broker.connection import REQUEST_TIMEOUT_MS, Cluster
from broker.embedded import EmbeddedKafka
from broker.topics import address, needed
from domain.ports.bus import Arrived, Delivery, Undeliverable
from domain.ports.store import Parcel
from tests.broker.letters import RECEIVER, SENDER, parcels

Header = tuple[str, bytes | None]
Poison = Callable[[bytes, list[Header]], tuple[bytes | None, list[Header]]]


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.services)])
async def kafka(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """A cluster with the topics of receiver and sender; a real one is shared, so the test has names of its own there."""
    if request.param == "embedded":
        broker = EmbeddedKafka(needed([RECEIVER, SENDER]))
        yield Cluster(broker.bootstrap, embedded=True)
        broker.stop()
        return
    cluster = Cluster(request.getfixturevalue("kafka_address"), prefix=f"test.{uuid4().hex[:8]}.")
    async with Admin(cluster) as admin:
        await admin.ensure(needed([RECEIVER, SENDER], cluster.prefix))
    yield cluster


def place(kafka: Cluster) -> TopicPartition:
    """Where the receiver's messages go."""
    return TopicPartition(*address(RECEIVER, kafka.prefix))


class Reader:
    """A receiver that keeps what came, and says that it is done with what it is told to."""

    def __init__(self, kafka: Cluster) -> None:
        self.channel = KafkaChannel(kafka, RECEIVER)
        self.batches: list[Sequence[Arrived]] = []
        self._came = asyncio.Event()

    async def take(self, records: Sequence[Arrived]) -> None:
        self.batches.append(records)
        self._came.set()

    @property
    def records(self) -> list[Arrived]:
        return [record for batch in self.batches for record in batch]

    async def has(self, count: int) -> list[Arrived]:
        """Wait until so many records have come."""
        async with asyncio.timeout(20):
            while len(self.records) < count:
                await self._came.wait()
                self._came.clear()
        return self.records


@pytest.fixture
async def reader(kafka: Cluster) -> AsyncIterator[Reader]:
    reader = Reader(kafka)
    await reader.channel.start(reader.take)
    yield reader
    await reader.channel.stop()


@pytest.fixture
async def sender(kafka: Cluster) -> AsyncIterator[KafkaChannel]:
    channel = KafkaChannel(kafka, SENDER)
    await channel.start(None)
    yield channel
    await channel.stop()


async def test_batches_arrive_whole_and_in_order(reader: Reader, sender: KafkaChannel) -> None:
    """What one sender sends arrives in the order in which it was sent, several messages at a time."""
    sent = parcels(700)
    for first in range(0, len(sent), 70):
        sender.send(sent[first : first + 70])
    records = await reader.has(len(sent))
    assert [record.received.number for record in records if record.received] == [parcel.number for parcel in sent]
    assert all(isinstance(record, Delivery) for record in records)
    assert max(map(len, reader.batches)) > 1


class _Mangled(str):
    """A header's name that is no UTF-8 on the wire."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe\xfd"


def good(number: int) -> tuple[bytes, list[Header]]:
    parcel = parcels(1, number)[0]
    return parcel.value, list(codec.kafka_headers(SENDER, parcel, None))


POISON: dict[str, Poison] = {
    "garbage in the value": lambda value, headers: (b"\x00\xff{", headers),
    "no value at all": lambda value, headers: (None, headers),
    "no headers": lambda value, headers: (value, []),
    "a header's value that is no UTF-8": lambda value, headers: (value, [(name, b"\xff\xfe") for name, _ in headers]),
    "headers without a value": lambda value, headers: (value, [(name, None) for name, _ in headers]),
    "a digest that is no ASCII": lambda value, headers: (value, [*headers[:-1], (headers[-1][0], "é".encode())]),
    "a header's name that is no UTF-8": lambda value, headers: (value, [(_Mangled("x"), b"1")]),
}


async def _publish(kafka: Cluster, records: Sequence[tuple[bytes | None, list[Header]]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        for value, headers in records:
            batch = producer.create_batch()
            # The builder in Python, since the one in C encodes names by itself.
            batch._builder = _DefaultRecordBatchBuilderPy(
                magic=2,
                compression_type=0,
                is_transactional=0,
                producer_id=-1,
                producer_epoch=-1,
                base_sequence=0,
                batch_size=99999,
            )
            batch.append(key=None, value=value, timestamp=None, headers=headers)
            await (await producer.send_batch(batch, place(kafka).topic, partition=place(kafka).partition))
    finally:
        await producer.stop()


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_a_poisoned_record_does_not_stop_the_reading(poison: Poison, kafka: Cluster, reader: Reader) -> None:
    """What cannot be read is handed on as undeliverable, and what comes before and behind it arrives."""
    await _publish(kafka, [good(1), poison(*good(2)), good(3)])
    first, bad, last = await reader.has(3)
    assert isinstance(first, Delivery)
    assert isinstance(bad, Undeliverable)
    assert bad.received is None
    assert isinstance(last, Delivery)
    assert (first.received.number, last.received.number) == (1, 3)


async def test_offsets_are_committed_behind_what_is_done(kafka: Cluster, reader: Reader, sender: KafkaChannel) -> None:
    """Who starts again reads from the first record that was not done; nothing is done before it is said to be."""
    sender.send(parcels(4))
    records = await reader.has(4)
    for index in (0, 1, 3):
        reader.channel.done(records[index].place)
    await reader.channel.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=kafka.group(RECEIVER), enable_auto_commit=False)
    await consumer.start()
    try:
        assert await consumer.committed(place(kafka)) == 2
    finally:
        await consumer.stop()
    again = Reader(kafka)
    await again.channel.start(again.take)
    try:
        assert [record.place.offset for record in await again.has(2)] == [2, 3]
    finally:
        await again.channel.stop()


async def test_what_is_queued_at_a_stop_is_sent(reader: Reader, kafka: Cluster) -> None:
    """A stop publishes first."""
    channel = KafkaChannel(kafka, SENDER)
    await channel.start(None)
    channel.send(parcels(3))
    await channel.stop()
    assert len(await reader.has(3)) == 3


async def test_messages_carry_their_headers_on_the_wire(kafka: Cluster, sender: KafkaChannel) -> None:
    """As any other consumer sees them, key and partition included."""
    sender.send(parcels(1))
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([place(kafka)])
        record = await asyncio.wait_for(consumer.getone(), 20)
    finally:
        await consumer.stop()
    assert (record.key, dict(record.headers)[codec.NUMBER]) == (RECEIVER.encode(), b"1")


async def test_messages_for_a_topic_that_nobody_has_yet_hold_up_no_others(
    kafka: Cluster, reader: Reader, sender: KafkaChannel
) -> None:
    """An agent that never was has no topic on a real cluster; it is not created, and the others' messages go on their way."""
    stranger = Parcel("gift_wrapper/3", 1, parcels(1)[0].value)
    begun = asyncio.get_running_loop().time()
    for number in range(1, 6):
        sender.send([stranger, *parcels(1, number)])
        await reader.has(number)
    assert asyncio.get_running_loop().time() - begun < REQUEST_TIMEOUT_MS / 1000
    if not kafka.embedded:
        async with Admin(kafka) as admin:
            assert "gift_wrapper" not in {row.role for row in await admin.survey([])}
