"""Six nodes in a row on LangGraph, each checkpointed before the next begins.

As its documentation says for production: `AsyncPostgresSaver` on a psycopg pool with `autocommit`, `dict_row` and prepared statements, and
`durability="sync"`, the one mode in which a step is committed before the next starts. One thing beyond it, in its favour: the saver
holds one lock over all it does, so that a pool behind a single saver is used by one at a time (langgraph#7259). Here each
workflow under way has a saver, and a graph compiled with it; they share the pool.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

if TYPE_CHECKING:
    from evaluation.compare.peers.run import Load

PACKAGES = ("langgraph", "langgraph-checkpoint-postgres", "psycopg")
CONNECTIONS = 20


class State(TypedDict):
    """The results of the steps so far."""

    results: Annotated[list[str], operator.add]


def settings(load: Load) -> dict[str, Any]:
    """What is set, as a reader would set it again."""
    return {
        "checkpointer": "AsyncPostgresSaver",
        "durability": "sync",
        "savers": "one a workflow under way",
        "connections": f"as many, at most {CONNECTIONS}",
    }


async def measure(load: Load) -> dict[str, Any]:
    """One run of the workload."""
    async with AsyncExitStack() as stack:
        connections = min(CONNECTIONS, load.concurrency)
        pool = await stack.enter_async_context(
            AsyncConnectionPool(
                load.database,
                min_size=connections,
                max_size=connections,
                open=False,
                kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
            )
        )
        await AsyncPostgresSaver(pool).setup()
        graph = _graph(load)
        idle = [graph.compile(checkpointer=AsyncPostgresSaver(pool)) for _ in range(load.concurrency)]

        async def workflow(number: int) -> None:
            mine = idle.pop()
            ended = await mine.ainvoke({"results": []}, {"configurable": {"thread_id": f"workflow-{number}"}}, durability="sync")
            idle.append(mine)
            if len(ended["results"]) != load.steps:
                raise RuntimeError(f"workflow {number} did {len(ended['results'])} of {load.steps} steps")

        async def size() -> int:
            async with pool.connection() as connection:
                return int((await (await connection.execute(load.size)).fetchone())["bytes"])

        return await load.drive(workflow, size)


def _graph(load: Load) -> StateGraph:
    graph, before = StateGraph(State), START
    for number in range(1, load.steps + 1):
        graph.add_node(f"step_{number}", _step(load.payload))
        graph.add_edge(before, f"step_{number}")
        before = f"step_{number}"
    graph.add_edge(before, END)
    return graph


def _step(payload: str) -> Callable[[State], Awaitable[State]]:
    async def step(state: State) -> State:
        return {"results": [payload]}

    return step
