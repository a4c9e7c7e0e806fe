"""One execution of an agent: from an input to a result, whatever happens in between.

    check input ──▶ breaker ──▶ work ──▶ check output ──▶ Result(success)
                       ▲          └─error─▶ classify ──FATAL, DEGRADABLE, tries used up──▶ Result(error)
                       └──── back-off ◀────TRANSIENT───┘

`execute` gives a Result and does not raise, with three exceptions, after which there is nobody to give a result to: cancellation,
and StaleEpoch and Fenced, which say that this process no longer owns the agent. Waiting is asyncio's; whoever must not wait with
it runs `execute` as a task of its own. An execution that finds nothing wrong costs a few microseconds, so it goes straight: no
closures, no tenacity, no formatted times.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from agents.framework import errors, schema
from agents.framework.breaker import Breaker
from agents.framework.errors import Classifier, ErrorClass
from agents.framework.lifecycle import Lifecycle, State
from agents.framework.retry import DEFAULT_POLICY, Retrier, RetryPolicy, Sleep, Tried
from domain.message import Failure, rfc3339

_NS_PER_MS = 1_000_000
_NO_COST = Decimal(0)


class Context(msgspec.Struct, frozen=True):
    """For whom an execution works. `extra` is handed to the work as it is."""

    run_id: str
    tenant_id: str = "default"
    task_id: str = ""
    extra: Mapping[str, Any] = {}


class Metadata(msgspec.Struct, frozen=True):
    """What an execution was and took. Times are formatted when they are asked for.

    `attempts` counts the tries, those that an open circuit refused included; it is 0 when the input was refused. `errors` are
    those of the tries before the last one, in order.
    """

    agent_name: str
    agent_version: str
    run_id: str
    tenant_id: str
    start_ns: int
    latency_ns: int
    attempts: int
    errors: tuple[Failure, ...] = ()
    cost_usd: Decimal = _NO_COST
    tokens_used: int = 0
    api_calls: int = 0

    @property
    def latency_ms(self) -> float:
        return self.latency_ns / _NS_PER_MS

    @property
    def start_time(self) -> str:
        """RFC 3339, UTC."""
        return rfc3339(self.start_ns // _NS_PER_MS)

    @property
    def end_time(self) -> str:
        """RFC 3339, UTC: the start plus the latency, so a clock that is set back meanwhile does not show."""
        return rfc3339((self.start_ns + self.latency_ns) // _NS_PER_MS)


class Result(msgspec.Struct, frozen=True):
    """How an execution ended. `data` is the object that the work returned, None without success; `error` is None with it."""

    success: bool
    data: Any
    error: Failure | None
    metadata: Metadata
    degraded: bool = False


class Agent:
    """Work with a name, and with everything around it that work needs.

    `work(input, context)` is a function or a coroutine function; which, is decided here once. `document` takes from its result
    what the output schema describes, where the result holds more than that. `now_ns` is the wall clock, `clock_ns` the
    monotonic one.

    Raises:
        InvalidSchema: one of the schemas is wrong.
    """

    def __init__(
        self,
        name: str,
        version: str,
        work: Callable[[Mapping[str, Any], Context], Any],
        input_schema: dict[str, Any],
        output_schema: dict[str, Any],
        *,
        document: Callable[[Any], Any] | None = None,
        classifier: Classifier | None = None,
        retry: RetryPolicy = DEFAULT_POLICY,
        breaker: Breaker | None = None,
        rng: random.Random | None = None,
        sleep: Sleep = asyncio.sleep,
        now_ns: Callable[[], int] = time.time_ns,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.name, self.version = name, version
        self.breaker = breaker
        self.lifecycle = Lifecycle()
        self._work = work
        self._waits = inspect.iscoroutinefunction(work) or inspect.iscoroutinefunction(getattr(work, "__call__", None))  # noqa: B004 - an object's async __call__, not whether it can be called
        self._check_input, self._check_output = schema.compile(input_schema), schema.compile(output_schema)
        self._document = document
        self._classifier = classifier
        self._retrier = Retrier(retry, rng=rng, sleep=sleep)
        self._now_ns, self._clock_ns = now_ns, clock_ns

    async def execute(self, input: Mapping[str, Any], context: Context) -> Result:
        """Do the work, with as many tries as that takes.

        Raises:
            asyncio.CancelledError, StaleEpoch, Fenced: nothing else.
        """
        start_ns, begun_ns = self._now_ns(), self._clock_ns()
        self.lifecycle.begin(start_ns // _NS_PER_MS)
        outcome, failures = State.FAILED, list[Failure]()
        try:
            data, error, attempts = None, self._refusal(input), 0
            if error is None:
                data, raised, attempts = await self._tries(input, context, failures)
                if raised is None:
                    outcome = State.COMPLETED
                else:
                    error = failures.pop()
        finally:
            latency_ns = self._clock_ns() - begun_ns
            self.lifecycle.end(outcome, (start_ns + latency_ns) // _NS_PER_MS)
        return Result(
            error is None,
            data,
            error,
            Metadata(self.name, self.version, context.run_id, context.tenant_id, start_ns, latency_ns, attempts, tuple(failures)),
        )

    def _refusal(self, input: Mapping[str, Any]) -> Failure | None:
        """Why the input is refused. That is FATAL whatever a custom classifier thinks: the same input stays wrong."""
        try:
            if type(input) is dict or not isinstance(input, Mapping):
                self._check_input(input, "input")
            else:
                self._check_input(dict(input), "input")  # jsonschema-rs knows no other mapping
        except Exception as error:  # noqa: BLE001 - a caller's own kind of mapping may raise anything
            return errors.failure(error)
        return None

    async def _tries(self, input: Mapping[str, Any], context: Context, failures: list[Failure]) -> Tried[Any]:
        """The first try, and the others if that one was in vain. Each failed one is added to `failures`."""
        try:
            return Tried(await self._attempt(input, context, failures), None, 1)
        except errors.STOPS:
            raise
        except Exception as error:  # noqa: BLE001 - work raises anything; it was classified where it was caught first
            first = error
        return await self._retrier.call(
            lambda: self._attempt(input, context, failures),
            lambda _: failures[-1].error_class == ErrorClass.TRANSIENT,
            first,
        )

    async def _attempt(self, input: Mapping[str, Any], context: Context, failures: list[Failure]) -> Any:
        """One try. An output that does not fit counts as a failure of what the breaker guards: no answer would be no worse."""
        breaker, permit = self.breaker, None
        try:
            if breaker is not None:
                permit = breaker.admit()
            data = self._work(input, context)
            if self._waits:
                data = await data
            self._check_output(data if self._document is None else self._document(data), "output")
            if breaker is not None and permit is not None:
                breaker.succeeded(permit)
            return data
        except Exception as error:  # work raises anything, and goes on raising it
            if (stop := errors.stop_in(error)) is not None:
                raise stop from (None if stop is error else error)
            failure = errors.failure(error, self._classifier)
            failures.append(failure)
            if breaker is not None and permit is not None:
                breaker.failed(permit, ErrorClass(failure.error_class))
            raise
        finally:
            if breaker is not None and permit is not None:
                breaker.abandoned(permit)  # does nothing after a verdict; without one (cancelled, fenced) the probe is free again
