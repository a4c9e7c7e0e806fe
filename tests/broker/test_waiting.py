"""The wait of a fetch at the embedded broker: a share of the time between batches, and longer the longer nothing comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broker.waiting import BUSY_WAIT_MS, IDLE_WAITS, LONGEST_BUSY_MS, AdaptiveWait


class Watched:
    """A wait, what it was set to, and a clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.told: list[int] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)
        self.wait = AdaptiveWait(self.told.append)

    async def pass_s(self, seconds: float) -> None:
        """Let time pass in steps, so that timers fire as they would."""
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def batches(self, every_ms: float, count: int = 60) -> None:
        for _ in range(count):
            self.now += every_ms / 1000
            self.wait.came()


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    made = Watched(monkeypatch)
    yield made
    made.wait.close()


@pytest.mark.parametrize(("every_ms", "wait_ms"), [(1, 1), (4, 1), (8, 2), (12, 3), (20, 5)])
async def test_a_busy_wait_is_a_quarter_of_the_time_between_batches(watched: Watched, every_ms: int, wait_ms: int) -> None:
    """Within bounds: a millisecond at least, five at most."""
    watched.batches(every_ms)
    assert watched.told[-1] == wait_ms
    assert BUSY_WAIT_MS <= watched.told[-1] <= LONGEST_BUSY_MS


async def test_it_grows_while_nothing_comes(watched: Watched) -> None:
    """Step by step, to the longest."""
    watched.batches(2)
    await watched.pass_s(8)
    assert watched.told == [wait_ms for _, wait_ms in IDLE_WAITS]


async def test_work_ends_a_long_wait_at_once(watched: Watched) -> None:
    """Whatever step it had reached: who sends something expects an answer soon."""
    watched.batches(2)
    for idle_s in (0.5, 2.0, 4.0, 9.0):
        await watched.pass_s(idle_s)
        assert watched.told[-1] > BUSY_WAIT_MS
        watched.wait.expecting()
        assert watched.told[-1] == BUSY_WAIT_MS


async def test_nothing_is_told_twice(watched: Watched) -> None:
    """A wait that stays is not set again."""
    watched.batches(2, count=200)
    assert watched.told == [BUSY_WAIT_MS]
