"""The bus: how messages come to an agent and leave it. It may lose, double and reorder; the store's numbers repair that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from domain.message import Message, Task
from domain.ports.store import Parcel, Received


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a record lay."""

    topic: str
    partition: int
    offset: int


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """An authentic message that came. `received` is the number that its sender gave it for this receiver."""

    message: Message
    received: Received
    raw: bytes
    place: Place


class Undeliverable(NamedTuple):
    """A record that cannot be handled. `received` is None where it is not authentic: then it must not count as applied.

    `reason` is one word (undecodable, digest, misrouted, schema), `detail` a sentence; the rest is what could be
    read; `task` is the one that fails by the refusal.
    """

    reason: str
    detail: str
    raw: bytes
    place: Place
    received: Received | None = None
    message_id: str = ""
    message_type: str = ""
    sender: str = ""
    correlation_id: str = ""
    task: Task | None = None


Arrived = Delivery | Undeliverable
Handler = Callable[[Sequence[Arrived]], Awaitable[None]]


class Bus(Protocol):
    """One agent's connection. `send` never blocks and never fails: what is not published is repaired from the outbox."""

    async def start(self, handler: Handler | None) -> None:
        """Connect, and give every batch of records to the handler; the next batch comes when it returns. Without a handler
        nothing is read: that is a client, which only sends."""

    def send(self, parcels: Sequence[Parcel]) -> None:
        """Publish committed messages soon, those of one call together."""

    def done(self, place: Place) -> None:
        """The record is applied or dead: reading may start behind it next time."""

    async def stop(self) -> None:
        """Publish what is queued, tell the broker how far reading came, and disconnect."""
