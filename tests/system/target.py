"""A target of effects in a process of its own, outside the swarm: what it has in its books is what was really done.

    python -m tests.system.target DIRECTORY       prints its port, then serves until its stdin closes

    POST /<book>[?slow=<text>&slow_s=<seconds>]   as runtime/effects/gateway.py describes

Each book is an append-only file of one line a request. A key is done once; a request with a key that was done before is answered
with the same receipt and noted as `again`, one whose payload differs as `conflict`, one of an older epoch as `stale`. A key that
contains the text of `slow` takes its time, as a slow supplier would, or until the file `<book>.released` is there.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

LOOK_EVERY_S = 0.02
RELEASED = ".released"


class Entry(msgspec.Struct, frozen=True):
    """One request as the target saw it. `outcome`: begun, done, again, conflict, stale."""

    outcome: str
    key: str
    agent: str
    epoch: int
    kind: str
    target: str
    payload: str


class Book:
    """What was asked and done under one path."""

    def __init__(self, path: Path) -> None:
        self._path, self._released = path, path.with_suffix(RELEASED)
        self._lock = threading.Lock()
        self._one_at_a_time: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._epochs: dict[str, int] = {}
        self._done: dict[str, str] = {}

    def ask(self, entry: Entry, wait_s: float) -> int:
        """Do what a request asks for; gives the HTTP status."""
        with self._lock:
            if self._stale(entry):
                return 412
            self._note(entry, "begun")
            mine = self._one_at_a_time[entry.key]
        with mine:
            if wait_s and entry.key not in self._done:
                self._take_time(wait_s)
            with self._lock:
                return self._do(entry)

    def _take_time(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while (left := until - time.monotonic()) > 0 and not self._released.exists():
            time.sleep(min(left, LOOK_EVERY_S))

    def _stale(self, entry: Entry) -> bool:
        if entry.epoch < self._epochs.get(entry.agent, 0):
            self._note(entry, "stale")
            return True
        self._epochs[entry.agent] = entry.epoch
        return False

    def _do(self, entry: Entry) -> int:
        if self._stale(entry):
            return 412
        known = self._done.get(entry.key)
        if known is None:
            self._done[entry.key] = entry.payload
            self._note(entry, "done")
            return 200
        self._note(entry, "again" if known == entry.payload else "conflict")
        return 200 if known == entry.payload else 422

    def _note(self, entry: Entry, outcome: str) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(msgspec.structs.replace(entry, outcome=outcome)) + b"\n")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open, as those of a real gateway
    disable_nagle_algorithm = True
    books: dict[str, Book]

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers["Content-Length"])
        payload = self.rfile.read(length)
        if len(payload) < length:
            self.close_connection = True  # who asked died in the middle of its sentence: nothing was asked
            return
        entry = Entry(
            "",
            self.headers["Idempotency-Key"],
            self.headers["Rehydrate-Agent"],
            int(self.headers["Rehydrate-Epoch"]),
            self.headers["Rehydrate-Kind"],
            self.headers["Rehydrate-Target"],
            hashlib.sha256(payload).hexdigest(),
        )
        slow = "slow" in query and query["slow"] in entry.key
        status = self.books[parts.path.strip("/")].ask(entry, float(query["slow_s"]) if slow else 0.0)
        answer = msgspec.json.encode({"receipt": hashlib.sha256(entry.key.encode()).hexdigest()[:16]})
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Its books are its log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed while it waited is what these tests are about."""


class _Books(dict[str, Book]):
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._making = threading.Lock()

    def __missing__(self, name: str) -> Book:
        with self._making:
            return self.setdefault(name, Book(self._directory / f"{name}.jsonl"))


def entries(path: Path) -> Iterator[Entry]:
    """What stands in a book."""
    for line in path.read_bytes().splitlines() if path.exists() else ():
        yield msgspec.json.decode(line, type=Entry)


def main(directory: Path) -> None:
    """Serve until stdin closes, which it does when the tests are gone, however they went."""
    _Handler.books = _Books(directory)
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
