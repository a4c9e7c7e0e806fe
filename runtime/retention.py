"""What a store may lose: what is there, what nobody needs any more, and taking that away while a swarm runs.

Needed for ever are the events, and the documents that they name, themselves or through documents. Three things have an end of their own:
- What a dead letter holds, when it is discarded, or older than the retention. One that still waits at that age is discarded, which is an
  event as any other decision about it: the log tells that it was, and why.
- Numbers and marks of a sender that stopped so long ago that no copy of its messages can be in Kafka any more.
- What agents' own appends have left behind, as `store.keeping` tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from domain import agent, deadletter
from domain.decision import named
from domain.event import decode
from domain.ports.store import NoContent
from domain.streams import agent_stream, kind_of
from runtime import deadletters
from store.audit import EventRow
from store.keeping import reached_from
from store.opening import Store

AT_ONCE = 200
"""Documents that are erased in one transaction."""
LOG_BATCH = 2000
DAY_MS = 86_400_000


class Limits(NamedTuple):
    """Until when (milliseconds since the epoch) a dead letter must be recorded, and a sender have stopped, to be let go."""

    letters_ms: int
    senders_ms: int


class Freed(msgspec.Struct, kw_only=True):
    """What a vacuum took away, or would: rows of the store's own tables, letters that were discarded, documents with their bytes,
    and marks of senders that are gone."""

    outbox: int = 0
    snapshots: int = 0
    commits: int = 0
    marks: int = 0
    dead_letters: int = 0
    documents: int = 0
    document_bytes: int = 0


class Documents(msgspec.Struct, frozen=True):
    """Documents of the content store: how many, and their bytes."""

    documents: int
    bytes: int


class TableRow(msgspec.Struct, frozen=True):
    """A table: its rows, and the bytes that it takes with its indexes, where the database can tell."""

    name: str
    rows: int
    bytes: int | None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a store. `bytes` is the sum of its tables; `vacuum` is what a vacuum would free now."""

    events: int
    streams: int
    bytes: int | None
    tables: Sequence[TableRow]
    referenced: Documents
    unreferenced: Documents
    vacuum: Freed


class _Document(NamedTuple):
    size: int
    names: frozenset[str]


