"""A swarm as its user sees it: a command in a process of its own, a data dir, files. Nothing here looks inside the program, and what is
asked of a swarm is asked by its commands.

The processes of a swarm are told by their environment, which names the data dir: so orphans are found, too, whoever is their parent.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from typer.testing import CliRunner

from chaos import crash
from runtime.cli import app
from tests.system.feed import Feed

REHYDRATE = Path(sys.executable).with_name("rehydrate")
ROOT = Path(__file__).parents[2]
SEED, AS_OF = "7", "2026-11-21"
PATIENCE_S = 90.0
_ONE_ASKS = threading.Lock()
"""Who calls a command in this process takes its stdout away from all threads."""
TICK_HZ = os.sysconf("SC_CLK_TCK")


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, every_s: float = 0.02) -> Any:
    """Wait until something is the case, and give what the condition gave. To look costs the swarm time, too."""
    end = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {patience_s} s in vain until {what}"
        time.sleep(every_s)
    return found


class Process(NamedTuple):
    """A living process of a swarm. `peak_mb` is the most memory that it ever held, `cpu_s` what it has computed."""

    pid: int
    parent: int
    state: str
    cpu_s: float
    peak_mb: float


class Ended(NamedTuple):
    """How a command ended; `code` is negative for a signal."""

    code: int
    out: bytes
    err: str
    elapsed_s: float

    @property
    def document(self) -> Any:
        assert self.code == 0, f"exit code {self.code}\n{self.err[-4000:]}"
        return msgspec.json.decode(self.out)


class Running:
    """A command that runs."""

    def __init__(self, command: Sequence[str], home: Path, environment: Mapping[str, str]) -> None:
        self._begun = time.monotonic()
        self._out, self._err = home / "stdout", home / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, cwd=home, env=dict(environment), stdout=out, stderr=err)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, patience_s: float = PATIENCE_S) -> Ended:
        """Its end. Who does not come to it is killed, and the test fails with what it said."""
        try:
            code = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"not over after {patience_s} s: {self.said[-4000:]}") from None
        return Ended(code, self._out.read_bytes(), self.said, time.monotonic() - self._begun)

    @property
    def said(self) -> str:
        return self._err.read_text(errors="replace")


class Swarm:
    """One data dir and one command that is given again and again. `settings` become environment variables."""

    def __init__(self, home: Path, feed: Feed, *, plan: Sequence[Mapping[str, Any]] = (), **settings: object) -> None:
        self.home, self.data, self.out = home, home / "data", home / "out"
        home.mkdir(parents=True, exist_ok=True)
        given = {name: value for name, value in os.environ.items() if not name.startswith("REHYDRATE_")}
        named = {f"REHYDRATE_{name.upper()}": str(value) for name, value in settings.items()}
        self.environment = {**given, **named, "REHYDRATE_DATA_DIR": str(self.data)}
        if plan:
            (home / "plan.json").write_bytes(msgspec.json.encode(plan))
            self.environment["REHYDRATE_CHAOS_PLAN"] = str(home / "plan.json")
        files = ["--products", feed.products, "--stock", feed.stock, "--reviews", feed.reviews, "--out", self.out]
        self.command = ["run", "product-launch-campaign", *map(str, files), "--seed", SEED, "--as-of", AS_OF, "--json"]

    # --- what a user does --------------------------------------------------------------------------------------------

    def start(self, *arguments: str) -> Running:
        """Give the command (default: the run) and come back at once."""
        return Running([str(REHYDRATE), *(arguments or self.command)], self.home, self.environment)

    def run(self, patience_s: float = PATIENCE_S) -> Ended:
        """Give the run's command and wait for its end."""
        return self.start().wait(patience_s)

    def finish(self) -> Ended:
        """Give the same command until nobody kills it any more."""
        while (ended := self.run()).code == -signal.SIGKILL:
            until(lambda: not self.processes(), "the processes of the killed swarm are gone", 10.0)
        return ended

    def verify(self) -> Any:
        """What `rehydrate replay verify` says."""
        return self.ask("replay", "verify")

    def ask(self, *words: str) -> Any:
        """The document of a command that tells what there is. It is called in this process: to start another one takes a second, and
        what is asked for is its answer."""
        with _ONE_ASKS:
            ended = CliRunner().invoke(app, [*words, "--json", "--data-dir", str(self.data)])
        return Ended(ended.exit_code, ended.stdout_bytes, f"{ended.stderr}{ended.stdout}", 0.0).document

    # --- what there is to see ----------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """All processes of this swarm that live, the supervisor included."""
        mark = f"REHYDRATE_DATA_DIR={self.data}\0".encode()
        found = []
        for place in Path("/proc").iterdir():
            if not place.name.isdecimal():
                continue
            try:
                if mark in (place / "environ").read_bytes():
                    found.append(_process(place))
            except (OSError, IndexError):
                continue  # gone meanwhile
        return [process for process in found if process.state != "Z"]

    def pid_of(self, agent: str) -> int:
        """Who owns an agent now, by the log; 0 when nobody ever did."""
        rows = self.query(
            "SELECT json_extract(state, '$.pid') FROM stored_events WHERE originator_id = ? AND topic = 'agent.Claimed' "
            "ORDER BY originator_version DESC LIMIT 1",
            f"agent-{agent}",
        )
        return int(rows[0][0]) if rows else 0

    def freeze(self, agent: str) -> None:
        """SIGSTOP for the owner of an agent, at a moment when it holds no lock of the store: the others go on."""
        pid = until(lambda: self.pid_of(agent), f"somebody owns {agent}")
        with (self.data / "events.db.lock").open("rb") as queue:
            while True:
                os.kill(pid, signal.SIGSTOP)
                until(lambda: all_stopped(pid), f"{agent} stands still")
                try:
                    until(lambda: _free(queue.fileno()), "the store is free", 0.5)
                except AssertionError:
                    os.kill(pid, signal.SIGCONT)
                else:
                    return

    def thaw(self, agent: str) -> None:
        """SIGCONT for the owner of an agent."""
        os.kill(self.pid_of(agent), signal.SIGCONT)

    def query(self, sql: str, *parameters: object) -> list[Any]:
        """Ask the event store's file, without any code of the program. Empty while there is no file."""
        try:
            with closing(sqlite3.connect(f"{(self.data / 'events.db').as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
                return connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError:
            return []

    def head(self) -> int:
        """The position of the log."""
        rows = self.query("SELECT max(notification_id) FROM stored_events")
        return int(rows[0][0] or 0) if rows else 0

    def done(self, topic: str) -> dict[str, int]:
        """How many events of a topic each stream has."""
        return dict(self.query("SELECT originator_id, count(*) FROM stored_events WHERE topic = ? GROUP BY 1", topic))

    def injected(self) -> list[crash.Injected]:
        """The chaos journal."""
        return crash.read_journal(self.data / "chaos")

    def outputs(self) -> dict[str, bytes]:
        """Every file that the run gave, byte for byte."""
        return tree(self.out)


def all_stopped(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def _free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(handle, fcntl.LOCK_UN)
    return True


def tree(directory: Path) -> dict[str, bytes]:
    """All files under a directory by their relative names."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def _process(place: Path) -> Process:
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    peak_kb = int(status.get("VmHWM", "0 kB").split()[0])
    return Process(int(place.name), int(fields[1]), fields[0], (int(fields[11]) + int(fields[12])) / TICK_HZ, peak_kb / 1024)
