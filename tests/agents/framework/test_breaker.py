"""The breaker opens after failures in a row, admits one probe after a while, and closes when that succeeds."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.framework.breaker import Breaker, BreakerStatus, Circuit, CircuitOpen
from agents.framework.errors import ErrorClass


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock, failures: int = 5) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker(clock=clock)
    for _ in range(failures):
        breaker.failed(breaker.admit(), ErrorClass.TRANSIENT)
    return breaker


def test_five_failures_in_a_row_open_the_circuit() -> None:
    """Four do not; the fifth does, and calls are then refused with the time of the next probe."""
    clock = Clock()
    breaker = opened(clock, 4)
    assert breaker.status() == BreakerStatus(Circuit.CLOSED, 4, None, None)
    breaker.failed(breaker.admit(), ErrorClass.FATAL)
    assert breaker.status() == BreakerStatus(Circuit.OPEN, 5, 100.0, 130.0)
    clock.now = 120.0
    with pytest.raises(CircuitOpen, match=r"10\.0 s") as refusal:
        breaker.admit()
    assert (refusal.value.until, refusal.value.retry_after_s) == (130.0, 10.0)


def test_a_success_between_failures_starts_the_count_again() -> None:
    """Only failures in a row count."""
    clock = Clock()
    breaker = opened(clock, 4)
    breaker.succeeded(breaker.admit())
    for _ in range(4):
        breaker.failed(breaker.admit(), ErrorClass.TRANSIENT)
    assert breaker.status().state is Circuit.CLOSED


def test_half_open_admits_exactly_one_probe() -> None:
    """All others are refused until the probe is back."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = 130.0
    assert breaker.status().state is Circuit.HALF_OPEN
    probe = breaker.admit()
    for _ in range(10):
        with pytest.raises(CircuitOpen, match="probe"):
            breaker.admit()
    breaker.succeeded(probe)
    assert breaker.status() == BreakerStatus(Circuit.CLOSED, 0, None, None)
    breaker.admit()


def test_a_failed_probe_opens_the_circuit_for_another_while() -> None:
    """The time counts from the probe's failure."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = 131.0
    probe = breaker.admit()
    clock.now = 135.0
    breaker.failed(probe, ErrorClass.TRANSIENT)
    assert breaker.status() == BreakerStatus(Circuit.OPEN, 6, 135.0, 165.0)


def test_an_abandoned_probe_leaves_its_place_to_the_next() -> None:
    """A cancelled probe locks nobody out, and its late result counts for nothing."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = 130.0
    lost = breaker.admit()
    breaker.abandoned(lost)
    probe = breaker.admit()
    breaker.succeeded(lost)
    assert breaker.status().state is Circuit.HALF_OPEN
    breaker.succeeded(probe)
    assert breaker.status().state is Circuit.CLOSED


def test_results_from_before_the_circuit_opened_say_nothing_about_now() -> None:
    """A slow call of the time before neither closes the circuit nor prolongs it."""
    clock = Clock()
    breaker = Breaker(failures=1, clock=clock)
    slow, slower, failing = breaker.admit(), breaker.admit(), breaker.admit()
    breaker.failed(failing, ErrorClass.TRANSIENT)
    clock.now = 110.0
    breaker.succeeded(slow)
    breaker.failed(slower, ErrorClass.TRANSIENT)
    assert breaker.status() == BreakerStatus(Circuit.OPEN, 1, 100.0, 130.0)


def test_a_class_that_is_not_counted_is_no_verdict() -> None:
    """DEGRADABLE neither opens the circuit nor starts the count again, and as a probe it frees the place."""
    clock = Clock()
    breaker = opened(clock, 4)
    breaker.failed(breaker.admit(), ErrorClass.DEGRADABLE)
    assert breaker.status().failures == 4
    breaker.failed(breaker.admit(), ErrorClass.TRANSIENT)
    clock.now = 130.0
    breaker.failed(breaker.admit(), ErrorClass.DEGRADABLE)
    assert breaker.status().state is Circuit.HALF_OPEN
    breaker.succeeded(breaker.admit())


def test_what_counts_as_a_failure_is_a_setting() -> None:
    """A breaker may look at TRANSIENT only."""
    breaker = Breaker(failures=1, counts={ErrorClass.TRANSIENT}, clock=Clock())
    breaker.failed(breaker.admit(), ErrorClass.FATAL)
    assert breaker.status().state is Circuit.CLOSED
    breaker.failed(breaker.admit(), ErrorClass.TRANSIENT)
    assert breaker.status().state is Circuit.OPEN


def test_a_reset_by_hand_closes_the_circuit_at_once() -> None:
    """Calls that were out before it do not open it again."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = 130.0
    probe = breaker.admit()
    breaker.reset()
    breaker.failed(probe, ErrorClass.TRANSIENT)
    assert breaker.status() == BreakerStatus(Circuit.CLOSED, 0, None, None)


def test_settings_that_make_no_sense_are_refused() -> None:
    """A breaker that opens after no failure would never let anything through."""
    with pytest.raises(ValueError, match="failures 0"):
        Breaker(failures=0)
    with pytest.raises(ValueError, match="reset_s -1"):
        Breaker(reset_s=-1)


class BreakerMachine(RuleBasedStateMachine):
    """Any overlap of calls, results, cancellations and time, against a model that keeps every permit by itself."""

    LIMIT, RESET_S = 3, 10.0

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(failures=self.LIMIT, reset_s=self.RESET_S, clock=self.clock)
        self.out: list[tuple[int, bool]] = []  # permits, and whether each still counts
        self.opened_at: float | None = None
        self.failures = 0

    def _era_ends(self) -> None:
        self.out = [(permit, False) for permit, _ in self.out]

    def _take(self, data: st.DataObject) -> tuple[int, bool]:
        return self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 10.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def call(self) -> None:
        probing = any(counts for _, counts in self.out)
        refused = self.opened_at is not None and (self.clock.now < self.opened_at + self.RESET_S or probing)
        if refused:
            with pytest.raises(CircuitOpen) as refusal:
                self.breaker.admit()
            assert refusal.value.until >= self.clock.now
        else:
            self.out.append((self.breaker.admit(), True))

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        permit, counts = self._take(data)
        self.breaker.succeeded(permit)
        if counts:
            self.failures = 0
            if self.opened_at is not None:
                self.opened_at = None
                self._era_ends()

    @precondition(lambda self: self.out)
    @rule(data=st.data(), error_class=st.sampled_from([ErrorClass.TRANSIENT, ErrorClass.FATAL]))
    def fail(self, data: st.DataObject, error_class: ErrorClass) -> None:
        permit, counts = self._take(data)
        self.breaker.failed(permit, error_class)
        if counts:
            self.failures += 1
            if self.opened_at is not None or self.failures >= self.LIMIT:
                self.opened_at = self.clock.now
                self._era_ends()

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        permit, _ = self._take(data)
        self.breaker.abandoned(permit)

    @rule()
    def reset(self) -> None:
        self.breaker.reset()
        self.opened_at, self.failures = None, 0
        self._era_ends()

    @invariant()
    def the_status_is_the_models(self) -> None:
        status = self.breaker.status()
        assert (status.failures, status.opened_at) == (self.failures, self.opened_at)
        if self.opened_at is None:
            assert status.state is Circuit.CLOSED
            assert status.failures < self.LIMIT
        else:
            waits = self.clock.now < self.opened_at + self.RESET_S
            assert status.state is (Circuit.OPEN if waits else Circuit.HALF_OPEN)
            assert sum(counts for _, counts in self.out) <= 1


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
