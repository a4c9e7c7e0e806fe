"""Topics as a table: one topic a role, one partition a shard. An address follows from an agent's name alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.role import Role, agent_id

PREFIX = "rehydrate."

TOPICS: Mapping[str, str] = {role.value: f"{PREFIX}{role.value.replace('_', '-')}" for role in Role}
"""Role → topic. Roles that a plugin adds follow the same rule (`topic_of`)."""


class Address(NamedTuple):
    """A topic and a partition of it."""

    topic: str
    partition: int


def topic_of(role: str) -> str:
    """The topic of a role."""
    return TOPICS.get(role) or f"{PREFIX}{role.replace('_', '-')}"


def address(receiver: str) -> Address:
    """Where messages for an agent go.

    Raises:
        BadAgentName: the name is no role and shard.
    """
    agent = agent_id(receiver)
    return Address(topic_of(agent.role), agent.shard)


def needed(agents: Iterable[str]) -> dict[str, int]:
    """The topics that these agents read, with the number of partitions each must have."""
    partitions: dict[str, int] = {}
    for name in agents:
        topic, shard = address(name)
        partitions[topic] = max(partitions.get(topic, 0), shard + 1)
    return partitions
