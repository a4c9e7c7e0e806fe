"""Where reading may start next time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from broker.offsets import Offsets


def test_nothing_read_is_nothing_to_commit() -> None:
    """A consumer that has seen nothing says nothing about where it is."""
    assert Offsets().take() is None


def test_the_lowest_offset_that_is_not_done_holds_the_rest_back() -> None:
    """A crash now must read 4 again, and may read 5 again."""
    offsets = Offsets()
    for offset in (3, 4, 5):
        offsets.read(offset)
    offsets.done(5)
    offsets.done(3)
    assert offsets.take() == 4
    assert offsets.take() is None
    offsets.done(4)
    assert offsets.take() == 6


@given(some.permutations(range(10)))
def test_in_whatever_order_messages_are_done_the_end_is_behind_the_last(order: list[int]) -> None:
    """And the position never goes back on the way."""
    offsets = Offsets()
    for offset in range(10):
        offsets.read(offset)
    taken = []
    for offset in order:
        offsets.done(offset)
        taken.append(offsets.take())
    positions = [position for position in taken if position is not None]
    assert positions == sorted(positions)
    assert positions[-1] == 10
