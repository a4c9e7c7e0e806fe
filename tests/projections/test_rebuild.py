"""Read models can be lost: rebuilding gives them back as they were, and verifying finds what is not as the events say."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from projections import presence
from projections.database import reading, writing
from projections.fold import CannotProject
from projections.models import METADATA
from projections.presence import Presence, read
from projections.projector import Projector
from projections.rebuild import rebuild, verify
from projections.schema import SchemaMismatch, create_schema
from tests.projections.launch_events import MemoryLog, launch, upto
from tests.projections.tables import change, dump, projected

PRODUCTS = 12


async def test_a_rebuild_gives_identical_tables(engine: AsyncEngine) -> None:
    """Whatever happened to the rows, the events bring them back."""
    log, _ = launch(PRODUCTS, seed=2)
    await Projector(engine, log).catch_up()
    before = await dump(engine)
    await change(engine, "DELETE FROM tasks")
    await change(engine, "UPDATE runs SET status = 'lost'")
    rebuilt = await rebuild(engine, log)
    assert await dump(engine) == before
    assert (rebuilt.events, rebuilt.position) == (len(log.stored), log.stored[-1].position)


async def test_a_projector_goes_on_behind_a_rebuild(engine: AsyncEngine) -> None:
    """A projector that works meanwhile neither repeats nor leaves out an event."""
    log, _ = launch(PRODUCTS, seed=2)
    projector = Projector(engine, upto(log, 100))
    await projector.catch_up()
    await rebuild(engine, upto(log, 300))
    following = Projector(engine, log)
    await following.project_once(10)
    await rebuild(engine, upto(log, 400))
    await following.catch_up()
    assert await dump(engine) == await projected(log)


async def test_readers_never_see_half_of_a_rebuild(engine: AsyncEngine) -> None:
    """Who began to read before goes on seeing the old rows."""
    log, _ = launch(PRODUCTS, seed=2)
    await Projector(engine, log).catch_up()
    count = select(func.count()).select_from(METADATA.tables["messages"])
    async with reading(engine) as connection:
        before = await connection.scalar(count)
        await rebuild(engine, log)
        assert await connection.scalar(count) == before


async def test_a_rebuild_that_cannot_read_the_log_changes_nothing(engine: AsyncEngine) -> None:
    """The old rows are better than none."""
    log, _ = launch(2, seed=2)
    await Projector(engine, log).catch_up()
    before = await dump(engine)
    log.stored[50] = log.stored[50]._replace(topic="task.Teleported")
    with pytest.raises(CannotProject):
        await rebuild(engine, log)
    assert await dump(engine) == before


async def test_presence_is_outside_of_replay(engine: AsyncEngine) -> None:
    """A rebuild keeps it, a verification passes it by."""
    log, _ = launch(2, seed=2)
    await Projector(engine, log).catch_up()
    beat = Presence(agent="lead/0", pid=7, epoch=1, status="idle", last_heartbeat_at=5)
    async with writing(engine) as connection:
        await connection.execute(insert(presence.TABLE).values(msgspec.structs.asdict(beat)))
    await rebuild(engine, log)
    assert await read(engine) == [beat]
    assert not await verify(engine, log)


async def test_verify_finds_nothing_where_nothing_is_wrong(engine: AsyncEngine) -> None:
    """And says how much it compared."""
    log, _ = launch(PRODUCTS, seed=2)
    await Projector(engine, log).catch_up()
    found = await verify(engine, log)
    assert not found
    assert found.total == 0 and found.mismatches == []
    assert found.rows["runs"] == 1 and found.rows["workflows"] == PRODUCTS + 1


async def test_verify_names_a_changed_value(engine: AsyncEngine) -> None:
    """Table, key, column, what stands there and what the events say."""
    log, played = launch(3, seed=2, trouble=False)
    await Projector(engine, log).catch_up()
    await change(engine, "UPDATE tasks SET attempts = 9 WHERE task_id LIKE '%-1-SET_PRICE'")
    found = await verify(engine, log)
    (one,) = found.mismatches
    task_id = played.run_id.replace("run-", "task-") + "-1-SET_PRICE"
    assert found
    assert (one.table, one.key, one.column, one.read_model) == ("tasks", {"task_id": task_id}, "attempts", 9)
    assert one.replayed in {1, 2}


async def test_verify_names_missing_and_surplus_rows(engine: AsyncEngine) -> None:
    """A row on one side only is one mismatch, with the row on its side."""
    log, _ = launch(3, seed=2)
    await Projector(engine, log).catch_up()
    await change(engine, "DELETE FROM agents WHERE agent = 'lead/1'")
    await change(engine, "INSERT INTO agents (agent, role) VALUES ('aaa/0', 'aaa'), ('zzz/0', 'zzz')")
    found = await verify(engine, log)
    assert [(one.key["agent"], one.read_model is None, one.replayed is None) for one in found.mismatches] == [
        ("aaa/0", False, True),
        ("lead/1", True, False),
        ("zzz/0", False, True),
    ]


async def test_verify_lists_so_many_and_counts_all(engine: AsyncEngine) -> None:
    """A table that is all wrong does not fill the screen."""
    log, _ = launch(3, seed=2)
    await Projector(engine, log).catch_up()
    await change(engine, "UPDATE messages SET receiver = 'nobody/0'")
    found = await verify(engine, log, listed=5)
    assert len(found.mismatches) == 5
    assert found.total == found.rows["messages"]


async def test_lag_is_no_mismatch(engine: AsyncEngine) -> None:
    """What the projector has yet to do is compared with nothing."""
    log, _ = launch(PRODUCTS, seed=2)
    await Projector(engine, log).project_once(250)
    found = await verify(engine, log)
    assert not found
    assert (found.events, found.position) == (250, log.stored[249].position)


async def test_an_empty_log_verifies_and_rebuilds(engine: AsyncEngine) -> None:
    """The first minute of a new installation."""
    assert (await rebuild(engine, MemoryLog())).events == 0
    assert not await verify(engine, MemoryLog())


async def test_tables_of_another_version_are_refused_with_the_remedy_and_the_remedy_helps(engine: AsyncEngine) -> None:
    """The error names the command, and the command mends it."""
    log, _ = launch(2, seed=2)
    await change(engine, "UPDATE read_schema SET version = '0-old'")
    await change(engine, "DROP TABLE workflows")
    for refused in (create_schema(engine), Projector(engine, log).project_once(), verify(engine, log)):
        with pytest.raises(SchemaMismatch, match="rehydrate projections rebuild"):
            await refused
    await rebuild(engine, log)
    await create_schema(engine)
    assert await dump(engine) == await projected(log)
