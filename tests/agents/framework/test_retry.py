"""Retries repeat what is transient, as often as the policy says, after waits with full jitter."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import RetryCallState, wait_random_exponential

from agents.framework.errors import ErrorClass, TransientError, classify
from agents.framework.retry import ONCE, FullJitter, Retrier, RetryPolicy, Tried
from domain.ports.effects import StaleEpoch
from domain.ports.store import Fenced


class Sleeper:
    """Notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


class Longest(random.Random):
    """Always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def transient(error: Exception) -> bool:
    """The table's word on it."""
    return classify(error) is ErrorClass.TRANSIENT


def failing(*errors: BaseException) -> Callable[[], Awaitable[str]]:
    """Work that raises these one by one and then gives "done"."""
    left = list(errors)

    async def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


async def test_what_works_at_once_waits_for_nothing() -> None:
    """One try, no sleep."""
    sleeper = Sleeper()
    assert await Retrier(sleep=sleeper).call(failing(), transient) == Tried("done", None, 1)
    assert sleeper.slept == []


async def test_transient_errors_are_tried_again_with_growing_bounds() -> None:
    """The bounds double from base_s up to cap_s."""
    sleeper = Sleeper()
    policy = RetryPolicy(max_attempts=6, base_s=0.1, cap_s=0.5)
    tried = await Retrier(policy, rng=Longest(), sleep=sleeper).call(failing(*[TimeoutError()] * 5), transient)
    assert tried == Tried("done", None, 6)
    assert sleeper.slept == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])


async def test_the_last_try_is_not_followed_by_a_wait() -> None:
    """After max_attempts the last error is given, with the number of tries."""
    sleeper, last = Sleeper(), TimeoutError("fifth")
    tried = await Retrier(sleep=sleeper).call(failing(*[TimeoutError()] * 4, last), transient)
    assert tried == Tried(None, last, 5)
    assert len(sleeper.slept) == 4


@pytest.mark.parametrize("tries_before", [0, 2])
async def test_other_errors_end_the_trying(tries_before: int) -> None:
    """FATAL is FATAL at whichever try it comes."""
    fatal = ValueError("no")
    tried = await Retrier(sleep=Sleeper()).call(failing(*[TimeoutError()] * tries_before, fatal), transient)
    assert tried == Tried(None, fatal, tries_before + 1)


@pytest.mark.parametrize("stop", [asyncio.CancelledError(), StaleEpoch("7"), Fenced("8"), ExceptionGroup("g", [Fenced("8")])])
@pytest.mark.parametrize("tries_before", [0, 1])
async def test_what_is_never_classified_propagates(stop: BaseException, tries_before: int) -> None:
    """Even where everything else would be tried again; out of a group it comes by itself."""
    sleeper = Sleeper()
    with pytest.raises((asyncio.CancelledError, StaleEpoch, Fenced)):
        await Retrier(sleep=sleeper).call(failing(*[TimeoutError()] * tries_before, stop), lambda _: True)
    assert len(sleeper.slept) == tries_before


async def test_a_first_try_that_the_caller_made_counts() -> None:
    """Its error is the first of max_attempts, and is waited for."""
    sleeper = Sleeper()
    retrier = Retrier(RetryPolicy(max_attempts=3), sleep=sleeper)
    assert await retrier.call(failing(), transient, TimeoutError()) == Tried("done", None, 2)
    assert len(sleeper.slept) == 1
    last = TimeoutError("third")
    assert await retrier.call(failing(TimeoutError(), last), transient, TimeoutError()) == Tried(None, last, 3)
    fatal = ValueError()
    assert await retrier.call(failing(), transient, fatal) == Tried(None, fatal, 1)
    alone = TimeoutError()
    assert await Retrier(ONCE).call(failing(), transient, alone) == Tried(None, alone, 1)
    with pytest.raises(Fenced):
        await retrier.call(failing(), transient, Fenced("8"))


async def test_what_an_error_asks_for_is_waited_first() -> None:
    """Retry-After up to cap_s, and the jitter on top of it."""
    sleeper = Sleeper()
    policy = RetryPolicy(base_s=0.1, cap_s=10.0)
    work = failing(TransientError("429", retry_after_s=3.0), TransientError("429", retry_after_s=60.0))
    await Retrier(policy, rng=Longest(), sleep=sleeper).call(work, transient)
    assert sleeper.slept == pytest.approx([3.1, 10.2])


async def test_calls_that_overlap_do_not_disturb_each_other() -> None:
    """One retrier serves many executions at a time, each with its own count."""
    retrier = Retrier(sleep=lambda _: asyncio.sleep(0))
    works = [failing(*[TimeoutError()] * (number % 5)) for number in range(20)]
    tried = await asyncio.gather(*(retrier.call(work, transient) for work in works))
    assert [one.attempts for one in tried] == [number % 5 + 1 for number in range(20)]


@given(seed=st.integers(), attempt=st.integers(1, 2000), base_s=st.floats(0.001, 10), more_s=st.floats(0, 100))
def test_a_wait_is_full_jitter(seed: int, attempt: int, base_s: float, more_s: float) -> None:
    """Uniform in [0, min(cap, base · 2^(n-1))], the same for the same seed, never an overflow, and as tenacity's own."""
    policy = RetryPolicy(base_s=base_s, cap_s=base_s + more_s)
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type] # a wait reads the number only
    state.attempt_number = attempt
    wait_s = FullJitter(policy, random.Random(seed))(state)
    bound_s = min(policy.cap_s, base_s * 2.0 ** min(attempt - 1, 1000))
    assert wait_s == pytest.approx(random.Random(seed).uniform(0, bound_s))
    random.seed(seed)
    assert wait_s == pytest.approx(wait_random_exponential(base_s, policy.cap_s)(state))


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 0}, {"base_s": -1}, {"base_s": 2.0, "cap_s": 1.0}, {"cap_s": float("inf")}, {"cap_s": float("nan")}],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    """At construction, not at the first error."""
    with pytest.raises(ValueError, match=r"max_attempts|base_s"):
        RetryPolicy(**wrong)  # type: ignore[arg-type] # wrong on purpose, in value and in type
