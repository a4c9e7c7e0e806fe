"""The one writer of a process on PostgreSQL: takes append requests and commits them in groups, each group by one server-side call.

Rules:
- One call is under way at a time, and whatever is asked meanwhile goes into the next: the slower the commits, the larger the groups.
- Requests that touch the same stream or message are never in one batch, and a claim is alone in its own: what is stored then decides
  about each. Their order is kept.
- A call whose answer is lost may have happened. Each batch carries a number, and the writer asks the server before it says anything; a
  batch that had not happened by then is refused if it still comes.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Hashable, Sequence
from itertools import repeat
from typing import Any

import asyncpg

from domain.ports.probe import Point, Probe
from domain.ports.store import AlreadyApplied, Append, Appended, Refused, StoreUnavailable, VersionConflict
from store.postgres import schema
from store.postgres.connection import TROUBLE, Place, let_go, told
from store.request import Encoded, fenced

log = logging.getLogger(__name__)

MAX_BATCH = 256
TRIM_EVERY_S = 0.25
SETTLE_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)

Answer = Appended | Exception
Waiting = tuple[Encoded, "asyncio.Future[Appended]"]
Connect = Callable[[], Awaitable[asyncpg.Connection]]

_APPEND = f"SELECT * FROM {schema.FUNCTIONS.append}({', '.join(f'${n}' for n in range(1, 31))})"
_SETTLE = f"SELECT head, codes, fences, versions, seen, numbers FROM {schema.FUNCTIONS.settle}($1, $2)"


class Writer:
    """Owns the writing connection. Belongs to one event loop."""

    def __init__(self, place: Place, connect: Connect, probe: Probe) -> None:
        self._place = place
        self._connect = connect
        self._probe = probe
        self._queue: list[Waiting] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._name = uuid.uuid4().hex
        self._batches = 0
        self._senders: set[str] = set()
        self._trim_at = 0.0
        self._connection: asyncpg.Connection | None = None
        self._statement: Any = None
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        """Messages put into the outbox so far."""

    def submit(self, encoded: Encoded) -> asyncio.Future[Appended]:
        """Queue a request; the future gives its answer once it is durable or refused."""
        if self._closing:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        if self._task is None:
            self._task = loop.create_task(self._run())
        future: asyncio.Future[Appended] = loop.create_future()
        self._queue.append((encoded, future))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Finish what is queued, then let go of the connection."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._leave("writer = $1", self._name)
        await self._drop()

    # --- groups ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(0)  # whoever is ready in this turn of the loop comes along
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                continue
            taken = self._take()
            try:
                answers = await self._commit([encoded for encoded, _ in taken])
            except Exception as error:  # noqa: BLE001 a mistake in a request must reach its caller, not end the writer
                answers = [error] * len(taken)
            for (_, future), answer in zip(taken, answers, strict=True):
                if future.cancelled():
                    continue
                if isinstance(answer, Appended):
                    future.set_result(answer)
                else:
                    future.set_exception(answer)

    def _take(self) -> list[Waiting]:
        """The next batch: what waits, in order, but for what touches the same as something before it."""
        if self._queue[0][0].request.claim:
            return [self._queue.pop(0)]
        touched: set[Hashable] = set()
        taken: list[Waiting] = []
        left: list[Waiting] = []
        for index, waiting in enumerate(self._queue):
            request = waiting[0].request
            if len(taken) == MAX_BATCH or request.claim:
                left += self._queue[index:]
                break
            keys: list[Hashable] = [part.stream for part in request.streams]
            keys += [(request.writer, *item) for item in request.received]
            (taken if touched.isdisjoint(keys) else left).append(waiting)
            touched.update(keys)
        self._queue = left
        return taken

    # --- one call ----------------------------------------------------------------------------------------------------

    async def _commit(self, batch: Sequence[Encoded]) -> list[Answer]:
        statement = await self._prepared()
        if claimed := batch[0].request.writer if batch[0].request.claim else "":
            self._name = f"{claimed} {uuid.uuid4().hex}"
        self._batches += 1
        self._probe(Point.BEFORE_COMMIT)
        try:
            row = await statement.fetchrow(self._name, self._batches, *_columns(batch), self._to_trim(batch))
        except TROUBLE as error:
            row = await self._after_trouble(error)
        self._probe(Point.AFTER_COMMIT)
        answers = _answers(batch, row)
        self.sent += len(row["numbers"] or ())
        if claimed and isinstance(answers[0], Appended):
            # Owners before this one append no more, and have no answer to ask for.
            await self._leave("starts_with(writer, $1 || ' ') AND writer <> $2", claimed, self._name)
        return answers

    async def _leave(self, which: str, *parameters: str) -> None:
        """Drop rows of `commits` that nobody will ask for. Where it fails, `rehydrate store vacuum` does it."""
        if self._connection is None or self._connection.is_closed():
            return
        try:
            await self._connection.execute(f"DELETE FROM commits WHERE {which}", *parameters)
        except TROUBLE as error:
            log.info("rows of commits are left behind: %s", error)

    async def _prepared(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            with told(self._place):
                self._statement = await self._connection.prepare(_APPEND)
        return self._statement

    def _to_trim(self, batch: Sequence[Encoded]) -> list[str]:
        """The senders whose applied messages leave the outbox with this batch: a sender does it in its own appends, now and then."""
        self._senders.update(encoded.request.writer for encoded in batch if encoded.request.outgoing)
        now = asyncio.get_running_loop().time()
        if now < self._trim_at:
            return []
        self._trim_at = now + TRIM_EVERY_S
        return sorted(self._senders)

    async def _after_trouble(self, error: BaseException) -> Any:
        """The answer of a batch whose call ended in an error.

        Raises:
            StoreUnavailable: the batch did not happen and never will.
        """
        broken = (
            self._connection is None
            or self._connection.is_closed()
            or isinstance(error, TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError)
        )
        await self._drop()
        if broken:
            row = await self._settle(error)
            if row is not None:
                return row
        with told(self._place):
            raise error

    async def _settle(self, lost: BaseException) -> Any:
        """Ask the server what became of the last batch, as long as it takes: until then nobody can be told anything. Only who is let in no
        more goes without an answer; whoever owns the agent next finds in the store what happened.

        Raises:
            StoreUnavailable: the writer is being closed, or the server does not let us in.
        """
        waited = 0
        while True:
            try:
                connection = await self._connect()
                try:
                    row = await connection.fetchrow(_SETTLE, self._name, self._batches)
                finally:
                    await connection.close()
            except (*TROUBLE, StoreUnavailable) as error:
                if self._closing:
                    raise StoreUnavailable(f"{self._place.shown}: the answer to the last append was lost") from error
                if isinstance(error, StoreUnavailable) and error.final:
                    raise
                if waited == 0:
                    log.error(
                        "the database went while it was asked to append (%s); waiting to hear what became of it: %s", lost, error
                    )
                await asyncio.sleep(SETTLE_RETRY_S[min(waited, len(SETTLE_RETRY_S) - 1)])
                waited += 1
            else:
                if waited:
                    log.warning("the database is back; the append %s", "had not happened" if row is None else "had happened")
                return row

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await let_go(connection)


def _columns(batch: Sequence[Encoded]) -> list[Any]:
    """The requests as the function takes them: arrays, one for each column."""
    requests, streams, events, received = [], [], [], []
    outgoing, contents, snapshots = [], [], []
    for index, encoded in enumerate(batch, 1):
        request = encoded.request
        requests.append((request.writer, request.epoch, request.claim))
        streams += [(index, part.stream, part.expected, part.open) for part in request.streams]
        events += [(index, *row) for row in encoded.rows]
        received += [(index, request.writer, sender, number) for sender, number in request.received]
        outgoing += [(index, request.writer, out.receiver, out.value) for out in request.outgoing]
        contents += [(index, *document) for document in encoded.contents]
        snapshots += [(index, *taken) for taken in request.snapshots]
    tables: tuple[tuple[list[Any], int], ...] = (
        (requests, 3), (streams, 4), (events, 5), (received, 4), (outgoing, 4), (contents, 3), (snapshots, 4),
    )  # fmt: skip
    return [column for table, width in tables for column in (zip(*table, strict=True) if table else repeat((), width))]


def _answers(batch: Sequence[Encoded], row: Any) -> list[Answer]:
    """What the function found, told to each request."""
    head, codes, fences, versions, seen, numbers = (
        row["head"],
        row["codes"],
        row["fences"],
        row["versions"],
        row["seen"],
        row["numbers"],
    )
    versions_at = seen_at = numbers_at = 0
    answers: list[Answer] = []
    for index, encoded in enumerate(batch):
        request = encoded.request
        streams, received, outgoing = len(request.streams), len(request.received), len(request.outgoing)
        if codes[index] == 0:
            head += len(encoded.rows)
            answers.append(Appended(head, list(numbers[numbers_at : numbers_at + outgoing]) if outgoing else []))
        else:
            actual = versions[versions_at : versions_at + streams] if streams else ()
            known = seen[seen_at : seen_at + received] if received else ()
            answers.append(_refusal(request, codes[index], fences[index], actual, known))
        versions_at, seen_at, numbers_at = versions_at + streams, seen_at + received, numbers_at + outgoing
    return answers


def _refusal(request: Append, code: int, fence: int, versions: Sequence[int], seen: Sequence[bool]) -> Refused:
    if code == 1:
        return fenced(request, fence)
    if code == 3:
        return AlreadyApplied([item for item, known in zip(request.received, seen, strict=True) if known])
    part, actual = next((part, actual) for part, actual in zip(request.streams, versions, strict=True) if part.expected != actual)
    return VersionConflict(part.stream, part.expected, actual)
