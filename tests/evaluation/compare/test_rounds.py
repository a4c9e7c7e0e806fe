"""The order of measurements, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.ports.store import StoreUnavailable
from evaluation.compare.child import CannotMeasure
from evaluation.compare.rounds import measure
from evaluation.compare.systems import Measured


class Databases:
    """Counts databases that are there at a time."""

    def __init__(self) -> None:
        self.made = 0
        self.open: list[str] = []
        self.is_away = False

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        if self.is_away:
            raise StoreUnavailable("PostgreSQL at 127.0.0.1:5432: connection refused")
        self.made += 1
        url = f"postgresql://server/{self.made}"
        self.open.append(url)
        try:
            yield url
        finally:
            self.open.remove(url)


class System:
    """Answers at once; fails in the rounds that it is told."""

    def __init__(self, name: str, databases: Databases, fails: set[int] | None = None) -> None:
        self.name = name
        self.calls = 0
        self._databases = databases
        self._fails = fails or set()

    async def prepare(self) -> None:
        """Nothing is needed."""

    async def measure(self, database: str, concurrency: int, workflows: int) -> Measured:
        assert self._databases.open == [database], "each measurement is alone, on a database of its own"
        self.calls += 1
        if self.calls - 1 in self._fails:
            raise CannotMeasure("RuntimeError: no luck")
        return Measured(1000.0 * self.calls, workflows)


async def test_rounds_are_interleaved_and_begin_with_another_system_each_time() -> None:
    databases = Databases()
    systems = [System(name, databases) for name in "abc"]
    runs = await measure(systems, databases, concurrency=(1, 16), rounds=2, workflows=10, say=lambda line: None)
    assert [(each.round, each.concurrency, each.system) for each in runs] == [
        *((0, at_once, name) for at_once in (1, 16) for name in "abc"),
        *((1, at_once, name) for at_once in (1, 16) for name in "bca"),
    ]
    assert databases.made == 12 and databases.open == []


async def test_a_failure_is_kept_with_its_reason_and_the_next_round_tries_again() -> None:
    databases = Databases()
    said: list[str] = []
    runs = await measure([System("a", databases, {0})], databases, concurrency=(16,), rounds=2, workflows=10, say=said.append)
    assert [(each.measured is None, each.reason) for each in runs] == [(True, "RuntimeError: no luck"), (False, "")]
    assert databases.open == []
    assert said == ["1 of 2: 16 at a time, a: failed: RuntimeError: no luck", "2 of 2: 16 at a time, a: 2,000 a second"]


async def test_a_server_that_goes_away_ends_the_comparison() -> None:
    databases = Databases()
    databases.is_away = True
    with pytest.raises(StoreUnavailable, match="connection refused"):
        await measure([System("a", databases)], databases, concurrency=(16,), rounds=1, workflows=10, say=lambda line: None)
