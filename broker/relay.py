"""The relay: publishes what was committed, and publishes again what was lost.

Committed messages go out from memory at once. A loop looks into the store at what receivers have applied and asks `Repair` what to
send again; while everything is applied it sleeps. After a claim everything unapplied goes out once, since nobody knows what
the owner before published.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from broker.repair import Repair
from domain.ports.bus import Bus
from domain.ports.store import EventStore, Parcel, StoreUnavailable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1

Unreachable = Callable[[Parcel], Awaitable[bool]]
"""Decides about a message whose receiver was never claimed by anybody: True when it was made a dead letter."""


class Relay:
    """Publishes one sender's messages over its bus."""

    def __init__(self, sender: str, store: EventStore, bus: Bus, unreachable: Unreachable | None = None) -> None:
        self._sender = sender
        self._store = store
        self._bus = bus
        self._unreachable = unreachable
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
        """Look for losses until cancelled."""
        while True:
            try:
                outstanding = await self._look()
            except StoreUnavailable as error:
                log.warning("%s: cannot look for lost messages: %s", self._sender, error)
                outstanding = True
            if outstanding:
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                await self._sent.wait()
                self._sent.clear()
                await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> bool:
        unapplied = await self._store.unapplied(self._sender)
        for receiver in self._repairs.keys() - unapplied.keys():
            del self._repairs[receiver]
        claimed = await self._store.epochs() if unapplied and self._unreachable else {}
        for receiver, (marks, last) in unapplied.items():
            due = self._repairs.setdefault(receiver, Repair()).look(marks, last, time.monotonic())
            if not due:
                continue
            parcels = await self._store.parcels(self._sender, receiver, due)
            if self._unreachable is not None and receiver not in claimed:
                parcels = [parcel for parcel in parcels if not await self._unreachable(parcel)]
            self.republished += len(parcels)
            if parcels:
                log.info("%s: %d messages for %s published again", self._sender, len(parcels), receiver)
                self._bus.send(parcels)
        return bool(unapplied)
