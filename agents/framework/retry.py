"""Retries: exponential back-off with full jitter.

    wait before try n+1 = random_between(0, min(cap_s, base_s · 2^(n-1)))

as in Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): of the variants compared there, full jitter does the
least work for contending clients. An error that names its own `retry_after_s` is waited for first, up to cap_s, and the jitter
comes on top, so that all who wait for the same moment do not come at the same moment.

tenacity runs the loop; its `wait_random_exponential` is the same formula over the global random numbers, so ours only changes
where they come from. It costs about 30 µs a call even when nothing fails: callers on a hot path make the first try themselves and
hand its error in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_base

from agents.framework.errors import TransientError, stop_in

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often work is tried at most, and how long is waited: `base_s` bounds the first wait, `cap_s` every wait."""

    max_attempts: int = 5
    base_s: float = 0.1
    cap_s: float = 10.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}: work is tried at least once")
        if not 0 <= self.base_s <= self.cap_s < float("inf"):
            raise ValueError(f"base_s {self.base_s} and cap_s {self.cap_s}: 0 ≤ base_s ≤ cap_s must hold")


DEFAULT_POLICY = RetryPolicy()
ONCE = RetryPolicy(max_attempts=1)


class Tried(NamedTuple, Generic[T]):
    """How trying ended: with a value, or with the last error. `attempts` counts the tries, the last one included."""

    value: T | None
    error: Exception | None
    attempts: int


class FullJitter(wait_base):
    """tenacity's wait for the formula above, with given random numbers."""

    def __init__(self, policy: RetryPolicy, rng: random.Random) -> None:
        self._policy, self._rng = policy, rng

    def __call__(self, retry_state: RetryCallState) -> float:
        cap_s = self._policy.cap_s
        doublings = min(retry_state.attempt_number - 1, 1000)  # more would overflow, and the cap holds long before
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked_s = min(cap_s, max(0.0, error.retry_after_s)) if isinstance(error, TransientError) else 0.0
        return asked_s + self._rng.uniform(0, min(cap_s, self._policy.base_s * 2.0**doublings))


class Retrier:
    """Tries work until it succeeds, fails for good or was tried often enough. Waiting is `sleep`, which blocks nobody else."""

    __slots__ = ("_sleep", "_wait", "policy")

    def __init__(
        self, policy: RetryPolicy = DEFAULT_POLICY, *, rng: random.Random | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.policy = policy
        self._wait = FullJitter(policy, rng or random.Random())
        self._sleep = sleep

    async def call(
        self, work: Callable[[], Awaitable[T]], transient: Callable[[Exception], bool], first: Exception | None = None
    ) -> Tried[T]:
        """Try `work`, again where `transient` says so of its error. With `first` the first try was made and ended in that.

        Raises:
            what is never classified: cancellation, StaleEpoch, Fenced.
        """
        if first is not None and stop_in(first) is None and (self.policy.max_attempts == 1 or not transient(first)):
            return Tried(None, first, 1)  # most errors end here, and need not pay for tenacity
        attempts = 0

        async def once() -> T:
            nonlocal attempts
            attempts += 1
            if attempts == 1 and first is not None:
                raise first
            return await work()

        # One for each call: tenacity keeps the state of its loop on the object, and calls overlap.
        retrying = AsyncRetrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self.policy.max_attempts),
            wait=self._wait,
            retry=retry_if_exception(lambda error: stop_in(error) is None and isinstance(error, Exception) and transient(error)),
            reraise=True,
        )
        try:
            return Tried(await retrying(once), None, attempts)
        except Exception as error:  # noqa: BLE001 - work raises anything, and this is where it becomes a value
            if (stop := stop_in(error)) is not None:
                raise stop from (None if stop is error else error)
            return Tried(None, error, attempts)
