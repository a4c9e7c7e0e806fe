"""What publishes committed messages and repairs their loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.ports.store import Parcel


class Outbox(Protocol):
    def publish(self, parcels: Sequence[Parcel]) -> None:
        """Send what an append has just made true. Never blocks and never fails."""

    async def publish_all(self) -> int:
        """Send everything unapplied, once; gives how many messages that were."""

    async def run(self) -> None:
        """Repair losses until cancelled."""
