"""A PostgreSQL server of the tests' own, from the programs that are installed, and databases in it."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from store.postgres.connection import READ_SCHEMA
from store.postgres.schema import SCHEMA
from tests.services import die_with_parent, free_ports, missing

SUPERUSER = "postgres"
GUARDED = ("guarded", "open-sesame")
"""A user of whom the server asks a password, and that password."""
READY_S = 20.0
_INSTALLED = "/usr/lib/postgresql"
_CONFIG = (
    "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nshared_buffers = 128MB\nmax_connections = 120\n"
    "max_wal_size = 2GB\nlog_min_messages = warning\n"
)
_HBA = f"host all {GUARDED[0]} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"


def programs() -> Path | None:
    """Where `initdb` and `postgres` are: of the newest version installed, None where there is none."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    versions = [path.parent for path in Path(_INSTALLED).glob("*/bin/initdb")]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


class PostgresServer:
    """One server in a folder of its own. `url` names its superuser's database; fsync is on, as in production."""

    def __init__(self, folder: Path, config: str = "") -> None:
        found = programs()
        if found is None:
            missing("no PostgreSQL programs are installed here (Debian, Ubuntu: apt install postgresql)")
        self._programs = found
        self._folder = folder
        self._data = folder / "data"
        self._config = config
        # The server refuses to run as root.
        self._user = pwd.getpwnam(_account()) if os.geteuid() == 0 else None
        (self.port,) = free_ports(1)
        self.url = f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make its data directory."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.give(self._folder)
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True, capture_output=True, cwd=self._folder, **self._as(),
        )  # fmt: skip
        (self._data / "postgresql.conf").write_text(f"{_CONFIG}port = {self.port}\n{self._config}")
        (self._data / "pg_hba.conf").write_text(_HBA)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data], stdout=log, stderr=log, cwd=self._folder,
                preexec_fn=die_with_parent,  # noqa: PLW1509 it only calls prctl
                **self._as(),
            )  # fmt: skip
        until = time.monotonic() + READY_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < until, f"PostgreSQL does not answer: {(self._folder / 'log').read_text()}"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast; SIGQUIT: immediate, as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(READY_S)
            self._process = None

    def give(self, folder: Path) -> None:
        """Make a folder the server's own."""
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)

    def _answers(self) -> bool:
        with ThreadPoolExecutor(1) as thread:  # the test may have an event loop of its own
            return thread.submit(lambda: asyncio.run(_answers(self.url))).result()

    def _as(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid}


def _account() -> str:
    """An account without rights: the one that the packages make, or nobody."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


@contextmanager
def server(config: str = "") -> Iterator[PostgresServer]:
    """A server that runs while the context lasts, for tests that take it down."""
    with tempfile.TemporaryDirectory(prefix="rehydrate-postgres-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        made = PostgresServer(Path(folder) / "server", config)
        made.create()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server that tests share: the one that REHYDRATE_TEST_POSTGRES names, or one of our own."""
    given = os.environ.get("REHYDRATE_TEST_POSTGRES")
    if given:
        if not asyncio.run(_answers(given)):
            missing(f"nobody answers at REHYDRATE_TEST_POSTGRES ({urlsplit(given).hostname})")
        yield given
        return
    with server() as made:
        yield made.url


@asynccontextmanager
async def database(server_url: str) -> AsyncIterator[str]:
    """An empty database of a test's own; gives its URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await execute(server_url, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        await execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def database_of(server_url: str) -> Iterator[str]:
    """As `database`, for a test that has no event loop."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    asyncio.run(execute(server_url, f"CREATE DATABASE {name}"))
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        asyncio.run(execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def execute(url: str, sql: str) -> None:
    """Have a server do something."""
    async with _connected(url) as connection:
        await connection.execute(sql)


@pytest.fixture
async def postgres_database(postgres_url: str) -> AsyncIterator[str]:
    """The URL of an empty database of the test's own."""
    async with database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_shared(postgres_url: str) -> Iterator[str]:
    """The URL of a database that tests use one after another."""
    with database_of(postgres_url) as url:
        yield url


@pytest.fixture
async def postgres_emptied(postgres_shared: str) -> AsyncIterator[str]:
    """The URL of a database that is empty: like `postgres_database`, for tests that are many and touch nothing but our schemas. To make
    and drop a database takes longer than most of them."""
    yield postgres_shared
    async with _connected(postgres_shared) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA}, {READ_SCHEMA} CASCADE")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()
