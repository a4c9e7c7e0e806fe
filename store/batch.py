"""One batch of appends in one SQLite transaction.

Every request is checked against what is stored and against the accepted requests before it in the batch, so a refused one never
disturbs its neighbours and no savepoint is needed. Rows of all accepted requests are then written table by table, many with one
statement. That is cheaper, and more: Python lets go of its lock around each statement, and has to wait for it behind a busy event loop.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import chain

from domain.marks import Marks
from domain.ports.store import AlreadyApplied, Append, Appended, Received, Refused, VersionConflict
from store.request import Encoded, fenced


class _Insert:
    """An INSERT of any number of rows, as few statements of sizes that are prepared once."""

    _SIZES = (64, 32, 16, 8, 4, 2, 1)

    def __init__(self, table: str, columns: int, end: str = "", begin: str = "INSERT") -> None:
        row = f"({', '.join('?' * columns)})"
        self._statements = [(size, f"{begin} INTO {table} VALUES {', '.join([row] * size)} {end}") for size in self._SIZES]

    def into(self, sql: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Write the rows, in their order."""
        at = 0
        for size, statement in self._statements:
            while len(rows) - at >= size:
                sql.execute(statement, list(chain.from_iterable(rows[at : at + size])))
                at += size


_EVENTS = _Insert("stored_events", 5)
_OUTBOX = _Insert("outbox", 4)
_CONTENTS = _Insert("contents", 2, "ON CONFLICT DO NOTHING")
_SNAPSHOTS = _Insert("snapshots", 4, begin="INSERT OR REPLACE")
_OPEN = _Insert("open_streams", 2, "ON CONFLICT DO UPDATE SET owner = excluded.owner")
_FENCES = _Insert("fences", 2, "ON CONFLICT DO UPDATE SET epoch = excluded.epoch")
_COUNTERS = _Insert("counters", 3, "ON CONFLICT DO UPDATE SET n = excluded.n")
_APPLIED = _Insert("applied", 4, "ON CONFLICT DO UPDATE SET mark = excluded.mark, above = excluded.above")

_WRITER = """
    SELECT 'applied', sender, mark, above FROM applied WHERE receiver = ?1
    UNION ALL SELECT 'counters', receiver, n, '' FROM counters WHERE sender = ?1
    UNION ALL SELECT 'fences', '', epoch, '' FROM fences WHERE agent = ?1"""
_VERSIONS = """
    SELECT value, coalesce((SELECT max(originator_version) FROM stored_events WHERE originator_id = value), 0) FROM json_each(?)
    UNION ALL SELECT '', max(notification_id) FROM stored_events"""


class _Pair:
    """What is known of the messages from one sender to one receiver: the marks as stored, and what this batch adds."""

    __slots__ = ("added", "marks")

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.added: set[int] = set()


