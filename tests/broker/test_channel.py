"""One agent's connection to Kafka, on the embedded broker and its real wire protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from broker import codec
from broker.channel import KafkaChannel
from broker.embedded import EmbeddedKafka
from broker.topics import address, needed
from domain.message import Failure, Header, Message, TaskFail, TaskRef
from domain.ports.bus import Arrived, Delivery, Undeliverable
from domain.ports.store import Parcel

SENDER, RECEIVER = "lead/0", "pricing_optimizer/0"
HOME = address(RECEIVER)


def parcel(number: int) -> Parcel:
    header = Header(f"id-{number}", "TASK_FAIL", SENDER, RECEIVER, "2026-11-21T12:00:00.000Z", "run-k-1", "task-k-1-0-X", number)
    body = TaskFail(TaskRef("task-k-1-0-X", "X"), Failure("fatal", "x", "y"))
    return Parcel(RECEIVER, number, codec.encode(Message(header, body)))


class Inbox:
    """Collects what arrives."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self._changed = asyncio.Event()

    async def take(self, records: Sequence[Arrived]) -> None:
        self.arrived += records
        self._changed.set()

    async def until(self, enough: Callable[[list[Arrived]], bool]) -> list[Arrived]:
        async with asyncio.timeout(20):
            while not enough(self.arrived):
                self._changed.clear()
                await self._changed.wait()
        return self.arrived


@pytest.fixture
async def kafka() -> AsyncIterator[EmbeddedKafka]:
    broker = EmbeddedKafka(needed([SENDER, RECEIVER]))
    yield broker
    broker.stop()


async def test_what_is_sent_arrives_in_order_with_its_numbers(kafka: EmbeddedKafka) -> None:
    """More than one Kafka batch of it."""
    sender, receiver, inbox = KafkaChannel(kafka.bootstrap, SENDER), KafkaChannel(kafka.bootstrap, RECEIVER), Inbox()
    await receiver.start(inbox.take)
    await sender.start(None)
    sender.send([parcel(number) for number in range(1, 501)])
    arrived = await inbox.until(lambda all_of_them: len(all_of_them) >= 500)
    assert [record.received.number for record in arrived if isinstance(record, Delivery)] == list(range(1, 501))
    await sender.stop()
    await receiver.stop()


async def test_poison_does_not_stop_the_reading(kafka: EmbeddedKafka) -> None:
    """Garbage, a header that is no text and a record without headers are told as undeliverable; what follows is read."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    for value, headers in (
        (b"\xff\x00garbage", [("x", b"\xfe")]),
        (None, []),
        (b"{}", [(codec.NUMBER, b"\xff"), ("\u00e9", b"")]),
    ):
        await producer.send_and_wait(HOME.topic, value, key=b"k", partition=HOME.partition, headers=headers)
    await producer.stop()
    sender, receiver, inbox = KafkaChannel(kafka.bootstrap, SENDER), KafkaChannel(kafka.bootstrap, RECEIVER), Inbox()
    await receiver.start(inbox.take)
    await sender.start(None)
    sender.send([parcel(1)])
    arrived = await inbox.until(lambda all_of_them: len(all_of_them) >= 4)
    assert [type(record) for record in arrived] == [Undeliverable, Undeliverable, Undeliverable, Delivery]
    await sender.stop()
    await receiver.stop()


async def test_reading_begins_again_at_what_was_not_done(kafka: EmbeddedKafka) -> None:
    """The offset is committed up to the first message that was read and not applied."""
    sender, receiver, inbox = KafkaChannel(kafka.bootstrap, SENDER), KafkaChannel(kafka.bootstrap, RECEIVER), Inbox()
    await sender.start(None)
    sender.send([parcel(number) for number in range(1, 11)])
    await receiver.start(inbox.take)
    for record in await inbox.until(lambda all_of_them: len(all_of_them) >= 10):
        if record.place.offset != 6:
            receiver.done(record.place)
    await receiver.stop()
    again, second = KafkaChannel(kafka.bootstrap, RECEIVER), Inbox()
    await again.start(second.take)
    arrived = await second.until(lambda all_of_them: len(all_of_them) >= 4)
    assert [record.place.offset for record in arrived] == [6, 7, 8, 9]
    await again.stop()
    await sender.stop()


async def test_messages_carry_their_headers_on_the_wire(kafka: EmbeddedKafka) -> None:
    """As any other consumer sees them, key and partition included."""
    sender = KafkaChannel(kafka.bootstrap, SENDER)
    await sender.start(None)
    sender.send([parcel(1)])
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(HOME.topic, HOME.partition)])
    record = await asyncio.wait_for(consumer.getone(), 20)
    assert (record.key, dict(record.headers)[codec.NUMBER]) == (RECEIVER.encode(), b"1")
    await consumer.stop()
    await sender.stop()
