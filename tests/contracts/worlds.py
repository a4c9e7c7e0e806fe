"""The databases that the contract of the event store is tested on. A further adapter is one more class
here, and one more parameter of the fixture `world`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from domain.ports.store import EventStore, Snapshot
from store.keeping import Keeping
from store.memory import MemoryStore
from store.memory_world import MemoryWorld
from store.postgres.connection import connect, place_of
from store.postgres.store import PostgresStore
from store.sqlite import SqliteStore


class Store(EventStore, Protocol):
    """The port, and what tools need beyond it."""

    async def snapshots(self) -> list[Snapshot]:
        """All snapshots."""

    async def erase(self, digest: str) -> None:
        """Erase a content document."""

    def keeping(self) -> Keeping:
        """What keeps the store small."""


class World(Protocol):
    """One database, empty at first. Each `open` is what another process would have."""

    async def open(self) -> Store:
        """A further store on this database."""

    async def outbox(self, sender: str) -> Sequence[tuple[str, int]]:
        """The outbox rows that really lie there, as (receiver, number): the port shows only those not applied."""


class InMemory:
    def __init__(self) -> None:
        self._world = MemoryWorld()

    async def open(self) -> Store:
        return MemoryStore(self._world)

    async def outbox(self, sender: str) -> Sequence[tuple[str, int]]:
        pairs = self._world.outbox.items()
        return sorted((receiver, number) for (holder, receiver), rows in pairs if holder == sender for number in rows)


class OnSqlite:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def open(self) -> Store:
        return SqliteStore(self._path)

    async def outbox(self, sender: str) -> Sequence[tuple[str, int]]:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(
                "SELECT receiver, n FROM outbox WHERE sender = ? ORDER BY receiver, n", (sender,)
            ).fetchall()


class OnPostgres:
    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> Store:
        return await PostgresStore.open(self._url)

    async def outbox(self, sender: str) -> Sequence[tuple[str, int]]:
        connection = await connect(place_of(self._url), "test")
        try:
            rows = await connection.fetch("SELECT receiver, n FROM outbox WHERE sender = $1 ORDER BY receiver, n", sender)
        finally:
            await connection.close()
        return [(receiver, n) for receiver, n in rows]
