"""The machine's own clock: the one adapter of the port `domain.ports.clock.NowMs`."""

from __future__ import annotations

import time


def wall_clock_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000
