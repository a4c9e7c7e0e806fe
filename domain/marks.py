"""What a receiver has applied of one sender: a mark up to which everything is applied, and the set above it.

Numbers begin at 1 and rise by one for each pair of sender and receiver. Messages may be lost, doubled and come in any order;
the set above the mark stays small because the sender fills holes.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Marks(msgspec.Struct, frozen=True):
    """Everything up to `mark` is applied, and beyond it exactly the numbers in `above`."""

    mark: int = 0
    above: frozenset[int] = frozenset()

    def seen(self, number: int) -> bool:
        """Whether the message with this number is applied."""
        return number <= self.mark or number in self.above

    def add(self, numbers: Iterable[int]) -> Marks:
        """The marks after these numbers are applied, too."""
        above = set(self.above)
        above.update(number for number in numbers if number > self.mark)
        mark = self.mark
        while mark + 1 in above:
            mark += 1
            above.discard(mark)
        return Marks(mark, frozenset(above))

    def holes(self, most: int = 1000) -> list[int]:
        """The first numbers that are missing although a later one is applied: lost, or overtaken. No more than `most`, so that one
        absurd number above the mark costs nothing."""
        missing: list[int] = []
        before = self.mark
        for number in sorted(self.above):
            missing.extend(range(before + 1, min(number, before + 1 + most - len(missing))))
            if len(missing) >= most:
                break
            before = number
        return missing
