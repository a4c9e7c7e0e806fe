"""MESSAGE_LOSS: a share of all records never reaches Kafka, decided by hash, bounded by time and count.

It stands where an agent hands its messages to its bus. Whether a sending is lost is a hash of (seed, rule, message id, how often this
process has sent that message), so neither batching nor timing changes it, and a message is not lost for ever: each repair is a
sending of its own. The injector ends by itself: after `ttl_s` from its first look, and after `count` losses in one process.

    {"id": "d1", "kind": "drop", "share": 0.05, "seed": 1, "ttl_s": 30, "count": 500}
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from domain.ports.bus import Bus, Handler, Place
from domain.ports.store import Parcel


class Drop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule: which share of the sendings of which process (empty: of all) is lost."""

    id: str
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    seed: int = 0
    process: str = ""
    ttl_s: float = 60.0
    count: int = 10_000


class Dropped(msgspec.Struct, frozen=True):
    """A journal entry: how many of how many sendings of one process were lost under a rule."""

    id: str
    process: str
    pid: int
    sent: int
    dropped: int


class _Header(msgspec.Struct):
    message_id: str


class _Document(msgspec.Struct):
    header: _Header


_decode = msgspec.json.Decoder(_Document).decode


def lost(rule: Drop, message_id: str, sending: int) -> bool:
    """Whether the sending of a message is lost. `sending` counts from 0."""
    hashed = hashlib.sha256(f"{rule.seed}\x1f{rule.id}\x1f{message_id}\x1f{sending}".encode()).digest()
    return int.from_bytes(hashed[:8]) < rule.share * 2**64


class LossyBus:
    """The port `Bus` over another bus, on the way to which messages vanish."""

    def __init__(self, bus: Bus, rule: Drop, process: str, journal: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._rule = rule
        self._process = process
        self._path = journal / f"dropped-{rule.id}-{process.replace('/', '.')}-{os.getpid()}.json"
        self._now_s = now_s
        self._until: float | None = None
        self._sendings: dict[str, int] = {}
        self.sent = self.dropped = 0

    async def start(self, handler: Handler | None) -> None:
        await self._bus.start(handler)

    def send(self, parcels: Sequence[Parcel]) -> None:
        kept = [parcel for parcel in parcels if not self._loses(parcel)]
        if len(kept) < len(parcels):
            self._path.write_bytes(
                msgspec.json.encode(Dropped(self._rule.id, self._process, os.getpid(), self.sent, self.dropped))
            )
        if kept:
            self._bus.send(kept)

    def _loses(self, parcel: Parcel) -> bool:
        now = self._now_s()
        if self._until is None:
            self._until = now + self._rule.ttl_s
        self.sent += 1
        if now > self._until or self.dropped >= self._rule.count:
            return False
        name = _decode(parcel.value).header.message_id
        sending = self._sendings.get(name, 0)
        self._sendings[name] = sending + 1
        if not lost(self._rule, name, sending):
            return False
        self.dropped += 1
        return True

    def done(self, place: Place) -> None:
        self._bus.done(place)

    async def stop(self) -> None:
        await self._bus.stop()


def read(journal: Path) -> list[Dropped]:
    """What was lost, by process."""
    return [msgspec.json.decode(path.read_bytes(), type=Dropped) for path in sorted(journal.glob("dropped-*.json"))]