class Survey:
    """A store as of one moment: which documents are needed, and who is gone. `position` is the end of the log at that moment."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.position = 0
        self.events = 0
        self.streams: set[str] = set()
        self.documents: dict[str, _Document] = {}
        self.needed: set[str] = set()
        self.expired: dict[str, str] = {}
        """Letters that waited too long → what they hold."""
        self.gone: dict[str, int] = {}
        """Agents that stopped long ago → the version of their streams."""
        self._letters: dict[str, deadletter.DeadLetter] = {}
        self._agents: dict[str, tuple[agent.Agent, int, int]] = {}

    async def read(self, store: Store) -> Survey:
        """Look at all of it."""
        async with store.audit() as audit:
            async for rows in audit.events():
                self._take(rows)
            async for documents in audit.contents():
                for name, data in documents:
                    self.documents[bytes(name).hex()] = _Document(len(data), frozenset(named(bytes(data))))
        for letter, state in self._letters.items():
            self._judge(letter, state)
        for stream, (owner, version, at_ms) in self._agents.items():
            if owner.status is agent.Status.STOPPED and at_ms < self._limits.senders_ms:
                self.gone[stream.removeprefix(agent_stream(""))] = version
        self.needed = self._reached(self.needed)
        return self

    @property
    def free(self) -> list[str]:
        """Documents that nobody needs."""
        return sorted(self.documents.keys() - self.needed)

    def size_of(self, names: Iterable[str]) -> Documents:
        """How much these documents are."""
        sizes = [self.documents[name].size for name in names if name in self.documents]
        return Documents(len(sizes), sum(sizes))

    async def follow(self, store: Store) -> None:
        """Take in what was appended since."""
        while stored := await store.log(self.position, LOG_BATCH):
            self.position = stored[-1].position
            for row in stored:
                for name in named(row.state) - self.needed:
                    if name not in self.documents:
                        await self._fetch(store, name)
                    self.needed |= self._reached([name])
            if len(stored) < LOG_BATCH:
                return

    async def _fetch(self, store: Store, name: str) -> None:
        """A document that was not there before, and those that it names."""
        try:
            data = await store.content(name)
        except NoContent:
            return
        self.documents[name] = _Document(len(data), frozenset(named(data)))
        for inner in self.documents[name].names - self.documents.keys():
            await self._fetch(store, inner)

    def _reached(self, names: Iterable[str]) -> set[str]:
        return reached_from(names, lambda name: self.documents[name].names if name in self.documents else ())

    def _take(self, rows: Sequence[EventRow]) -> None:
        for position, stream, version, topic, state in rows:
            self.events += 1
            self.position = position
            self.streams.add(stream)
            if stream.startswith("deadletter-"):
                before = self._letters.get(stream, deadletter.DeadLetter())
                self._letters[stream] = deadletter.KIND.evolve(before, decode(topic, state))
            else:
                self.needed |= named(bytes(state))
                if stream.startswith("agent-"):
                    event = decode(topic, state)
                    owner = self._agents[stream][0] if stream in self._agents else agent.KIND.initial
                    self._agents[stream] = (kind_of(stream).evolve(owner, event), version, event.at_ms)

    def _judge(self, letter: str, state: deadletter.DeadLetter) -> None:
        if state.recorded is None or state.status is deadletter.Status.DISCARDED:
            return
        if state.recorded.at_ms >= self._limits.letters_ms:
            self.needed.add(state.recorded.raw)
        elif state.status is deadletter.Status.WAITING:
            self.expired[letter] = state.recorded.raw


async def stats(store: Store, limits: Limits) -> Stats:
    """What lies in the store, and what a vacuum would free."""
    survey = await Survey(limits).read(store)
    tables = [TableRow(*table) for table in await store.keeping().tables()]
    known = [table.bytes for table in tables if table.bytes is not None]
    return Stats(
        events=survey.events,
        streams=len(survey.streams),
        bytes=sum(known) if known else None,
        tables=tables,
        referenced=survey.size_of(survey.documents.keys() & survey.needed),
        unreferenced=survey.size_of(survey.free),
        vacuum=await _freed(store, survey, dry_run=True),
    )


async def vacuum(store: Store, limits: Limits, now_ms: int, *, dry_run: bool = False) -> Freed:
    """Take away what nobody needs, in short transactions; with `dry_run` only say what that is. Again, it finds nothing.

    Raises:
        StoreUnavailable: the store is in trouble; what was done until then is done, and the same call goes on.
    """
    survey = await Survey(limits).read(store)
    if dry_run:
        return await _freed(store, survey, dry_run=True)
    discarded = [letter for letter in survey.expired if await _discard(store, letter, now_ms)]
    erased = survey.size_of({survey.expired[letter] for letter in discarded})
    freed = await _freed(store, survey, dry_run=False)
    freed.dead_letters = len(discarded)
    # What the letters held is gone already, where nobody else needs it.
    documents, size = erased.documents, erased.bytes
    held = set(survey.expired.values())
    waiting = [name for name in survey.free if name not in held]
    for first in range(0, len(waiting), AT_ONCE):
        await survey.follow(store)
        batch = [name for name in waiting[first : first + AT_ONCE] if name not in survey.needed]
        done = await store.keeping().collect(batch, survey.position)
        documents, size = documents + done.documents, size + done.bytes
    freed.documents, freed.document_bytes = documents, size
    return freed


async def _freed(store: Store, survey: Survey, *, dry_run: bool) -> Freed:
    """Do what has no order, or count it; and what the rest would be."""
    keeping = store.keeping()
    trimmed = await keeping.trim(dry_run=dry_run)
    marks = [await keeping.forget(sender, version, dry_run=dry_run) for sender, version in sorted(survey.gone.items())]
    free = survey.size_of(survey.free)
    return Freed(
        outbox=trimmed.outbox,
        snapshots=trimmed.snapshots,
        commits=trimmed.commits,
        marks=sum(marks),
        dead_letters=len(survey.expired),
        documents=free.documents,
        document_bytes=free.bytes,
    )


async def _discard(store: Store, letter: str, now_ms: int) -> bool:
    try:
        await deadletters.discard(store, [letter], now_ms)
    except deadletters.CannotDecide:
        return False  # somebody else decided meanwhile
    return True
