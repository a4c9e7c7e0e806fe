"""What is lost comes again, and what only waits does not."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as some

from broker.repair import GRACE_S, LONGEST_S, WINDOW, Repair
from domain.marks import Marks

LOOK_S = 0.1


def looks(repair: Repair, marks: Marks, last: int, count: int, start_s: float = 0.0) -> list[list[int]]:
    """What is due at each of so many looks, while nothing changes."""
    return [repair.look(marks, last, start_s + LOOK_S * look) for look in range(count)]


@given(
    some.integers(1, 200).flatmap(lambda last: some.tuples(some.just(last), some.sets(some.integers(1, last)))), some.integers()
)
def test_no_lost_message_stays_lost(case: tuple[int, set[int]], seed: int) -> None:
    """Whichever messages vanish, and although a third of the repairs vanish, too: in the end all are applied."""
    last, arrived = case
    chance = random.Random(seed)
    marks, repair, now_s = Marks().add(arrived), Repair(), 0.0
    for _ in range(2000):
        if marks.mark == last:
            break
        now_s += LOOK_S
        marks = marks.add(number for number in repair.look(marks, last, now_s) if chance.random() > 1 / 3)
    assert marks.mark == last


def test_a_queue_of_a_thousand_is_not_sent_again() -> None:
    """While a thousand messages wait unread, at most the last is sent again at a look, and less and less often."""
    due = looks(Repair(), Marks(), 1000, 300)
    assert {tuple(numbers) for numbers in due} == {(), (1000,)}
    moments = [look * LOOK_S for look, numbers in enumerate(due) if numbers]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert len(moments) <= 10
    assert max(gaps) <= LONGEST_S + 2 * LOOK_S
    assert all(later > earlier * 1.5 for earlier, later in pairwise(gaps) if later < LONGEST_S - LOOK_S)


def test_nothing_is_sent_again_within_the_grace_period() -> None:
    """What is on its way is given its time, from the moment on at which something moved last."""
    repair = Repair()
    assert looks(repair, Marks(), 3, 2) == [[], []]
    assert repair.look(Marks(1), 3, GRACE_S) == []
    assert repair.look(Marks(1), 3, GRACE_S * 1.9) == []
    assert repair.look(Marks(1), 3, GRACE_S * 2) == [3]


def test_holes_come_again_in_bounded_windows() -> None:
    """Of a thousand holes at most a window is sent at a look, the lowest first."""
    marks = Marks(0, frozenset({1001}))
    (due,) = [numbers for numbers in looks(Repair(), marks, 1001, 4) if numbers]
    assert due == list(range(1, WINDOW + 1))


def test_a_message_that_only_overtook_is_not_sent_again() -> None:
    """A hole that closes by itself within the grace period was no loss."""
    repair = Repair()
    assert repair.look(Marks(0, frozenset({2})), 2, 0.0) == []
    assert repair.look(Marks(2), 2, GRACE_S) == []


def test_nothing_is_sent_again_while_everything_is_applied() -> None:
    """A receiver that keeps up costs no message."""
    repair = Repair()
    assert [repair.look(Marks(number), number, number * LOOK_S) for number in range(1, 50)] == [[]] * 49


def test_a_hole_is_not_sent_at_every_look() -> None:
    """Each further try waits twice as long."""
    due = looks(Repair(), Marks(3, frozenset({5})), 5, 100)
    moments = [look for look, numbers in enumerate(due) if 4 in numbers]
    assert 2 <= len(moments) <= 6


def test_progress_makes_the_next_probe_soon() -> None:
    """A receiver that came back is believed in again."""
    repair = Repair()
    looks(repair, Marks(), 10, 200)
    assert repair.look(Marks(1), 10, 20.0) == []
    assert repair.look(Marks(1), 10, 20.01 + GRACE_S) == [10]
