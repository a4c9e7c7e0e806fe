"""A census of the named points: how often each process passes each of them. Injects nothing.

A campaign counts first and then draws its moments from what it counted, so that nearly every fault finds its moment. The counts are
written at each passing, since a process may be killed before it could say them.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from domain.ports.probe import Point, Probe


class Count(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The entry of a plan that asks for the census."""

    id: str


class Passed(msgspec.Struct, frozen=True):
    """How often one process passed each point. A restarted process counts anew, under its own pid."""

    process: str
    pid: int
    points: dict[Point, int]


def probe(process: str, journal: Path) -> Probe:
    """The probe that counts for one process."""
    points: dict[Point, int] = {}
    path = journal / f"passed-{process.replace('/', '.')}-{os.getpid()}.json"

    def stand(point: Point) -> None:
        points[point] = points.get(point, 0) + 1
        path.write_bytes(msgspec.json.encode(Passed(process, os.getpid(), points)))

    return stand


def read(journal: Path) -> list[Passed]:
    """The counts of all processes, by file name."""
    return [msgspec.json.decode(path.read_bytes(), type=Passed) for path in sorted(journal.glob("passed-*.json"))]
