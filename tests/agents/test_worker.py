"""A worker and its steps: those that only compute, and those that wait for the world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from agents.host import Behaviour, Host
from agents.skill import Content, Intent, Outcome
from agents.worker import Worker
from domain import task
from domain.message import Header, Message, Task, TaskAssign, TaskCancel, TaskFail, TaskRef
from domain.ports.effects import Effect, EffectRefused, EffectUnavailable, StaleEpoch
from tests.agents.stage import Stage

AGENT, LEAD = "marketing_outreach/0", "lead/0"
ANY: dict[str, Any] = {"type": "object"}


class Posting:
    """A skill with as many effects as its task says."""

    task_type, role = "POST", "marketing_outreach"
    input_schema: ClassVar[dict[str, Any]] = {
        "properties": {"parameters": {"required": ["posts"], "properties": {"posts": {"type": "integer"}}}}
    }
    output_schema = ANY

    async def gather(self, task: Task, content: Content) -> int:
        return int(task.parameters["posts"])

    def intents(self, task: Task, material: int) -> Sequence[Intent]:
        return [Intent(f"post-{number}", "post", "wall", b"hello", "text/plain") for number in range(material)]

    def perform(self, task: Task, material: int, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        if material < 0:
            raise ValueError("fewer than no posts")
        return Outcome({"posts": material}, {"receipts": sorted(receipts)})


class World:
    """The target of effects: does each key once, and keeps who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.done: dict[str, int] = {}
        self.errors: list[Exception] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def perform(self, effect: Effect) -> str:
        self.asked.append(effect.key)
        if self.errors:
            raise self.errors.pop(0)
        await self.answers.wait()
        self.done.setdefault(effect.key, effect.epoch)
        return f"receipt of {effect.key}"

    async def close(self) -> None:
        """Nothing is held."""


def works(world: World) -> Callable[[Host], Behaviour]:
    return lambda host: Worker(host, {"POST": Posting()}, world)


def assign(posts: object, name: str = "0") -> Message:
    header = Header(f"id-{name}", "TASK_ASSIGN", LEAD, AGENT, "2026-11-21T12:00:00.000Z", "run-k-1", "workflow-k-1-0", 2)
    return Message(header, TaskAssign(Task(f"task-k-1-{name}-POST", "POST", {"posts": posts})))


def cancel() -> Message:
    header = Header("id-cancel", "TASK_CANCEL", LEAD, AGENT, "2026-11-21T12:00:00.000Z", "run-k-1", "workflow-k-1-0", 3)
    return Message(header, TaskCancel(TaskRef("task-k-1-0-POST", "POST"), "vendor withdrew"))


STREAM = "task-k-1-0-POST"


async def begun(world: World) -> Stage:
    stage = Stage(AGENT)
    await stage.begin(works(world))
    return stage


async def test_a_step_that_only_computes_is_one_append() -> None:
    """Assigned and completed together, and the lead is told."""
    stage = await begun(World())
    await stage.arrive(stage.delivery(assign(0)))
    assert [type(event) for event in await stage.events(STREAM)] == [task.Assigned, task.Completed]
    assert [message.header.message_type for message in stage.said] == ["TASK_COMPLETE"]


async def test_the_intents_of_effects_are_events_before_they_start() -> None:
    """And the answer is given when all are confirmed."""
    world = World()
    world.answers.clear()
    stage = await begun(world)
    await stage.arrive(stage.delivery(assign(2)))
    await stage.until(lambda: bool(world.asked))
    kinds = [type(event) for event in await stage.events(STREAM)]
    assert kinds == [task.Assigned, task.EffectIntended, task.EffectIntended]
    assert stage.said == []
    world.answers.set()
    await stage.until(lambda: bool(stage.said))
    assert len(world.done) == 2
    assert stage.said[0].body.output == {"receipts": ["post-0", "post-1"]}


