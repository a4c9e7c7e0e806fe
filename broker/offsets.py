"""How far reading came: the lowest offset that is not done yet. Only a hint for the next start, never what exactness rests on."""

from __future__ import annotations

import asyncio
import heapq
import logging
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

log = logging.getLogger(__name__)

COORDINATOR_S = 2.0
"""So long does a start wait to hear how far reading came; answered in tens of milliseconds, in a second by a cluster that is new."""
_NOTHING_COMMITTED = OffsetAndMetadata(-1, "")


async def begin(consumer: Any, agent: str, patience_s: float = COORDINATOR_S) -> bool:
    """Have reading begin although the group's coordinator may not answer: aiokafka waits for it for ever, and a hint is no reason to.
    Reading begins with the first record then, and what was applied is passed over. Gives whether the coordinator has answered."""
    (place,) = consumer.assignment()
    try:
        async with asyncio.timeout(patience_s):
            await consumer.position(place)
    except (KafkaError, TimeoutError):
        log.warning("%s: Kafka does not tell how far was read (no coordinator of groups): reading from the beginning", agent)
        consumer._subscription.subscription.assignment.state_value(place).update_committed(_NOTHING_COMMITTED)
        return False
    return True


class Offsets:
    """Offsets are read in order and done in any order; the position to commit is the lowest one that is read and not done."""

    def __init__(self) -> None:
        self._next = 0
        self._waiting: list[int] = []
        self._done: set[int] = set()
        self._committed = -1

    def read(self, offset: int) -> None:
        self._next = offset + 1
        heapq.heappush(self._waiting, offset)

    def done(self, offset: int) -> None:
        self._done.add(offset)
        while self._waiting and self._waiting[0] in self._done:
            self._done.discard(heapq.heappop(self._waiting))

    def take(self) -> int | None:
        """The offset to start from next time, where it rose since the last call."""
        lowest = self._waiting[0] if self._waiting else self._next
        if lowest <= self._committed or lowest == 0:
            return None
        self._committed = lowest
        return lowest
