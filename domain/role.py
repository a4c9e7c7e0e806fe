"""Who there is: the roles of the swarm, agents (a role and a shard), and how a key selects a shard."""

from __future__ import annotations

import zlib
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What an agent does. A role is a Kafka topic; its shards are the topic's partitions."""

    LEAD = "lead"
    PRODUCT_LISTING = "product_listing"
    PRICING_OPTIMIZER = "pricing_optimizer"
    INVENTORY_SYNC = "inventory_sync"
    MARKETING_OUTREACH = "marketing_outreach"
    FEEDBACK_LISTENER = "feedback_listener"
    ANALYTICS_REPORTER = "analytics_reporter"


CLIENT = "client/0"
"""The sender of requests that come from CLI and API. It owns no stream and has no epoch; the supervisor relays its messages."""


class AgentId(NamedTuple):
    """A role and a shard, written `pricing_optimizer/0`: the name that owns streams, holds an epoch, sends and receives."""

    role: str
    shard: int

    def __str__(self) -> str:
        return f"{self.role}/{self.shard}"


class BadAgentName(ValueError):
    """The text is no `role/shard`."""


def agent_id(name: str) -> AgentId:
    """Read `role/shard`.

    Raises:
        BadAgentName: there is no slash, or no number behind it.
    """
    role, slash, shard = name.rpartition("/")
    if not slash or not role or not shard.isdecimal():
        raise BadAgentName(f"{name!r} is not a role and a shard such as 'lead/0'")
    return AgentId(role, int(shard))


def shard_of(key: str, shards: int) -> int:
    """The shard that a key always goes to. CRC-32, because it is the same on every machine and in every Python."""
    return zlib.crc32(key.encode()) % shards if shards > 1 else 0
