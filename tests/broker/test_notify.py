"""Notifications at the embedded broker: what is published is fetched at once, and nothing is lost with them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from broker import notify
from broker.embedded import EmbeddedKafka
from broker.notify import FETCH_WAIT_MS, Listener, Notifier, heed
from broker.topics import Address

HOME = Address("letters", 0)
NEVER_S = 3600.0
WITHIN_S = 10.0

pytestmark = pytest.mark.usefixtures("no_busy_polls")

Receive = Callable[[float], Awaitable["Receiver"]]


class Receiver:
    """A consumer that heeds a listener. Counts its fetches; `answered` holds an item for each that was answered."""

    def __init__(self, bootstrap: str, poll_s: float) -> None:
        self.fetches = 0
        self.answered: asyncio.Queue[None] = asyncio.Queue()
        self.listener = Listener(bootstrap, HOME, poll_s)
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=FETCH_WAIT_MS
        )

    async def start(self) -> None:
        self.listener.start()
        await self.consumer.start()
        heed(self.consumer, self.listener)
        send = self.consumer._client.send

        async def counted(node: int, request: object, **how: object) -> object:
            if not isinstance(request, FetchRequest):
                return await send(node, request, **how)
            self.fetches += 1
            answer = await send(node, request, **how)
            self.answered.put_nowait(None)
            return answer

        self.consumer._client.send = counted
        self.consumer.assign([TopicPartition(*HOME)])
        await self.consumer.seek_to_beginning()

    async def take(self, count: int) -> list[bytes | None]:
        """The next so many values."""
        async with asyncio.timeout(WITHIN_S):
            return [(await self.consumer.getone()).value for _ in range(count)]

    async def stop(self) -> None:
        await self.consumer.stop()
        self.listener.close()


@pytest.fixture
def no_busy_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by itself because it was notified a moment ago."""
    monkeypatch.setattr(notify, "BUSY_S", 0.0)


@pytest.fixture
def bootstrap() -> str:
    return "nowhere:0"


@pytest.fixture
async def kafka() -> AsyncIterator[str]:
    broker = EmbeddedKafka({HOME.topic: 1})
    yield broker.bootstrap
    broker.stop()


@pytest.fixture
async def receive(kafka: str) -> AsyncIterator[Receive]:
    receivers: list[Receiver] = []

    async def begin(poll_s: float) -> Receiver:
        receivers.append(Receiver(kafka, poll_s))
        await receivers[-1].start()
        return receivers[-1]

    yield begin
    for receiver in receivers:
        await receiver.stop()


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    yield producer
    await producer.stop()


async def test_what_leaves_is_fetched_at_once(kafka: str, receive: Receive, producer: AIOKafkaProducer) -> None:
    """Nobody looks by themselves here: each record comes because its leaving was told."""
    receiver = await receive(NEVER_S)
    notifier = Notifier(kafka)
    notifier.follow(producer)
    for number in range(50):
        sent = await producer.send_and_wait(HOME.topic, b"%d" % number, partition=0)
        notifier.acknowledged(HOME, sent.offset + 1)
        assert await receiver.take(1) == [b"%d" % number]
    notifier.close()


async def test_an_acknowledgement_alone_is_enough(kafka: str, receive: Receive, producer: AIOKafkaProducer) -> None:
    receiver = await receive(NEVER_S)
    notifier = Notifier(kafka)
    for number in range(10):
        sent = await producer.send_and_wait(HOME.topic, b"%d" % number, partition=0)
        notifier.acknowledged(HOME, sent.offset + 1)
        assert await receiver.take(1) == [b"%d" % number]
    notifier.close()


async def test_one_notification_brings_all_batches_that_are_there(
    kafka: str, receive: Receive, producer: AIOKafkaProducer
) -> None:
    """The broker gives one batch a fetch and says where the partition ends."""
    receiver = await receive(NEVER_S)
    sent = [await producer.send_and_wait(HOME.topic, b"%d" % number, partition=0) for number in range(5)]
    notifier = Notifier(kafka)
    notifier.acknowledged(HOME, sent[-1].offset + 1)
    notifier.close()
    assert await receiver.take(5) == [b"0", b"1", b"2", b"3", b"4"]


async def test_what_was_there_before_is_read_without_a_notification(
    kafka: str, receive: Receive, producer: AIOKafkaProducer
) -> None:
    for number in range(5):
        await producer.send_and_wait(HOME.topic, b"%d" % number, partition=0)
    receiver = await receive(NEVER_S)
    assert await receiver.take(5) == [b"0", b"1", b"2", b"3", b"4"]


async def test_without_notifications_it_looks_by_itself(receive: Receive, producer: AIOKafkaProducer) -> None:
    receiver = await receive(0.05)
    await receiver.answered.get()  # it has looked, and found nothing
    await producer.send_and_wait(HOME.topic, b"unheard", partition=0)
    assert await receiver.take(1) == [b"unheard"]


async def test_one_that_is_lost_in_the_middle_of_work_costs_little(
    kafka: str, receive: Receive, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was notified a moment ago looks by itself soon, however long the wait of an idle one is."""
    monkeypatch.setattr(notify, "BUSY_S", WITHIN_S)
    receiver = await receive(NEVER_S)
    await producer.send_and_wait(HOME.topic, b"unheard", partition=0)
    assert await receiver.take(1) == [b"unheard"]


async def test_a_notification_that_is_wrong_costs_a_fetch(kafka: str, receive: Receive, producer: AIOKafkaProducer) -> None:
    """It may say anything: what the broker says holds."""
    receiver = await receive(NEVER_S)
    await receiver.answered.get()
    liar = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for lie in (b"999999", b"left", b"\xff\xfe", b"", b"-1", b"9" * 400):
        liar.sendto(lie, receiver.listener._name)
    liar.close()
    await receiver.answered.get()
    sent = await producer.send_and_wait(HOME.topic, b"true", partition=0)
    notifier = Notifier(kafka)
    notifier.acknowledged(HOME, sent.offset + 1)
    notifier.close()
    assert await receiver.take(1) == [b"true"]
    assert receiver.fetches <= 1 + 3 + 1  # when it came, in vain, for the truth


async def test_who_takes_over_listens_when_the_owner_before_is_gone(bootstrap: str) -> None:
    """While that one lives its name is taken, which is no error; a killed one leaves nothing."""
    before, after = (Listener(bootstrap, HOME, poll_s=0.01) for _ in range(2))
    before.start()
    after.start()
    notifier = Notifier(bootstrap)
    for listener in (before, after):
        listener.fetched(await listener.worth_it(0), 0)
    notifier.acknowledged(HOME, 7)
    assert await before.worth_it(0) == 7
    assert await after.worth_it(0) == 0
    before.close()
    assert await after.worth_it(0) == 0  # it has looked, and found the name free
    notifier.acknowledged(HOME, 8)
    assert await after.worth_it(0) == 8
    after.close()
    notifier.close()


async def test_to_notify_nobody_or_somebody_who_does_not_listen_does_not_wait(bootstrap: str) -> None:
    notifier = Notifier(bootstrap)
    notifier.acknowledged(HOME, 1)
    frozen = Listener(bootstrap, HOME)
    frozen.start()
    for end in range(10_000):  # more than a socket takes; nobody reads, since nothing here gives way to the loop
        notifier.acknowledged(HOME, end)
    assert await frozen.worth_it(0) > 0
    frozen.close()
    notifier.close()
