"""However the log is cut, whoever crashes: the read models are what the events say."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain import streams
from domain.ports.store import Stored, StoreUnavailable
from projections.database import is_passing
from projections.fold import CannotProject
from projections.projector import Projector
from tests.projections.launch_events import Launch, MemoryLog, launch, upto, versions_rise
from tests.projections.tables import change, dump, projected, rows

PRODUCTS = 12


def test_the_generator_plays_a_whole_launch() -> None:
    """These tests see every kind of event that the read models take."""
    log, played = launch(60, seed=3)
    assert versions_rise(log.recorded)
    assert str(played.state(played.run_id).status) in {"completed", "degraded"}
    topics = {stored.topic for stored in log.stored}
    assert topics >= {"task.Failed", "task.Resumed", "workflow.StepCancelled", "agent.Ready", "deadletter.Recorded", "price.Set"}


@pytest.mark.parametrize(("limit", "products"), [(1, 3), (7, PRODUCTS), (100, PRODUCTS)])
async def test_batches_of_any_size_give_the_same_tables(engine: AsyncEngine, limit: int, products: int) -> None:
    """How many events a transaction takes is nobody's business."""
    log, _ = launch(products, seed=5)
    projector = Projector(engine, log)
    while await projector.project_once(limit):
        pass
    assert await dump(engine) == await projected(log)


async def test_a_new_projector_goes_on_where_the_last_one_was(engine: AsyncEngine) -> None:
    """A crash between two transactions loses nothing and doubles nothing."""
    log, _ = launch(PRODUCTS, seed=6)
    while await Projector(engine, log).project_once(150):
        pass
    assert await dump(engine) == await projected(log)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # by means that only SQLite has
async def test_a_crash_in_a_transaction_leaves_no_half_of_it(engine: AsyncEngine) -> None:
    """Rows and position move together or not at all."""
    log, _ = launch(PRODUCTS, seed=7)
    await Projector(engine, log).project_once(200)
    before = await dump(engine)
    await change(engine, "CREATE TRIGGER crash BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'the machine stops'); END")
    projector = Projector(engine, log)
    with pytest.raises(DBAPIError, match="the machine stops"):
        await projector.project_once(200)
    assert await dump(engine) == before
    await change(engine, "DROP TRIGGER crash")
    await projector.catch_up()
    assert await dump(engine) == await projected(log)


async def test_two_projectors_at_once_only_waste_work(engine: AsyncEngine) -> None:
    """An event is applied once, whoever was first."""
    log, _ = launch(PRODUCTS, seed=8)
    one, other = Projector(engine, log), Projector(engine, log)
    while await one.project_once(37) or await other.project_once(53):
        await other.project_once(11)
    assert await dump(engine) == await projected(log)


async def test_messages_are_those_on_the_wire(engine: AsyncEngine) -> None:
    """The read model derives the ids, types, senders and receivers that the domain's own envelopes have."""
    log, played = launch(60, seed=3)
    await Projector(engine, log).catch_up()
    names = ("message_id", "type", "sender", "receiver", "stream", "version")
    found = {tuple(row[name] for name in names) for row in await rows(engine, "messages")}
    wire = {(h.message_id, h.message_type, h.sender, h.receiver, h.stream, h.version) for h in played.told}
    assert found == wire
    assert {kind for _, kind, *_ in wire} == {"TASK_ASSIGN", "TASK_COMPLETE", "TASK_FAIL", "TASK_CANCEL", "NOT_UNDERSTOOD"}


async def test_rows_say_what_the_domains_fold_says(engine: AsyncEngine) -> None:
    """A read model has no opinion of its own."""
    log, played = launch(60, seed=3)
    await Projector(engine, log).catch_up()
    (run_row,) = await rows(engine, "runs")
    run = played.state(played.run_id)
    assert (run_row["status"], run_row["started"], run_row["ended"], run_row["failed"]) == (
        run.status,
        run.started,
        run.ended,
        run.failed,
    )
    for row in await rows(engine, "workflows"):
        flow = played.state(row["workflow_id"])
        assert (row["status"], row["result"], row["graph"]) == (flow.status, flow.result, flow.start.graph)
    for row in await rows(engine, "tasks"):
        step = played.state(row["workflow_id"]).steps[streams.task_name(row["task_id"]).step]
        assert (row["status"], row["agent"], row["reason"]) == (step.status, step.agent, step.reason)
        assert (row["work"] or "unknown") == played.state(row["task_id"]).status
    for row in await rows(engine, "agents"):
        owner = played.state(streams.agent_stream(row["agent"]))
        assert (row["status"], row["epoch"], row["pid"]) == (owner.status, owner.epoch, owner.pid)
    for row in await rows(engine, "dead_letters"):
        assert row["status"] == played.state(row["letter_id"]).status


