"""The databases that the contract of the event store is tested on. A further adapter is one more class in `WORLDS`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from domain.ports.store import EventStore, Snapshot
from store.memory import MemoryStore, MemoryWorld
from store.sqlite import SqliteStore


class Store(EventStore, Protocol):
    """The port, and what tools need beyond it."""

    async def snapshots(self) -> list[Snapshot]:
        """All snapshots."""

    async def erase(self, digest: str) -> None:
        """Erase a content document."""


class World(Protocol):
    """One database, empty at first. Each `open` is what another process would have."""

    def open(self) -> Store:
        """A further store on this database."""

    def outbox(self, sender: str) -> Sequence[tuple[str, int]]:
        """The outbox rows that really lie there, as (receiver, number): the port shows only those not applied."""


class InMemory:
    def __init__(self, folder: Path) -> None:
        self._world = MemoryWorld()

    def open(self) -> Store:
        return MemoryStore(self._world)

    def outbox(self, sender: str) -> Sequence[tuple[str, int]]:
        pairs = self._world.outbox.items()
        return sorted((receiver, number) for (holder, receiver), rows in pairs if holder == sender for number in rows)


class OnSqlite:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.db"

    def open(self) -> Store:
        return SqliteStore(self._path)

    def outbox(self, sender: str) -> Sequence[tuple[str, int]]:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(
                "SELECT receiver, n FROM outbox WHERE sender = ? ORDER BY receiver, n", (sender,)
            ).fetchall()


WORLDS: dict[str, Callable[[Path], World]] = {"memory": InMemory, "sqlite": OnSqlite}
