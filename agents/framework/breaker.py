"""A circuit breaker: stops calling what does not work, and looks now and then whether it works again.

    CLOSED ──n consecutive failures──▶ OPEN ──reset_s──▶ HALF_OPEN ──the probe succeeds──▶ CLOSED
                                         ◀───────────────the probe fails──────┘

After Michael Nygard, "Release It!", 2007. When half open exactly one caller is let through, the probe; library breakers that we
looked at (purgatory, circuitbreaker) let all through, which is the stampede that a breaker is there to prevent. Each admission is
a permit of an era, and an era ends with each change of state: the late result of a call from before the circuit opened says
nothing about now. For one event loop: not thread-safe, and nothing here waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import NamedTuple

from agents.framework.errors import ErrorClass, TransientError

FAILURES = 5
RESET_S = 30.0
COUNTED = frozenset({ErrorClass.TRANSIENT, ErrorClass.FATAL})


class Circuit(StrEnum):
    """What the breaker lets through: everything, nothing, one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerStatus(NamedTuple):
    """`failures` are the consecutive ones so far; times are seconds on the breaker's clock, None while the circuit is closed."""

    state: Circuit
    failures: int
    opened_at: float | None
    next_probe_at: float | None


class CircuitOpen(TransientError):
    """The call was not made. `until` is when a probe may be made (breaker's clock): now, where one is being made."""

    code = "circuit_open"

    def __init__(self, until: float, retry_after_s: float = 0.0) -> None:
        how_long = f"for another {retry_after_s:.1f} s" if retry_after_s else "while a probe is being made"
        super().__init__(f"the circuit is open {how_long}", retry_after_s)
        self.args = (until, retry_after_s)
        self.until = until


class Breaker:
    """Counts consecutive failures of the calls it admits. Every permit is answered: succeeded, failed or abandoned.

    `failures` in a row open the circuit, `counts` says which classes of error are failures (an error of another class is no
    verdict and changes no count), `reset_s` is how long it stays open, `clock` is monotonic, in seconds.
    """

    __slots__ = ("_clock", "_counts", "_era", "_failures", "_limit", "_opened_at", "_probing", "_reset_s")

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        reset_s: float = RESET_S,
        counts: Collection[ErrorClass] = COUNTED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if failures < 1 or reset_s < 0:
            raise ValueError(f"failures {failures} and reset_s {reset_s}: at least 1 and 0")
        self._limit, self._reset_s, self._counts, self._clock = failures, reset_s, frozenset(counts), clock
        self._era = 0
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    def admit(self) -> int:
        """A permit to make one call.

        Raises:
            CircuitOpen: the call must not be made now.
        """
        if self._opened_at is not None:
            now = self._clock()
            until = self._opened_at + self._reset_s
            if now < until or self._probing:
                raise CircuitOpen(max(now, until), max(0.0, until - now))
            self._probing = True
        return self._era

    def succeeded(self, permit: int) -> None:
        """The call worked: the count starts again, and a probe closes the circuit."""
        if permit == self._era:
            if self._opened_at is None:
                self._failures = 0
            else:
                self._close()

    def failed(self, permit: int, error_class: ErrorClass) -> None:
        """The call ended in an error of this class."""
        if error_class not in self._counts:
            self.abandoned(permit)
        elif permit == self._era:
            self._failures += 1
            if self._opened_at is not None or self._failures >= self._limit:
                self._opened_at = self._clock()
                self._probing = False
                self._era += 1

    def abandoned(self, permit: int) -> None:
        """The call ended without a verdict (cancelled): the next caller may be the probe."""
        if permit == self._era and self._probing:
            self._probing = False
            self._era += 1

    def status(self) -> BreakerStatus:
        """Where the circuit stands now."""
        if self._opened_at is None:
            return BreakerStatus(Circuit.CLOSED, self._failures, None, None)
        until = self._opened_at + self._reset_s
        state = Circuit.OPEN if self._clock() < until else Circuit.HALF_OPEN
        return BreakerStatus(state, self._failures, self._opened_at, until)

    def reset(self) -> None:
        """Close the circuit by hand. Results of calls that are still out no longer count."""
        self._close()

    def _close(self) -> None:
        self._failures = 0
        self._opened_at = None
        self._probing = False
        self._era += 1
