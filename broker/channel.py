"""One agent's connection to Kafka through FastStream: batches in with manual acknowledgement, batches out.

Traps that this file is built around (measured, see docs/decisions):
- Partitions are assigned, not group-balanced: who owns a shard is decided by epochs. The group id only keeps offsets, as a hint where to
  start and so that Kafka's own tools show the lag.
- The handler takes raw records: FastStream would decode a JSON body by itself. Decoder and handler are coroutine functions and types are
  not applied, because FastStream runs plain functions and dependencies in threads, and a thread hop costs more than the message.
- The embedded broker answers an empty fetch only when the consumer's wait is over. So who publishes there notifies the receiver, and a
  fetch leaves when there is something to fetch (`broker/notify.py`). On a real broker what comes ends the wait, and it stays long.
- FastStream sleeps a whole batch timeout after an empty poll: see `_WaitingSubscriber`.
- Messages of one commit leave in one Kafka batch, each with headers of its own, which FastStream's `publish_batch` does not offer: the
  batch is built on the aiokafka producer that FastStream owns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, TopicPartition
from faststream.kafka.message import FakeConsumer, KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from broker import codec, producing
from broker.connection import REQUEST_TIMEOUT_MS, Cluster
from broker.notify import FETCH_WAIT_MS, Listener, Notifier, heed
from broker.offsets import Offsets, begin
from broker.topics import Address, address
from broker.watchdog import Watchdog, until_reachable
from domain.ports.bus import Handler, Place
from domain.ports.store import Parcel

log = logging.getLogger(__name__)

LONG_WAIT_MS = 500
"""The wait on a real broker."""
COMMIT_EVERY_S = 0.5
KAFKA_RETRY_S = 0.2
STOP_S = 2.0
MAX_ASIDE = 10_000
"""Messages that wait in memory for a partition to be known; the outbox has them all."""
MAX_RECORDS = 500
MAX_BATCH_BYTES = 256 * 1024
"""The messages of one commit group should be one Kafka batch: the embedded broker gives one batch a fetch. (A larger message
still goes out, as a batch of its own.)"""
POLL_MS = 10_000
"""How long a poll without records waits inside the client before it begins again: no figure depends on it."""


class _WaitingSubscriber(BatchSubscriber):
    """A batch subscriber that waits for records once a round: FastStream's own sleeps the whole batch timeout again after an
    empty poll, although the poll itself has waited that long.

    An error of Kafka would put FastStream's loop to sleep for five seconds; whether it goes on for too long is the watchdog's question.

    aiokafka decodes the names of headers where it hands records out. One that is no UTF-8 would end FastStream's loop, and the agent
    would be deaf: such a record is passed over and stands in its place without a value and headers.
    """

    __slots__ = ()

    async def get_msg(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
        try:
            records = await consumer.getmany(timeout_ms=POLL_MS, max_records=self.max_records)
        except UnicodeDecodeError:
            return await self._up_to_the_unreadable(consumer)
        except KafkaError as error:
            log.warning("reading goes on after an error of Kafka: %s", error)
            await asyncio.sleep(KAFKA_RETRY_S)  # FastStream would sleep for five seconds
            return ()
        return tuple(chain.from_iterable(records.values()))

    async def _up_to_the_unreadable(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
        """The position did not move: read one by one until it is that record's."""
        (partition,) = consumer.assignment()
        taken: list[ConsumerRecord] = []
        while True:
            try:
                records = await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=1)
            except UnicodeDecodeError as error:
                offset = await consumer.position(partition)
                consumer.seek(partition, offset + 1)
                log.warning("%s[%d]: the record at %d cannot be read: %s", *partition, offset, error)
                return (*taken, ConsumerRecord(*partition, offset, 0, 0, None, None, None, -1, -1, ()))
            if not records:
                return tuple(taken)  # it is gone
            taken += records[partition]


