"""A worker: every role but the lead. It is assigned tasks, does them with its skills, and tells their end.

A step that only computes is assigned and completed in one append. A step with effects is taken in a first append, together with its
intents; its effects are done outside any mailbox, so that nothing waits behind it; a second append completes it. Between the two the
process may die: the next owner finds the task open with its input, and asks for the same effects under the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from agents.framework import errors
from agents.framework.breaker import Breaker
from agents.framework.execution import Agent, Context, Result
from agents.framework.retry import RetryPolicy
from agents.framework.schema import compile as compile_schema
from agents.host import Host, Refusal
from agents.skill import Intent, Outcome, Skill
from agents.unit import Unit
from domain import task as tasks
from domain.decision import Decision, digest
from domain.message import Failure, Header, NotUnderstood, Task, TaskAssign, TaskCancel, from_rfc3339
from domain.ports.bus import Delivery
from domain.ports.effects import Effect, EffectAdapter
from domain.ports.probe import Point, Probe, nobody
from domain.ports.store import StoreUnavailable
from domain.streams import run_of

VERSION = "1"
PATIENCE = RetryPolicy(max_attempts=40, base_s=0.2, cap_s=15.0)
"""A target that is away is asked for some five minutes (full jitter: half of the cap on average). The deadline of the step, ten
minutes, ends it in any case."""


class _Prepared(NamedTuple):
    material: Any
    intents: Sequence[Intent]


class Worker:
    """The behaviour of a role that does steps. `skills` are those of the role, by task type."""

    def __init__(
        self,
        host: Host,
        skills: Mapping[str, Skill],
        effects: EffectAdapter,
        probe: Probe = nobody,
        breaker: Breaker | None = None,
    ) -> None:
        self._host = host
        self._effects = effects
        self._probe = probe
        self._crafts = {name: _Craft(self, skill, breaker) for name, skill in skills.items()}
        self._waiting: dict[str, Callable[[], object]] = {}

    def mailbox(self, delivery: Delivery) -> str:
        body = delivery.message.body
        return str(body.task.task_id) if getattr(body, "task", None) is not None else "undecided"

    async def receive(self, delivery: Delivery, unit: Unit) -> None:
        match delivery.message.body:
            case TaskAssign(task=task):
                await self._assigned(task, delivery.message.header, unit)
            case TaskCancel(task=ref, reason=reason):
                await unit.record(ref.task_id, tasks.cancel(await unit.state(ref.task_id), reason, unit.now_ms))
                unit.after(lambda: self._give_up(ref.task_id))
            case NotUnderstood():
                pass  # the lead refused an answer: the dead letter on its side says why, and its deadline ends the step
            case other:
                raise Refusal(f"{self._host.agent} does not take {type(other).__name__}")

    async def resume(self, open_streams: Sequence[str]) -> None:
        """Tasks that the owner before had taken go on from what is stored."""
        for stream in open_streams:

            async def build(unit: Unit, stream: str = stream) -> None:
                await unit.record(stream, tasks.resume(await unit.state(stream), self._host.epoch, unit.now_ms))

            await self._host.commit(build)
            self._begin(stream)

    async def stop(self) -> None:
        for cancel in list(self._waiting.values()):
            cancel()

    # --- one task ----------------------------------------------------------------------------------------------------

    async def _assigned(self, task: Task, header: Header, unit: Unit) -> None:
        craft = self._crafts.get(task.task_type)
        if craft is None:
            raise Refusal(f"{self._host.agent} has no skill for {task.task_type!r}")
        state: tasks.TaskState = await unit.state(task.task_id, new=True)
        if not tasks.accepts(state):
            return
        deadline_ms = from_rfc3339(header.deadline) if header.deadline else None
        prepared = await craft.prepare(task)
        if isinstance(prepared, _Prepared) and prepared.intents:
            intents = [_intended(task.task_id, intent, unit) for intent in prepared.intents]
            await unit.record(task.task_id, tasks.take(state, task, header.sender, deadline_ms, intents, unit.now_ms))
            unit.after(lambda: self._begin(task.task_id))
            return
        await unit.record(task.task_id, [tasks.at_once(task, header.sender, deadline_ms, unit.now_ms)])
        if isinstance(prepared, Failure):
            await unit.record(task.task_id, tasks.fail(await unit.state(task.task_id), prepared, 0, unit.now_ms))
            return
        result = await craft.agent.execute(_input(task), craft.context(task, prepared, {}, unit.now_ms))
        self._probe(Point.BEFORE_COMPLETION)
        await self._end(task.task_id, result, {}, unit)

    def _begin(self, stream: str) -> None:
        if stream not in self._waiting:
            self._waiting[stream] = self._host.begin(self._wait(stream))

    def _give_up(self, stream: str) -> None:
        cancel = self._waiting.pop(stream, None)
        if cancel is not None:
            cancel()

    async def _wait(self, stream: str) -> None:
        """The part of a step that waits: effects, then the second append."""
        try:
            state: tasks.TaskState = (await self._host.states.get(stream)).state
            task = state.input
            if task is None:
                return  # over meanwhile
            craft = self._crafts[task.task_type]
            prepared = await craft.prepare(task)
            receipts = dict(state.receipts)
            result: Result | Failure
            if isinstance(prepared, Failure):
                result = prepared
            else:
                context = craft.context(task, prepared, receipts, self._host.now_ms())
                result = await craft.agent.execute(_input(task), context)
            self._probe(Point.BEFORE_COMPLETION)

            async def build(unit: Unit) -> None:
                await self._end(stream, result, receipts, unit)

            await self._host.commit(build)
        finally:
            self._waiting.pop(stream, None)

    async def _end(self, stream: str, result: Result | Failure, receipts: Mapping[str, str], unit: Unit) -> None:
        state: tasks.TaskState = await unit.state(stream)
        if isinstance(result, Failure):
            await unit.record(stream, tasks.fail(state, result, 0, unit.now_ms))
            return
        retries = max(result.metadata.attempts - 1, 0)
        if result.error is not None:
            await unit.record(stream, tasks.fail(state, result.error, retries, unit.now_ms))
            return
        outcome: Outcome = result.data
        decision = tasks.complete(state, outcome.output, receipts, retries, unit.now_ms)
        if not decision.events:
            return  # cancelled meanwhile: nothing of the outcome is kept
        await unit.record(stream, Decision(decision.events, outcome.contents))
        for trade_stream, events in outcome.trade.items():
            await unit.record(trade_stream, events, new=True)

    async def perform_effects(self, task: Task, intents: Sequence[Intent], receipts: dict[str, str]) -> None:
        """Have every effect done that has no receipt yet, in order. Receipts are collected as they come, so that a try that
        follows a failed one goes on where it ended."""
        for intent in intents:
            key = effect_key(task.task_id, intent)
            if key in receipts:
                continue
            self._probe(Point.BETWEEN_INTENT_AND_EFFECT)
            effect = Effect(
                key, intent.kind, intent.target, intent.payload, intent.media_type, self._host.agent, self._host.epoch
            )
            receipts[key] = await self._effects.perform(effect)
            self._probe(Point.AFTER_EFFECT)


class _Craft:
    """A skill with the framework around it."""

    def __init__(self, worker: Worker, skill: Skill, breaker: Breaker | None) -> None:
        self._worker = worker
        self._skill = skill
        self._check = compile_schema(skill.input_schema)
        self.agent = Agent(
            f"{skill.role}.{skill.task_type}",
            VERSION,
            self._work,
            skill.input_schema,
            skill.output_schema,
            document=lambda outcome: outcome.document,
            breaker=breaker,
            retry=PATIENCE,
        )

    def context(self, task: Task, prepared: _Prepared, receipts: dict[str, str], now_ms: int) -> Context:
        extra = {"task": task, "prepared": prepared, "receipts": receipts, "now_ms": now_ms}
        return Context(run_of(task.task_id), task_id=task.task_id, extra=extra)

    async def prepare(self, task: Task) -> _Prepared | Failure:
        """Read what the step needs and see what effects it will have."""
        try:
            self._check(_input(task), "input")
            material = await self._skill.gather(task, self._worker._host.store.content)
            return _Prepared(material, self._skill.intents(task, material))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 skills are plugins: whatever they raise ends their task, not the agent
            return errors.failure(error)

    async def _work(self, input: Mapping[str, Any], context: Context) -> Outcome:
        task: Task = context.extra["task"]
        prepared: _Prepared = context.extra["prepared"]
        receipts: dict[str, str] = context.extra["receipts"]
        if prepared.intents:
            await self._worker.perform_effects(task, prepared.intents, receipts)
        by_name = {intent.name: receipts[effect_key(task.task_id, intent)] for intent in prepared.intents}
        return self._skill.perform(task, prepared.material, by_name, context.extra["now_ms"])


def effect_key(task_id: str, intent: Intent) -> str:
    """The idempotency key: the task and the effect's name in it, so the same in every process and every try."""
    return f"{task_id}/{intent.name}"


def _intended(task_id: str, intent: Intent, unit: Unit) -> tasks.EffectIntended:
    return tasks.EffectIntended(
        at_ms=unit.now_ms, key=effect_key(task_id, intent), kind=intent.kind, target=intent.target, payload=digest(intent.payload)
    )


def _input(task: Task) -> dict[str, Any]:
    return {"parameters": task.parameters, "context": task.context}
