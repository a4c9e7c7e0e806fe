"""What SQLite and the disk may do to the store: a lost answer, a full disk, a file that is something else."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domain.ports.store import Appended, StoreUnavailable, VersionConflict
from store import schema, sqlite
from store.schema import SchemaMismatch
from store.sqlite import SqliteStore
from tests.contracts.requests import ALICE, BOB, ask, part

# --- the answer of a COMMIT is lost ---------------------------------------------------------------------------------------------


class Unreliable(sqlite3.Connection):
    """A connection that fails its next COMMIT, before or after it has happened."""

    lose = ""

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and (lose := Unreliable.lose):
            Unreliable.lose = ""
            if lose in {"answer", "rolled back"}:
                super().execute("COMMIT" if lose == "answer" else "ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *args)


@pytest.fixture
def lose() -> Iterator[Callable[[str], None]]:
    """Says what is lost at the next COMMIT: its "answer", the "commit", or all is "rolled back" already."""

    def at_next_commit(what: str) -> None:
        Unreliable.lose = what

    yield at_next_commit
    Unreliable.lose = ""


def _unreliable(path: Path) -> SqliteStore:
    return SqliteStore(path, connect=lambda at: sqlite.connect(at, Unreliable))


async def test_a_commit_whose_answer_is_lost_is_answered_as_done(tmp_path: Path, lose: Callable[[str], None]) -> None:
    """The store looks before it says anything: what is stored is never called failed, and so never appended twice."""
    store = _unreliable(tmp_path / "events.db")
    await store.append(ask(part("task-0", 0)))
    lose("answer")
    answers = await asyncio.gather(
        store.append(ask(part("task-1", 0), to=[BOB])), store.append(ask(part("task-1", 0))), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Appended, VersionConflict]
    assert len(await store.read("task-1")) == 1
    assert (await store.append(ask(part("task-1", 1), to=[BOB]))).numbers == [2]
    await store.close()


@pytest.mark.parametrize("what", ["commit", "rolled back"])
async def test_a_commit_that_failed_is_answered_as_failed(tmp_path: Path, lose: Callable[[str], None], what: str) -> None:
    """Nothing of the group is there, no number is used, and the same requests may be tried again."""
    path = tmp_path / "events.db"
    store = _unreliable(path)
    await store.append(ask(part("task-0", 0)))
    lose(what)
    requests = [ask(part(f"task-{index}", 0), to=[BOB]) for index in (1, 2)]
    answers = await asyncio.gather(*(store.append(request) for request in requests), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
    assert answers[0] is not answers[1]
    assert str(path) in str(answers[0])
    assert [info.stream for info in await store.streams()] == ["task-0"]
    assert await store.unapplied(ALICE) == {}
    assert [(await store.append(request)).numbers for request in requests] == [[1], [2]]
    await store.close()


async def test_what_a_failed_commit_trimmed_is_trimmed_later(tmp_path: Path, lose: Callable[[str], None]) -> None:
    """Rows of the outbox that came back with a rollback do not stay for ever."""
    path = tmp_path / "events.db"
    store = _unreliable(path)
    await store.append(ask(to=[BOB]))
    await store.append(ask(received=[(ALICE, 1)], writer=BOB))
    store._writer._trim_at = 0.0  # the next append trims
    lose("commit")
    with pytest.raises(StoreUnavailable):
        await store.append(ask(part("task-1", 0)))
    async with asyncio.timeout(10):
        while _count(path, "outbox"):
            await store.append(ask(part("task-1", len(await store.read("task-1")))))
    await store.close()


def _count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# --- a full disk ------------------------------------------------------------------------------------------------------------------


async def test_a_full_disk_refuses_as_a_whole_and_recovers(tmp_path: Path) -> None:
    """StoreUnavailable names the file and the cause; nothing is half done; when there is room again, it goes on."""
    path = tmp_path / "events.db"
    opened: list[sqlite3.Connection] = []

    def connect(at: Path) -> sqlite3.Connection:
        opened.append(sqlite.connect(at))
        return opened[-1]

    store = SqliteStore(path, connect=connect)
    await store.append(ask(part("task-1", 0)))
    pages = opened[-1].execute("PRAGMA page_count").fetchone()[0]
    opened[-1].execute(f"PRAGMA max_page_count = {pages + 4}")
    big = ask(part("task-2", 0), part("task-1", 1), to=[BOB], contents=[os.urandom(100_000)])
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="full") as caught:
            await store.append(big)
        assert str(path) in str(caught.value)
        assert [tuple(info) for info in await store.streams()] == [("task-1", 1, 1)]
        assert await store.unapplied(ALICE) == {}
    await store.append(ask(part("task-3", 0)))
    opened[-1].execute("PRAGMA max_page_count = 100000")
    assert (await store.append(big)).numbers == [1]
    await store.close()


async def test_a_writer_that_cannot_open_the_file_answers_and_tries_again(tmp_path: Path) -> None:
    """Where the writing connection fails, those who wait are told; nobody waits for ever, and the next append may succeed."""
    refuse = [False, True]

    def connect(path: Path) -> sqlite3.Connection:
        if len(refuse) > 0 and refuse.pop(0):
            raise sqlite3.OperationalError("unable to open database file")
        return sqlite.connect(path)

    store = SqliteStore(tmp_path / "events.db", connect=connect)
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable, match="unable to open"):
            await store.append(ask(part("task-1", 0)))
        await store.append(ask(part("task-1", 0)))
    await store.close()


# --- a file that is something else ------------------------------------------------------------------------------------------------


def _text(path: Path) -> None:
    path.write_text("a feed, perhaps\n" * 500, encoding="utf-8")


def _other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE customers (name TEXT)")
        raw.commit()


def _other_version(path: Path) -> None:
    with closing(sqlite.connect(path)) as raw:
        schema.ensure(raw, str(path))
        raw.execute("UPDATE meta SET value = '99' WHERE name = 'version'")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (_text, StoreUnavailable, "not a database"),
        (_other_database, SchemaMismatch, "something else"),
        (_other_version, SchemaMismatch, "version 99"),
        (_folder, StoreUnavailable, "unable to open"),
    ],
)
def test_a_file_that_is_no_store_of_this_version_is_refused(
    tmp_path: Path, make: Callable[[Path], None], error: type[Exception], says: str
) -> None:
    """One clear error that names the file; the file is not touched."""
    path = tmp_path / "events.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(error, match=says) as caught:
        SqliteStore(path)
    assert str(path) in str(caught.value)
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The store makes files, not folders."""
    path = tmp_path / "missing" / "events.db"
    with pytest.raises(StoreUnavailable) as caught:
        SqliteStore(path)
    assert str(path) in str(caught.value)


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """A file of no bytes is nobody's: it may have been made by `mktemp`, or by a process killed while opening."""
    path = tmp_path / "events.db"
    path.touch()
    asyncio.run(SqliteStore(path).close())
    assert _count(path, "stored_events") == 0


