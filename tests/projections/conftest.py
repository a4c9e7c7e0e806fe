"""Read databases for these tests: each of its own, SQLite and PostgreSQL, gone with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.database import open_engine
from projections.schema import create_schema


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the read database of the test lies."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'read.db'}"
    return str(request.getfixturevalue("postgres_emptied"))


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """A read database with empty tables, impatient with locks."""
    opened = open_engine(url, busy_timeout_ms=20)
    await create_schema(opened)
    yield opened
    await opened.dispose()
