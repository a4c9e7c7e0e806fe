"""A stage for agents: real hosts and behaviours on a store in memory, with a bus whose messages the test hands on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agents.host import Behaviour, Host
from broker import codec
from domain import agent
from domain.event import Event
from domain.message import Message
from domain.ports.bus import Arrived, Delivery, Handler, Place, Undeliverable
from domain.ports.store import Append, Parcel, Received, StreamAppend
from domain.streams import agent_stream
from store.memory import MemoryStore
from store.memory_world import MemoryWorld

NOON_MS = 1_795_262_400_000


class Bus:
    """Keeps what is sent and what is done; the test decides what arrives."""

    def __init__(self) -> None:
        self.sent: list[Parcel] = []
        self.done_places: list[Place] = []
        self._handler: Handler | None = None
        self._offset = 0

    async def start(self, handler: Handler | None) -> None:
        self._handler = handler

    def send(self, parcels: Sequence[Parcel]) -> None:
        self.sent += parcels

    def done(self, place: Place) -> None:
        self.done_places.append(place)

    async def stop(self) -> None:
        """Nothing is connected."""

    async def deliver(self, *records: Arrived) -> None:
        assert self._handler is not None
        await self._handler(records)

    def place(self) -> Place:
        self._offset += 1
        return Place("topic", 0, self._offset)


class Outbox:
    """Hands everything to the bus; nothing is lost here."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def publish(self, parcels: Sequence[Parcel]) -> None:
        self._bus.send(parcels)

    async def publish_all(self) -> int:
        return 0

    async def run(self) -> None:
        """Nothing is repaired."""


class Stage:
    """One agent at work. `said` gives what it has sent, `arrive` brings messages and waits until they are decided."""

    def __init__(self, name: str, store: MemoryStore | None = None) -> None:
        self.name = name
        self.world = MemoryWorld()
        self.store = store or MemoryStore(self.world)
        self.bus = Bus()
        self.now_ms = NOON_MS
        self.epoch = 0
        self.host: Host
        self._numbers = iter(range(1, 1_000_000))

    async def begin(self, behaviour: Callable[[Host], Behaviour]) -> int:
        """Claim the next epoch and start; gives the number of open streams found."""
        self.epoch += 1
        stream = agent_stream(self.name)
        known = len(await self.store.history(stream))
        claimed = agent.Claimed(at_ms=self.now_ms, epoch=self.epoch, pid=1, host="here")
        await self.store.append(Append(self.name, self.epoch, [StreamAppend(stream, known, [claimed])], claim=True))
        self.host = Host(self.name, self.epoch, self.store, self.bus, Outbox(self.bus), codec.encode, lambda: self.now_ms)
        return await self.host.start(behaviour(self.host))

    def delivery(self, message: Message, number: int | None = None) -> Delivery:
        received = Received(message.header.sender, next(self._numbers) if number is None else number)
        return Delivery(message, received, codec.encode(message), self.bus.place())

    async def arrive(self, *records: Arrived) -> None:
        """Bring records, and wait until each is done with."""
        wanted = len(self.bus.done_places) + len(records)
        await self.bus.deliver(*records)
        await self.until(lambda: len(self.bus.done_places) >= wanted)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the agent go on until something is the case."""
        async with asyncio.timeout(10):
            while not condition() and not self.host.failed.done():  # noqa: ASYNC110 - any condition, and no time passes
                await asyncio.sleep(0)

    @property
    def said(self) -> list[Message]:
        """The messages it has sent, decoded."""
        messages = []
        for parcel in self.bus.sent:
            headers = codec.kafka_headers(self.name, parcel, None)
            read = codec.read(parcel.receiver, parcel.value, headers, Place("", 0, 0), None)
            assert not isinstance(read, Undeliverable), read
            messages.append(read.message)
        return messages

    async def events(self, stream: str) -> list[Event]:
        return await self.store.history(stream)