def _open_as_nobody(path: str, answer: multiprocessing.queues.Queue[str]) -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may write everything: somebody else must try
    try:
        SqliteStore(Path(path))
        answer.put("opened")
    except StoreUnavailable as error:
        answer.put(f"StoreUnavailable: {error}")


@pytest.mark.parametrize("writable_folder", [True, False])
def test_a_read_only_file_is_refused(writable_folder: bool) -> None:
    """Who may not write is told at once and by name, not at the first append."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders cannot be entered by another user
        path = Path(folder) / "events.db"
        asyncio.run(SqliteStore(path).close())
        for file in Path(folder).iterdir():
            file.chmod(0o444)
        Path(folder).chmod(0o777 if writable_folder else 0o555)
        context = multiprocessing.get_context("spawn")
        answer = context.Queue()
        process = context.Process(target=_open_as_nobody, args=(str(path), answer))
        process.start()
        said = answer.get(timeout=30)
        process.join()
        Path(folder).chmod(0o700)
    assert said.startswith("StoreUnavailable")
    assert str(path) in said


def _open_new(path: str, start: Any) -> None:
    start.wait()
    asyncio.run(SqliteStore(Path(path)).close())


def test_processes_that_open_a_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    """A swarm's processes start together: one makes the tables, and none is told that the database is locked."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    processes = [context.Process(target=_open_new, args=(str(tmp_path / "events.db"), start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
