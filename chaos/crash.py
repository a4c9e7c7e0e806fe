"""AGENT_CRASH and AGENT_HANG: a process is really killed or frozen, at a named point of the road or at a position of the log.

Entries of a plan (see `chaos.plan`):

    [{"id": "k1", "process": "pricing_optimizer/0", "point": "after_commit", "hit": 17, "signal": "KILL"},
     {"id": "k2", "process": "projector", "position": 900, "signal": "KILL"}]

`point` and `hit`: the process does it to itself when it passes that point for the hit-th time. `position`: the supervisor does it to the
process when the log has grown past that position. Each fault happens once: its journal entry is written before the signal and
looked for before that, so a restarted process does not die of it again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from domain.ports.probe import Point, Probe, nobody

STANDS_S = 0.2
"""A signal to a process may be taken by any of its threads; the one at the point would go on for a moment, so it waits for its fate."""
SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP, "TERM": signal.SIGTERM}


class Crash(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. Exactly one of `point` (with `hit`, from 1) and `position` is given."""

    id: str
    process: str
    point: Point | None = None
    hit: int = 1
    position: int | None = None
    signal: str = "KILL"


class Injected(msgspec.Struct, frozen=True, kw_only=True):
    """A journal entry: what was done to which process, and when."""

    id: str
    process: str
    pid: int
    signal: str
    at_ms: int
    point: str = ""
    position: int | None = None


def probe(plan: Sequence[Crash], process: str, journal: Path) -> Probe:
    """The probe that a process carries: it does to itself what the plan says."""
    mine = [crash for crash in plan if crash.process == process and crash.point is not None]
    if not mine:
        return nobody
    hits = dict.fromkeys(Point, 0)

    def stand(point: Point) -> None:
        hits[point] += 1
        for crash in mine:
            if crash.point is point and crash.hit == hits[point] and inject(crash, os.getpid(), journal):
                time.sleep(STANDS_S)

    return stand


def due(plan: Sequence[Crash], position: int, journal: Path) -> list[Crash]:
    """The faults that wait for the log to reach this position and have not happened yet."""
    return [
        crash
        for crash in plan
        if crash.position is not None and crash.position <= position and not _entry(crash, journal).exists()
    ]


def inject(crash: Crash, pid: int, journal: Path) -> bool:
    """Write the journal entry, then send the signal. False when the fault has happened before."""
    entry = Injected(
        id=crash.id,
        process=crash.process,
        pid=pid,
        signal=crash.signal,
        at_ms=time.time_ns() // 1_000_000,
        point=crash.point or "",
        position=crash.position,
    )
    try:
        with _entry(crash, journal).open("xb") as file:
            file.write(msgspec.json.encode(entry))
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    os.kill(pid, SIGNALS[crash.signal])
    return True


def read_journal(journal: Path) -> list[Injected]:
    """What was injected, in order of time."""
    entries = [msgspec.json.decode(path.read_bytes(), type=Injected) for path in journal.glob("injected-*.json")]
    return sorted(entries, key=lambda entry: entry.at_ms)


def _entry(crash: Crash, journal: Path) -> Path:
    return journal / f"injected-{crash.id}.json"
