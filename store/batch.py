"""One batch of appends in one SQLite transaction.

Every request is checked against what is stored and against the accepted requests before it in the batch, so a refused one never
disturbs its neighbours and no savepoint is needed. Rows of all accepted requests are then written table by table, many with one
statement. That is cheaper, and more: Python lets go of its lock around each statement, and has to wait for it behind a busy event loop.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

from domain.marks import Marks
from domain.ports.store import AlreadyApplied, Append, Appended, Received, Refused, VersionConflict
from store.request import Encoded, fenced


class _Insert:
    """An INSERT of any number of rows, as few statements of sizes that are prepared once."""

    _SIZES = (64, 16, 4, 1)

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


class Batch:
    """Checks requests one after another, then writes what was accepted. Lives for one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection
        self._fences: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._marks: dict[tuple[str, str], Marks] = {}
        self._counters: dict[tuple[str, str], int] = {}
        self._claims: dict[str, int] = {}
        self._applied: set[tuple[str, str]] = set()
        self._events: list[tuple[int, str, int, str, bytes]] = []
        self._outbox: list[tuple[str, str, int, bytes]] = []
        self._contents: list[tuple[bytes, bytes]] = []
        self._snapshots: list[tuple[str, int, str, bytes]] = []
        self._open: dict[str, tuple[str, bool]] = {}
        self._head = connection.execute("SELECT max(notification_id) FROM stored_events").fetchone()[0] or 0

    def load(self, requests: Sequence[Encoded]) -> None:
        """Look up the versions of all streams that these requests will be checked for."""
        streams = {part.stream for encoded in requests for part in encoded.request.streams}.difference(self._versions)
        if streams:
            found = self._sql.execute(
                "SELECT value, coalesce((SELECT max(originator_version) FROM stored_events WHERE originator_id = value), 0) "
                "FROM json_each(?)",
                (json.dumps(list(streams)),),
            )
            self._versions.update(found)

    def add(self, encoded: Encoded) -> Appended | Refused:
        """Accept a request, or say why not."""
        request = encoded.request
        refused = self._check_fence(request) or self._check_received(request) or self._check_versions(request)
        if refused is not None:
            return refused
        if request.claim and request.epoch is not None:
            self._fences[request.writer] = self._claims[request.writer] = request.epoch
        for sender, numbers in _by_sender(request.received):
            pair = (request.writer, sender)
            self._marks[pair] = self._marks[pair].add(numbers)
            self._applied.add(pair)
        for part in request.streams:
            self._versions[part.stream] = part.expected + len(part.events)
            if part.open is not None:
                self._open[part.stream] = (request.writer, part.open)  # the last word of the batch counts
        for row in encoded.rows:
            self._head += 1
            self._events.append((self._head, *row))
        self._contents += encoded.contents
        self._snapshots += [(taken.stream, taken.version, "snapshot", taken.state) for taken in request.snapshots]
        return Appended(self._head, [self._send(request.writer, out.receiver, out.value) for out in request.outgoing])

    def write(self) -> None:
        """Write what was accepted. The caller commits."""
        sql = self._sql
        if self._events:
            _EVENTS.into(sql, self._events)
        if self._outbox:
            _OUTBOX.into(sql, self._outbox)
            counted = [(*pair, n) for pair, n in self._counters.items()]
            sql.executemany("INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = excluded.n", counted)
        if self._applied:
            marks = [(*pair, self._marks[pair].mark, _above(self._marks[pair])) for pair in self._applied]
            sql.executemany(
                "INSERT INTO applied VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET mark = excluded.mark, above = excluded.above",
                marks,
            )
        if self._claims:
            sql.executemany(
                "INSERT INTO fences VALUES (?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch", list(self._claims.items())
            )
        if self._contents:
            _CONTENTS.into(sql, self._contents)
        if self._snapshots:
            _SNAPSHOTS.into(sql, self._snapshots)
            streams = {(stream, stream) for stream, *_ in self._snapshots}
            sql.executemany(
                "DELETE FROM snapshots WHERE originator_id = ? AND originator_version < "
                "(SELECT max(originator_version) FROM snapshots WHERE originator_id = ?)",
                list(streams),
            )
        if opened := [(stream, owner) for stream, (owner, is_open) in self._open.items() if is_open]:
            _OPEN.into(sql, opened)
        if closed := [stream for stream, (_, is_open) in self._open.items() if not is_open]:
            sql.execute("DELETE FROM open_streams WHERE stream IN (SELECT value FROM json_each(?))", (json.dumps(closed),))

    # --- checks ------------------------------------------------------------------------------------------------------

    def _check_fence(self, request: Append) -> Refused | None:
        if request.epoch is None:
            return None
        fence = self._fences.get(request.writer)
        if fence is None:
            row = self._sql.execute("SELECT epoch FROM fences WHERE agent = ?", (request.writer,)).fetchone()
            fence = self._fences[request.writer] = row[0] if row else 0
        if request.epoch != fence + 1 if request.claim else request.epoch != fence:
            return fenced(request, fence)
        return None

    def _check_received(self, request: Append) -> Refused | None:
        if not request.received:
            return None
        seen = [item for item in request.received if self._load_marks(request.writer, item.sender).seen(item.number)]
        return AlreadyApplied(seen) if seen else None

    def _check_versions(self, request: Append) -> Refused | None:
        for part in request.streams:
            actual = self._versions[part.stream]
            if actual != part.expected:
                return VersionConflict(part.stream, part.expected, actual)
        return None

    # --- bookkeeping -------------------------------------------------------------------------------------------------

    def _load_marks(self, receiver: str, sender: str) -> Marks:
        found = self._marks.get((receiver, sender))
        if found is None:
            row = self._sql.execute(
                "SELECT mark, above FROM applied WHERE receiver = ? AND sender = ?", (receiver, sender)
            ).fetchone()
            found = self._marks[receiver, sender] = marks_of(*row) if row else Marks()
        return found

    def _send(self, sender: str, receiver: str, value: bytes) -> int:
        pair = (sender, receiver)
        last = self._counters.get(pair)
        if last is None:
            row = self._sql.execute("SELECT n FROM counters WHERE sender = ? AND receiver = ?", pair).fetchone()
            last = row[0] if row else 0
        number = self._counters[pair] = last + 1
        self._outbox.append((sender, receiver, number, value))
        return number


def marks_of(mark: int, above: str) -> Marks:
    """Marks as they lie in the table."""
    return Marks(mark, frozenset(json.loads(above))) if above else Marks(mark)


def _above(marks: Marks) -> str:
    return json.dumps(sorted(marks.above), separators=(",", ":")) if marks.above else ""


def _by_sender(received: Sequence[Received]) -> Iterable[tuple[str, Sequence[int]]]:
    if len(received) == 1:
        return ((received[0].sender, (received[0].number,)),)
    numbers: dict[str, list[int]] = {}
    for sender, number in received:
        numbers.setdefault(sender, []).append(number)
    return numbers.items()
