"""An execution gives a result whatever its work does, and lets nothing out but what must stop the process."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from agents.framework.breaker import Breaker, Circuit
from agents.framework.errors import DegradableError, ErrorClass
from agents.framework.execution import Agent, Context, Result
from agents.framework.lifecycle import State
from agents.framework.retry import RetryPolicy
from agents.framework.schema import InvalidSchema
from domain.message import Failure
from domain.ports.effects import EffectUnavailable, StaleEpoch
from domain.ports.store import Fenced

INPUT = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}
OUTPUT = {"type": "object", "properties": {"price": {"type": "integer"}}, "required": ["price"]}
GIVEN = {"sku": "A"}
PRICED = {"price": 12}
RUN = Context(run_id="run/1")
START_NS = 1_795_262_400_000_000_000  # 2026-11-21T12:00:00Z

Work = Callable[[Mapping[str, Any], Context], Any]


class Clock:
    """Goes on by a millisecond whenever it is read."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


async def no_sleep(_: float) -> None:
    """Waits for nothing, but lets others run."""
    await asyncio.sleep(0)


def agent(work: Work, **settings: Any) -> Agent:
    """An agent with a still wall clock that does not sleep."""
    clocks: dict[str, Any] = {"sleep": no_sleep, "now_ns": lambda: START_NS, "clock_ns": Clock()}
    return Agent("pricing", "2.1", work, INPUT, OUTPUT, **{**clocks, **settings})


def raising(*errors: BaseException) -> Work:
    """Work that raises these one by one and then gives a price."""
    left = list(errors)

    async def work(given: Mapping[str, Any], context: Context) -> dict[str, int]:
        if left:
            raise left.pop(0)
        return PRICED

    return work


def outcomes(of: Agent) -> list[State]:
    """The states that the agent went through."""
    return [move.new for move in of.lifecycle.history]


async def test_work_that_succeeds_gives_its_own_object() -> None:
    """`data` is what the work returned, not a copy; the metadata say who, for whom, when and how long."""
    pricing = agent(lambda given, context: PRICED)
    result = await pricing.execute(GIVEN, Context(run_id="run/1", tenant_id="acme"))
    assert result.data is PRICED
    assert (result.success, result.degraded, result.error) == (True, False, None)
    told = result.metadata
    assert (told.agent_name, told.agent_version, told.run_id, told.tenant_id) == ("pricing", "2.1", "run/1", "acme")
    assert (told.latency_ms, told.attempts, told.errors) == (1.0, 1, ())
    assert (told.start_time, told.end_time) == ("2026-11-21T12:00:00.000Z", "2026-11-21T12:00:00.001Z")
    assert (told.cost_usd, told.tokens_used, told.api_calls) == (Decimal(0), 0, 0)
    assert outcomes(pricing) == [State.RUNNING, State.COMPLETED, State.IDLE]


class AsyncCallable:
    """An object whose call is a coroutine."""

    async def __call__(self, given: Mapping[str, Any], context: Context) -> dict[str, int]:
        return PRICED


async def _with_more(price: int, given: Mapping[str, Any], context: Context) -> dict[str, int]:
    return {"price": price}


@pytest.mark.parametrize("work", [lambda given, context: PRICED, raising(), AsyncCallable(), functools.partial(_with_more, 12)])
async def test_functions_and_coroutine_functions_are_work(work: Work) -> None:
    """Also objects and partials."""
    assert (await agent(work).execute(GIVEN, RUN)).data == PRICED


async def test_work_gets_input_and_context_as_given() -> None:
    """The same objects, `extra` included; any mapping is an input."""
    seen: list[Any] = []
    given, context = MappingProxyType(GIVEN), Context("run/1", task_id="task/7", extra={"hint": object()})

    def work(given: Mapping[str, Any], context: Context) -> dict[str, int]:
        seen.extend((given, context))
        return PRICED

    assert (await agent(work).execute(given, context)).success
    assert seen[0] is given
    assert seen[1] is context


