"""Messages and a bus for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence

from broker import codec
from domain.message import Message, MessageType, TaskComplete, TaskRef, Tell, envelope
from domain.ports.bus import Handler, Place
from domain.ports.store import Append, Outgoing, Parcel

AT_MS = 1_795_262_400_000
SENDER, RECEIVER = "pricing_optimizer/0", "lead/0"


def message(index: int, sender: str = SENDER, receiver: str = RECEIVER) -> Message:
    """The answer to the task of product `index`."""
    stream = f"task-abc-1-{index}-SET_PRICE"
    tell = Tell(MessageType.TASK_COMPLETE, receiver, TaskComplete(TaskRef(stream, "SET_PRICE"), {"index": index}), "run-abc-1")
    return envelope(tell, sender=sender, stream=stream, version=2, index=0, at_ms=AT_MS, causation_id=None)


def parcels(count: int, first: int = 1) -> list[Parcel]:
    """Messages as they lie in the outbox, numbered from `first`."""
    return [Parcel(RECEIVER, number, codec.encode(message(number))) for number in range(first, first + count)]


def append_of(count: int) -> Append:
    """An append, by anybody, that sends so many messages."""
    made = [message(index) for index in range(1, count + 1)]
    return Append(SENDER, None, outgoing=[Outgoing(RECEIVER, codec.encode(one), one.header.message_id) for one in made])


class FakeBus:
    """The port `Bus`: keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Parcel] = []
        self.finished: list[Place] = []
        self.handler: Handler | None = None

    async def start(self, handler: Handler | None) -> None:
        self.handler = handler

    def send(self, parcels: Sequence[Parcel]) -> None:
        self.sent += parcels

    def done(self, place: Place) -> None:
        self.finished.append(place)

    async def stop(self) -> None:
        """Nothing is connected."""
