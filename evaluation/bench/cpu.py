"""Processor time of a swarm's processes, as the kernel counts it: on a busy machine a steadier figure than steps a second."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def spent_s(processes: Mapping[str, int | None]) -> dict[str, float]:
    """Seconds of processor time that each process has used, all its threads together; who is gone is left out."""
    found = {}
    for name, pid in processes.items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[name] = (int(fields[11]) + int(fields[12])) * _TICK_S
    return found


def per_step_us(before: Mapping[str, float], after: Mapping[str, float], steps: int) -> dict[str, int]:
    """Microseconds a step that each process has used between two looks."""
    return {name: round((after[name] - before[name]) / steps * 1e6) for name in before.keys() & after.keys()}
