"""A workflow of six steps on DBOS, each recorded before the next begins.

As its documentation shows an asynchronous application: `async` workflow and steps, launched on the loop they run on, with defaults for
pool and threads, on PostgreSQL. Called directly and not through a queue, which would add rows and polling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from dbos import DBOS

if TYPE_CHECKING:
    from evaluation.compare.peers.run import Load

PACKAGES = ("dbos", "sqlalchemy", "psycopg")


def settings(load: Load) -> dict[str, Any]:
    """What is set, as a reader would set it again."""
    return {"workflow": "async, called directly", "steps": "async", "pool and threads": "defaults"}


async def measure(load: Load) -> dict[str, Any]:
    """One run of the workload."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": load.database,
            "application_version": "bench",
            "executor_id": "bench",
            "log_level": "ERROR",
        }
    )

    async def give(number: int) -> str:
        return load.payload

    step = DBOS.step()(give)

    async def six_steps(number: int) -> int:
        return len([await step(each) for each in range(load.steps)])

    durable = DBOS.workflow()(six_steps)
    DBOS.launch()

    async def workflow(number: int) -> None:
        if (done := await durable(number)) != load.steps:
            raise RuntimeError(f"workflow {number} did {done} of {load.steps} steps")

    async def size() -> int:
        async with await psycopg.AsyncConnection.connect(load.database) as connection:
            row = await (await connection.execute(load.size)).fetchone()
            return int(row[0])

    try:
        return await load.drive(workflow, size)
    finally:
        DBOS.destroy()
