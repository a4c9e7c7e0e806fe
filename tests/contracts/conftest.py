"""Fixtures of the contracts: each test runs on every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.worlds import InMemory, OnPostgres, OnSqlite, Store, World


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """An empty database of each kind."""
    if request.param == "memory":
        return InMemory()
    if request.param == "sqlite":
        return OnSqlite(tmp_path / "events.db")
    return OnPostgres(request.getfixturevalue("postgres_emptied"))


@pytest.fixture
async def store(world: World) -> AsyncIterator[Store]:
    """A store on the database."""
    opened = await world.open()
    yield opened
    await opened.close()


@pytest.fixture
async def other(world: World, store: Store) -> AsyncIterator[Store]:
    """What another process has: a second store on the same database."""
    opened = await world.open()
    yield opened
    await opened.close()
