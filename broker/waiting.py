"""How long a fetch may wait at the embedded broker, which answers an empty one only when its wait is over.

So the wait is the latency of a hop, and every wait in vain costs 0.7 ms of processor time in client and broker. While messages come,
it is a share of the time between two batches of them: a batch is then late by an eighth of that at most on average, and few fetches are
in vain, on a fast machine and on a slow one. When none come it grows step by step, so that an idle swarm costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BUSY_WAIT_MS = 1
LONGEST_BUSY_MS = 5
SHARE = 0.25
"""Of the time between two batches."""
SMOOTHING = 0.2
IDLE_WAITS: tuple[tuple[float, int], ...] = ((0.0, BUSY_WAIT_MS), (0.25, 5), (1.0, 20), (3.0, 100), (6.0, 500))
"""After so many seconds without a message, wait so many milliseconds for one. A fetch costs 0.7 ms: ten a second in each agent would be
most of what an idle swarm uses."""


class AdaptiveWait:
    """Calls `set_wait` with milliseconds whenever they change. Owned by one event loop."""

    def __init__(self, set_wait: Callable[[int], None]) -> None:
        self._tell = set_wait
        self._wait_ms = 0
        self._busy_ms = BUSY_WAIT_MS
        self._relax: asyncio.TimerHandle | None = None
        self._last_work = 0.0
        self._last_batch: float | None = None
        self._between_s = 0.0

    def expecting(self) -> None:
        """Something was sent: an answer may come soon."""
        loop = asyncio.get_running_loop()
        self._last_work = loop.time()
        self._set(self._busy_ms)
        if self._relax is None:
            self._relax = loop.call_later(IDLE_WAITS[1][0], self._relax_wait)

    def came(self) -> None:
        """A batch of messages came."""
        now = asyncio.get_running_loop().time()
        if self._last_batch is not None:
            between_s = min(now - self._last_batch, LONGEST_BUSY_MS / 1000 / SHARE)  # a pause says nothing about what follows it
            self._between_s += (between_s - self._between_s) * SMOOTHING
        self._last_batch = now
        self._busy_ms = min(max(round(self._between_s * SHARE * 1000), BUSY_WAIT_MS), LONGEST_BUSY_MS)
        self.expecting()

    def close(self) -> None:
        """Stop looking at the clock."""
        if self._relax is not None:
            self._relax.cancel()

    def _set(self, wait_ms: int) -> None:
        if wait_ms != self._wait_ms:
            self._wait_ms = wait_ms
            self._tell(wait_ms)

    def _relax_wait(self) -> None:
        loop = asyncio.get_running_loop()
        idle = loop.time() - self._last_work
        reached = max(index for index, (after, _) in enumerate(IDLE_WAITS) if idle >= after - 0.001)
        self._set(max(IDLE_WAITS[reached][1], self._busy_ms))
        if reached + 1 < len(IDLE_WAITS):
            self._relax = loop.call_later(IDLE_WAITS[reached + 1][0] - idle, self._relax_wait)
        else:
            self._relax = None
