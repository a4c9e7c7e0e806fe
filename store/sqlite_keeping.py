"""Keeping a SQLite store small: see `store.keeping`.

Each transaction queues as the writers do. Rows of `commits` are no concern of it: a row is asked for while its writer still holds its
place in the queue, so each writer drops those of all others with its first batch (`store.writer`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from domain.decision import named
from domain.ports.store import StoreUnavailable
from domain.streams import agent_stream
from store.keeping import BATCH, TABLES, Erased, Table, Trimmed, names_reached
from store.writer import open_queue

T = TypeVar("T")

_APPLIED = "FROM outbox o JOIN applied a ON a.receiver = o.receiver AND a.sender = o.sender WHERE o.n <= a.mark"
_OLD = (
    "FROM snapshots s JOIN (SELECT originator_id, max(originator_version) AS last FROM snapshots GROUP BY originator_id) l "
    "ON l.originator_id = s.originator_id WHERE s.originator_version < l.last"
)
_TRIMS = (
    ("outbox", "(sender, receiver, n)", f"SELECT o.sender, o.receiver, o.n {_APPLIED}"),
    ("snapshots", "(originator_id, originator_version)", f"SELECT s.originator_id, s.originator_version {_OLD}"),
)


class SqliteKeeping:
    """`store.keeping.Keeping` of a store file."""

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
        self._path = path
        self._connect = connect

    async def tables(self) -> Sequence[Table]:
        return await self._apart(_tables)

    async def trim(self, *, dry_run: bool = False) -> Trimmed:
        if dry_run:
            return await self._apart(lambda sql: Trimmed(*(_count(sql, f"({rows})") for _, _, rows in _TRIMS)))
        found = []
        for table, key, rows in _TRIMS:
            dropped, statement = 0, f"DELETE FROM {table} WHERE {key} IN ({rows} LIMIT {BATCH})"
            while (batch := await self._write(lambda sql, text=statement: sql.execute(text).rowcount)) == BATCH:  # type: ignore[misc]  # the default binds the loop's value
                dropped += batch
            found.append(dropped + batch)
        return Trimmed(*found)

    async def collect(self, digests: Collection[str], position: int) -> Erased:
        return await self._write(lambda sql: _collect(sql, digests, position))

    async def forget(self, sender: str, version: int, *, dry_run: bool = False) -> int:
        forget = _forgettable if dry_run else _forget
        return await self._write(lambda sql: forget(sql, sender, version))

    async def compact(self) -> None:
        await self._apart(_compact, queued=True)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def transaction(sql: sqlite3.Connection) -> T:
            sql.execute("BEGIN IMMEDIATE")
            try:
                done = work(sql)
                sql.execute("COMMIT")
            except BaseException:
                if sql.in_transaction:  # a full disk has ended it already
                    sql.execute("ROLLBACK")
                raise
            return done

        return await self._apart(transaction, queued=True)

    async def _apart(self, work: Callable[[sqlite3.Connection], T], *, queued: bool = False) -> T:
        """Work in a thread, on a connection of its own; `queued`: when it is this one's turn to write."""

        def run() -> T:
            queue = open_queue(self._path)
            try:
                if queued:
                    fcntl.flock(queue, fcntl.LOCK_EX)
                with closing(self._connect(self._path)) as connection:
                    return work(connection)
            finally:
                os.close(queue)

        try:
            return await asyncio.to_thread(run)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error


def _count(sql: sqlite3.Connection, rows: str) -> int:
    return int(sql.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])


def _tables(sql: sqlite3.Connection) -> list[Table]:
    try:
        pages = dict(
            sql.execute(
                "SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_master m ON m.name = d.name GROUP BY m.tbl_name"
            )
        )
    except sqlite3.OperationalError:
        pages = {}  # this SQLite was built without the table that tells it
    return [Table(name, _count(sql, name), pages.get(name)) for name in TABLES]


def _collect(sql: sqlite3.Connection, digests: Collection[str], position: int) -> Erased:
    def document(name: str) -> bytes | None:
        row = sql.execute("SELECT data FROM contents WHERE digest = ?", (bytes.fromhex(name),)).fetchone()
        return bytes(row[0]) if row else None

    since = sql.execute("SELECT state FROM stored_events WHERE notification_id > ?", (position,))
    wanted = names_reached({name for (state,) in since for name in named(bytes(state))}, document)
    erased = Erased()
    for name in set(digests) - wanted:
        row = sql.execute("DELETE FROM contents WHERE digest = ? RETURNING length(data)", (bytes.fromhex(name),)).fetchall()
        erased = Erased(erased.documents + len(row), erased.bytes + sum(size for (size,) in row))
    return erased


def _forgettable(sql: sqlite3.Connection, sender: str, version: int) -> int:
    """How many receivers the sender could forget: all that it has, or none."""
    row = sql.execute("SELECT max(originator_version) FROM stored_events WHERE originator_id = ?", (agent_stream(sender),))
    if (row.fetchone()[0] or 0) != version:
        return 0
    pairs = sql.execute(
        "SELECT c.n, coalesce(a.mark, 0) FROM counters c LEFT JOIN applied a ON a.receiver = c.receiver AND a.sender = c.sender "
        "WHERE c.sender = ?",
        (sender,),
    ).fetchall()
    return len(pairs) if all(last == mark for last, mark in pairs) else 0


def _forget(sql: sqlite3.Connection, sender: str, version: int) -> int:
    pairs = _forgettable(sql, sender, version)
    if pairs:
        for table in ("outbox", "counters", "applied"):
            sql.execute(f"DELETE FROM {table} WHERE sender = ?", (sender,))
    return pairs


def _compact(sql: sqlite3.Connection) -> None:
    if sql.execute("PRAGMA freelist_count").fetchone()[0]:
        sql.execute("VACUUM")
    sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
