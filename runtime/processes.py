"""Child processes: started from a fork server that has everything imported, watched by pidfd, ended by signal.

Rules:
- The supervisor, which hosts the embedded broker's threads, never forks: a small server process does, and each child is its copy. The
  server itself is a copy of the command, made while that has one thread and nothing open; one that died is replaced by a fresh process.
- Nobody is orphaned. The kernel kills a child when the fork server dies (PR_SET_PDEATHSIG), the fork server ends when the supervisor
  dies (its pipe closes), and a child's heartbeat thread exits when its own pipe to the supervisor closes.
- Whether a child is dead is asked of its pidfd, never of multiprocessing: without its server, that calls living children dead.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn

import msgspec

log = logging.getLogger(__name__)

PRELOAD = ["runtime.preload"]
SERVER = "fork-server"
"""What the server calls itself in lists of processes."""
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_PRIVATE_SERVER_KNOWN = sys.version_info < (3, 14)
"""From 3.14 on, a server asks for a key that multiprocessing alone hands over."""


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """A heartbeat: who is alive and what it has in hand. Not an event; later it is evidence for reconstruction."""

    process: str
    pid: int
    epoch: int = 0
    status: str = ""
    task: str = ""
    note: str = ""


# --- in the supervisor ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Child:
    """A started process as the supervisor sees it. `last_sign` is its last sign of life (monotonic seconds)."""

    name: str
    pid: int
    pidfd: int
    beats: Connection
    lifeline: Connection
    process: Any
    started_at: float
    last_sign: float
    beaten: bool = False
    released: bool = False

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to exactly this process; nothing if it is gone."""
        if self.released:
            return
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def dead(self) -> bool:
        return self.released or bool(select.select([self.pidfd], [], [], 0)[0])

    def release(self) -> None:
        """Let go of the descriptors of a dead child."""
        self.released = True
        self.beats.close()
        self.lifeline.close()
        os.close(self.pidfd)

    def read_beats(self) -> list[Beat]:
        """The heartbeats that have come. For when there is something to read: the first is not waited for, but taken."""
        beats: list[Beat] = []
        try:
            while not beats or self.beats.poll():
                beats.append(msgspec.json.decode(self.beats.recv_bytes(), type=Beat))
        except (EOFError, OSError):
            return beats
        if beats:
            self.last_sign, self.beaten = time.monotonic(), True
        return beats


class ForkServer:
    """Starts children. `start` may be called from a thread: where there is no server it starts one, which takes its imports' time."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._lock = threading.Lock()

    def pid(self) -> int | None:
        """The server's process id, once it runs."""
        return forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined,no-any-return]  # the only way to know it

    def ensure_running(self) -> None:
        """Have the server running; it goes on importing when this returns."""
        with self._lock:
            forkserver.ensure_running()

    def fork(self) -> None:
        """Have a copy of this process be the server: whoever has imported `PRELOAD` already spares the machine a second of doing it
        again. With a second thread, which a copy would lack and whose locks it would hold for ever, the server is a fresh process."""
        if threading.active_count() > 1 or not _PRIVATE_SERVER_KNOWN:
            self.ensure_running()
            return
        with self._lock, socket.socket(socket.AF_UNIX) as listener:
            resource_tracker.ensure_running()
            listener.bind("")  # Linux finds a name, which is no file's
            listener.listen()
            alive, lifeline = os.pipe()
            sys.stdout.flush()
            sys.stderr.flush()  # or each child would say again what waits to be said
            if not (pid := os.fork()):
                _serve(listener.fileno(), alive)
            os.close(alive)
            server: Any = forkserver._forkserver  # as its `ensure_running` leaves it
            server._forkserver_address = listener.getsockname()
            server._forkserver_alive_fd, server._forkserver_pid = lifeline, pid

    def start(self, name: str, main: Callable[..., None], *arguments: Any) -> Child:
        """Start a process that runs `main(name, lifeline, beats, *arguments)`."""
        beats, beats_there = self._context.Pipe(duplex=False)
        lifeline_there, lifeline = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_enter, args=(main, name, lifeline_there, beats_there, *arguments), name=name, daemon=True
        )
        with self._lock:
            process.start()
        beats_there.close()
        lifeline_there.close()
        pid = process.pid
        assert pid is not None
        now = time.monotonic()
        return Child(name, pid, os.pidfd_open(pid), beats, lifeline, process, now, now)

    def stop(self) -> None:
        """End the server, and with it whatever child is still being started. It has no work of its own to finish."""
        with self._lock:
            if (pid := self.pid()) is not None:
                os.kill(pid, signal.SIGKILL)
                forkserver._forkserver._stop()  # type: ignore[attr-defined]  # reaps it, and lets another one be started


# --- in the server --------------------------------------------------------------------------------------------------


def _serve(listener: int, alive: int) -> NoReturn:
    """Be the fork server from here on; nothing of the command goes on in this copy of it."""
    try:
        _call_oneself(SERVER)
        # The lock of the data dir is open here, too, and is held for as long as anybody has it open.
        for handle in {int(place.name) for place in Path("/proc/self/fd").iterdir()} - {0, 1, 2, listener, alive}:
            os.closerange(handle, handle + 1)  # which minds nothing: one of them was the listing's own
        forkserver.main(listener, alive, [])
    finally:
        os._exit(0)  # what the command would still have done is not done twice


def _call_oneself(name: str) -> None:
    """Be found under this name, or its first 15 bytes, by `ps`, `top` and the like."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


# --- in the child ---------------------------------------------------------------------------------------------------


def _enter(main: Callable[..., None], name: str, lifeline: Connection, beats: Connection, *arguments: Any) -> None:
    die_with_parent()
    _call_oneself(name)
    _leave_the_server_alone()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group: the supervisor decides what it means
    main(name, lifeline, beats, *arguments)


def _leave_the_server_alone() -> None:
    """Close the child's copy of the pipe that keeps the fork server alive: only the supervisor may, or a frozen child would."""
    server: Any = forkserver._forkserver  # multiprocessing has no other way
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere the lifeline alone does it)."""
    if sys.platform.startswith("linux"):
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


class Heart(threading.Thread):
    """Beats from a thread of its own, so that a long computation is no silence; ends the process when the supervisor is gone."""

    def __init__(self, lifeline: Connection, beats: Connection, every_s: float, state: Callable[[], Beat]) -> None:
        super().__init__(name="heart", daemon=True)
        self._lifeline = lifeline
        self._beats = beats
        self._every_s = every_s
        self._state = state
        self._parent = os.getppid()

    def run(self) -> None:
        while True:
            try:
                self._beats.send_bytes(msgspec.json.encode(self._state()))
                orphaned = bool(wait([self._lifeline], timeout=self._every_s))
            except OSError:
                orphaned = True
            if orphaned or os.getppid() != self._parent:
                os._exit(1)  # the supervisor is gone: what is committed is safe, and nobody is left to work for
