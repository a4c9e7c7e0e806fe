"""The event store on one SQLite file (WAL), for any number of processes on one machine.

Writing goes through the process's writer thread. Point reads are done where they are asked: they take microseconds, and a
thread hop would cost more than the read.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

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
from store import schema
from store.batch import marks_of
from store.request import definite, encoded
from store.sqlite_audit import SqliteAudit
from store.sqlite_keeping import SqliteKeeping
from store.writer import Writer, open_queue

BUSY_TIMEOUT_S = 5.0


def connect(path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    """A connection with the pragmas that the store rests on."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S, cached_statements=256, factory=factory
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


class SqliteStore:
    """The port `EventStore` on SQLite.

    Raises on opening:
        SchemaMismatch: the file is something else or of another version.
        StoreUnavailable: the file cannot be opened or written.
    """

    def __init__(self, path: Path, probe: Probe = nobody, connect: Callable[[Path], sqlite3.Connection] = connect) -> None:
        self.path = path
        self._connect = connect
        try:
            self._reader = _open(path, connect)
        except (sqlite3.DatabaseError, OSError) as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        self._writer = Writer(path, lambda: connect(path), probe)

    # --- append ------------------------------------------------------------------------------------------------------

    async def append(self, request: Append) -> Appended:
        (answer,) = await self._writer.submit([encoded(request)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def append_all(self, requests: Sequence[Append]) -> list[Appended | Refused | StoreUnavailable]:
        return definite(await self._writer.submit([encoded(request) for request in requests]))

    # --- read --------------------------------------------------------------------------------------------------------

    async def read(self, stream: str, after: int = 0, upto: int | None = None) -> list[Recorded]:
        rows = self._all(
            "SELECT notification_id, originator_version, topic, state FROM stored_events "
            "WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? ORDER BY originator_version",
            (stream, after, 2**62 if upto is None else upto),
        )
        return [Recorded(position, stream, version, decode(topic, state)) for position, version, topic, state in rows]

    async def history(self, stream: str, after: int = 0, upto: int | None = None) -> list[Event]:
        rows = self._all(
            "SELECT topic, state FROM stored_events "
            "WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? ORDER BY originator_version",
            (stream, after, 2**62 if upto is None else upto),
        )
        return decode_all(rows)

    async def snapshot(self, stream: str, upto: int | None = None) -> Snapshot | None:
        rows = self._all(
            "SELECT originator_id, originator_version, state FROM snapshots WHERE originator_id = ? AND originator_version <= ? "
            "ORDER BY originator_version DESC LIMIT 1",
            (stream, 2**62 if upto is None else upto),
        )
        return Snapshot(*rows[0]) if rows else None

    async def log(self, after: int, limit: int) -> list[Stored]:
        rows = self._all(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events "
            "WHERE notification_id > ? ORDER BY notification_id LIMIT ?",
            (after, limit),
        )
        return [Stored(*row) for row in rows]

    async def check_access(self) -> None:
        """A file that is open stays so."""

    async def identity(self) -> str:
        """The id of this store."""
        asked = "SELECT value FROM meta WHERE name = 'identity'"
        if not (rows := self._all(asked, ())):
            self._all("INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (uuid4().hex,))
            rows = self._all(asked, ())
        return str(rows[0][0])

    async def head(self) -> int:
        return int(self._all("SELECT coalesce(max(notification_id), 0) FROM stored_events", ())[0][0])

    async def streams(self, prefix: str = "") -> list[StreamInfo]:
        rows = self._all(
            "SELECT originator_id, max(originator_version), count(*) FROM stored_events "
            "WHERE originator_id >= ? AND originator_id < ? GROUP BY originator_id ORDER BY originator_id",
            (prefix, prefix + "\U0010ffff"),
        )
        return [StreamInfo(*row) for row in rows]

    async def snapshots(self) -> list[Snapshot]:
        return [Snapshot(*row) for row in self._all("SELECT originator_id, originator_version, state FROM snapshots", ())]

    async def open_streams(self, owner: str) -> list[str]:
        return [stream for (stream,) in self._all("SELECT stream FROM open_streams WHERE owner = ? ORDER BY stream", (owner,))]

    async def epochs(self) -> dict[str, int]:
        return dict(self._all("SELECT agent, epoch FROM fences ORDER BY agent", ()))

    async def marks(self, receiver: str) -> dict[str, Marks]:
        rows = self._all("SELECT sender, mark, above FROM applied WHERE receiver = ?", (receiver,))
        return {sender: marks_of(mark, above) for sender, mark, above in rows}

    async def unapplied(self, sender: str) -> dict[str, tuple[Marks, int]]:
        rows = self._all(
            "SELECT c.receiver, coalesce(a.mark, 0), coalesce(a.above, ''), c.n FROM counters c "
            "LEFT JOIN applied a ON a.receiver = c.receiver AND a.sender = c.sender WHERE c.sender = ? AND coalesce(a.mark, 0) < c.n",
            (sender,),
        )
        return {receiver: (marks_of(mark, above), last) for receiver, mark, above, last in rows}

    async def parcels(self, sender: str, receiver: str, numbers: Sequence[int] | None = None, limit: int = 1000) -> list[Parcel]:
        marks = (await self.marks(receiver)).get(sender, Marks())
        if numbers is None:
            rows = self._all(
                "SELECT receiver, n, value FROM outbox WHERE sender = ? AND receiver = ? AND n > ? ORDER BY n LIMIT ?",
                (sender, receiver, marks.mark, limit),
            )
        else:
            rows = []
            for number in sorted(set(numbers))[:limit]:
                rows += self._all(
                    "SELECT receiver, n, value FROM outbox WHERE sender = ? AND receiver = ? AND n = ?",
                    (sender, receiver, number),
                )
        return [Parcel(*row) for row in rows if not marks.seen(row[1])]

    async def content(self, digest: str) -> bytes:
        rows = self._all("SELECT data FROM contents WHERE digest = ?", (bytes.fromhex(digest),))
        if not rows:
            raise NoContent(digest)
        return bytes(rows[0][0])

    async def erase(self, digest: str) -> None:
        """Erase a content document, for good. The events that name it keep its digest."""
        self._all("DELETE FROM contents WHERE digest = ?", (bytes.fromhex(digest),))

    def audit(self) -> SqliteAudit:
        """Everything that lies in the store, as of one moment: an asynchronous context manager."""
        return SqliteAudit(self.path)

    def keeping(self) -> SqliteKeeping:
        """What keeps the store small."""
        return SqliteKeeping(self.path, self._connect)

    async def close(self) -> None:
        self._writer.close()
        self._reader.close()

    def _all(self, sql: str, parameters: Sequence[object]) -> list[Any]:
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error


def _open(path: Path, connect: Callable[[Path], sqlite3.Connection]) -> sqlite3.Connection:
    """The first connection. Where there are no tables yet, one process makes them while others wait: SQLite lets only one change a
    new file to WAL, and fails the others at once. Where there are, nothing is waited for: a frozen writer must not stop readers."""
    if schema.present(path):
        if not os.access(path, os.W_OK, effective_ids=True):
            raise PermissionError("the file is read-only")
        return connect(path)
    queue = open_queue(path)
    try:
        fcntl.flock(queue, fcntl.LOCK_EX)
        connection = connect(path)
        schema.ensure(connection, str(path))
        return connection
    finally:
        os.close(queue)
