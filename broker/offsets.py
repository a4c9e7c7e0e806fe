"""How far reading came: the lowest offset that is not done yet. Only a hint for the next start, never what exactness rests on."""

from __future__ import annotations

import heapq


class Offsets:
    """Offsets are read in order and done in any order; the position to commit is the lowest one that is read and not done."""

    def __init__(self) -> None:
        self._next = 0
        self._waiting: list[int] = []
        self._done: set[int] = set()
        self._committed = -1

    def read(self, offset: int) -> None:
        self._next = offset + 1
        heapq.heappush(self._waiting, offset)

    def done(self, offset: int) -> None:
        self._done.add(offset)
        while self._waiting and self._waiting[0] in self._done:
            self._done.discard(heapq.heappop(self._waiting))

    def take(self) -> int | None:
        """The offset to start from next time, where it rose since the last call."""
        lowest = self._waiting[0] if self._waiting else self._next
        if lowest <= self._committed or lowest == 0:
            return None
        self._committed = lowest
        return lowest
