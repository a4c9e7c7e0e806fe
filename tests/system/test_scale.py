"""A run's time and memory grow with its products, and no faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.feed import Feed
from tests.system.swarm import Process, Swarm, until

MEMORY_MB = 200
TRIES = 3
"""The promise is about the program: who shares the two cores with it may cost a try."""


class Measured(dict[int, Process]):
    """The last that was seen of each process."""

    def look(self, swarm: Swarm) -> None:
        self.update({process.pid: process for process in swarm.processes()})


@pytest.mark.parametrize(("products", "limit_s"), [(100, 10.0), pytest.param(1000, 45.0, marks=pytest.mark.slow)])
def test_a_launch_is_done_in_time_and_within_its_memory(
    products: int, limit_s: float, tmp_path: Path, feed_of: Callable[[int], Feed], report: Callable[[str], None]
) -> None:
    """100 products within 10 s, 1,000 within 45 s, on two cores; no process ever holds 200 MB."""
    feed = feed_of(products)
    elapsed_s: list[float] = []
    peak_mb: list[float] = []
    for attempt in range(TRIES):
        swarm = Swarm(tmp_path / f"try-{attempt}", feed)
        running, seen = swarm.start(), Measured()

        def over(swarm: Swarm = swarm, seen: Measured = seen) -> bool:
            seen.look(swarm)
            return bool(swarm.done("run.Completed"))

        until(over, "the run is completed", every_s=0.25)
        document = running.wait().document
        assert document["status"] == "completed"
        assert len(document["workflows"]) == products + 1
        elapsed_s.append(document["elapsed_s"])
        peak_mb.append(max(process.peak_mb for process in seen.values()))
        if elapsed_s[-1] <= limit_s:
            break
    report(f"scale: {products} products in {min(elapsed_s):.1f} s, the biggest process held {max(peak_mb):.0f} MB")
    assert max(peak_mb) < MEMORY_MB
    assert min(elapsed_s) <= limit_s, elapsed_s