async def test_an_unknown_topic_stops_the_projector_behind_all_before_it(engine: AsyncEngine) -> None:
    """Nothing is skipped: the error says where and why, and what came before is there."""
    log, _ = launch(2, seed=1)
    before = await projected(upto(log, 40))
    strange = log.stored[40]
    log.stored[40] = Stored(strange.position, strange.stream, strange.version, "task.Teleported", b"{}")
    projector = Projector(engine, log)
    assert await projector.project_once() == 40
    with pytest.raises(CannotProject, match=rf"position {strange.position} .*task\.Teleported"):
        await projector.project_once()
    assert await dump(engine) == before


async def test_corrupt_bytes_stop_the_projector(engine: AsyncEngine) -> None:
    """A row that was changed outside of the store is named, not guessed."""
    log, _ = launch(1, seed=1)
    first = log.stored[0]
    log.stored[0] = Stored(first.position, first.stream, first.version, first.topic, b'{"at_ms":"noon"}')
    with pytest.raises(CannotProject, match=first.stream):
        await Projector(engine, log).project_once()


async def test_read_models_of_another_log_are_refused(engine: AsyncEngine) -> None:
    """A position behind the end of the log is no lag."""
    log, _ = launch(2, seed=1)
    await Projector(engine, log).catch_up()
    with pytest.raises(CannotProject, match="rebuild"):
        await Projector(engine, MemoryLog()).project_once()


class Unlocking(MemoryLog):
    """A log in whose third reading whoever locks the read database lets go of it; the fourth finds the store away."""

    def __init__(self, stored: list[Stored], holder: sqlite3.Connection, stop: asyncio.Event) -> None:
        super().__init__()
        self.stored, self.holder, self.stop = stored, holder, stop

    async def log(self, after: int, limit: int) -> list[Stored]:
        found = await super().log(after, 200)
        if self.reads == 3:
            self.holder.rollback()
        if self.reads == 4:
            raise StoreUnavailable("away")
        if not found:
            self.stop.set()
        return found


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # by means that only SQLite has
async def test_a_locked_database_and_an_absent_store_are_waited_for(engine: AsyncEngine, tmp_path: Path) -> None:
    """The projector goes on by itself, and ends when it is told to."""
    log, _ = launch(PRODUCTS, seed=9)
    holder = sqlite3.connect(tmp_path / "read.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DBAPIError) as locked:
        await Projector(engine, log).project_once()
    assert is_passing(locked.value)
    stop = asyncio.Event()
    unlocking = Unlocking(log.stored, holder, stop)
    await asyncio.wait_for(Projector(engine, unlocking).run(stop, idle_s=(0.001, 0.002)), timeout=30)
    holder.close()
    assert await dump(engine) == await projected(log)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # by means that only SQLite has
async def test_a_full_disk_is_waited_for_and_told_once(engine: AsyncEngine, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever makes room need not start anything; until then the log says it once."""
    log, _ = launch(PRODUCTS, seed=10)
    await _room(engine, 0)
    stop, tries = asyncio.Event(), 5

    class Watching(MemoryLog):
        async def log(self, after: int, limit: int) -> list[Stored]:
            if self.reads == tries:
                await _room(engine, 100_000)
            found = await super().log(after, limit)
            if not found:
                stop.set()
            return found

    watching = Watching()
    watching.stored = log.stored
    await asyncio.wait_for(Projector(engine, watching).run(stop, idle_s=(0.001, 0.002)), timeout=30)
    told = [record.message for record in caplog.records if record.name == "projections.projector"]
    assert told == ["the read models wait: database or disk is full", "the read models go on"]
    assert await dump(engine) == await projected(log)


async def _room(engine: AsyncEngine, pages: int) -> None:
    """Let the database have so many pages, or those that it has. It is a setting of the one connection that the pool holds."""
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {max(pages, 1)}")


async def test_runs_in_one_log_stay_apart(engine: AsyncEngine) -> None:
    """A second run of the same request adds its own rows and changes none of the first."""
    log = MemoryLog()
    first = Launch(log, 3, seed=1).play()
    await Projector(engine, log).catch_up()
    before = {row["run_id"]: row for row in await rows(engine, "runs")}
    second = Launch(log, 3, seed=1, ordinal=2)
    second.versions = {
        name: version for name, version in first.versions.items() if name.startswith(("agent-", "price-", "deadletter-"))
    }
    second.states = {name: first.states[name] for name in second.versions}
    second.play()
    await Projector(engine, log).catch_up()
    after = {row["run_id"]: row for row in await rows(engine, "runs")}
    assert set(after) == {first.run_id, second.run_id}
    assert after[first.run_id] == before[first.run_id]
