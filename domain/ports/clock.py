"""Time as an argument: who needs it is given a clock."""

from __future__ import annotations

import time
from collections.abc import Callable

NowMs = Callable[[], int]
"""Milliseconds since the epoch, UTC."""


def wall_clock_ms() -> int:
    """The machine's own clock."""
    return time.time_ns() // 1_000_000
