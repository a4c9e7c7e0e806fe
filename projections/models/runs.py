"""`runs`: one row a run, the vendor's request and how far it is.

`status` is requested, running, closing, then completed, degraded, failed or abandoned. `started`, `ended` and `failed` count
products. `first_position` and `last_position` say between which positions of the log the run lived: what happened to agents in
between (recoveries) happened to this run. All of it is written from the run's own stream.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Text
from sqlalchemy.schema import Column, Table

from domain.ports.store import Recorded
from domain.role import Role
from domain.run import Abandoned, ClosingStarted, Completed, Requested, Status, WorkflowEnded, WorkflowsStarted
from projections.model import METADATA, Model, big_column, count_column, key_column, moment_column, text_column
from projections.rows import Row

TABLE = Table(
    "runs",
    METADATA,
    key_column("run_id"),
    text_column("workflow"),
    text_column("key"),
    text_column("seed"),  # as text: a seed may be any whole number, also beyond 64 bits
    text_column("as_of"),
    text_column("currency"),
    text_column("status"),
    count_column("products"),
    count_column("started"),
    count_column("ended"),
    count_column("failed"),
    count_column("lead_shards"),
    text_column("manifest"),
    Column("parameters", Text, nullable=False, server_default="{}"),
    Column("outputs", Text, nullable=False, server_default="{}"),
    text_column("reason"),
    moment_column("requested_at_ms"),
    moment_column("ended_at_ms"),
    big_column("first_position"),
    moment_column("last_position"),
)


def rows(recorded: Recorded) -> Iterable[Row]:
    """What an event of a run changes in its row."""
    position, key, event = recorded.position, (recorded.stream,), recorded.event
    match event:
        case WorkflowEnded(completed=completed):
            yield Row(key, add={"ended": 1, "failed": 0 if completed else 1})
        case WorkflowsStarted(items=items):
            yield Row(key, put={"status": Status.RUNNING.value}, add={"started": len(items)})
        case Requested():
            yield Row(key, put=_request(event) | {"first_position": position})
        case ClosingStarted():
            yield Row(key, put={"status": Status.CLOSING.value})
        case Completed(at_ms=at_ms, status=status, outputs=outputs, reason=reason):
            files = msgspec.json.encode(outputs).decode()
            over = {"status": status, "reason": reason, "ended_at_ms": at_ms, "last_position": position}
            yield Row(key, put=over | {"outputs": files})
        case Abandoned(at_ms=at_ms, reason=reason):
            over = {"status": Status.ABANDONED.value, "reason": reason, "ended_at_ms": at_ms, "last_position": position}
            yield Row(key, put=over)


def _request(event: Requested) -> dict[str, object]:
    return {
        "workflow": event.workflow,
        "key": event.key,
        "seed": str(event.seed),
        "as_of": event.as_of,
        "currency": event.currency,
        "status": Status.REQUESTED.value,
        "products": event.products,
        "lead_shards": event.shards.get(Role.LEAD, 1),
        "manifest": event.manifest,
        "parameters": msgspec.json.encode(event.parameters).decode(),
        "requested_at_ms": event.at_ms,
    }


MODEL = Model("runs", (Requested, WorkflowsStarted, WorkflowEnded, ClosingStarted, Completed, Abandoned), rows)
