"""Keeping a store in memory small: the twin of the real ones, see `store.keeping`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from domain.decision import named
from domain.marks import Marks
from domain.streams import agent_stream
from store.keeping import Erased, Table, Trimmed, names_reached
from store.memory_world import MemoryWorld


class MemoryKeeping:
    """`store.keeping.Keeping` of a world. `world` gives it, or raises where the store is closed."""

    def __init__(self, world: Callable[[], MemoryWorld]) -> None:
        self._world = world

    async def tables(self) -> Sequence[Table]:
        world = self._world()
        sizes: Mapping[str, Collection[object]] = {
            "stored_events": world.log,
            "contents": world.contents,
            "snapshots": world.snapshots,
            "outbox": [number for rows in world.outbox.values() for number in rows],
            "applied": world.applied,
            "counters": world.counters,
            "fences": world.fences,
            "open_streams": world.open,
        }
        return [Table(name, len(rows), None) for name, rows in sizes.items()]

    async def trim(self, *, dry_run: bool = False) -> Trimmed:
        world = self._world()
        outbox = [
            (pair, number)
            for pair, rows in world.outbox.items()
            for number in rows
            if number <= world.applied.get((pair[1], pair[0]), Marks()).mark
        ]
        last = {stream: version for stream, version in sorted(world.snapshots)}
        old = [(stream, version) for stream, version in world.snapshots if version < last[stream]]
        if not dry_run:
            for pair, number in outbox:
                del world.outbox[pair][number]
            for key in old:
                del world.snapshots[key]
        return Trimmed(len(outbox), len(old), 0)

    async def collect(self, digests: Collection[str], position: int) -> Erased:
        world = self._world()
        since = {name for row in world.log if row.position > position for name in named(row.state)}
        free = (set(digests) & world.contents.keys()) - names_reached(since, world.contents.get)
        erased = [world.contents.pop(name) for name in free]
        return Erased(len(erased), sum(map(len, erased)))

    async def forget(self, sender: str, version: int, *, dry_run: bool = False) -> int:
        world = self._world()
        receivers = [receiver for holder, receiver in world.counters if holder == sender]
        marks = {receiver: world.applied.get((receiver, sender), Marks()).mark for receiver in receivers}
        moved = len(world.streams.get(agent_stream(sender), ())) != version
        if moved or any(world.counters[sender, receiver] != mark for receiver, mark in marks.items()):
            return 0
        for receiver in () if dry_run else receivers:
            del world.counters[sender, receiver]
            world.outbox.pop((sender, receiver), None)
        for key in [key for key in world.applied if key[1] == sender] if receivers and not dry_run else ():
            del world.applied[key]
        return len(receivers)

    async def compact(self) -> None:
        """Python does it."""
