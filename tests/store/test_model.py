"""Two processes append at random to one database, are killed around their commits and come back. Afterwards the journals must explain
every row of the database, and the in-memory twin, given what was accepted in the order of the log, must come to the same.

`REHYDRATE_MODEL_SEEDS=200` tries that many seeds instead of a few.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domain.decision import digest
from domain.event import decode
from domain.marks import Marks
from domain.ports.probe import Point
from domain.ports.store import NoContent, Stored
from domain.task import Cancelled
from store.memory import MemoryStore
from store.memory_world import MemoryWorld
from store.opening import Store, is_postgres
from store.postgres.connection import connect
from store.postgres.connection import place_of as postgres_place
from store.sqlite import SqliteStore
from tests.contracts.requests import ask as request
from tests.contracts.requests import part
from tests.services.postgres import database_of
from tests.store.writing_process import AGENTS, Answer, Ask, Plan, arguments, document_of, open_database, read_journal, request_of

ROOT = Path(__file__).parents[2]
SEEDS = range(int(os.environ.get("REHYDRATE_MODEL_SEEDS", "2")))
LIVES = 4
"""How often a process is started; all lives but the last end by a kill, if it strikes before their work is done."""


class Told(NamedTuple):
    """What the journals of all processes say."""

    asks: dict[str, Ask]
    answers: dict[str, Answer]


class Place(NamedTuple):
    """A database (a path or a URL), and where the journals of those who write to it lie."""

    database: str
    folder: Path

    def journal(self, agent: str) -> Path:
        return self.folder / f"{agent.replace('/', '-')}.journal"


async def _live(place: Place, agent: str, seed: int) -> None:
    draw = random.Random(f"{seed} {agent}")
    journal = place.journal(agent)
    for life in range(LIVES):
        hit = draw.randint(2, 9) if life < LIVES - 1 else 0
        point = draw.choice([Point.BEFORE_COMMIT, Point.AFTER_COMMIT])
        plan = Plan(place.database, str(journal), agent, life, seed, point=point, hit=hit)
        process = await asyncio.create_subprocess_exec(*arguments(plan), cwd=ROOT)
        code = await process.wait()
        assert code in ({0, -signal.SIGKILL} if hit else {0}), f"seed {seed}: life {life} of {agent} ended with {code}"


async def _play(place: Place, seed: int) -> Told:
    await asyncio.gather(*(_live(place, agent, seed) for agent in AGENTS[:2]))
    asks: dict[str, Ask] = {}
    answers: dict[str, Answer] = {}
    for agent in AGENTS[:2]:
        asked, answered = read_journal(place.journal(agent))
        asks |= {ask.id: ask for ask in asked}
        answers |= answered
    return Told(asks, answers)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def place_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[int], Place]]:
    """Gives an empty database of each kind for a seed."""
    with ExitStack() as databases:

        def place(seed: int) -> Place:
            folder = tmp_path / str(seed)
            folder.mkdir()
            if request.param == "sqlite":
                return Place(str(folder / "events.db"), folder)
            return Place(databases.enter_context(database_of(request.getfixturevalue("postgres_url"))), folder)

        yield place


def test_the_journals_explain_every_row(place_of: Callable[[int], Place]) -> None:
    """Answered: there once. Refused: not there. Unanswered: as a whole or not at all. And all bookkeeping follows from what is there.

    Kills before and after the commit, conflicts, fences and duplicates must have occurred, or this would show nothing.
    """
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        seen += asyncio.run(_check(place_of(seed), seed))
    assert seen.keys() >= {"accepted", "VersionConflict", "Fenced", "AlreadyApplied"}, seen
    assert seen.keys() >= {"unanswered, there: True", "unanswered, there: False"}, seen


async def _check(place: Place, seed: int) -> Counter[str]:
    """Play a seed and explain what it left; gives how often requests came to what end."""
    told = await _play(place, seed)
    store = await open_database(place.database)
    there = _requests_there(await store.log(0, 10**6), told)
    for ask in told.asks.values():
        _explain(ask, told.answers.get(ask.id), ask.id in there)
    twin = await _replay_in_twin([told.asks[name] for name in there], told.answers)
    await _same(store, twin, told, there)
    _outbox_as_in_twin(*await _rows(place.database), twin.world)
    await store.close()
    ends = ((name, told.answers.get(name)) for name in told.asks)
    return Counter(answer.refused or "accepted" if answer else f"unanswered, there: {name in there}" for name, answer in ends)


def _requests_there(log: list[Stored], told: Told) -> list[str]:
    """The requests that the log holds, in its order. Each event must belong to a request, stand at its version, and stand there once."""
    wanted = {
        (f"{ask.id}|{stream}|{expected + n}", stream, expected + n)
        for ask in told.asks.values()
        for stream, expected, count, _ in ask.streams
        for n in range(1, count + 1)
    }
    found: Counter[str] = Counter()
    for row in log:
        event = decode(row.topic, row.state)
        assert isinstance(event, Cancelled)
        assert (event.reason, row.stream, row.version) in wanted, f"nobody asked for {row}"
        wanted.discard((event.reason, row.stream, row.version))
        found[event.reason.partition("|")[0]] += 1
    for name, count in found.items():
        assert count == sum(item[2] for item in told.asks[name].streams), f"{name} is there in part"
    return list(found)


def _explain(ask: Ask, answer: Answer | None, there: bool) -> None:
    if answer is None:
        return  # its process was killed: both are right, and `_requests_there` has seen that it is all or nothing
    if answer.refused:
        assert not there, f"{ask.id} was refused ({answer.refused}) and is there"
        assert (
            answer.refused != "VersionConflict"
            or answer.actual not in {expected for _, expected, _, _ in ask.streams}
            or len(ask.streams) > 1
        )
    else:
        assert there, f"{ask.id} was answered and is not there"
        assert len(answer.numbers) == len(ask.to)


async def _replay_in_twin(asks: list[Ask], answers: dict[str, Answer]) -> MemoryStore:
    """The twin must accept each, and give the numbers that were answered."""
    twin = MemoryStore()
    for ask in asks:
        appended = await twin.append(request_of(ask))
        answer = answers.get(ask.id)
        assert answer is None or answer.numbers == appended.numbers, ask.id
    return twin


async def _same(store: Store, twin: MemoryStore, told: Told, there: list[str]) -> None:
    assert await store.streams() == await twin.streams()
    assert [row[1:] for row in await store.log(0, 10**6)] == [row[1:] for row in await twin.log(0, 10**6)]
    assert await store.epochs() == await twin.epochs()
    for agent in AGENTS:
        assert await store.marks(agent) == await twin.marks(agent)
        assert await store.unapplied(agent) == await twin.unapplied(agent)
        assert await store.open_streams(agent) == await twin.open_streams(agent)
        for receiver in AGENTS:
            assert await store.parcels(agent, receiver) == await twin.parcels(agent, receiver)
    for ask in told.asks.values():
        if ask.id in there and ask.document:
            assert await store.content(digest(document_of(ask))) == document_of(ask)
        else:
            with pytest.raises(NoContent):
                await store.content(digest(document_of(ask)))


async def _rows(database: str) -> tuple[list[Any], set[tuple[str, str, int]]]:
    """Counters and outbox as they lie in the database."""
    asked = "SELECT sender, receiver, n FROM counters", "SELECT sender, receiver, n FROM outbox"
    if is_postgres(database):
        connection = await connect(postgres_place(database), "test")
        counters, outbox = [[tuple(row) for row in await connection.fetch(sql)] for sql in asked]
        await connection.close()
    else:
        with closing(sqlite3.connect(database)) as raw:
            counters, outbox = [raw.execute(sql).fetchall() for sql in asked]
    return counters, set(outbox)


def _outbox_as_in_twin(counters: list[Any], outbox: set[tuple[str, str, int]], world: MemoryWorld) -> None:
    """Counters are equal; the outbox lacks at most what is at or below its receiver's mark."""
    assert {(sender, receiver): n for sender, receiver, n in counters} == world.counters
    for sender, receiver, n in counters:
        mark = world.applied.get((receiver, sender), Marks()).mark
        numbers = {number for holder, to, number in outbox if (holder, to) == (sender, receiver)}
        assert set(range(mark + 1, n + 1)) <= numbers <= set(range(1, n + 1))


def _queue_is_taken(database: Path) -> bool:
    with Path(f"{database}.lock").open("rb") as queue:
        try:
            fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


async def test_a_process_frozen_in_its_commit_blocks_the_queue_until_it_is_killed(tmp_path: Path) -> None:
    """Nobody can tell whether it will wake; once it is dead its transaction is gone and the others go on."""
    database = tmp_path / "events.db"
    plan = Plan(str(database), str(tmp_path / "journal"), AGENTS[0], 0, seed=1, hit=1, signal=signal.SIGSTOP)
    process = await asyncio.create_subprocess_exec(*arguments(plan), cwd=ROOT)
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert _queue_is_taken(database)
    store = SqliteStore(database)
    waiting = asyncio.ensure_future(store.append(request(part("task-1", 0))))
    assert await store.streams() == [], "who only reads is not blocked"
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    process.kill()
    async with asyncio.timeout(10):
        await waiting
        await process.wait()
    assert [info.stream for info in await store.streams()] == ["task-1"]
    assert await store.epochs() == {}, "the claim of the frozen process never happened"
    await store.close()
