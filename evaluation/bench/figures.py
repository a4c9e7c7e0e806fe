"""Small helpers of all benchmarks."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the sorted values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
