"""Presence is what the last heartbeat said; a beat that cannot be written is no harm."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections import presence
from projections.database import open_engine
from projections.presence import Presence, PresenceWriter

BEAT = Presence(
    agent="lead/0", pid=7, epoch=1, status="working", last_heartbeat_at=5, task_id="task-a-1-0-X", step="think", note="why"
)


@pytest.fixture
def writer(url: str) -> Iterator[PresenceWriter]:
    """A writer as a supervisor's thread has it."""
    opened = PresenceWriter(url)
    yield opened
    opened.close()


def _read(url: str) -> list[Presence]:
    async def reading() -> list[Presence]:
        engine = open_engine(url)
        try:
            return await presence.read(engine)
        finally:
            await engine.dispose()

    return asyncio.run(reading())


def test_the_last_heartbeat_stands(writer: PresenceWriter, url: str) -> None:
    """One row an agent, with what its last heartbeat said."""
    later = Presence(agent="lead/0", pid=8, epoch=2, status="idle", last_heartbeat_at=9)
    other = Presence(agent="analytics_reporter/0", pid=9, epoch=1, status="idle", last_heartbeat_at=9)
    assert writer.upsert([BEAT])
    assert writer.upsert([other, later])
    assert _read(url) == [other, later]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # by means that only SQLite has
def test_a_locked_database_costs_one_beat(writer: PresenceWriter, url: str, tmp_path: Path) -> None:
    """The writer gives up, says so, and the next beat is written."""
    assert writer.upsert([BEAT])
    holder = sqlite3.connect(tmp_path / "read.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    later = Presence(agent="lead/0", pid=7, epoch=1, status="idle", last_heartbeat_at=9)
    assert not writer.upsert([later])
    holder.rollback()
    holder.close()
    assert _read(url) == [BEAT]
    assert writer.upsert([later])
    assert _read(url) == [later]


def test_a_supervisor_that_starts_knows_nobody(writer: PresenceWriter, url: str) -> None:
    """What the one before it saw is forgotten; no rows to write is no work."""
    assert writer.upsert([BEAT])
    assert writer.clear()
    assert writer.upsert([])
    assert _read(url) == []