@pytest.mark.parametrize("given", [{}, {"sku": 1}, MappingProxyType({"sku": None}), [], None, {1: 2}])
async def test_a_wrong_input_never_reaches_the_work(given: Any) -> None:
    """It is FATAL whatever a custom classifier thinks, counts as no attempt and is no failure for the breaker."""
    called: list[Any] = []
    breaker = Breaker(failures=1)
    pricing = agent(lambda given, context: called.append(given), breaker=breaker, classifier=lambda error: ErrorClass.TRANSIENT)
    result = await pricing.execute(given, RUN)
    assert result.error is not None
    assert (result.error.error_class, result.error.code, called) == ("fatal", "invalid_input", [])
    assert (result.success, result.data, result.metadata.attempts) == (False, None, 0)
    assert breaker.status().state is Circuit.CLOSED
    assert outcomes(pricing) == [State.RUNNING, State.FAILED, State.IDLE]


async def test_a_wrong_output_is_an_error_of_the_work() -> None:
    """FATAL with its place; the data is not handed on."""
    result = await agent(lambda given, context: {"price": "12"}).execute(GIVEN, RUN)
    assert result.error == Failure("fatal", "invalid_output", 'output at /price: the value is not of type "integer"')
    assert (result.data, result.metadata.attempts) == (None, 1)


async def test_an_extractor_says_what_the_output_schema_describes() -> None:
    """The whole object is kept, the document in it is checked."""

    class Outcome:
        def __init__(self, document: Any) -> None:
            self.document = document

    good, bad = Outcome(PRICED), Outcome({})
    given = iter([good, bad])
    pricing = agent(lambda _, context: next(given), document=lambda data: data.document)
    assert (await pricing.execute(GIVEN, RUN)).data is good
    refused = await pricing.execute(GIVEN, RUN)
    assert refused.error is not None
    assert (refused.data, refused.error.code) == (None, "invalid_output")


async def test_transient_errors_are_tried_again_and_told() -> None:
    """The result is a success, and its metadata name the tries before it in order."""
    result = await agent(raising(TimeoutError("slow"), EffectUnavailable("busy"))).execute(GIVEN, RUN)
    assert (result.data, result.metadata.attempts) == (PRICED, 3)
    assert result.metadata.errors == (
        Failure("transient", "timeout_error", "slow"),
        Failure("transient", "effect_unavailable", "busy"),
    )


async def test_tries_that_are_used_up_give_the_last_error() -> None:
    """Once, as the error; the ones before it in the metadata."""
    work = raising(*(TimeoutError(str(number)) for number in range(9)))
    result = await agent(work, retry=RetryPolicy(max_attempts=3)).execute(GIVEN, RUN)
    assert result.error == Failure("transient", "timeout_error", "2")
    assert [error.reason for error in result.metadata.errors] == ["0", "1"]
    assert (result.success, result.metadata.attempts) == (False, 3)


@pytest.mark.parametrize(
    ("error", "error_class"), [(ValueError("no"), "fatal"), (DegradableError("less"), "degradable"), (StopIteration(), "fatal")]
)
async def test_other_errors_are_not_tried_again(error: Exception, error_class: str) -> None:
    """One attempt, and an agent that failed is ready for the next execution."""
    pricing = agent(raising(error))
    result = await pricing.execute(GIVEN, RUN)
    assert result.error is not None
    assert (result.error.error_class, result.metadata.attempts, result.metadata.errors) == (error_class, 1, ())
    assert (await pricing.execute(GIVEN, RUN)).success
    assert State.FAILED in outcomes(pricing)


async def test_a_custom_classifier_decides_what_is_tried_again() -> None:
    """A model's wrong output may be worth another try."""
    answers = iter([{"price": "twelve"}, PRICED])
    result = await agent(
        lambda given, context: next(answers),
        classifier=lambda error: ErrorClass.TRANSIENT if getattr(error, "code", "") == "invalid_output" else None,
    ).execute(GIVEN, RUN)
    assert (result.success, result.metadata.attempts) == (True, 2)


async def test_a_broken_classifier_does_not_break_execute() -> None:
    """The error it was asked about is told, as FATAL."""

    def broken(error: Exception) -> ErrorClass:
        raise LookupError

    result = await agent(raising(TimeoutError("slow")), classifier=broken).execute(GIVEN, RUN)
    assert result.error == Failure("fatal", "timeout_error", "slow; its classifier failed with LookupError")


