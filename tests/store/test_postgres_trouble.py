"""What a network and a server may do to the store: lost requests and answers, a wrong password, no room, no connection left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from domain.ports.store import Appended, StoreUnavailable, VersionConflict
from store.postgres.connection import DatabaseRefused, ReadOnly, ServerAway, place_of
from store.postgres.lock import InUse, SwarmLock, held
from store.postgres.store import PostgresStore
from store.schema import SchemaMismatch
from tests.contracts.requests import ALICE, BOB, ask, part
from tests.services.postgres import GUARDED, execute, server
from tests.store.wire import Cut, Wire, wire

pytestmark = pytest.mark.services

# --- an answer is lost ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def cable(postgres_database: str) -> AsyncIterator[Wire]:
    """A wire to an empty database of the test's own."""
    async with wire(postgres_database) as made:
        yield made


async def test_an_append_whose_answer_is_lost_is_answered_as_done(cable: Wire) -> None:
    """The store asks before it says anything: neighbours in the batch get their answers, too, refusals and numbers among them."""
    store = await PostgresStore.open(cable.url)
    await store.append(ask(part("task-0", 0)))
    cable.cut(Cut.ANSWER, b"task-1")
    answers = await asyncio.gather(
        store.append(ask(part("task-1", 0), to=[BOB, BOB])),
        store.append(ask(part("task-0", 7))),
        store.append(ask(part("task-2", 0), to=[BOB])),
        return_exceptions=True,
    )
    assert isinstance(answers[1], VersionConflict)
    assert [answers[0], answers[2]] == [Appended(2, [1, 2]), Appended(3, [3])]
    assert [len(await store.read(f"task-{number}")) for number in range(3)] == [1, 1, 1]
    await store.append(ask(part("task-1", 1)))
    await store.close()


async def test_an_append_that_never_arrived_is_refused_and_can_be_tried_again(cable: Wire) -> None:
    """Nothing of it is there."""
    store = await PostgresStore.open(cable.url)
    await store.append(ask(part("task-0", 0)))
    cable.cut(Cut.REQUEST, b"task-1")
    with pytest.raises(ServerAway):
        await store.append(ask(part("task-1", 0), to=[BOB]))
    assert await store.read("task-1") == [] and await store.unapplied(ALICE) == {}
    assert (await store.append(ask(part("task-1", 0), to=[BOB]))).numbers == [1]
    await store.close()


async def test_an_append_that_arrives_after_it_was_given_up_does_nothing(cable: Wire) -> None:
    """What was called failed stays failed, however long the network held it back."""
    store = await PostgresStore.open(cable.url)
    await store.append(ask(part("task-0", 0)))
    cable.cut(Cut.LATE, b"task-1")
    with pytest.raises(ServerAway):
        await store.append(ask(part("task-1", 0)))
    cable.release.set()
    async with asyncio.timeout(10):
        await cable.late
    assert await store.read("task-1") == []
    await store.append(ask(part("task-1", 0)))
    await store.close()


async def test_an_answer_that_is_lost_with_the_server_is_waited_for(cable: Wire) -> None:
    """Nobody is told anything before it is known; who asks meanwhile waits in the same queue."""
    store = await PostgresStore.open(cable.url)
    await store.append(ask(part("task-0", 0)))
    cable.cut(Cut.ANSWER, b"task-1")
    cable.down = True
    asked = [asyncio.ensure_future(store.append(ask(part(f"task-{number}", 0)))) for number in (1, 2)]
    done, _ = await asyncio.wait(asked, timeout=0.5)
    assert not done
    cable.down = False
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*asked)
    assert [answer.position for answer in answers] == [2, 3]
    await store.close()


async def test_closing_does_not_wait_for_a_server_that_is_away(cable: Wire) -> None:
    """Who waits for a lost answer is told that it is lost."""
    store = await PostgresStore.open(cable.url)
    await store.append(ask(part("task-0", 0)))
    cable.cut(Cut.ANSWER, b"task-1")
    cable.down = True
    asked = asyncio.ensure_future(store.append(ask(part("task-1", 0))))
    await asyncio.wait([asked], timeout=0.2)
    async with asyncio.timeout(10):
        await store.close()
    with pytest.raises(StoreUnavailable, match="was lost"):
        await asked


# --- it will not have us ----------------------------------------------------------------------------------------------------


def _other(url: str, user: str = "", name: str = "") -> str:
    parts = urlsplit(url)
    netloc = f"{user}@{parts.hostname}:{parts.port}" if user else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{name}" if name else parts.path))


