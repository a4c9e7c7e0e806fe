"""What commands and pages read: typed answers from the read models. Each answer is of one moment.

Where an id names nothing the answer is None. How far behind the log an answer may be, `lag` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Select, Table, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.workflow import StepStatus
from projections import presence, views
from projections.database import reading
from projections.models import METADATA
from projections.models.agents import role_and_shard
from projections.models.workflows import CLOSING_INDEX
from projections.projector import Log
from projections.schema import check_schema, position_of

LIMIT = 1000
"""Rows of a list, the newest first where nothing else orders them."""

STOPPED = "stopped"

_RUNS, _WORKFLOWS, _TASKS, _AGENTS, _RECOVERIES, _LETTERS, _MESSAGES = (
    METADATA.tables[name] for name in ("runs", "workflows", "tasks", "agents", "recoveries", "dead_letters", "messages")
)

V = TypeVar("V", bound=msgspec.Struct)


async def lag(engine: AsyncEngine, log: Log) -> views.Lag:
    """How far the read models are behind the log. Raises `SchemaMismatch` where the tables are of another version."""
    async with reading(engine) as connection:
        await check_schema(connection)
        position = await position_of(connection)
    head = await log.head()
    return views.Lag(position, head, max(0, head - position))


# --- runs -----------------------------------------------------------------------------------------------------------


async def runs(engine: AsyncEngine, limit: int = LIMIT) -> list[views.RunRow]:
    """The runs, the newest first."""
    async with reading(engine) as connection:
        found = await _all(connection, select(_RUNS).order_by(_RUNS.c.first_position.desc()).limit(limit))
    return [_view(views.RunRow, row, seed=int(row["seed"] or 0)) for row in found]


async def run(engine: AsyncEngine, run_id: str) -> views.RunDetail | None:
    """One run, with what was asked and what it produced."""
    async with reading(engine) as connection:
        row = await _one(connection, _RUNS, run_id)
    if row is None:
        return None
    parsed = {name: msgspec.json.decode(row[name]) for name in ("parameters", "outputs")}
    return _view(views.RunDetail, row, seed=int(row["seed"] or 0), **parsed)


async def run_document(engine: AsyncEngine, run_id: str) -> views.RunDocument | None:
    """A run with its workflows, steps and recoveries: the document that `RunSummary` folds from the log."""
    async with reading(engine) as connection:
        row = await _one(connection, _RUNS, run_id)
        if row is None:
            return None
        is_closing = case((_WORKFLOWS.c.feed_index == CLOSING_INDEX, 1), else_=0)
        of_run = select(_WORKFLOWS).where(_WORKFLOWS.c.run_id == run_id)
        flows = await _all(connection, of_run.order_by(is_closing, _WORKFLOWS.c.feed_index))
        steps: dict[str, list[views.Step]] = {}
        for task in await _all(connection, select(_TASKS).where(_TASKS.c.run_id == run_id)):
            steps.setdefault(task["workflow_id"], []).append(_view(views.Step, task))
        recovered = await _recoveries_of(connection, row)
    workflows = [
        _view(views.WorkflowOfRun, flow, steps=views.in_graph_order(flow["graph"], steps.get(flow["workflow_id"], ())))
        for flow in flows
    ]
    return _view(views.RunDocument, row, seed=int(row["seed"] or 0), workflows=workflows, recoveries=recovered)


async def recoveries(engine: AsyncEngine, run_id: str | None = None, limit: int = LIMIT) -> list[views.Recovery] | None:
    """The recoveries in the order in which they happened: during a run, or the last ones of all."""
    async with reading(engine) as connection:
        if run_id is not None:
            row = await _one(connection, _RUNS, run_id)
            return None if row is None else await _recoveries_of(connection, row)
        found = await _all(connection, select(_RECOVERIES).order_by(_RECOVERIES.c.position.desc()).limit(limit))
    return [_view(views.Recovery, row) for row in reversed(found)]


async def _recoveries_of(connection: AsyncConnection, run_row: Mapping[str, Any]) -> list[views.Recovery]:
    statement = select(_RECOVERIES).where(_RECOVERIES.c.position > run_row["first_position"]).order_by(_RECOVERIES.c.position)
    if run_row["last_position"] is not None:
        statement = statement.where(_RECOVERIES.c.position < run_row["last_position"])
    return [_view(views.Recovery, row) for row in await _all(connection, statement)]


# --- workflows ------------------------------------------------------------------------------------------------------


async def workflows(
    engine: AsyncEngine, run_id: str | None = None, status: str | None = None, limit: int = LIMIT
) -> list[views.WorkflowRow]:
    """Workflows, of one run or of one status, the newest first; those of one run by their place in the feed."""
    completed = case((_TASKS.c.status == StepStatus.COMPLETED.value, 1), else_=0)
    of_workflow = _TASKS.c.workflow_id == _WORKFLOWS.c.workflow_id
    counts = {
        "steps": select(func.count()).select_from(_TASKS).where(of_workflow).scalar_subquery(),
        "steps_done": select(func.coalesce(func.sum(completed), 0)).where(of_workflow).scalar_subquery(),
    }
    statement = select(_WORKFLOWS, *(count.label(name) for name, count in counts.items())).limit(limit)
    if run_id is None:
        statement = statement.order_by(_WORKFLOWS.c.requested_at_ms.desc(), _WORKFLOWS.c.run_id.desc(), _WORKFLOWS.c.feed_index)
    else:
        is_closing = case((_WORKFLOWS.c.feed_index == CLOSING_INDEX, 1), else_=0)
        statement = statement.where(_WORKFLOWS.c.run_id == run_id).order_by(is_closing, _WORKFLOWS.c.feed_index)
    if status is not None:
        statement = statement.where(_WORKFLOWS.c.status == status)
    async with reading(engine) as connection:
        return [_view(views.WorkflowRow, row) for row in await _all(connection, statement)]


async def workflow(engine: AsyncEngine, workflow_id: str) -> views.WorkflowDetail | None:
    """One workflow with its steps."""
    async with reading(engine) as connection:
        row = await _one(connection, _WORKFLOWS, workflow_id)
        if row is None:
            return None
        found = await _all(connection, select(_TASKS).where(_TASKS.c.workflow_id == workflow_id))
    steps = [_view(views.StepDetail, task, deadline=views.moment(task["deadline_ms"])) for task in found]
    return _view(views.WorkflowDetail, row, steps=views.in_graph_order(row["graph"], steps))


async def messages(engine: AsyncEngine, workflow_id: str) -> list[views.MessageRow]:
    """The messages that speak of a workflow, in the order in which they were sent."""
    statement = select(_MESSAGES).where(_MESSAGES.c.workflow_id == workflow_id).order_by(_MESSAGES.c.position, _MESSAGES.c.part)
    async with reading(engine) as connection:
        return [_view(views.MessageRow, row) for row in await _all(connection, statement)]


# --- agents ---------------------------------------------------------------------------------------------------------


async def agents(engine: AsyncEngine, supervised: bool) -> list[views.AgentRow]:
    """All agents that were ever claimed, and whoever else sends heartbeats. Unless `supervised` all of them are stopped."""
    async with reading(engine) as connection:
        owned = {row["agent"]: row for row in await _all(connection, select(_AGENTS))}
        present = {beat.agent: beat for beat in await presence.read_all(connection)}
    found = [_agent(name, owned.get(name), present.get(name), supervised) for name in owned.keys() | present.keys()]
    return sorted(found, key=lambda row: (row.role, row.shard))


def _agent(name: str, owner: Mapping[str, Any] | None, beat: presence.Presence | None, supervised: bool) -> views.AgentRow:
    role, shard = role_and_shard(name)
    epoch, pid, status, host = (0, 0, "", "") if owner is None else (owner["epoch"], owner["pid"], owner["status"], owner["host"])
    last = None if beat is None else beat.last_heartbeat_at
    if beat is not None and beat.epoch < epoch:
        beat = None  # the heartbeat of an owner before: it says nothing about this one
    elif beat is not None and (owner is None or beat.epoch > epoch or status != STOPPED):
        # A heartbeat may know of an epoch that the projector has not seen yet.
        epoch, pid, status = beat.epoch, beat.pid, beat.status
    alive = supervised and status != STOPPED and beat is not None
    return views.AgentRow(
        agent=name,
        role=role,
        shard=shard,
        epoch=epoch,
        pid=pid,
        status=status if supervised else STOPPED,
        task_id=beat.task_id or None if alive and beat is not None else None,
        last_heartbeat_at=views.moment(last),
        host=host,
        step=beat.step if alive and beat is not None else "",
        note=beat.note if alive and beat is not None else "",
    )


# --- dead letters ---------------------------------------------------------------------------------------------------


async def dead_letters(engine: AsyncEngine, status: str | None = None, limit: int = LIMIT) -> list[views.DeadLetterRow]:
    """Dead letters, all or those of one status (waiting, replayed, discarded), the newest first."""
    statement = select(_LETTERS).order_by(_LETTERS.c.position.desc()).limit(limit)
    if status is not None:
        statement = statement.where(_LETTERS.c.status == status)
    async with reading(engine) as connection:
        return [_letter(row) for row in await _all(connection, statement)]


async def dead_letter(engine: AsyncEngine, letter_id: str) -> views.DeadLetterRow | None:
    """One dead letter."""
    async with reading(engine) as connection:
        row = await _one(connection, _LETTERS, letter_id)
    return None if row is None else _letter(row)


def _letter(row: Mapping[str, Any]) -> views.DeadLetterRow:
    where = {name: row[f"kafka_{name}"] for name in ("topic", "partition", "offset")}
    return _view(views.DeadLetterRow, row, **where)


# --- rows to views --------------------------------------------------------------------------------------------------


async def _all(connection: AsyncConnection, statement: Select[Any]) -> list[Mapping[str, Any]]:
    return [dict(row) for row in (await connection.execute(statement)).mappings()]


async def _one(connection: AsyncConnection, table: Table, key: str) -> Mapping[str, Any] | None:
    (column,) = table.primary_key.columns
    row = (await connection.execute(select(table).where(column == key))).mappings().one_or_none()
    return None if row is None else dict(row)


def _view(view: type[V], row: Mapping[str, Any], **given: Any) -> V:
    """A view from the columns of the same names; a field `…_at` (or `at`) is the moment in the column `…_at_ms`."""
    fields: dict[str, Any] = {}
    for name in view.__struct_fields__:
        if name in given:
            fields[name] = given[name]
        elif name == "at" or name.endswith("_at"):
            fields[name] = views.moment(row[f"{name}_ms"])
        else:
            fields[name] = row[name]
    return view(**fields)