@pytest.mark.parametrize("stop", [asyncio.CancelledError(), StaleEpoch("7"), Fenced("8"), ExceptionGroup("g", [Fenced("8")])])
@pytest.mark.parametrize("before", [(), (TimeoutError(),)])
async def test_what_must_stop_the_process_propagates(stop: BaseException, before: tuple[Exception, ...]) -> None:
    """At whichever try it comes; the agent is left IDLE, and a breaker's probe is free again."""
    breaker = Breaker(failures=1, reset_s=0)
    breaker.failed(breaker.admit(), ErrorClass.TRANSIENT)
    pricing = agent(raising(*before, stop), breaker=breaker, classifier=lambda error: ErrorClass.TRANSIENT)
    with pytest.raises((asyncio.CancelledError, StaleEpoch, Fenced)):
        await pricing.execute(GIVEN, RUN)
    assert outcomes(pricing) == [State.RUNNING, State.FAILED, State.IDLE]
    breaker.succeeded(breaker.admit())
    assert breaker.status().state is Circuit.CLOSED


async def test_a_breaker_refuses_work_and_the_refusal_is_tried_again() -> None:
    """Five failures open it; later executions do no work until the probe, which an execution that waits may be."""
    now = [0.0]
    slept: list[float] = []
    worked: list[int] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    def work(given: Mapping[str, Any], context: Context) -> dict[str, int]:
        worked.append(1)
        if len(worked) <= 5:
            raise ValueError("down")
        return PRICED

    breaker = Breaker(clock=lambda: now[0])
    pricing = agent(work, breaker=breaker, sleep=sleep)
    for _ in range(5):
        assert not (await pricing.execute(GIVEN, RUN)).success
    assert breaker.status().state is Circuit.OPEN
    result = await pricing.execute(GIVEN, RUN)
    assert (result.success, len(worked)) == (True, 6)
    assert {error.code for error in result.metadata.errors} == {"circuit_open"}
    assert 30.0 <= sum(slept) <= 32.0
    assert breaker.status().state is Circuit.CLOSED


async def test_an_open_circuit_ends_as_transient_when_tries_are_used_up() -> None:
    """The work is not begun."""
    breaker = Breaker(failures=1)
    breaker.failed(breaker.admit(), ErrorClass.FATAL)
    result = await agent(raising(), breaker=breaker, retry=RetryPolicy(max_attempts=1)).execute(GIVEN, RUN)
    assert result.error is not None
    assert (result.error.error_class, result.error.code) == ("transient", "circuit_open")


async def test_one_execution_that_waits_does_not_delay_another() -> None:
    """Back-off is a sleep of its own task; the agent runs until the last has ended."""
    woken = asyncio.Event()
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await woken.wait()

    pricing = agent(raising(TimeoutError()), sleep=sleep)
    first = asyncio.create_task(pricing.execute(GIVEN, RUN))
    await waiting.wait()
    second: Result = await pricing.execute(GIVEN, RUN)
    assert (second.success, first.done(), pricing.lifecycle.state) == (True, False, State.RUNNING)
    woken.set()
    assert (await first).metadata.attempts == 2
    assert outcomes(pricing) == [State.RUNNING, State.COMPLETED, State.IDLE]


async def test_a_cancelled_back_off_ends_the_execution() -> None:
    """Nobody waits out the rest of it."""
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    pricing = agent(raising(TimeoutError()), sleep=sleep)
    task = asyncio.create_task(pricing.execute(GIVEN, RUN))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (pricing.lifecycle.state, pricing.lifecycle.running) == (State.IDLE, 0)


async def test_a_wall_clock_that_is_set_back_does_not_show() -> None:
    """The end is the start plus what the monotonic clock measured."""
    walls = iter([START_NS, START_NS - 10**12])
    told = (await agent(raising(), now_ns=lambda: next(walls)).execute(GIVEN, RUN)).metadata
    assert told.end_time > told.start_time


def test_a_wrong_schema_is_refused_at_construction() -> None:
    """Not at the first execution."""
    with pytest.raises(InvalidSchema):
        Agent("pricing", "1", raising(), {"type": "objekt"}, OUTPUT)
