"""Time as an argument: who needs it is given a clock."""

from __future__ import annotations

from collections.abc import Callable

NowMs = Callable[[], int]
"""Milliseconds since the epoch, UTC."""