async def test_a_step_that_waits_holds_nobody_up() -> None:
    """Another task of the same agent is completed meanwhile."""
    world = World()
    world.answers.clear()
    stage = await begun(world)
    await stage.arrive(stage.delivery(assign(1)), stage.delivery(assign(0, "1")))
    await stage.until(lambda: bool(stage.said))
    assert stage.said[0].header.stream == "task-k-1-1-POST"
    await stage.host.stop(patience_s=0.1)


async def test_a_new_owner_goes_on_under_the_same_keys() -> None:
    """The process died between intent and effect, or behind the effect: the target does each key once all the same."""
    world = World()
    world.answers.clear()
    stage = await begun(world)
    await stage.arrive(stage.delivery(assign(2)))
    await stage.until(lambda: bool(world.asked))
    await stage.host.stop(patience_s=0.1)
    world.answers.set()
    assert await stage.begin(works(world)) == 1
    await stage.until(lambda: bool(stage.said))
    assert world.done == {f"{STREAM}/post-0": 2, f"{STREAM}/post-1": 2}
    assert stage.said[0].body.attempts == 2
    assert sum(isinstance(event, task.Completed) for event in await stage.events(STREAM)) == 1


async def test_a_target_that_is_away_is_asked_again() -> None:
    """Under the same key: whether it acted the first time is unknown."""
    world = World()
    world.errors = [EffectUnavailable("timeout")]
    stage = await begun(world)
    await stage.arrive(stage.delivery(assign(1)))
    await stage.until(lambda: bool(stage.said))
    assert world.asked == [f"{STREAM}/post-0"] * 2
    assert stage.said[0].body.attempts == 2


async def test_a_target_that_refuses_fails_the_task() -> None:
    """Asking again would not help."""
    world = World()
    world.errors = [EffectRefused("no such wall")]
    stage = await begun(world)
    await stage.arrive(stage.delivery(assign(1)))
    await stage.until(lambda: bool(stage.said))
    assert isinstance(stage.said[0].body, TaskFail)
    assert (stage.said[0].body.failure.error_class, len(world.asked)) == ("fatal", 1)


async def test_a_target_that_knows_a_newer_owner_stops_the_agent() -> None:
    """Nothing is committed by who is no longer the owner."""
    world = World()
    world.errors = [StaleEpoch("epoch 1 is over")]
    stage = await begun(world)
    await stage.bus.deliver(stage.delivery(assign(1)))
    await stage.until(stage.host.failed.done)
    assert isinstance(stage.host.failed.exception(), StaleEpoch)
    assert stage.said == []


async def test_input_that_does_not_fit_fails_the_task_and_says_where() -> None:
    """The reason names the place."""
    stage = await begun(World())
    await stage.arrive(stage.delivery(assign("many")))
    (told,) = stage.said
    assert isinstance(told.body, TaskFail)
    assert "/parameters/posts" in told.body.failure.reason


async def test_a_skill_that_breaks_fails_its_task_alone() -> None:
    """The next task is done."""
    stage = await begun(World())
    await stage.arrive(stage.delivery(assign(-1)), stage.delivery(assign(0, "1")))
    await stage.until(lambda: len(stage.said) == 2)
    assert {message.header.message_type for message in stage.said} == {"TASK_FAIL", "TASK_COMPLETE"}


async def test_a_cancellation_that_comes_first_refuses_the_assignment() -> None:
    """Messages may come in any order."""
    stage = await begun(World())
    await stage.arrive(stage.delivery(cancel()))
    await stage.arrive(stage.delivery(assign(0)))
    assert [type(event) for event in await stage.events(STREAM)] == [task.Cancelled]
    assert stage.said == []


async def test_a_cancelled_step_no_longer_waits() -> None:
    """Its result would come too late."""
    world = World()
    world.answers.clear()
    stage = await begun(world)
    await stage.arrive(stage.delivery(assign(1)))
    await stage.until(lambda: bool(world.asked))
    await stage.arrive(stage.delivery(cancel()))
    world.answers.set()
    assert isinstance((await stage.events(STREAM))[-1], task.Cancelled)
    assert stage.said == []
