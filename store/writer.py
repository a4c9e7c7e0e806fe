"""The one writer thread of a process: takes append requests from asyncio and commits them in groups.

Rules:
- Processes queue by `flock` on a side file around each transaction. SQLite's own busy handler is unfair: under load single
  transactions wait up to a second; a blocking flock makes a fair queue at almost the same throughput.
- `synchronous = FULL`: an answer means that the events are on the disk.
- A COMMIT whose answer is an error may have happened. Each batch therefore carries a number in `commits`, and the writer looks
  before it says anything.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from domain.ports.probe import Point, Probe
from domain.ports.store import Appended, StoreUnavailable
from store.batch import Batch
from store.request import Encoded

MAX_BATCH = 256
TRIM_EVERY_S = 0.1

Answer = Appended | Exception
Waiting = tuple[Sequence[Encoded], "asyncio.Future[Sequence[Answer]]"]


def open_queue(path: Path) -> int:
    """The side file at which processes queue; closing it gives the place in the queue away."""
    return os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


class Writer:
    """Owns the writing connection and its thread. `submit` may be called from the event loop only."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection], probe: Probe) -> None:
        self._path = path
        self._connect = connect
        self._probe = probe
        self._queue: list[Waiting] = []
        self._wake = threading.Condition()
        self._closing = False
        self._name = uuid.uuid4().hex
        self._batches = 0
        self._senders: set[str] = set()
        self._trimmed: dict[tuple[str, str], int] = {}
        self._trim_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def submit(self, group: Sequence[Encoded]) -> asyncio.Future[Sequence[Answer]]:
        """Queue requests that go into one transaction; the future gives their answers once they are durable or refused."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        future: asyncio.Future[Sequence[Answer]] = self._loop.create_future()
        with self._wake:
            if self._closing:
                raise StoreUnavailable("the store is closed")
            self._queue.append((group, future))
            self._wake.notify()
        return future

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with ExitStack() as held:
            opened: tuple[sqlite3.Connection, int] | None = None
            while (taken := self._take()) is not None:
                requests = [encoded for group, _ in taken for encoded in group]
                try:
                    opened = opened or self._open(held)
                    answers: Sequence[Answer] = self._commit(*opened, requests)
                except (sqlite3.Error, OSError) as error:
                    self._trimmed.clear()  # what this batch trimmed is back
                    answers = [StoreUnavailable(f"{self._path}: {error}") for _ in requests]
                except Exception as error:  # noqa: BLE001 a mistake in a request must reach its caller, not end the thread
                    answers = [error] * len(requests)
                assert self._loop is not None
                if not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(_answer, taken, answers)

    def _open(self, held: ExitStack) -> tuple[sqlite3.Connection, int]:
        """The writing connection and the lock of the queue. Where it fails, those who wait are told, and it is tried again."""
        lock = open_queue(self._path)
        try:
            connection = self._connect()
        except BaseException:
            os.close(lock)
            raise
        held.callback(os.close, lock)
        held.callback(connection.close)
        return connection, lock

    def _take(self) -> list[Waiting] | None:
        with self._wake:
            while not self._queue:
                if self._closing:
                    return None
                self._wake.wait()
            size = groups = 0
            while groups < len(self._queue) and (not groups or size + len(self._queue[groups][0]) <= MAX_BATCH):
                size += len(self._queue[groups][0])
                groups += 1
            taken, self._queue = self._queue[:groups], self._queue[groups:]
            return taken

    def _commit(self, connection: sqlite3.Connection, lock: int, requests: Sequence[Encoded]) -> list[Answer]:
        self._batches += 1
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                answers = self._write(connection, requests)
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise
            self._finish(connection)
            return answers
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    def _write(self, connection: sqlite3.Connection, requests: Sequence[Encoded]) -> list[Answer]:
        batch = Batch(connection, requests)
        answers: list[Answer] = [batch.add(encoded) for encoded in requests]
        batch.write()
        self._senders.update(encoded.request.writer for encoded in requests if encoded.request.outgoing)
        self._trim(connection)
        if self._batches == 1:  # who asks what became of a batch has its place in the queue until it knows: now nobody asks
            connection.execute("DELETE FROM commits")
        connection.execute(
            "INSERT INTO commits VALUES (?, ?) ON CONFLICT DO UPDATE SET batch = excluded.batch", (self._name, self._batches)
        )
        self._probe(Point.BEFORE_COMMIT)
        return answers

    def _finish(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
                raise
            if not self._committed(connection):
                raise
        self._probe(Point.AFTER_COMMIT)

    def _committed(self, connection: sqlite3.Connection) -> bool:
        row = connection.execute("SELECT batch FROM commits WHERE writer = ?", (self._name,)).fetchone()
        return row is not None and row[0] == self._batches

    def _trim(self, connection: sqlite3.Connection) -> None:
        """Drop outbox rows that their receivers have applied; a sender does it in its own appends, now and then."""
        now = time.monotonic()
        if now < self._trim_at:
            return
        self._trim_at = now + TRIM_EVERY_S
        for sender in self._senders:
            marks = connection.execute(
                "SELECT a.receiver, a.mark FROM counters c JOIN applied a ON a.receiver = c.receiver AND a.sender = c.sender "
                "WHERE c.sender = ?",
                (sender,),
            ).fetchall()
            for receiver, mark in marks:
                if mark > self._trimmed.get((sender, receiver), 0):
                    connection.execute(
                        "DELETE FROM outbox WHERE sender = ? AND receiver = ? AND n <= ?", (sender, receiver, mark)
                    )
                    self._trimmed[sender, receiver] = mark


def _answer(taken: Sequence[Waiting], answers: Sequence[Answer]) -> None:
    at = 0
    for group, future in taken:
        if not future.cancelled():
            future.set_result(answers[at : at + len(group)])
        at += len(group)
