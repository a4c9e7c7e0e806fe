"""No engine at all: single-row inserts of 256 B, each its own transaction. What the disk, PostgreSQL and a Python client give.

Runs in our own environment. A "step" here is an insert; the connections are as many as are asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from evaluation.compare.peers.run import Load

PACKAGES = ("asyncpg",)


def settings(load: Load) -> dict[str, Any]:
    """What is set, as a reader would set it again."""
    return {"connections": load.concurrency, "transactions": "autocommit, one row each"}


async def measure(load: Load) -> dict[str, Any]:
    """One run of inserts."""
    payload = load.payload.encode()
    connections = [await asyncpg.connect(load.database) for _ in range(load.concurrency)]
    await connections[0].execute("CREATE TABLE raw (id bytea PRIMARY KEY, flow bytea, number integer, state bytea)")
    idle = [await each.prepare("INSERT INTO raw (id, flow, number, state) VALUES ($1, $2, $3, $4)") for each in connections]

    async def inserts(number: int) -> None:
        mine, flow = idle.pop(), os.urandom(16)
        for step in range(load.steps):
            await mine.fetch(os.urandom(16), flow, step, payload)
        idle.append(mine)

    async def size() -> int:
        return int(await connections[0].fetchval(load.size))

    try:
        return await load.drive(inserts, size)
    finally:
        for each in connections:
            await each.close()
