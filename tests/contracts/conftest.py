"""Fixtures of the contracts: each test runs on every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.worlds import WORLDS, Store, World


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """An empty database of each kind."""
    return WORLDS[request.param](tmp_path)


@pytest.fixture
async def store(world: World) -> AsyncIterator[Store]:
    """A store on the database."""
    opened = world.open()
    yield opened
    await opened.close()


@pytest.fixture
async def other(world: World, store: Store) -> AsyncIterator[Store]:
    """What another process has: a second store on the same database."""
    opened = world.open()
    yield opened
    await opened.close()
