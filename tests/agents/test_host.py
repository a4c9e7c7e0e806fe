"""The loop of an agent: what it does with messages that are doubled, refused, in the way of each other, or none at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from agents import host
from agents.host import Host, Refusal
from agents.unit import Unit
from domain import deadletter, task
from domain.decision import digest
from domain.message import Header, Message, MessageType, NotUnderstood, Task, TaskAssign
from domain.ports.bus import Delivery, Undeliverable
from domain.ports.store import Append, Appended, Fenced, Received, StoreUnavailable, StreamAppend
from store.memory import MemoryStore
from tests.agents.stage import NOON_MS, Stage

AGENT, LEAD = "pricing_optimizer/0", "lead/0"


def assignment(name: str) -> Message:
    header = Header(f"id-{name}", "TASK_ASSIGN", LEAD, AGENT, "2026-11-21T12:00:00.000Z", "run-k-1", "workflow-k-1-0", 2)
    return Message(header, TaskAssign(Task(f"task-k-1-0-{name}", name, {})))


class Writing:
    """A behaviour that completes every task at once, and refuses or breaks where the task's name says so."""

    def __init__(self, host: Host) -> None:
        self.seen: list[str] = []
        self.let_go = asyncio.Event()

    def mailbox(self, delivery: Delivery) -> str:
        return str(delivery.message.body.task.task_id)

    async def receive(self, delivery: Delivery, unit: Unit) -> None:
        given: Task = delivery.message.body.task
        self.seen.append(given.task_type)
        if given.task_type.startswith("REFUSE"):
            raise Refusal("not today")
        if given.task_type.startswith("BREAK"):
            raise ZeroDivisionError("a mistake of ours")
        if given.task_type.startswith("WAIT"):
            await self.let_go.wait()
        if not task.accepts(await unit.state(given.task_id)):
            return
        await unit.record(given.task_id, [task.at_once(given, LEAD, None, unit.now_ms)])
        await unit.record(given.task_id, task.complete(await unit.state(given.task_id), {"ok": True}, {}, 0, unit.now_ms))

    async def resume(self, streams: Sequence[str]) -> None:
        """Nothing waits."""

    async def stop(self) -> None:
        """Nothing waits."""


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage(AGENT)
    await made.begin(Writing)
    yield made
    await made.host.stop(patience_s=0.1)


async def test_a_message_is_one_append_and_its_answer_is_sent(stage: Stage) -> None:
    """Events, applied mark and outgoing message are there together."""
    await stage.arrive(stage.delivery(assignment("A"), 1))
    assert [type(event) for event in await stage.events("task-k-1-0-A")] == [task.Assigned, task.Completed]
    assert (await stage.store.marks(AGENT))[LEAD].mark == 1
    assert [message.header.message_type for message in stage.said] == ["TASK_COMPLETE"]


async def test_a_doubled_message_changes_nothing(stage: Stage) -> None:
    """In the same batch, in a later one, and after the agent has begun anew."""
    one = stage.delivery(assignment("A"), 1)
    await stage.arrive(one, one)
    await stage.arrive(one)
    await stage.begin(Writing)
    await stage.arrive(one)
    assert len(await stage.events("task-k-1-0-A")) == 2
    assert len(stage.said) == 1


async def test_messages_are_handled_in_any_order_of_their_numbers(stage: Stage) -> None:
    """What is overtaken is handled when it comes."""
    await stage.arrive(stage.delivery(assignment("B"), 2))
    await stage.arrive(stage.delivery(assignment("A"), 1))
    assert (await stage.store.marks(AGENT))[LEAD].mark == 2
    assert len(stage.said) == 2