async def test_a_wrong_password_is_one_line_without_it(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the user and where to give the right one, and never the password."""
    user, password = GUARDED
    await execute(
        postgres_database,
        f"DO $$ BEGIN CREATE ROLE {user} LOGIN PASSWORD '{password}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    )
    with pytest.raises(DatabaseRefused, match=f"refuses the password of {user}; correct it in the URL") as caught:
        await PostgresStore.open(_other(postgres_database, f"{user}:wrong-one"))
    assert "wrong-one" not in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", "wrong-two")
    with pytest.raises(DatabaseRefused, match=f"refuses the password of {user}; give it in PGPASSWORD") as caught:
        await PostgresStore.open(_other(postgres_database, user))
    assert "wrong-two" not in str(caught.value)
    with pytest.raises(DatabaseRefused, match="may not do this"):
        await PostgresStore.open(_other(postgres_database, f"{user}:{password}"))


async def test_no_such_database_and_no_such_server(postgres_database: str) -> None:
    """The remedy is named."""
    with pytest.raises(DatabaseRefused, match="there is no database nowhere; create it"):
        await PostgresStore.open(_other(postgres_database, name="nowhere"))
    with pytest.raises(ServerAway, match="nobody answers; start PostgreSQL"):
        await PostgresStore.open("postgresql://me@127.0.0.1:1/x")


async def test_who_is_at_work_waits_for_a_server_that_takes_no_writes_just_now(postgres_database: str) -> None:
    """It may become the one that does: refused, but not for good, unlike a wrong password."""
    store = await PostgresStore.open(postgres_database)
    await store.append(ask(part("task-a", 0)))
    name = urlsplit(postgres_database).path[1:]
    await execute(postgres_database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    standby = await PostgresStore.open(postgres_database)
    with pytest.raises(ReadOnly, match="read-only copy; give the URL") as caught:
        await standby.append(ask(part("task-b", 0)))
    assert DatabaseRefused.final and not caught.value.final
    await asyncio.gather(store.close(), standby.close())


@pytest.mark.parametrize("url", ["postgresql://me@host", "http://host/x", "postgresql://me@host:port/x"])
def test_a_url_that_makes_no_sense(url: str) -> None:
    with pytest.raises(ValueError, match=r"names no database|is no postgresql|port that is no number"):
        place_of(url)


async def test_a_schema_of_something_else_and_of_another_version(postgres_database: str) -> None:
    """Neither is touched."""
    await execute(postgres_database, "CREATE SCHEMA rehydrate CREATE TABLE theirs (id int)")
    with pytest.raises(SchemaMismatch, match="belongs to something else"):
        await PostgresStore.open(postgres_database)
    await execute(postgres_database, "DROP SCHEMA rehydrate CASCADE")
    await (await PostgresStore.open(postgres_database)).close()
    await execute(postgres_database, "UPDATE rehydrate.meta SET value = '99' WHERE name = 'version'")
    with pytest.raises(SchemaMismatch, match="has store version 99"):
        await PostgresStore.open(postgres_database)


async def test_stores_that_open_an_empty_database_at_once_all_succeed(postgres_database: str) -> None:
    """A swarm's processes start together: one makes the tables."""
    stores = await asyncio.gather(*(PostgresStore.open(postgres_database) for _ in range(6)))
    await asyncio.gather(*(store.append(ask(part(f"task-{number}", 0))) for number, store in enumerate(stores)))
    assert len(await stores[0].streams()) == 6
    await asyncio.gather(*(store.close() for store in stores))


async def test_one_supervisor_for_one_database(postgres_database: str) -> None:
    """The lock goes with its holder's session, and is taken again by who lost it."""
    place = place_of(postgres_database)
    first, second = SwarmLock(place), SwarmLock(place)
    assert not await held(place)
    await first.take()
    assert await held(place)
    with pytest.raises(InUse, match="in use by another supervisor"):
        await second.take()
    keeping = asyncio.ensure_future(first.keep())
    await execute(
        postgres_database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%(lock)' AND datname = current_database()",
    )
    async with asyncio.timeout(10):
        while not await held(place):  # noqa: ASYNC110 a lock of a server sets no event here
            await asyncio.sleep(0.05)
    keeping.cancel()
    await first.release()
    await second.take()
    await second.release()


# --- no room, no connection left ----------------------------------------------------------------------------------------------


async def test_no_connection_left_is_one_line() -> None:
    """The server's own number is named; those who have a connection go on, and who waits gets one when there is one."""
    with server("max_connections = 8\nsuperuser_reserved_connections = 0\n") as small:
        store = await PostgresStore.open(small.url)
        others = await _all_that_are_left(small.url)
        with pytest.raises(ServerAway, match="no connection left; raise its max_connections"):
            await PostgresStore.open(small.url)
        with pytest.raises(ServerAway, match="no connection left"):
            await store.append(ask(part("task-1", 0)))
        assert await store.streams() == []
        for connection in others:
            await connection.close()
        async with asyncio.timeout(10):
            while not await _appended(store):  # noqa: ASYNC110 nor does a free place
                await asyncio.sleep(0.05)
        await store.close()


async def _all_that_are_left(url: str) -> list[asyncpg.Connection]:
    taken = []
    while True:
        try:
            taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            return taken


async def _appended(store: PostgresStore) -> bool:
    try:
        await store.append(ask(part("task-1", 0)))
    except ServerAway:
        return False  # the server needs a moment to let a connection go
    return True


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which only root may")
def test_a_full_disk_is_one_line_and_passes_when_there_is_room() -> None:
    """Nothing of a refused append is there; the same append goes through once there is room."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, server() as own:
        Path(folder).chmod(0o755)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", folder], capture_output=True, check=False)
        if mounted.returncode:
            pytest.skip(f"cannot mount a file system here: {mounted.stderr.decode().strip()}")
        try:
            room = Path(folder) / "room"
            room.mkdir()
            own.give(room)
            url = asyncio.run(_fill(own.url, room))
            subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
            asyncio.run(_go_on(url))
        finally:
            own.stop()
            subprocess.run(["umount", folder], check=True)


async def _fill(server_url: str, room: Path) -> str:
    await execute(server_url, f"CREATE TABLESPACE small LOCATION '{room}'")
    await execute(server_url, "CREATE DATABASE small TABLESPACE small")
    url = _other(server_url, name="small")
    store = await PostgresStore.open(url)
    with pytest.raises(ServerAway, match="disk is full; make room"):
        for number in range(64):
            await store.append(ask(part("task-1", number), contents=[os.urandom(500_000)]))
    await store.close()
    return url


async def _go_on(url: str) -> None:
    store = await PostgresStore.open(url)
    known = len(await store.read("task-1"))
    await store.append(ask(part("task-1", known), contents=[os.urandom(500_000)]))
    await store.close()
