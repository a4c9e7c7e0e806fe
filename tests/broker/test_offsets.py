"""Where to read on: never behind something that is not done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from broker.offsets import Offsets


@given(some.permutations(range(30)), some.integers(0, 30))
def test_nothing_undone_is_ever_passed_over(order: list[int], count: int) -> None:
    """Whatever is done in whatever order: the offset to commit is the lowest that is not done, and it is told once."""
    offsets = Offsets()
    for offset in range(30):
        offsets.read(offset)
    taken = []
    for offset in order[:count]:
        offsets.done(offset)
        taken.append(offsets.take())
    told = [offset for offset in taken if offset is not None]
    assert told == sorted(set(told))
    undone = set(order[count:])
    assert all(not any(left < offset for left in undone) for offset in told)
    assert max(told, default=0) == min(undone, default=30)


def test_a_start_in_the_middle_of_a_log_commits_from_there() -> None:
    """Offsets need not begin at 0 and may have gaps, as those of a compacted topic."""
    offsets = Offsets()
    assert offsets.take() is None
    offsets.read(100)
    offsets.read(105)
    offsets.done(105)
    assert offsets.take() == 100
    offsets.done(100)
    assert offsets.take() == 106
    assert offsets.take() is None
