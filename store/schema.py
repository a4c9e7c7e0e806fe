"""The tables of the store on SQLite.

`stored_events` and `snapshots` have the columns of the eventsourcing library, so its recorders read our rows. The other tables
hold what an append checks and keeps beside events; all but `contents` and `outbox` could be rebuilt from the events alone.

    fences        agent → epoch: who may append
    applied       receiver, sender → mark and the set above it: which messages were handled
    counters      sender, receiver → last number given
    outbox        messages not yet known to be applied
    open_streams  stream → who opened it: the streams that somebody still has work with
    commits       writer process → its last batch: tells a lost COMMIT answer from a failed COMMIT

What of this may go, and when: store/keeping.py.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

VERSION = 1

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE stored_events (
    notification_id INTEGER PRIMARY KEY,
    originator_id TEXT NOT NULL, originator_version INTEGER NOT NULL, topic TEXT NOT NULL, state BLOB NOT NULL);
CREATE UNIQUE INDEX stored_events_stream ON stored_events (originator_id, originator_version);
CREATE TABLE snapshots (
    originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB,
    PRIMARY KEY (originator_id, originator_version)) WITHOUT ROWID;
CREATE TABLE fences (agent TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE applied (
    receiver TEXT, sender TEXT, mark INTEGER NOT NULL, above TEXT NOT NULL, PRIMARY KEY (receiver, sender)) WITHOUT ROWID;
CREATE TABLE counters (sender TEXT, receiver TEXT, n INTEGER NOT NULL, PRIMARY KEY (sender, receiver)) WITHOUT ROWID;
CREATE TABLE outbox (sender TEXT, receiver TEXT, n INTEGER, value BLOB NOT NULL, PRIMARY KEY (sender, receiver, n)) WITHOUT ROWID;
CREATE TABLE open_streams (stream TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE contents (digest BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE commits (writer TEXT PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;
"""


class SchemaMismatch(Exception):
    """The database was written by another version of Rehydrate, or is no event store at all."""


def present(path: Path) -> bool:
    """Whether our tables are there. It only looks: even a pragma would change somebody else's database.

    Raises:
        SchemaMismatch: other tables, or another version of ours.
        sqlite3.DatabaseError: it is no database.
    """
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            names = _tables(connection)
            if names:
                _check(connection, names, str(path))
            return bool(names)
    except sqlite3.OperationalError:
        return False  # busy, or in need of a repair that only a writer may do: `ensure` looks again


def ensure(connection: sqlite3.Connection, path: str) -> None:
    """Create the tables in an empty database, or check that those there are ours. Needs the write lock only to create them.

    Raises:
        SchemaMismatch: other tables, or another version of ours; names the file and the remedy.
    """
    if names := _tables(connection):
        _check(connection, names, path)
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if names := _tables(connection):
            _check(connection, names, path)
        else:
            for statement in TABLES.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('version', ?), ('identity', ?)", (str(VERSION), uuid4().hex))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _check(connection: sqlite3.Connection, names: set[str], path: str) -> None:
    if "meta" not in names or "stored_events" not in names:
        raise SchemaMismatch(f"{path} is a SQLite database of something else; give another --data-dir or --database")
    row = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    found = row[0] if row else "none"
    if found != str(VERSION):
        raise SchemaMismatch(
            f"{path} has store version {found}, this program reads version {VERSION}; use the release that wrote it, or another --data-dir"
        )
