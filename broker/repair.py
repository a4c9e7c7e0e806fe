"""When a sender publishes a message again: pure arithmetic over the receiver's marks, no clock, no I/O.

A sender sees in the store what the receiver has applied. Three cases, after the loss recovery of TCP (RFC 8985, RACK-TLP):
- Everything is applied: nothing to do.
- A later number is applied and an earlier is not: a hole. If it stays one for the grace period, it is published again.
- Nothing moved for the grace period and the last number is not applied: either messages wait unread, or the tail is lost. Only the
  *last* one is published again, as a probe, and the wait doubles. Behind messages that wait it is a harmless duplicate: a
  queue of a thousand is not sent again. If the tail was lost, its arrival turns everything before it into holes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.marks import Marks

GRACE_S = 0.25
LONGEST_S = 5.0
WINDOW = 500
"""Holes published again at once for one receiver."""


@dataclass(slots=True)
class Repair:
    """What is remembered about one receiver between two looks. Times are seconds of any monotonic clock."""

    grace_s: float = GRACE_S
    longest_s: float = LONGEST_S
    window: int = WINDOW
    _seen: tuple[Marks, int] | None = None
    _quiet_since: float = 0.0
    _wait: float = 0.0
    _holes: dict[int, tuple[float, float]] = field(default_factory=dict)

    def look(self, marks: Marks, last: int, now: float) -> list[int]:
        """The numbers to publish again, given the receiver's marks and the last number sent to it."""
        if self._seen != (marks, last):
            self._seen = (marks, last)
            self._quiet_since, self._wait = now, self.grace_s
        due = self._due_holes(marks, now)
        if now - self._quiet_since >= self._wait and not marks.seen(last):
            self._quiet_since, self._wait = now, min(self._wait * 2, self.longest_s)
            due.append(last)
        return due

    def _due_holes(self, marks: Marks, now: float) -> list[int]:
        holes = marks.holes(self.window)
        known, self._holes = self._holes, {}
        due = []
        for number in holes:
            since, wait = known.get(number, (now, self.grace_s))
            if now - since >= wait:
                due.append(number)
                since, wait = now, min(wait * 2, self.longest_s)
            self._holes[number] = (since, wait)
        return due
