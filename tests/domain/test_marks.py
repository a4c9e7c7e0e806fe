"""Whatever the network does to messages, the marks are the set of what was applied."""

from __future__ import annotations

from functools import reduce
from random import Random

from hypothesis import given
from hypothesis import strategies as some

from domain.marks import Marks

NUMBERS = some.lists(some.integers(1, 40), max_size=60)


def applied(numbers: list[int]) -> Marks:
    return reduce(lambda marks, number: marks.add((number,)), numbers, Marks())


@given(NUMBERS)
def test_exactly_what_was_added_is_seen(numbers: list[int]) -> None:
    """Marks are a set of numbers, written shortly."""
    marks = applied(numbers)
    assert {number for number in range(1, 50) if marks.seen(number)} == set(numbers)


@given(NUMBERS, some.randoms())
def test_order_repetition_and_grouping_do_not_matter(numbers: list[int], draw: Random) -> None:
    """One by one, all at once, shuffled, twice: the same marks, and the same bytes in the store."""
    shuffled = numbers * 2
    draw.shuffle(shuffled)
    assert applied(numbers) == applied(shuffled) == Marks().add(numbers) == Marks().add(numbers).add(numbers)


@given(NUMBERS)
def test_the_mark_is_as_high_as_it_can_be(numbers: list[int]) -> None:
    """All up to it are applied, the next is not, and the set above holds nothing that it need not."""
    marks = applied(numbers)
    assert set(range(1, marks.mark + 1)) <= set(numbers)
    assert marks.mark + 1 not in numbers
    assert all(number > marks.mark + 1 for number in marks.above)


@given(NUMBERS)
def test_holes_are_what_is_missing_below_the_last(numbers: list[int]) -> None:
    """In order, each once: what the sender has to send again."""
    missing = sorted(set(range(1, max(numbers, default=0))) - set(numbers))
    assert applied(numbers).holes() == missing


@given(some.permutations(range(1, 30)))
def test_when_everything_came_nothing_is_above(numbers: list[int]) -> None:
    """The set above the mark is gone as soon as the last hole is filled."""
    assert applied(numbers) == Marks(29)
    assert applied(numbers).holes() == []


def test_adding_gives_new_marks() -> None:
    """Marks that somebody holds do not change under them."""
    before = Marks(2, frozenset({4}))
    assert before.add((3,)) == Marks(4)
    assert before == Marks(2, frozenset({4}))


def test_an_absurd_number_above_the_mark_costs_nothing() -> None:
    """Only the first holes are told."""
    assert Marks(3, frozenset({10**15})).holes(4) == [4, 5, 6, 7]
    assert Marks(3, frozenset({5, 10**15})).holes(3) == [4, 6, 7]
