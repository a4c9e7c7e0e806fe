"""A channel over the embedded broker: the same wire protocol as with Apache Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from broker import codec
from broker.channel import KafkaChannel
from broker.connection import Cluster
from broker.embedded import EmbeddedKafka
from broker.topics import address, needed
from domain.ports.bus import Arrived, Delivery, Undeliverable
from domain.ports.store import Parcel
from tests.broker.letters import RECEIVER, SENDER, parcels

PLACE = address(RECEIVER)
Header = tuple[str, bytes | None]
Poison = Callable[[bytes, list[Header]], tuple[bytes | None, list[Header]]]


@pytest.fixture
def kafka() -> Iterator[str]:
    broker = EmbeddedKafka(needed([RECEIVER, SENDER]))
    yield broker.bootstrap
    broker.stop()


class Reader:
    """A receiver that keeps what came, and says that it is done with what it is told to."""

    def __init__(self, kafka: str) -> None:
        self.channel = KafkaChannel(Cluster(kafka, embedded=True), RECEIVER)
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
async def reader(kafka: str) -> AsyncIterator[Reader]:
    reader = Reader(kafka)
    await reader.channel.start(reader.take)
    yield reader
    await reader.channel.stop()


@pytest.fixture
async def sender(kafka: str) -> AsyncIterator[KafkaChannel]:
    channel = KafkaChannel(Cluster(kafka, embedded=True), SENDER)
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


async def _publish(kafka: str, records: Sequence[tuple[bytes | None, list[Header]]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
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
            await (await producer.send_batch(batch, PLACE.topic, partition=PLACE.partition))
    finally:
        await producer.stop()


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_a_poisoned_record_does_not_stop_the_reading(poison: Poison, kafka: str, reader: Reader) -> None:
    """What cannot be read is handed on as undeliverable, and what comes before and behind it arrives."""
    await _publish(kafka, [good(1), poison(*good(2)), good(3)])
    first, bad, last = await reader.has(3)
    assert isinstance(first, Delivery)
    assert isinstance(bad, Undeliverable)
    assert bad.received is None
    assert isinstance(last, Delivery)
    assert (first.received.number, last.received.number) == (1, 3)


async def test_offsets_are_committed_behind_what_is_done(kafka: str, reader: Reader, sender: KafkaChannel) -> None:
    """Who starts again reads from the first record that was not done; nothing is done before it is said to be."""
    sender.send(parcels(4))
    records = await reader.has(4)
    for index in (0, 1, 3):
        reader.channel.done(records[index].place)
    await reader.channel.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id="rehydrate.lead.0", enable_auto_commit=False)
    await consumer.start()
    try:
        assert await consumer.committed(TopicPartition(PLACE.topic, PLACE.partition)) == 2
    finally:
        await consumer.stop()
    again = Reader(kafka)
    await again.channel.start(again.take)
    try:
        assert [record.place.offset for record in await again.has(2)] == [2, 3]
    finally:
        await again.channel.stop()


async def test_what_is_queued_at_a_stop_is_sent(reader: Reader, kafka: str) -> None:
    """A stop publishes first."""
    channel = KafkaChannel(Cluster(kafka, embedded=True), SENDER)
    await channel.start(None)
    channel.send([Parcel(RECEIVER, number, value) for _, number, value in parcels(3)])
    await channel.stop()
    assert len(await reader.has(3)) == 3


async def test_messages_carry_their_headers_on_the_wire(kafka: str, sender: KafkaChannel) -> None:
    """As any other consumer sees them, key and partition included."""
    sender.send(parcels(1))
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(PLACE.topic, PLACE.partition)])
        record = await asyncio.wait_for(consumer.getone(), 20)
    finally:
        await consumer.stop()
    assert (record.key, dict(record.headers)[codec.NUMBER]) == (RECEIVER.encode(), b"1")
