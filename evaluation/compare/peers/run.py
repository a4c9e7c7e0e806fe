"""The script that measures one peer once: reads a request from stdin as JSON, prints the measurement as JSON.

    echo '{"peer": "dbos", "database": "postgresql://…", "concurrency": 16, "workflows": 300, …}' | ENVIRONMENT/bin/python run.py

A closed loop, as in `evaluation.bench.steps`: so many workflows under way at a time, and each goes from step to step as fast as the peer
commits. The clock runs from the first step to the end of the last workflow, after a warm-up that is not counted.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

# All tables outside of the catalogue, with their indexes and what is stored out of line.
SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


class Load(NamedTuple):
    """What is asked of a peer."""

    peer: str
    database: str
    concurrency: int
    workflows: int
    warm_up: int
    steps: int
    payload_bytes: int

    @property
    def payload(self) -> str:
        """What each step gives."""
        return "x" * self.payload_bytes

    @property
    def size(self) -> str:
        """The query for the bytes of all tables and indexes."""
        return SIZE

    async def drive(
        self, workflow: Callable[[int], Awaitable[None]], size: Callable[[], Awaitable[int]] | None = None
    ) -> dict[str, Any]:
        """Run the workflows; `workflow(number)` is one of them, `size()` gives the bytes of all tables and indexes. Without it there
        are none, as with a store that lays out its files beforehand."""
        await self._all(workflow, iter(range(self.workflows, self.workflows + self.warm_up)))
        before = await size() if size else 0
        begun = time.perf_counter()
        times = await self._all(workflow, iter(range(self.workflows)))
        elapsed = time.perf_counter() - begun
        grown = await size() - before if size else None
        return {
            "workflows": self.workflows,
            "steps_per_second": self.workflows * self.steps / elapsed,
            "bytes_per_workflow": grown / self.workflows if grown is not None else None,
            "workflow_ms": sorted(1000 * each for each in times)[len(times) // 2],
        }

    async def _all(self, workflow: Callable[[int], Awaitable[None]], numbers: Iterator[int]) -> list[float]:
        times = []

        async def one_after_the_other() -> None:
            for number in numbers:
                begun = time.perf_counter()
                await workflow(number)
                times.append(time.perf_counter() - begun)

        await asyncio.gather(*(one_after_the_other() for _ in range(self.concurrency)))
        return times


async def _measure(load: Load) -> dict[str, Any]:
    peer = importlib.import_module(f"on_{load.peer}")
    measured: dict[str, Any] = await peer.measure(load)
    return {**measured, "versions": {name: version(name) for name in peer.PACKAGES}, "settings": peer.settings(load)}


def main() -> None:
    """One measurement. Whatever goes wrong ends in a traceback, whose last line is what the caller shows."""
    measured = asyncio.run(_measure(Load(**json.load(sys.stdin))))
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
