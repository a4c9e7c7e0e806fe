"""How long a fetch may wait at the embedded broker, which answers an empty one only when its wait is over.

So the wait is the latency of a hop, and every wait in vain costs half a millisecond of processor time in client and broker. Messages
come in batches, and the time between two of them has a lower end: the way there and back. So the first fetch after a batch waits until
shortly before the next one may come, those behind it a millisecond, and then more and more the longer that is overdue: few fetches
are in vain, and a batch is late by an eighth of what it was overdue, on a fast machine and on a slow one. An idle swarm costs next to
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher

SHORTEST_MS = 1
LONGEST_BUSY_MS = 20
"""Before the next batch may come; so late is at most what comes after a pause."""
SHARE = 0.7
"""Of the time between two batches: so long the next one is hardly ever there."""
SMOOTHING = 0.1
TOO_LATE = 0.7
"""So much less long is waited after a batch that came during the long fetch: when, is not to be seen."""
OVERDUE_SHARE = 0.125
LONGEST_OVERDUE_MS = 5
IDLE_WAITS: tuple[tuple[float, int], ...] = ((6.0, 500), (3.0, 100), (1.0, 20), (0.25, 5))
"""After so many seconds without a message, wait so many milliseconds for one. A fetch costs half a millisecond: ten a second in each
agent would be most of what an idle swarm uses."""


class AdaptiveWait:
    """Tells each fetch its wait. `clock_s` is monotonic."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._last_work_s = self._last_batch_s = clock_s()
        self._soonest_s = SHORTEST_MS / 1000
        self._early = False

    def sent(self) -> None:
        """Something was sent: an answer may come soon."""
        self._last_work_s = self._clock_s()

    def came(self) -> None:
        """A batch of messages came."""
        now_s = self._clock_s()
        if self._early:
            self._soonest_s *= TOO_LATE
        else:
            # A pause says nothing about what follows it.
            share_s = min((now_s - self._last_batch_s) * SHARE, LONGEST_BUSY_MS / 1000)
            self._soonest_s += (share_s - self._soonest_s) * SMOOTHING
        self._last_work_s = self._last_batch_s = now_s

    def wait_ms(self) -> int:
        """How long a fetch that is sent now may wait."""
        now_s = self._clock_s()
        for idle_s, wait_ms in IDLE_WAITS:
            if now_s - self._last_work_s >= idle_s:
                return wait_ms
        overdue_ms = (now_s - self._last_batch_s - self._soonest_s) * 1000
        self._early = overdue_ms < -SHORTEST_MS
        wait = -overdue_ms if self._early else min(overdue_ms * OVERDUE_SHARE, LONGEST_OVERDUE_MS)
        return max(int(wait), SHORTEST_MS)


class _PacedFetcher(Fetcher):  # type: ignore[misc] # aiokafka has no types
    pace: AdaptiveWait

    @property
    def _fetch_max_wait_ms(self) -> int:
        return self.pace.wait_ms()

    async def fetched_records(self, *args: Any, **kwargs: Any) -> Any:
        records = await super().fetched_records(*args, **kwargs)
        if records:
            self.pace.came()  # before the next fetch is made
        return records


def pace(consumer: AIOKafkaConsumer, wait: AdaptiveWait) -> None:
    """Have each fetch of a consumer ask for its wait. aiokafka knows one constant, and makes its fetcher itself when it starts."""
    fetcher = consumer._fetcher
    fetcher.__class__ = _PacedFetcher
    fetcher.pace = wait
