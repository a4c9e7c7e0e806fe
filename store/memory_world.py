"""What lies in a store in memory: the database of the twin."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from uuid import uuid4

from domain.marks import Marks
from domain.ports.store import Stored

Pair = tuple[str, str]


@dataclass
class MemoryWorld:
    """What all stores on it share. `applied` is keyed (receiver, sender), `outbox` and `counters` (sender, receiver),
    `open` by stream: it holds the owner."""

    identity: str = field(default_factory=lambda: uuid4().hex)
    log: list[Stored] = field(default_factory=list)
    position: int = 0
    streams: defaultdict[str, list[Stored]] = field(default_factory=lambda: defaultdict(list))
    fences: dict[str, int] = field(default_factory=dict)
    applied: dict[Pair, Marks] = field(default_factory=dict)
    counters: dict[Pair, int] = field(default_factory=dict)
    outbox: defaultdict[Pair, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    open: dict[str, str] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    snapshots: dict[tuple[str, int], bytes] = field(default_factory=dict)
