"""The relay: publishes what was committed, and publishes again what was lost.

Committed messages go out from memory at once. A loop looks into the store at what receivers have applied and asks `Repair` what to
send again; while everything is applied it sleeps. After a claim everything unapplied goes out once, since nobody knows what
the owner before published.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from broker import codec
from broker.repair import Repair
from domain import deadletter
from domain.decision import digest
from domain.message import from_rfc3339
from domain.ports.bus import Bus
from domain.ports.clock import NowMs
from domain.ports.store import Append, EventStore, Parcel, Received, Refused, StoreUnavailable, StreamAppend

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
IDLE_LOOK_S = 1.0

DEAD_AFTER_S = 3600.0
"""A message for an agent that nobody has ever been is dead after this age."""


class Relay:
    """Publishes one sender's messages over its bus."""

    def __init__(self, sender: str, store: EventStore, bus: Bus, now_ms: NowMs, dead_after_s: float = DEAD_AFTER_S) -> None:
        self._sender = sender
        self._store = store
        self._bus = bus
        self._now_ms = now_ms
        self._dead_after_ms = dead_after_s * 1000
        self._repairs: dict[str, Repair] = {}
        self._sent = asyncio.Event()
        self.republished = 0

    def publish(self, parcels: Sequence[Parcel]) -> None:
        """Send what an append has just made true."""
        if parcels:
            self._bus.send(parcels)
            self._sent.set()

    async def publish_all(self) -> int:
        """Send everything that no receiver has applied: the first act of a new owner. Gives how many that were."""
        count = 0
        for receiver in await self._store.unapplied(self._sender):
            after: list[Parcel] = await self._store.parcels(self._sender, receiver, limit=1_000_000)
            count += len(after)
            self.publish(after)
        return count

    async def run(self) -> None:
        """Look for losses until cancelled. A store that is away is told of once.

        Raises:
            StoreUnavailable: it lets us in no more.
        """
        away = False
        while True:
            try:
                outstanding = await self._look()
                away = False
            except StoreUnavailable as error:
                if error.final:
                    raise
                if not away:
                    log.warning("%s: cannot look for lost messages: %s", self._sender, error)
                away = outstanding = True
            if outstanding:
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                await self._something_sent()

    async def _something_sent(self) -> None:
        """Wait until there may be something to look for: sent by this relay, or appended in its sender's name by another process."""
        try:
            async with asyncio.timeout(IDLE_LOOK_S):
                await self._sent.wait()
        except TimeoutError:
            return
        self._sent.clear()
        await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> bool:
        unapplied = await self._store.unapplied(self._sender)
        for receiver in self._repairs.keys() - unapplied.keys():
            del self._repairs[receiver]
        claimed = await self._store.epochs() if unapplied else {}
        for receiver, (marks, last) in unapplied.items():
            due = self._repairs.setdefault(receiver, Repair()).look(marks, last, time.monotonic())
            if not due:
                continue
            parcels = await self._store.parcels(self._sender, receiver, due)
            if receiver not in claimed:
                parcels = [parcel for parcel in parcels if not await self._buried(parcel)]
            self.republished += len(parcels)
            if parcels:
                log.info("%s: %d messages for %s published again", self._sender, len(parcels), receiver)
                self._bus.send(parcels)
        return bool(unapplied)

    async def _buried(self, parcel: Parcel) -> bool:
        """Make a message a dead letter if nobody has been its receiver for too long. In the receiver's stead it is marked as applied."""
        header = codec.read_header(parcel.value)
        if self._now_ms() - from_rfc3339(header.timestamp) < self._dead_after_ms:
            return False
        stream = deadletter.stream_of(digest(parcel.value))
        letter = deadletter.Recorded(
            at_ms=self._now_ms(),
            reason="unreachable",
            detail=f"{parcel.receiver} was never there",
            agent=self._sender,
            raw=digest(parcel.value),
            message_id=header.message_id,
            message_type=header.message_type,
            sender=header.sender,
            correlation_id=header.correlation_id,
        )
        known = await self._store.history(stream)
        events = deadletter.record(deadletter.KIND.fold(known), letter).events
        try:
            await self._store.append(
                Append(
                    parcel.receiver,
                    None,
                    [StreamAppend(stream, len(known), events)] if events else (),
                    [Received(self._sender, parcel.number)],
                    contents=[parcel.value],
                )
            )
        except Refused as error:
            log.info("%s: %s was decided about meanwhile: %s", self._sender, header.message_id, error)
        return True
