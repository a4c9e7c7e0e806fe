"""The tables of the store on SQLite.

`stored_events` and `snapshots` have the columns of the eventsourcing library, so its recorders read our rows. The other tables
hold what an append checks and keeps beside events; all but `contents` and `outbox` could be rebuilt from the events alone.

    fences        agent → epoch: who may append
    applied       receiver, sender → mark and the set above it: which messages were handled
    counters      sender, receiver → last number given
    outbox        messages not yet known to be applied
    open_streams  owner → streams it still has work with
    commits       writer process → its last batch: tells a lost COMMIT answer from a failed COMMIT
"""

from __future__ import annotations

import sqlite3

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
CREATE TABLE open_streams (owner TEXT, stream TEXT, PRIMARY KEY (owner, stream)) WITHOUT ROWID;
CREATE TABLE contents (digest BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE commits (writer TEXT PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;
"""


class SchemaMismatch(Exception):
    """The database was written by another version of Rehydrate, or is no event store at all."""


def ensure(connection: sqlite3.Connection, path: str) -> None:
    """Create the tables in an empty database, or check that those there are ours. Several processes may call it at once.

    Raises:
        SchemaMismatch: other tables, or another version of ours; names the file and the remedy.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not names:
            for statement in TABLES.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))
        elif "meta" not in names or "stored_events" not in names:
            raise SchemaMismatch(f"{path} is a SQLite database of something else; give another --data-dir or --database")
        else:
            _check_version(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _check_version(connection: sqlite3.Connection, path: str) -> None:
    row = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    found = row[0] if row else "none"
    if found != str(VERSION):
        raise SchemaMismatch(
            f"{path} has store version {found}, this program reads version {VERSION}; use the release that wrote it, or another --data-dir"
        )
