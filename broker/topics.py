"""Topics as a table: one topic a role, one partition a shard. An address follows from an agent's name and the swarm's prefix.

On a cluster that swarms share, each has a prefix of its own: its receivers' marks count numbers, and the numbers of another
swarm's senders would pass for those of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.role import Role, agent_id

PREFIX = "rehydrate."

_NAMES: Mapping[str, str] = {role.value: role.value.replace("_", "-") for role in Role}


class Address(NamedTuple):
    """A topic and a partition of it."""

    topic: str
    partition: int


def topic_of(role: str, prefix: str = PREFIX) -> str:
    """The topic of a role. Roles that a plugin adds follow the same rule."""
    return prefix + (_NAMES.get(role) or role.replace("_", "-"))


def address(receiver: str, prefix: str = PREFIX) -> Address:
    """Where messages for an agent go.

    Raises:
        BadAgentName: the name is no role and shard.
    """
    agent = agent_id(receiver)
    return Address(topic_of(agent.role, prefix), agent.shard)


def needed(agents: Iterable[str], prefix: str = PREFIX) -> dict[str, int]:
    """The topics that these agents read, with the number of partitions each must have."""
    partitions: dict[str, int] = {}
    for name in agents:
        topic, shard = address(name, prefix)
        partitions[topic] = max(partitions.get(topic, 0), shard + 1)
    return partitions
