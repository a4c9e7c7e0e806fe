"""What commands print: the keys they promise, and answers that fit together."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.agent import stop
from domain.message import rfc3339
from projections import presence, queries
from projections.presence import Presence
from projections.projector import Projector
from tests.projections.launch_events import NOON_MS, Launch, MemoryLog, launch


@pytest.fixture
async def played(engine: AsyncEngine) -> Launch:
    """A launch whose events are all projected."""
    log, launched = launch(60, seed=3)
    await Projector(engine, log).catch_up()
    return launched


async def _beat(engine: AsyncEngine, *beats: Presence) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(presence.TABLE), [msgspec.structs.asdict(beat) for beat in beats])


async def test_runs(engine: AsyncEngine, played: Launch) -> None:
    """A run in the list and by its id."""
    (row,) = await queries.runs(engine)
    assert (row.run_id, row.workflow, row.seed, row.products, row.ended) == (played.run_id, "product-launch-campaign", 3, 60, 60)
    assert row.requested_at == rfc3339(NOON_MS)
    detail = await queries.run(engine, played.run_id)
    assert detail is not None
    assert detail.parameters == {"stock": "s" * 12}
    assert list(detail.outputs) == ["report.md"]
    assert await queries.run(engine, "run-none-1") is None
    assert await queries.run_document(engine, "run-none-1") is None


async def test_a_seed_may_be_any_number(engine: AsyncEngine) -> None:
    """No 64 bits are in the way."""
    log = MemoryLog()
    launched = Launch(log, 0, seed=1)
    launched.request = msgspec.structs.replace(launched.request, seed=-(2**70))
    launched.play()
    await Projector(engine, log).catch_up()
    assert (await queries.runs(engine))[0].seed == -(2**70)


async def test_workflows(engine: AsyncEngine, played: Launch) -> None:
    """In a list by their place in the feed, with counts; by id with their steps."""
    listed = await queries.workflows(engine, run_id=played.run_id)
    assert [row.key for row in listed[:2]] == ["handle-0-x", "handle-1-x"]
    assert listed[-1].graph == "CLOSE_LAUNCH"
    failed = await queries.workflows(engine, status="failed")
    assert failed and all(row.steps_done < 6 for row in failed)
    assert len(await queries.workflows(engine, limit=5)) == 5
    whole = next(row for row in listed if row.status == "completed")
    assert (whole.steps, whole.steps_done) == (6, 6)
    shown = await queries.workflow(engine, whole.workflow_id)
    assert shown is not None
    assert shown.steps[0].task_type == "CREATE_LISTING"
    assert all(step.work == "completed" and step.assigned_at and step.started_at and step.ended_at for step in shown.steps)
    assert await queries.workflow(engine, "workflow-none") is None


async def test_messages_of_a_workflow_tell_its_story(engine: AsyncEngine, played: Launch) -> None:
    """From its assignment to the word that it ended."""
    done = (await queries.workflows(engine, status="completed", limit=1))[0]
    told = await queries.messages(engine, done.workflow_id)
    assert (told[0].type, told[0].sender, told[0].receiver) == ("TASK_ASSIGN", "lead/0", done.lead)
    assert (told[-1].type, told[-1].sender, told[-1].receiver) == ("TASK_COMPLETE", done.lead, "lead/0")
    assert len(told) == 2 + 2 * done.steps
    assert await queries.messages(engine, "workflow-none") == []


async def test_agents_have_the_promised_keys(engine: AsyncEngine, played: Launch) -> None:
    """Owner by the events, status, task and heartbeat by presence."""
    epoch = played.state("agent-pricing_optimizer/0").epoch
    task_id = "task-a-1-0-SET_PRICE"
    await _beat(
        engine,
        Presence(
            agent="pricing_optimizer/0", pid=4242, epoch=epoch, status="working", last_heartbeat_at=NOON_MS, task_id=task_id
        ),
    )
    rows = {row.agent: row for row in await queries.agents(engine, supervised=True)}
    promised = ["agent", "role", "shard", "epoch", "pid", "status", "task_id", "last_heartbeat_at"]
    shown = msgspec.to_builtins(rows["pricing_optimizer/0"])
    assert list(shown)[:8] == promised
    values = ["pricing_optimizer/0", "pricing_optimizer", 0, epoch, 4242, "working", task_id, rfc3339(NOON_MS)]
    assert [shown[name] for name in promised] == values
    assert rows["lead/1"].status == played.state("agent-lead/1").status
    assert rows["lead/1"].task_id is None and rows["lead/1"].last_heartbeat_at is None


async def test_without_a_supervisor_all_are_stopped(engine: AsyncEngine, played: Launch) -> None:
    """A heartbeat of yesterday is no life."""
    await _beat(
        engine, Presence(agent="lead/0", pid=1, epoch=9, status="working", last_heartbeat_at=NOON_MS, task_id="t", step="s")
    )
    rows = await queries.agents(engine, supervised=False)
    assert {row.status for row in rows} == {"stopped"}
    assert all(row.task_id is None and not row.step for row in rows)


async def test_a_heartbeat_of_an_owner_before_says_nothing(engine: AsyncEngine, played: Launch) -> None:
    """Nor does one that came late from an owner that stopped; one of a newer epoch is ahead of the projector."""
    stopping = played.state("agent-lead/1")
    played.apply("lead/1", "agent-lead/1", stop(stopping, played.now_ms))
    await Projector(engine, played.log).catch_up()
    await _beat(
        engine,
        Presence(agent="lead/0", pid=1, epoch=0, status="working", last_heartbeat_at=NOON_MS, task_id="t"),
        Presence(agent="lead/1", pid=1, epoch=stopping.epoch, status="working", last_heartbeat_at=NOON_MS, task_id="t"),
        Presence(agent="feedback_listener/0", pid=77, epoch=99, status="idle", last_heartbeat_at=NOON_MS),
        Presence(agent="follower/3", pid=78, epoch=0, status="warm", last_heartbeat_at=NOON_MS),
    )
    rows = {row.agent: row for row in await queries.agents(engine, supervised=True)}
    assert (rows["lead/0"].status, rows["lead/0"].task_id) == ("ready", None)
    assert (rows["lead/1"].status, rows["lead/1"].task_id) == ("stopped", None)
    assert (rows["feedback_listener/0"].pid, rows["feedback_listener/0"].epoch) == (77, 99)
    assert (rows["follower/3"].role, rows["follower/3"].shard, rows["follower/3"].status) == ("follower", 3, "warm")


async def test_dead_letters(engine: AsyncEngine, played: Launch) -> None:
    """All, by status, and one."""
    letters = await queries.dead_letters(engine)
    assert letters
    for status in ("waiting", "replayed", "discarded"):
        listed = await queries.dead_letters(engine, status=status)
        assert [row.letter_id for row in listed] == [row.letter_id for row in letters if row.status == status]
    shown = await queries.dead_letter(engine, letters[0].letter_id)
    assert shown == letters[0]
    assert (shown.topic, shown.partition, shown.offset, shown.correlation_id) == ("lead", 0, 17, played.run_id)
    assert await queries.dead_letter(engine, "deadletter-none") is None


async def test_recoveries(engine: AsyncEngine, played: Launch) -> None:
    """Those of a run, and the last ones of all, in the order in which they happened."""
    of_run = await queries.recoveries(engine, run_id=played.run_id)
    assert of_run
    assert await queries.recoveries(engine) == of_run
    assert await queries.recoveries(engine, limit=1) == of_run[-1:]
    assert all(row.new_epoch == row.old_epoch + 1 and row.detected_by in {"exit", "silence"} for row in of_run)
    assert await queries.recoveries(engine, run_id="run-none-1") is None


async def test_lag(engine: AsyncEngine) -> None:
    """How far behind, in positions."""
    log, _ = launch(3, seed=1)
    await Projector(engine, log).project_once(10)
    behind = await queries.lag(engine, log)
    assert (behind.position, behind.head) == (log.stored[9].position, log.stored[-1].position)
    assert behind.behind == behind.head - behind.position
    await Projector(engine, log).catch_up()
    assert (await queries.lag(engine, log)).behind == 0
