"""The wait of a fetch at the embedded broker: long until something may come, short then, and longer the longer nothing comes."""

from __future__ import annotations

import pytest

from broker.waiting import IDLE_WAITS, LONGEST_BUSY_MS, LONGEST_OVERDUE_MS, SHORTEST_MS, AdaptiveWait


class Fetching:
    """A consumer at a broker that answers an empty fetch at the end of its wait, on a clock that stands still otherwise."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.wait = AdaptiveWait(lambda: self.now_s)

    def pass_ms(self, ms: float) -> None:
        self.now_s += ms / 1000

    def batch_after(self, ms: float) -> tuple[int, float]:
        """Fetch until the next batch, which is there after so long: how many fetches it took, and how late it was in ms."""
        there_s = self.now_s + ms / 1000
        fetches = 0
        while True:
            fetches += 1
            self.pass_ms(self.wait.wait_ms())
            if self.now_s >= there_s:
                self.wait.came()
                return fetches, (self.now_s - there_s) * 1000


@pytest.fixture
def fetching() -> Fetching:
    return Fetching()


@pytest.mark.parametrize("every_ms", [5.5, 11.5, 17.5])
def test_batches_that_come_at_a_pace_are_waited_for(fetching: Fetching, every_ms: float) -> None:
    """After some, a batch is late by little more than the shortest wait, and less than half of the fetches are in vain that this wait
    would need."""
    for _ in range(200):
        fetching.batch_after(every_ms)
    taken = [fetching.batch_after(every_ms) for _ in range(40)]
    assert sum(fetches for fetches, _ in taken) / 40 <= 1 + 0.4 * every_ms
    assert sum(late for _, late in taken) / 40 <= 2 * SHORTEST_MS


def test_batches_that_come_sooner_than_before_are_late_by_so_much_only_for_a_while(fetching: Fetching) -> None:
    """Each that came during the long fetch makes the next one shorter."""
    for _ in range(200):
        fetching.batch_after(17.5)
    assert fetching.batch_after(3.5)[1] > 5
    for _ in range(20):
        fetching.batch_after(3.5)
    assert fetching.batch_after(3.5)[1] <= 2 * SHORTEST_MS


def test_what_is_overdue_is_looked_for_less_and_less_often(fetching: Fetching) -> None:
    """Within bounds: five milliseconds while there is work."""
    fetching.wait.came()
    waits: list[int] = []
    while len(waits) < 60:
        waits.append(fetching.wait.wait_ms())
        fetching.pass_ms(waits[-1])
    assert waits == sorted(waits)
    assert waits[0] == SHORTEST_MS
    assert waits[-1] == LONGEST_OVERDUE_MS


def test_after_a_pause_the_first_fetch_waits_no_longer_than_the_longest(fetching: Fetching) -> None:
    """A pause says nothing about what follows it."""
    for _ in range(500):
        fetching.batch_after(200)
    assert fetching.wait.wait_ms() <= LONGEST_BUSY_MS


def test_it_grows_while_nothing_comes(fetching: Fetching) -> None:
    """Step by step, to the longest."""
    fetching.wait.came()
    for idle_s, wait_ms in reversed(IDLE_WAITS):
        fetching.now_s = fetching.wait._last_work_s + idle_s
        assert fetching.wait.wait_ms() == wait_ms


def test_work_ends_long_waits_at_once(fetching: Fetching) -> None:
    """Who sends something expects an answer soon, whatever step the wait had reached."""
    fetching.wait.came()
    for idle_s in (0.5, 2.0, 4.0, 9.0):
        fetching.pass_ms(idle_s * 1000)
        assert fetching.wait.wait_ms() >= LONGEST_OVERDUE_MS
        fetching.wait.sent()
        assert fetching.wait.wait_ms() <= LONGEST_OVERDUE_MS
