"""What a sender publishes again, given what its receiver has applied. Time is a number here."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as some

from broker.repair import GRACE_S, LONGEST_S, Repair
from domain.marks import Marks

TICK_S = 0.1


def test_nothing_is_sent_again_while_everything_is_applied() -> None:
    """A receiver that keeps up costs no message."""
    repair = Repair()
    assert [repair.look(Marks(number), number, number * TICK_S) for number in range(1, 50)] == [[]] * 49


def test_a_hole_is_filled_after_the_grace_period() -> None:
    """A later number is applied, an earlier is not: it may only have been overtaken, so it is given a moment."""
    repair, marks = Repair(), Marks(3, frozenset({5, 6}))
    assert repair.look(marks, 6, 0.0) == []
    assert repair.look(marks, 6, GRACE_S + 0.01) == [4]


def test_a_hole_is_not_sent_at_every_look() -> None:
    """Each further try waits twice as long."""
    repair, marks = Repair(), Marks(3, frozenset({5}))
    times = [at * TICK_S for at in range(100) if 4 in repair.look(marks, 5, at * TICK_S)]
    assert len(times) <= 6
    assert all(later - earlier >= GRACE_S for earlier, later in pairwise(times))


def test_a_queue_of_a_thousand_that_waits_is_not_sent_again() -> None:
    """Nothing moves for ten seconds: the last message is sent a handful of times as a probe, the others never."""
    repair = Repair()
    sent = [number for at in range(100) for number in repair.look(Marks(0), 1000, at * TICK_S)]
    assert set(sent) == {1000}
    assert len(sent) <= 7


def test_the_wait_of_the_probe_is_bounded() -> None:
    """However long a receiver is gone, it is asked again every few seconds."""
    repair = Repair()
    times = [at * TICK_S for at in range(2000) if repair.look(Marks(0), 10, at * TICK_S)]
    assert max(later - earlier for earlier, later in pairwise(times)) <= LONGEST_S + 2 * TICK_S


def test_progress_makes_the_next_probe_soon() -> None:
    """A receiver that came back is believed in again."""
    repair = Repair()
    for at in range(200):
        repair.look(Marks(0), 10, at * TICK_S)
    assert repair.look(Marks(1), 10, 20.0) == []
    assert repair.look(Marks(1), 10, 20.0 + GRACE_S + 0.01) == [10]


@given(lost=some.sets(some.integers(1, 60)), last=some.integers(1, 60), seed=some.integers(0, 2**32))
def test_whatever_is_lost_comes_through_in_the_end(lost: set[int], last: int, seed: int) -> None:
    """Any pattern of first losses, and three in ten repairs lost as well: every number is applied within bounded time."""
    repair, draw = Repair(), Random(seed)
    marks = Marks().add(number for number in range(1, last + 1) if number not in lost)
    now = 0.0
    while marks.mark < last:
        now += TICK_S
        assert now < 3600, f"{marks} after an hour"
        arrived = [number for number in repair.look(marks, last, now) if draw.random() > 0.3]
        marks = marks.add(arrived)
