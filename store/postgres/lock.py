"""One supervisor for one database: whoever holds its lock. The lock is a session's, so it goes when its holder dies, however it dies."""

from __future__ import annotations

import asyncio
import logging

import asyncpg

from domain.ports.store import StoreUnavailable
from store.postgres.connection import Place, connect, let_go, session, told
from store.postgres.schema import SWARM_LOCK, present

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
_HOLDER = (
    "SELECT coalesce(host(a.client_addr), 'a local process') FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objid::bigint + (l.classid::bigint << 32) = $1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class InUse(Exception):
    """Another supervisor runs a swarm on this database; the message says from where."""


class SwarmLock:
    """Holds the lock of a database while it lives."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection: asyncpg.Connection | None = None

    async def take(self) -> None:
        """Take the lock, or say who has it.

        Raises:
            InUse: another supervisor has it.
            DatabaseRefused, StoreUnavailable: the database cannot be asked.
        """
        connection = await connect(self._place, "supervisor (lock)")
        with told(self._place):
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", SWARM_LOCK):
                self._connection = connection
                return
            holder = await connection.fetchval(_HOLDER, SWARM_LOCK)
        connection.terminate()
        raise _in_use(self._place, holder)

    async def keep(self) -> None:
        """Take the lock again whenever its session was lost, until cancelled.

        Raises:
            InUse: another supervisor was faster.
        """
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if self._connection is None or self._connection.is_closed():
                    await self.take()
                    log.info("the lock of the database is taken again")
            except StoreUnavailable as error:
                log.debug("the lock of the database is lost: %s", error)

    async def release(self) -> None:
        """Let go of it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await let_go(connection)


def _in_use(place: Place, holder: str | None) -> InUse:
    return InUse(
        f"{place.shown}: in use by another supervisor, at {holder or 'an unknown address'}; wait for it, or give another --database"
    )


async def must_be_free(place: Place) -> None:
    """Ask, before anything is made, what would be refused later.

    Raises:
        InUse: a supervisor has the lock.
        SchemaMismatch: the tables are something else or of another version.
        DatabaseRefused, StoreUnavailable: the database cannot be asked.
    """
    async with session(place, "client") as connection:
        await present(connection, place.shown)
        holder = await connection.fetchval(_HOLDER, SWARM_LOCK)
    if holder is not None:
        raise _in_use(place, holder)


async def held(place: Place) -> bool:
    """Whether some supervisor runs a swarm on this database."""
    async with session(place, "client") as connection:
        return await connection.fetchval(_HOLDER, SWARM_LOCK) is not None