async def test_a_refused_message_is_a_dead_letter_and_fails_its_task(stage: Stage) -> None:
    """It counts as applied, its bytes are kept, and its sender is told which task fails by it."""
    refused = stage.delivery(assignment("REFUSE"), 1)
    await stage.arrive(refused)
    (letter,) = await stage.events(deadletter.stream_of(digest(refused.raw)))
    assert isinstance(letter, deadletter.Recorded)
    assert (letter.reason, letter.detail, letter.task_id) == ("refused", "not today", "task-k-1-0-REFUSE")
    assert await stage.store.content(letter.raw) == refused.raw
    assert (await stage.store.marks(AGENT))[LEAD].mark == 1
    (told,) = stage.said
    assert told.header.message_type == MessageType.NOT_UNDERSTOOD
    assert isinstance(told.body, NotUnderstood)
    assert told.body.task is not None
    assert told.body.task.task_id == "task-k-1-0-REFUSE"


async def test_a_mistake_of_ours_neither_stops_the_agent_nor_comes_again(stage: Stage) -> None:
    """It ends as a dead letter that names it, and the next message is handled."""
    await stage.arrive(stage.delivery(assignment("BREAK"), 1), stage.delivery(assignment("A"), 2))
    assert (await stage.store.marks(AGENT))[LEAD].mark == 2
    assert {message.header.message_type for message in stage.said} == {"NOT_UNDERSTOOD", "TASK_COMPLETE"}


async def test_what_is_not_authentic_is_kept_once_and_not_applied(stage: Stage) -> None:
    """Its sender will repair it; nobody is answered."""
    broken = Undeliverable("digest", "changed on the way", b"junk", stage.bus.place())
    await stage.arrive(broken)
    await stage.arrive(broken)
    assert len(await stage.events(deadletter.stream_of(digest(b"junk")))) == 1
    assert await stage.store.marks(AGENT) == {}
    assert stage.said == []


async def test_a_stream_that_somebody_else_moved_is_decided_again(stage: Stage) -> None:
    """The decision is made on what is stored, not on what was believed."""
    cancelled = task.Cancelled(at_ms=NOON_MS, reason="vendor withdrew")
    await stage.store.append(Append("client/0", None, [StreamAppend("task-k-1-0-A", 0, [cancelled])]))
    await stage.arrive(stage.delivery(assignment("A"), 1))
    assert await stage.events("task-k-1-0-A") == [cancelled]
    assert (await stage.store.marks(AGENT))[LEAD].mark == 1


async def test_an_agent_whose_epoch_is_over_stops(stage: Stage) -> None:
    """It commits nothing, and says so to whoever runs it."""
    await stage.store.append(Append(AGENT, 2, claim=True))
    await stage.bus.deliver(stage.delivery(assignment("A"), 1))
    await stage.until(stage.host.failed.done)
    with pytest.raises(Fenced):
        stage.host.failed.result()
    assert await stage.events("task-k-1-0-A") == []
    assert stage.said == []


async def test_a_decision_that_waits_holds_up_no_other(stage: Stage) -> None:
    """Those before and behind it in the same batch are appended and answered meanwhile; what comes for its own stream waits."""
    names = ("A", "WAIT-1", "B", "WAIT-2", "C")
    await stage.bus.deliver(*(stage.delivery(assignment(name), number) for number, name in enumerate(names, 1)))
    await stage.bus.deliver(stage.delivery(assignment("WAIT-1"), 6), stage.delivery(assignment("D"), 7))
    await stage.until(lambda: len(stage.said) == 4)
    behaviour = stage.host.behaviour
    assert isinstance(behaviour, Writing)
    assert sorted(behaviour.seen) == ["A", "B", "C", "D", "WAIT-1", "WAIT-2"]
    behaviour.let_go.set()
    await stage.until(lambda: len(stage.bus.done_places) == 7)
    assert (await stage.store.marks(AGENT))[LEAD].mark == 7
    assert len(stage.said) == 6


