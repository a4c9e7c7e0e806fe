"""The event store on PostgreSQL, for any number of processes on any number of machines.

Writing goes through the process's one writer; reading through a small pool of connections of its own, so that no read waits for a commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg

from domain.event import Event, decode, decode_all
from domain.marks import Marks
from domain.ports.probe import Probe, nobody
from domain.ports.store import (
    Append,
    Appended,
    NoContent,
    Parcel,
    Recorded,
    Refused,
    Snapshot,
    Stored,
    StoreUnavailable,
    StreamInfo,
)
from store.postgres import schema
from store.postgres.audit import PostgresAudit
from store.postgres.connection import TROUBLE, Place, connect, options, place_of, session, told
from store.postgres.keeping import PostgresKeeping
from store.postgres.writer import Writer
from store.request import answers, encoded

log = logging.getLogger(__name__)

READERS = 4
"""Connections that a process reads with at most; the first stays open, the others are closed when they idle."""
VACUUM_AFTER = 1500
"""Messages. What is sent is soon trimmed; the room of trimmed rows is used again only after a VACUUM, and the server's own comes once a
minute, when a busy outbox has grown far beyond what lies in it."""
FOREVER = 2**62
CLOSE_S = 2.0
"""How long closing waits for readers: the driver never gets back a connection that its server ended at a wrong moment."""


class PostgresStore:
    """The port `EventStore` on a PostgreSQL database. `open` connects; `name` is what the server's own tools show."""

    def __init__(self, place: Place, pool: asyncpg.Pool, probe: Probe, name: str) -> None:
        self.place = place
        self._pool = pool
        self._writer = Writer(place, lambda: connect(place, f"{name} (append)"), probe)
        self._vacuumed = 0
        self._sweeping: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, probe: Probe = nobody, name: str = "store") -> PostgresStore:
        """Connect, and create the tables where there are none.

        Raises:
            ValueError: this is no URL of a PostgreSQL database.
            DatabaseRefused: the database will not have us; the message says why and what to do.
            SchemaMismatch: its tables are something else or of another version.
            StoreUnavailable: it cannot be reached just now.
        """
        place = place_of(url)
        connection = await connect(place, name)
        try:
            with told(place):
                await schema.ensure(connection, place.shown)
        finally:
            await connection.close()
        with told(place):
            pool = await asyncpg.create_pool(place.url, min_size=1, max_size=READERS, **options(name))
        return cls(place, pool, probe, name)

    # --- append ------------------------------------------------------------------------------------------------------

    async def append(self, request: Append) -> Appended:
        appended = await self._writer.submit(encoded(request))
        self._sweep_now_and_then()
        return appended

    async def append_all(self, requests: Sequence[Append]) -> list[Appended | Refused | StoreUnavailable]:
        found = await answers([self._writer.submit(encoded(request)) for request in requests])
        self._sweep_now_and_then()
        return found

    def _sweep_now_and_then(self) -> None:
        if self._writer.sent - self._vacuumed >= VACUUM_AFTER and (self._sweeping is None or self._sweeping.done()):
            self._vacuumed = self._writer.sent
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        """Make the room of trimmed rows usable again; where the server does not let us, its own vacuum does it later."""
        try:
            await self._pool.execute("VACUUM (SKIP_LOCKED, TRUNCATE FALSE, INDEX_CLEANUP ON) outbox, open_streams")
        except TROUBLE as error:
            log.info("the outbox was not vacuumed: %s", error)

    # --- read --------------------------------------------------------------------------------------------------------

    async def read(self, stream: str, after: int = 0, upto: int | None = None) -> list[Recorded]:
        rows = await self._all(
            "SELECT notification_id, originator_version, topic, state FROM stored_events "
            "WHERE originator_id = $1 AND originator_version > $2 AND originator_version <= $3 ORDER BY originator_version",
            *(stream, after, FOREVER if upto is None else upto),
        )
        return [Recorded(position, stream, version, decode(topic, state)) for position, version, topic, state in rows]

    async def history(self, stream: str, after: int = 0, upto: int | None = None) -> list[Event]:
        rows = await self._all(
            "SELECT topic, state FROM stored_events "
            "WHERE originator_id = $1 AND originator_version > $2 AND originator_version <= $3 ORDER BY originator_version",
            *(stream, after, FOREVER if upto is None else upto),
        )
        return decode_all(rows)

    async def snapshot(self, stream: str, upto: int | None = None) -> Snapshot | None:
        rows = await self._all(
            "SELECT originator_id, originator_version, state FROM snapshots WHERE originator_id = $1 AND originator_version <= $2 "
            "ORDER BY originator_version DESC LIMIT 1",
            *(stream, FOREVER if upto is None else upto),
        )
        return Snapshot(*rows[0]) if rows else None

    async def log(self, after: int, limit: int) -> list[Stored]:
        rows = await self._all(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events "
            "WHERE notification_id > $1 ORDER BY notification_id LIMIT $2",
            *(after, limit),
        )
        return [Stored(*row) for row in rows]

    async def check_access(self) -> None:
        """On a connection of its own: those of the pool were let in before."""
        async with session(self.place, "supervisor (access)"):
            pass

    async def identity(self) -> str:
        """The id of this store."""
        asked = "SELECT value FROM meta WHERE name = 'identity'"
        if not (rows := await self._all(asked)):
            await self._all("INSERT INTO meta VALUES ('identity', $1) ON CONFLICT DO NOTHING", uuid4().hex)
            rows = await self._all(asked)
        return str(rows[0][0])

    async def head(self) -> int:
        rows = await self._all("SELECT coalesce(max(notification_id), 0) FROM stored_events")
        return int(rows[0][0])

    async def streams(self, prefix: str = "") -> list[StreamInfo]:
        rows = await self._all(
            "SELECT originator_id, max(originator_version), count(*) FROM stored_events "
            "WHERE originator_id >= $1 AND originator_id < $2 GROUP BY originator_id ORDER BY originator_id",
            *(prefix, prefix + "\U0010ffff"),
        )
        return [StreamInfo(*row) for row in rows]

    async def snapshots(self) -> list[Snapshot]:
        """All snapshots."""
        return [Snapshot(*row) for row in await self._all("SELECT originator_id, originator_version, state FROM snapshots")]

    async def open_streams(self, owner: str) -> list[str]:
        rows = await self._all("SELECT stream FROM open_streams WHERE owner = $1 ORDER BY stream", owner)
        return [stream for (stream,) in rows]

    async def epochs(self) -> dict[str, int]:
        return dict(await self._all("SELECT agent, epoch FROM fences ORDER BY agent"))

    async def marks(self, receiver: str) -> dict[str, Marks]:
        rows = await self._all("SELECT sender, mark, above FROM applied WHERE receiver = $1", receiver)
        return {sender: Marks(mark, frozenset(above)) for sender, mark, above in rows}

    async def unapplied(self, sender: str) -> dict[str, tuple[Marks, int]]:
        rows = await self._all(
            "SELECT c.receiver, coalesce(a.mark, 0), coalesce(a.above, '{}'), c.n FROM counters c "
            "LEFT JOIN applied a ON a.receiver = c.receiver AND a.sender = c.sender WHERE c.sender = $1 AND coalesce(a.mark, 0) < c.n",
            sender,
        )
        return {receiver: (Marks(mark, frozenset(above)), last) for receiver, mark, above, last in rows}

    async def parcels(self, sender: str, receiver: str, numbers: Sequence[int] | None = None, limit: int = 1000) -> list[Parcel]:
        wanted = None if numbers is None else sorted(set(numbers))[:limit]
        rows = await self._all(
            "SELECT o.receiver, o.n, o.value FROM outbox o LEFT JOIN applied a ON a.receiver = o.receiver AND a.sender = o.sender "
            "WHERE o.sender = $1 AND o.receiver = $2 AND o.n > coalesce(a.mark, 0) AND o.n <> ALL (coalesce(a.above, '{}')) "
            "AND ($3::bigint[] IS NULL OR o.n = ANY ($3)) ORDER BY o.n LIMIT $4",
            *(sender, receiver, wanted, limit),
        )
        return [Parcel(*row) for row in rows]

    async def content(self, digest: str) -> bytes:
        rows = await self._all("SELECT data FROM contents WHERE digest = $1", bytes.fromhex(digest))
        if not rows:
            raise NoContent(digest)
        return bytes(rows[0][0])

    async def erase(self, digest: str) -> None:
        """Erase a content document, for good. The events that name it keep its digest."""
        await self._all("DELETE FROM contents WHERE digest = $1", bytes.fromhex(digest))

    def audit(self) -> PostgresAudit:
        """Everything that lies in the store, as of one moment: an asynchronous context manager."""
        return PostgresAudit(self.place)

    def keeping(self) -> PostgresKeeping:
        """What keeps the store small."""
        return PostgresKeeping(self.place)

    async def close(self) -> None:
        await self._writer.close()
        if self._sweeping is not None:
            await asyncio.gather(self._sweeping, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._pool.close()
        except TROUBLE:
            self._pool.terminate()

    async def _all(self, sql: str, *parameters: object) -> list[Any]:
        with told(self.place):
            rows: list[Any] = await self._pool.fetch(sql, *parameters)
        return rows