class Batch:
    """Checks requests one after another, then writes what was accepted. Lives for one transaction."""

    def __init__(self, connection: sqlite3.Connection, requests: Sequence[Encoded]) -> None:
        self._sql = connection
        self._fences: dict[str, int] = {}
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._counters: dict[tuple[str, str], int] = {}
        self._sent: set[tuple[str, str]] = set()
        self._claims: dict[str, int] = {}
        self._events: list[tuple[int, str, int, str, bytes]] = []
        self._outbox: list[tuple[str, str, int, bytes]] = []
        self._contents: list[tuple[bytes, bytes]] = []
        self._snapshots: list[tuple[str, int, str, bytes]] = []
        self._open: dict[str, tuple[str, bool]] = {}
        for writer in {encoded.request.writer for encoded in requests}:
            self._load(writer)
        streams = {part.stream for encoded in requests for part in encoded.request.streams}
        self._versions: dict[str, int] = dict(connection.execute(_VERSIONS, (json.dumps(list(streams)),)))
        self._head: int = self._versions[""] or 0

    def _load(self, writer: str) -> None:
        """Look up what the requests of one writer are checked against, but for the versions of streams."""
        self._fences[writer] = 0
        for table, other, number, above in self._sql.execute(_WRITER, (writer,)):
            if table == "applied":
                self._pairs[writer, other] = _Pair(marks_of(number, above))
            elif table == "counters":
                self._counters[writer, other] = number
            else:
                self._fences[writer] = number

    def add(self, encoded: Encoded) -> Appended | Refused:
        """Accept a request, or say why not."""
        request = encoded.request
        writer = request.writer
        refused = self._check(request)
        if refused is not None:
            return refused
        if request.claim and request.epoch is not None:
            self._fences[writer] = self._claims[writer] = request.epoch
        for sender, number in request.received:
            self._pairs[writer, sender].added.add(number)
        for part in request.streams:
            self._versions[part.stream] = part.expected + len(part.events)
            if part.open is not None:
                self._open[part.stream] = (writer, part.open)  # the last word of the batch counts
        for row in encoded.rows:
            self._head += 1
            self._events.append((self._head, *row))
        if encoded.contents:
            self._contents += encoded.contents
        if request.snapshots:
            self._snapshots += [(taken.stream, taken.version, "snapshot", taken.state) for taken in request.snapshots]
        return Appended(self._head, [self._send((writer, out.receiver), out.value) for out in request.outgoing])

    def _send(self, pair: tuple[str, str], value: bytes) -> int:
        number = self._counters[pair] = self._counters.get(pair, 0) + 1
        self._sent.add(pair)
        self._outbox.append((*pair, number, value))
        return number

    # --- checks ------------------------------------------------------------------------------------------------------

    def _check(self, request: Append) -> Refused | None:
        fence = self._fences[request.writer]
        if request.epoch is not None and request.epoch != fence + request.claim:
            return fenced(request, fence)
        if request.received and (seen := [item for item in request.received if self._seen(request.writer, item)]):
            return AlreadyApplied(seen)
        for part in request.streams:
            actual = self._versions[part.stream]
            if actual != part.expected:
                return VersionConflict(part.stream, part.expected, actual)
        return None

    def _seen(self, receiver: str, item: Received) -> bool:
        pair = self._pairs.get((receiver, item.sender))
        if pair is None:
            pair = self._pairs[receiver, item.sender] = _Pair(Marks())
        return item.number in pair.added or pair.marks.seen(item.number)

    # --- rows --------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write what was accepted. The caller commits."""
        sql = self._sql
        _EVENTS.into(sql, self._events)
        _OUTBOX.into(sql, self._outbox)
        _COUNTERS.into(sql, [(*pair, self._counters[pair]) for pair in self._sent])
        _APPLIED.into(sql, [_applied(*names, pair) for names, pair in self._pairs.items() if pair.added])
        _CONTENTS.into(sql, self._contents)
        _FENCES.into(sql, list(self._claims.items()))
        if self._snapshots:
            self._write_snapshots()
        if self._open:
            self._write_open()

    def _write_snapshots(self) -> None:
        _SNAPSHOTS.into(self._sql, self._snapshots)
        streams = {(stream, stream) for stream, *_ in self._snapshots}
        self._sql.executemany(
            "DELETE FROM snapshots WHERE originator_id = ? AND originator_version < "
            "(SELECT max(originator_version) FROM snapshots WHERE originator_id = ?)",
            list(streams),
        )

    def _write_open(self) -> None:
        _OPEN.into(self._sql, [(stream, owner) for stream, (owner, is_open) in self._open.items() if is_open])
        if closed := [stream for stream, (_, is_open) in self._open.items() if not is_open]:
            self._sql.execute("DELETE FROM open_streams WHERE stream IN (SELECT value FROM json_each(?))", (json.dumps(closed),))


def marks_of(mark: int, above: str) -> Marks:
    """Marks as they lie in the table."""
    return Marks(mark, frozenset(json.loads(above))) if above else Marks(mark)


def _applied(receiver: str, sender: str, pair: _Pair) -> tuple[str, str, int, str]:
    marks = pair.marks.add(pair.added)
    return receiver, sender, marks.mark, json.dumps(sorted(marks.above), separators=(",", ":")) if marks.above else ""