async def test_what_is_appended_leaves_before_the_next_group_is_decided(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """On its way to the socket a message is handed on from turn to turn of the loop; its receiver must not wait for a pass."""
    monkeypatch.setattr(host, "GROUP", 2)
    monkeypatch.setattr(host, "GROUPS_AT_ONCE", 1)
    behaviour = stage.host.behaviour
    assert isinstance(behaviour, Writing)
    decided_by_then: list[int] = []

    async def leave() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        decided_by_then.append(len(behaviour.seen))

    monkeypatch.setattr(stage.bus, "send", lambda parcels: stage.host.spawn(leave()))
    await stage.arrive(*(stage.delivery(assignment(name), number) for number, name in enumerate("ABCD", 1)))
    await stage.until(lambda: len(decided_by_then) == 2)
    assert decided_by_then == [2, 4]


async def test_a_refusal_in_a_group_harms_nobody_else(stage: Stage) -> None:
    """Neighbours in the group are answered, whichever of them is refused and whichever stream had moved."""
    moved = task.Cancelled(at_ms=NOON_MS, reason="vendor withdrew")
    await stage.store.append(Append("client/0", None, [StreamAppend("task-k-1-0-C", 0, [moved])]))
    names = ("A", "REFUSE", "B", "BREAK", "C", "D")
    await stage.arrive(*(stage.delivery(assignment(name), number) for number, name in enumerate(names, 1)))
    assert (await stage.store.marks(AGENT))[LEAD].mark == 6
    told = sorted(message.header.message_type for message in stage.said)
    assert told == ["NOT_UNDERSTOOD", "NOT_UNDERSTOOD", "TASK_COMPLETE", "TASK_COMPLETE", "TASK_COMPLETE"]
    assert await stage.events("task-k-1-0-C") == [moved]


class Failing(MemoryStore):
    """A store that is in trouble for a while."""

    troubles = 0

    async def append(self, request: Append) -> Appended:
        if self.troubles:
            self.troubles -= 1
            raise StoreUnavailable("disk full")
        return await super().append(request)


async def test_trouble_that_many_wait_for_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A line when it begins and one when it is over, however many messages are on hold."""
    store = Failing()
    stage = Stage(AGENT, store)
    await stage.begin(Writing)
    store.troubles = 25
    await stage.arrive(*(stage.delivery(assignment(f"A{number}"), number) for number in range(1, 11)))
    assert (await stage.store.marks(AGENT))[LEAD].mark == 10
    assert [record.levelname for record in caplog.records if record.name == "agents.host"] == ["ERROR", "WARNING"]
    await stage.host.stop(patience_s=0.1)


async def test_a_store_in_trouble_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """The message is handled once the store is back, and the trouble is told once."""
    store = Failing()
    stage = Stage(AGENT, store)
    await stage.begin(Writing)
    store.troubles = 3
    await stage.arrive(stage.delivery(assignment("A"), 1))
    assert len(await stage.events("task-k-1-0-A")) == 2
    assert [record.levelname for record in caplog.records if record.name == "agents.host"] == ["ERROR", "WARNING"]
    await stage.host.stop(patience_s=0.1)


class Locked(MemoryStore):
    """A store that lets its agent in no more."""

    async def append(self, request: Append) -> Appended:
        error = StoreUnavailable("wrong password")
        error.final = True
        raise error


async def test_a_store_that_lets_nobody_in_any_more_ends_the_agent() -> None:
    """To wait for it would be for ever, and nobody would hear of it."""
    stage = Stage(AGENT, MemoryStore())
    await stage.begin(Writing)
    stage.host.store = Locked()
    await stage.bus.deliver(stage.delivery(assignment("A"), 1))
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable, match="wrong password"):
            await stage.host.failed
    await stage.host.stop(patience_s=0.1)


async def test_the_messages_of_one_stream_share_an_append(stage: Stage) -> None:
    """Those that waited while one was under way are decided together, each with its own mark."""
    first, *rest = (stage.delivery(assignment("A"), number) for number in range(1, 6))
    await stage.arrive(first, *rest)
    assert (await stage.store.marks(AGENT))[LEAD].mark == 5
    assert len(await stage.events("task-k-1-0-A")) == 2


async def test_received_numbers_are_kept_apart_by_sender(stage: Stage) -> None:
    """Number 1 of the lead is not number 1 of the client."""
    one = stage.delivery(assignment("A"), 1)
    other = replace(one, message=assignment("B"), received=Received("client/0", 1), place=stage.bus.place())
    await asyncio.gather(stage.arrive(one, other))
    assert set(await stage.store.marks(AGENT)) == {LEAD, "client/0"}
    assert len(stage.said) == 2
