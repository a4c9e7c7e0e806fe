"""Connections to PostgreSQL: where a URL leads, and what its errors mean in one line."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

from domain.ports.store import StoreUnavailable
from store.postgres.schema import SCHEMA

SCHEMES = ("postgresql", "postgres")
READ_SCHEMA = "rehydrate_read"
"""Where the projections keep their tables."""
CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 60.0
"""After so long without an answer the server is taken for gone."""

TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What a connection that cannot be used raises, in all its ways. One that its server is just ending may be in a state that the driver
does not expect."""

# Plans are made once and never look at sizes, which change all the time here: every look-up has its index, and a stream comes in the
# order of its index without a sort.
_SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
    "synchronous_commit": "on",
}


class ServerAway(StoreUnavailable):
    """The server does not answer, or cannot just now."""

    passes = True


class DatabaseRefused(StoreUnavailable):
    """The database will not have us, now or later: a wrong password, no such database, no right to make tables. Waiting does not help."""

    final = True


class ReadOnly(DatabaseRefused):
    """The server takes no writes. It may be on its way to become the one that does: who is at work waits, who begins should ask another."""

    final = False


class Place(NamedTuple):
    """Where a URL leads. `shown` is the URL without its password."""

    url: str
    shown: str
    user: str
    database: str


def place_of(url: str) -> Place:
    """Read a URL.

    Raises:
        ValueError: it is none of PostgreSQL, or names no database; the message names neither password nor URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError("is no postgresql://USER@HOST:PORT/DATABASE")
    database = unquote(parts.path.removeprefix("/")) or dict(parse_qsl(parts.query)).get("dbname", "")
    if not database:
        raise ValueError("names no database: postgresql://USER@HOST:PORT/DATABASE")
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ValueError("has a port that is no number") from error
    user = unquote(parts.username or "")
    host = dict(parse_qsl(parts.query)).get("host") or parts.hostname or "localhost"
    return Place(url, f"postgresql://{user}{'@' if user else ''}{host}{port}/{database}", user, database)


class Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver ships no types
    """A connection that keeps its session as it is: nobody changes it, and undoing it would cost each read a second round trip."""

    def get_reset_query(self) -> str:
        """What a pool runs when a connection comes back: nothing."""
        return ""


async def connect(place: Place, name: str) -> asyncpg.Connection:
    """A connection; `name` is what the server's own tools show for it.

    Raises:
        DatabaseRefused, StoreUnavailable
    """
    with told(place):
        return await asyncpg.connect(place.url, **options(name))


@asynccontextmanager
async def session(place: Place, name: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for as long as the context lasts.

    Raises:
        DatabaseRefused, StoreUnavailable: also for what goes wrong inside.
    """
    connection = await connect(place, name)
    try:
        with told(place):
            yield connection
    finally:
        await let_go(connection)


async def let_go(connection: asyncpg.Connection) -> None:
    """Close a connection, however it is."""
    try:
        await connection.close(timeout=2.0)
    except TROUBLE:
        connection.terminate()


def options(name: str) -> dict[str, Any]:
    """What every connection of ours asks for."""
    return {
        "connection_class": Connection,
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "server_settings": {"application_name": f"rehydrate {name}"[:63], "search_path": SCHEMA, **_SESSION},
    }


async def read_models_position(url: str) -> int:
    """Up to where the read models of this database are folded, 0 where there are none."""
    async with session(place_of(url), "client") as connection:
        if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{READ_SCHEMA}.position"):
            return 0
        return int(await connection.fetchval(f"SELECT position FROM {READ_SCHEMA}.position") or 0)


@contextmanager
def told(place: Place) -> Iterator[None]:
    """Whatever goes wrong inside is told in our words.

    Raises:
        DatabaseRefused, StoreUnavailable
    """
    try:
        yield
    except TROUBLE as error:
        raise _meaning(place, error) from error


_REFUSED: dict[type[BaseException], str] = {
    asyncpg.InvalidPasswordError: "the server refuses the password of {user}; {remedy}",
    asyncpg.InvalidAuthorizationSpecificationError: "{user} is not let in ({error}); see the server's pg_hba.conf, or give another user",
    asyncpg.InvalidCatalogNameError: "there is no database {database}; create it (createdb {database}), or give another",
    asyncpg.InsufficientPrivilegeError: "{user} may not do this ({error}); give the owner of database {database}, or GRANT what is missing",
    ssl.SSLError: "no secure connection ({error}); see sslmode, sslrootcert, sslcert and sslkey of the URL",
}
_READ_ONLY: dict[type[BaseException], str] = {
    asyncpg.ReadOnlySQLTransactionError: "the server is a read-only copy; give the URL of the one that takes writes",
}
_AWAY: dict[type[BaseException], str] = {
    asyncpg.TooManyConnectionsError: "the server has no connection left; raise its max_connections, or end other clients",
    asyncpg.DiskFullError: "the server's disk is full; make room, and all goes on ({error})",
    asyncpg.CannotConnectNowError: "the server is starting or stopping ({error})",
    ConnectionRefusedError: "nobody answers; start PostgreSQL, or give another --database",
    TimeoutError: "no answer in time",
}


def _meaning(place: Place, error: BaseException) -> StoreUnavailable:
    words = {
        "user": place.user or "the user",
        "database": place.database,
        "error": " ".join(str(error).split()) or type(error).__name__,
        # The driver takes the one in the URL first.
        "remedy": "correct it in the URL" if urlsplit(place.url).password else "give it in PGPASSWORD, ~/.pgpass or the URL",
    }
    for ours, texts in ((DatabaseRefused, _REFUSED), (ReadOnly, _READ_ONLY), (ServerAway, _AWAY)):
        for kind, text in texts.items():
            if isinstance(error, kind):
                return ours(f"{place.shown}: {text.format(**words)}")
    return ServerAway(f"{place.shown}: {words['error']}")
