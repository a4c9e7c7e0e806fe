"""A reader that lives and reads nothing is found out; one that has nothing to read, or is at work, or waits for Kafka, is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from broker.embedded import EmbeddedKafka
from broker.watchdog import Deaf, Watchdog

PLACE = TopicPartition("rehydrate.lead", 0)
EVERY_S, DEAF_S = 0.02, 0.3


@pytest.fixture
def kafka() -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka({PLACE.topic: 1})
    yield broker
    broker.stop()


@pytest.fixture
async def consumer(kafka: EmbeddedKafka) -> AsyncIterator[Any]:
    """A consumer of a group, with one partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id="readers",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=5,
    )
    consumer.assign([PLACE])
    await consumer.start()
    yield consumer
    await consumer.stop()


class Watched:
    """A watchdog at work, and what it reported."""

    def __init__(self, consumer: Any) -> None:
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.dog = Watchdog("lead/0", self.failed.set_result, EVERY_S, DEAF_S)
        self.task = asyncio.create_task(self.dog.run(consumer))

    async def stays_silent(self) -> bool:
        """Whether it reports nothing for much longer than a reader may be deaf."""
        ends: set[asyncio.Future[Any]] = {self.failed, self.task}
        done, _ = await asyncio.wait(ends, timeout=DEAF_S * 4)
        return not done


async def publish(kafka: EmbeddedKafka) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    await producer.send_and_wait(PLACE.topic, b"x", partition=PLACE.partition)
    await producer.stop()


async def test_a_reader_whose_fetcher_is_dead_is_reported(kafka: EmbeddedKafka, consumer: Any) -> None:
    """Its process lives, its consumer is connected, and it will never read again."""
    watched = Watched(consumer)
    await publish(kafka)
    assert len(await consumer.getmany(timeout_ms=5000)) == 1
    assert await watched.stays_silent()
    consumer._fetcher._fetch_task.cancel()
    await publish(kafka)
    error = await asyncio.wait_for(watched.failed, 20)
    assert isinstance(error, Deaf)
    assert "offset 1 of 2" in str(error)


async def test_a_reader_that_is_at_work_may_leave_records_waiting(kafka: EmbeddedKafka, consumer: Any) -> None:
    """A handler that takes long is no silence."""
    watched = Watched(consumer)
    with watched.dog.handling():
        await publish(kafka)
        assert await watched.stays_silent()
    watched.task.cancel()


async def test_a_broker_that_is_away_is_no_fault_of_the_reader(
    kafka: EmbeddedKafka, consumer: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, and that is said once."""
    monkeypatch.setattr("broker.watchdog.ANSWER_S", 0.1)
    watched = Watched(consumer)
    await publish(kafka)
    kafka.stop()
    assert await watched.stays_silent()
    told = [record.message for record in caplog.records if record.name == "broker.watchdog"]
    assert len(told) == 1
    assert "Kafka does not answer" in told[0]
    watched.task.cancel()
