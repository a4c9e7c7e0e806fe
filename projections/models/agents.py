"""`agents`: one row an agent, that is a role and a shard, with the process that owns it.

`status` is claimed (a process owns it and picks up what was open), ready or stopped, at epoch `epoch`. Whether that process is
alive just now no event can say: that stands in `presence`.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.schema import Table

from domain.agent import Claimed, Ready, Status, Stopped
from domain.ports.store import Recorded
from domain.role import BadAgentName, agent_id
from domain.streams import agent_stream
from projections.model import METADATA, Model, count_column, key_column, moment_column, text_column
from projections.rows import Row

TABLE = Table(
    "agents",
    METADATA,
    key_column("agent"),
    text_column("role"),
    count_column("shard"),
    count_column("epoch"),
    count_column("pid"),
    text_column("host"),
    text_column("status"),
    count_column("open_streams"),
    moment_column("claimed_at_ms"),
    moment_column("ready_at_ms"),
    moment_column("stopped_at_ms"),
)

_PREFIX = agent_stream("")


def agent_of(stream: str) -> str:
    """The agent that an agent stream tells of."""
    return stream.removeprefix(_PREFIX)


def role_and_shard(agent: str) -> tuple[str, int]:
    """A name that is no `role/shard` is shown as a role without shards rather than refused: the log is what it is."""
    try:
        return agent_id(agent)
    except BadAgentName:
        return agent, 0


def rows(recorded: Recorded) -> Iterable[Row]:
    """What an event of an agent changes in its row."""
    agent, event = agent_of(recorded.stream), recorded.event
    match event:
        case Claimed(at_ms=at_ms, epoch=epoch, pid=pid, host=host):
            role, shard = role_and_shard(agent)
            put = {"role": role, "shard": shard, "epoch": epoch, "pid": pid, "host": host, "status": Status.CLAIMED.value}
            put |= {"claimed_at_ms": at_ms, "ready_at_ms": None, "stopped_at_ms": None, "open_streams": 0}
            yield Row((agent,), put=put)
        case Ready(at_ms=at_ms, open_streams=open_streams):
            yield Row((agent,), put={"status": Status.READY.value, "open_streams": open_streams, "ready_at_ms": at_ms})
        case Stopped(at_ms=at_ms):
            yield Row((agent,), put={"status": Status.STOPPED.value, "stopped_at_ms": at_ms})


MODEL = Model("agents", (Claimed, Ready, Stopped), rows)
