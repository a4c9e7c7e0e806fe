"""The tables and functions of the store on PostgreSQL, in a schema of their own, and whether those that are there are ours."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import asyncpg

from store.schema import VERSION, SchemaMismatch

SCHEMA = "rehydrate"
APPEND_LOCK = 7_403_511_900
"""Held by the transaction that appends. Advisory locks are a database's own, so one database holds one swarm."""
CREATION_LOCK = 7_403_511_901
SWARM_LOCK = 7_403_511_903
"""Held by the session of the supervisor, so that there is one."""
GIVEN_UP = "RH001"
"""SQLSTATE of a batch that comes after its writer has given it up."""

_HERE = Path(__file__).parent


class Functions(NamedTuple):
    """The names of the server-side functions. A name holds the digest of its text, so that programs of two versions, which may run side
    by side during an upgrade, each call their own."""

    append: str
    settle: str


def _load(kind: str) -> tuple[str, str]:
    text = (_HERE / f"{kind}.sql").read_text()
    name = f"{kind}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return name, text.format(name=name, lock=APPEND_LOCK, given_up=GIVEN_UP)


_APPEND, _SETTLE = _load("append"), _load("settle")
FUNCTIONS = Functions(_APPEND[0], _SETTLE[0])


async def ensure(connection: asyncpg.Connection, place: str) -> None:
    """Create schema, tables and functions where they are missing, or check that those there are ours.

    Raises:
        SchemaMismatch: the schema holds other tables, or another version of ours; names the database and the remedy.
        asyncpg.PostgresError: the server does not let us.
    """
    if await _complete(connection, place):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", CREATION_LOCK)
        if not await present(connection, place):
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            await connection.execute((_HERE / "tables.sql").read_text())
            await connection.execute("INSERT INTO meta VALUES ('version', $1), ('identity', $2)", str(VERSION), uuid4().hex)
        for name, text in (_APPEND, _SETTLE):
            if not await connection.fetchval("SELECT to_regproc($1) IS NOT NULL", f"{SCHEMA}.{name}"):
                await connection.execute(text)


async def _complete(connection: asyncpg.Connection, place: str) -> bool:
    found = await connection.fetchval(
        "SELECT to_regproc($1) IS NOT NULL AND to_regproc($2) IS NOT NULL", *(f"{SCHEMA}.{name}" for name in FUNCTIONS)
    )
    return await present(connection, place) and bool(found)


async def present(connection: asyncpg.Connection, place: str) -> bool:
    """Whether our tables are there. It only looks.

    Raises:
        SchemaMismatch: other tables, or another version of ours.
    """
    names = {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", SCHEMA)}
    if not names:
        return False
    if not {"meta", "stored_events"} <= names:
        raise SchemaMismatch(f"{place}: the schema {SCHEMA} belongs to something else; give another --database")
    found = await connection.fetchval("SELECT value FROM meta WHERE name = 'version'") or "none"
    if found != str(VERSION):
        raise SchemaMismatch(
            f"{place}: has store version {found}, this program reads version {VERSION}; use the release that wrote it, "
            "or another --database"
        )
    return True
