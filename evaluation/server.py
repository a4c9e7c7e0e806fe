"""A PostgreSQL to measure on: each measurement gets a database of its own, which is dropped behind it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from domain.ports.store import StoreUnavailable

PREFIX = "rehydrate_bench_"
CONNECT_WITHIN_S = 10.0

# What decides over the cost of a commit, and so belongs beside every figure.
SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")
DURABLE = {"fsync": ("on",), "synchronous_commit": ("on", "local", "remote_write", "remote_apply")}


class Server:
    """A PostgreSQL by its URL, `postgresql://USER[:PASSWORD]@HOST[:PORT][/DATABASE]`; the user may create databases."""

    def __init__(self, url: str) -> None:
        # SQLAlchemy, which a peer uses, knows only the long form of the scheme.
        self._parts = urlsplit(url)._replace(scheme="postgresql")

    async def settings(self) -> dict[str, str]:
        """What governs durability and speed, as `SHOW` gives it.

        Raises:
            StoreUnavailable: it does not answer or refuses us.
        """
        async with self._administrator() as connection:
            return {name: await connection.fetchval(f"SHOW {name}") for name in SETTINGS}

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a new, empty database, which is gone afterwards with whoever is still connected to it.

        Raises:
            StoreUnavailable: the server does not answer or refuses us.
        """
        name = PREFIX + uuid.uuid4().hex[:12]
        async with self._administrator() as connection:
            await connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(self._parts._replace(path=f"/{name}"))
        finally:
            async with self._administrator() as connection:
                await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @asynccontextmanager
    async def _administrator(self) -> AsyncIterator[asyncpg.Connection]:
        url = urlunsplit(self._parts if self._parts.path.strip("/") else self._parts._replace(path="/postgres"))
        try:
            connection = await asyncpg.connect(url, timeout=CONNECT_WITHIN_S)
            try:
                yield connection
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            place = f"{self._parts.hostname or 'localhost'}:{self._parts.port or 5432}"
            raise StoreUnavailable(
                f"PostgreSQL at {place}: {str(error) or type(error).__name__}; start one, or name one whose user may create databases: "
                "--database postgresql://USER@HOST:PORT"
            ) from error


def not_durable(settings: dict[str, str]) -> list[str]:
    """Settings under which a commit is not on the disk when it is confirmed: figures taken so mean little."""
    return [f"{name}={settings[name]}" for name, kept in DURABLE.items() if settings.get(name) not in kept]
