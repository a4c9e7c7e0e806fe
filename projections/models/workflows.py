"""`workflows`: one row a workflow, that is a product on its way, or what closes a run.

The run's stream makes the row (which run, which product, which lead), the workflow's own stream says how it goes. `status` is
requested until the lead has begun it, then running, completed or failed. `feed_index` is the product's place in the feed, -1 for
the workflow that closes the run. `lead` is the agent that writes the workflow, `reply_to` who is told its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from sqlalchemy import Index
from sqlalchemy.schema import Column, Table
from sqlalchemy.types import Text

from domain import streams
from domain.ports.store import Recorded
from domain.role import Role, shard_of
from domain.run import LEAD_0, ClosingStarted, WorkflowsStarted
from domain.workflow import Ended, Started, Status
from projections.model import METADATA, Model, count_column, key_column, moment_column, text_column
from projections.rows import Ref, Row

REQUESTED = "requested"
CLOSING_INDEX = -1

TABLE = Table(
    "workflows",
    METADATA,
    key_column("workflow_id"),
    text_column("run_id"),
    count_column("feed_index"),
    text_column("key"),
    text_column("graph"),
    text_column("lead"),
    text_column("reply_to"),
    Column("status", Text, nullable=False, server_default=REQUESTED),
    text_column("result"),
    text_column("reason"),
    moment_column("requested_at_ms"),
    moment_column("started_at_ms"),
    moment_column("ended_at_ms"),
    Index("workflows_by_run", "run_id", "feed_index"),
)


def lead_of(run_id: str, handle: str) -> Ref:
    """The lead that a product of a run goes to: the run's request fixed how many there are."""
    return Ref("runs", run_id, "lead_shards", partial(_lead, handle))


def _lead(handle: str, shards: int) -> str:
    return f"{Role.LEAD.value}/{shard_of(handle, shards)}"


def rows(recorded: Recorded) -> Iterable[Row]:
    """What an event of a run or of a workflow changes in the rows of workflows."""
    stream, event = recorded.stream, recorded.event
    match event:
        case Ended(at_ms=at_ms, completed=completed, result=result, reason=reason):
            status = Status.COMPLETED if completed else Status.FAILED
            yield Row((stream,), put={"status": status.value, "result": result, "reason": reason, "ended_at_ms": at_ms})
        case Started(at_ms=at_ms, graph=graph, key=key, reply_to=reply_to):
            begun = {"status": Status.RUNNING.value, "graph": graph, "key": key, "reply_to": reply_to, "started_at_ms": at_ms}
            yield Row((stream,), put=begun | {"run_id": streams.run_of(stream)})
        case WorkflowsStarted(at_ms=at_ms, items=items):
            for item in items:
                asked = {"run_id": stream, "feed_index": item.index, "key": item.handle, "requested_at_ms": at_ms}
                workflow = streams.workflow_stream(stream, item.index)
                yield Row((workflow,), put=asked, refs={"lead": lead_of(stream, item.handle)})
        case ClosingStarted(at_ms=at_ms):
            asked = {"run_id": stream, "feed_index": CLOSING_INDEX, "key": stream, "lead": LEAD_0, "requested_at_ms": at_ms}
            yield Row((streams.workflow_stream(stream, "close"),), put=asked)


MODEL = Model("workflows", (WorkflowsStarted, ClosingStarted, Started, Ended), rows)