class KafkaChannel:
    """The port `Bus` on Kafka. Owned by one event loop. `fail` is told once when this connection must be made anew by a new process."""

    def __init__(
        self, cluster: Cluster, agent: str, key: bytes | None = None, fail: Callable[[Exception], None] = lambda error: None
    ) -> None:
        self._cluster = cluster
        self._agent = agent
        self._key = key
        self._home: Address = address(agent, cluster.prefix)
        self._broker = _broker(cluster, agent.replace("/", "."))
        self._watchdog = Watchdog(agent, fail)
        self._offsets = Offsets()
        self._hinting = True
        self._outgoing: list[Parcel] = []
        self._flush = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._aside: dict[Address, list[Parcel]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._refused = False
        self._subscriber: Any = None
        self._notifier = Notifier(cluster.bootstrap) if cluster.embedded else None
        self._listener: Listener | None = None
        self._stopping = False

    async def start(self, handler: Handler | None) -> None:
        """Connect. Without a handler nothing is read: that is a client, which only sends. Waits for a real broker that is away."""
        if handler is not None:
            self._subscribe(handler)
        if not self._cluster.embedded:
            await until_reachable(self._cluster, self._agent)
        await self._broker.start()
        producing.wrap_numbers(self._producer)
        if self._notifier is not None:
            self._notifier.follow(self._producer)
        if self._cluster.embedded and self._subscriber is not None:
            self._listen()
        self._tasks = [asyncio.create_task(self._publish_loop()), asyncio.create_task(self._commit_loop())]
        if self._subscriber is not None and not self._cluster.embedded:
            self._tasks.append(asyncio.create_task(self._watchdog.run(self._subscriber.consumer)))
            self._tasks.append(asyncio.create_task(self._begin()))

    def _subscribe(self, handler: Handler) -> None:
        self._subscriber = self._broker.subscriber(
            partitions=[TopicPartition(self._home.topic, self._home.partition, declare=False)],
            group_id=self._cluster.group(self._agent),
            batch=True,
            max_records=MAX_RECORDS,
            batch_timeout_ms=POLL_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS if self._cluster.embedded else LONG_WAIT_MS,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            parser=_unparsed,
            decoder=_records,
        )

        async def take(records: Sequence[ConsumerRecord]) -> None:
            with self._watchdog.handling():
                await handler([self._read(record) for record in records])

        self._subscriber.__class__ = _WaitingSubscriber  # FastStream's factory offers no other way to a subscriber of one's own
        self._subscriber(take)

    def send(self, parcels: Sequence[Parcel]) -> None:
        self._outgoing += parcels
        self._flush.set()

    def done(self, place: Place) -> None:
        self._offsets.done(place.offset)

    async def stop(self) -> None:
        self._stopping = True
        self._flush.set()
        if self._tasks:
            publishing, *others = self._tasks
            await asyncio.wait([publishing], timeout=STOP_S)
            if self._asking:
                await asyncio.wait(self._asking, timeout=STOP_S)
            for task in (*others, *self._asking):
                task.cancel()
            await asyncio.gather(*self._tasks, *self._asking, return_exceptions=True)
            if self._hinting:
                await self._commit()
        await self._broker.stop()
        if self._listener is not None:
            self._listener.close()
        if self._notifier is not None:
            self._notifier.close()

    # --- in ----------------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._listener = Listener(self._cluster.bootstrap, self._home)
        self._listener.start()
        heed(self._subscriber.consumer, self._listener)

    def _read(self, record: Any) -> Any:
        self._offsets.read(record.offset)
        place = Place(record.topic, record.partition, record.offset)
        return codec.read(self._agent, record.value, record.headers, place, self._key)

    async def _begin(self) -> None:
        self._hinting = await begin(self._subscriber.consumer, self._agent)

    async def _commit_loop(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        offset = self._offsets.take()
        if offset is None:
            return
        try:
            partition = self._subscriber.partitions[0]
            await asyncio.wait_for(self._subscriber.consumer.commit({partition: offset}), timeout=5.0)
            self._hinting = True
        except (KafkaError, TimeoutError) as error:
            self._hinting = False  # the end of this process need not wait for it
            log.debug("%s: offset %d not committed: %s", self._agent, offset, error)  # a hint only: the next one will do

    # --- out ---------------------------------------------------------------------------------------------------------

    async def _publish_loop(self) -> None:
        while not (self._stopping and not self._outgoing):
            await self._flush.wait()
            self._flush.clear()
            taken, self._outgoing = self._outgoing, []
            homes: dict[Address, list[Parcel]] = {}
            for parcel in taken:
                homes.setdefault(address(parcel.receiver, self._cluster.prefix), []).append(parcel)
            for home, parcels in homes.items():
                if self._cluster.embedded or producing.knows(self._producer, *home):
                    await self._publish(home, parcels)
                else:
                    self._put_aside(home, parcels)

    @property
    def _producer(self) -> Any:
        owned: Any = self._broker.config.broker_config.producer
        return owned._producer.producer  # the one that FastStream owns: see above

    def _put_aside(self, home: Address, parcels: Sequence[Parcel]) -> None:
        """Ask for a partition that the producer has not heard of, without holding up what goes elsewhere."""
        if home in self._aside:
            self._aside[home] += parcels[: MAX_ASIDE - len(self._aside[home])]  # all of it is in the outbox
            return
        self._aside[home] = list(parcels)
        task = asyncio.create_task(self._ask_for(home))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask_for(self, home: Address) -> None:
        try:
            await self._producer.client._wait_on_metadata(home.topic)
        except KafkaError as error:
            log.warning("%s: %s is not known: %s; what goes there will be repaired", self._agent, home.topic, _told(error))
        parcels = self._aside.pop(home)
        if producing.knows(self._producer, *home):
            await self._publish(home, parcels)

    async def _publish(self, home: Address, parcels: Sequence[Parcel]) -> None:
        """Hand one receiver's messages to the producer. What fails is only logged: the outbox still has it."""
        producer = self._producer
        try:
            batch = producer.create_batch()
            for parcel in parcels:
                headers = codec.kafka_headers(self._agent, parcel, self._key)
                key = parcel.receiver.encode()
                if batch.append(key=key, value=parcel.value, timestamp=None, headers=headers) is None:
                    await self._send(batch, home)
                    batch = producer.create_batch()
                    batch.append(key=key, value=parcel.value, timestamp=None, headers=headers)
            if batch.record_count():
                await self._send(batch, home)
        except KafkaError as error:
            self._tell(f"{len(parcels)} messages for {home.topic} were not published", error)

    def _tell(self, what: str, error: BaseException) -> None:
        """What is not published is repaired; that it begins is worth a warning, each further time is not."""
        log.log(
            logging.INFO if self._refused else logging.WARNING, "%s: %s and will be repaired: %s", self._agent, what, _told(error)
        )
        self._refused = True

    async def _send(self, batch: Any, home: Address) -> None:
        sent: asyncio.Future[Any] = await self._producer.send_batch(batch, home.topic, partition=home.partition)
        sent.add_done_callback(partial(self._published, home, batch.record_count()))

    def _published(self, home: Address, count: int, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            return
        if (error := future.exception()) is None:
            self._refused = False
            if self._notifier is not None:
                self._notifier.acknowledged(home, future.result().offset + count)
            return
        self._tell("a batch was not acknowledged", error)
        if not self._stopping:
            producing.begin_anew(self._producer)


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _broker(cluster: Cluster, client_id: str) -> KafkaBroker:
    """FastStream's broker. On a real one records are written once and in order, whatever the connection does."""
    if cluster.embedded:
        return KafkaBroker(cluster.bootstrap, client_id=client_id, max_batch_size=MAX_BATCH_BYTES, logger=None, apply_types=False)
    return KafkaBroker(
        cluster.addresses,
        client_id=client_id,
        security=cluster.security.faststream(),
        enable_idempotence=True,
        acks="all",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        max_batch_size=MAX_BATCH_BYTES,
        logger=None,
        apply_types=False,
    )


async def _unparsed(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """The parser: nothing is read out of the records, since one with a broken header must not take its batch along."""
    return KafkaMessage(body=b"", raw_message=records, consumer=FakeConsumer())


async def _records(message: Any) -> Any:
    """The decoder: the handler gets the records as they came."""
    return message.raw_message
