"""A process that appends at random and keeps a journal of what it asked and what it was answered.

    python -m tests.store.writing_process '<plan as JSON>'

Every line of the journal reaches the kernel before the next step is taken, so it survives the SIGKILL that the plan may name. Each event,
message and document holds the id of its request: whatever lies in the database afterwards can be explained.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from domain.ports.probe import Point, Probe, nobody
from domain.ports.store import Append, Appended, Outgoing, Received, Refused, StreamAppend, VersionConflict
from domain.task import Cancelled
from store.opening import Store, is_postgres, open_store

AGENTS = ("lead/0", "lead/1", "client/0")
SHARED = ("task-shared-1", "task-shared-2", "task-shared-3")


class Plan(msgspec.Struct, frozen=True):
    """What a process is to do; `database` is the path of a SQLite file or a URL. At the `hit`th time that it passes `point` it sends
    itself `signal` (0: never)."""

    database: str
    journal: str
    agent: str
    life: int
    seed: int
    rounds: int = 12
    point: str = Point.BEFORE_COMMIT
    hit: int = 0
    signal: int = signal.SIGKILL


class Ask(msgspec.Struct, frozen=True):
    """A request as the journal keeps it; `request_of` makes the request from it, here and in the checker."""

    id: str
    writer: str
    epoch: int | None
    streams: list[tuple[str, int, int, bool | None]]
    received: list[tuple[str, int]] = []
    to: list[str] = []
    document: bool = False
    claim: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What was answered: the numbers given, or the name of the refusal (and for a conflict the version that was there)."""

    id: str
    position: int = 0
    numbers: list[int] = []
    refused: str = ""
    actual: int = -1


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    ask: Ask | None = None
    answer: Answer | None = None


def request_of(ask: Ask) -> Append:
    """The request that a line of the journal stands for."""
    parts = [
        StreamAppend(
            stream,
            expected,
            [Cancelled(at_ms=1, reason=f"{ask.id}|{stream}|{expected + n}") for n in range(1, count + 1)],
            opened,
        )
        for stream, expected, count, opened in ask.streams
    ]
    outgoing = [Outgoing(receiver, f"{ask.id}|{index}".encode(), "") for index, receiver in enumerate(ask.to)]
    received = [Received(*item) for item in ask.received]
    contents = [document_of(ask)] if ask.document else []
    return Append(ask.writer, ask.epoch, parts, received, outgoing, contents, claim=ask.claim)


def document_of(ask: Ask) -> bytes:
    """The content document that a request brings."""
    return f"document of {ask.id}".encode()


async def open_database(database: str, probe: Probe = nobody) -> Store:
    """The store at a URL, or of a SQLite file that is named by its path."""
    return await open_store(database if is_postgres(database) else "", Path(database), probe)


class Process:
    """One life of an agent's process: it claims, then appends group after group."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = random.Random(f"{plan.seed} {plan.agent} {plan.life}")
        self._journal = os.open(plan.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._hits = 0
        self._asked = 0

    def _probe(self, point: Point) -> None:
        if point == self._plan.point:
            self._hits += 1
            if self._hits == self._plan.hit:
                os.kill(os.getpid(), self._plan.signal)
                time.sleep(0.2)  # another thread may take the signal, and this one would go on for a moment

    async def run(self) -> None:
        agent = self._plan.agent
        store = self._store = await open_database(self._plan.database, self._probe)
        epoch = (await store.epochs()).get(agent, 0) + 1
        stream = f"agent-{agent}"
        version = len(await store.read(stream))
        await self._append(Ask(self._id(), agent, epoch, [(stream, version, 1, None)], claim=True))
        for _ in range(self._plan.rounds):
            group = await self._group(epoch)
            await asyncio.gather(*(self._append(ask) for ask in group))
        await store.close()

    async def _append(self, ask: Ask) -> None:
        self._write(Line(ask=ask))
        try:
            answer = await self._store.append(request_of(ask))
        except VersionConflict as refused:
            self._write(Line(answer=Answer(ask.id, refused=type(refused).__name__, actual=refused.actual)))
        except Refused as refused:
            self._write(Line(answer=Answer(ask.id, refused=type(refused).__name__)))
        else:
            assert isinstance(answer, Appended)
            self._write(Line(answer=Answer(ask.id, answer.position, list(answer.numbers))))

    def _write(self, line: Line) -> None:
        os.write(self._journal, msgspec.json.encode(line) + b"\n")

    def _id(self) -> str:
        self._asked += 1
        return f"{self._plan.agent}.{self._plan.life}.{self._asked}"

    # --- what it asks ---------------------------------------------------------------------------------------------------------

    async def _group(self, epoch: int) -> list[Ask]:
        versions = {info.stream: info.version for info in await self._store.streams()}
        waiting = {writer: await self._waiting(writer) for writer in (self._plan.agent, "client/0")}
        group = [self._ask(epoch, versions, waiting) for _ in range(self._random.randint(1, 12))]
        handled = [item for ask in group if ask.writer == self._plan.agent for item in ask.received]
        return [*group, self._again(epoch, self._random.choice(handled))] if handled else group

    def _again(self, epoch: int, handled: tuple[str, int]) -> Ask:
        """A message that was handled before, by a request that nothing else refuses."""
        id_ = self._id()
        return Ask(id_, self._plan.agent, epoch, [(f"task-{id_}", 0, 1, None)], [handled])

    async def _waiting(self, receiver: str) -> list[tuple[str, int]]:
        return [(sender, parcel.number) for sender in AGENTS for parcel in await self._store.parcels(sender, receiver, limit=20)]

    def _ask(self, epoch: int, versions: dict[str, int], waiting: dict[str, list[tuple[str, int]]]) -> Ask:
        """Mostly right, sometimes on a wrong version, with a wrong epoch, about a message that was handled before."""
        draw = self._random
        client = draw.random() < 0.2
        writer = "client/0" if client else self._plan.agent
        own = [f"task-{self._plan.agent}-{self._plan.life}-{number}" for number in range(3)]
        parts: list[tuple[str, int, int, bool | None]] = []
        for stream in draw.sample([*SHARED, *own], draw.randint(1, 3)):
            count, expected = draw.randint(1, 3), versions.get(stream, 0)
            wrong = draw.random() < 0.1
            parts.append(
                (stream, expected + draw.choice([-1, 1, 5]) if wrong else expected, count, draw.choice([None, None, True, False]))
            )
            if not wrong and draw.random() < 0.8:
                versions[stream] = expected + count  # the next of the group counts on this one
        known = waiting[writer]
        received = draw.sample(known, min(len(known), draw.choice([0, 0, 1, 2])))
        if received and draw.random() < 0.8:
            waiting[writer] = [item for item in known if item not in received]
        to = draw.choices(AGENTS, k=draw.choice([0, 1, 1, 3]))
        claimed = None if client else epoch + draw.choice([0] * 12 + [-1, 1])
        return Ask(self._id(), writer, claimed, parts, received, to, document=draw.random() < 0.3)


async def _main(plan: Plan) -> None:
    await Process(plan).run()


def arguments(plan: Plan) -> list[str]:
    """The command line that runs a plan in a process of its own."""
    return [sys.executable, "-m", "tests.store.writing_process", msgspec.json.encode(plan).decode()]


def read_journal(path: Path) -> tuple[list[Ask], dict[str, Answer]]:
    """What was asked, in order, and what was answered, by id."""
    lines: list[Any] = [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]
    asks = [line.ask for line in lines if line.ask is not None]
    answers = {line.answer.id: line.answer for line in lines if line.answer is not None}
    return asks, answers


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Plan)))
