"""Topics as a table."""

from __future__ import annotations

import pytest

from broker.topics import TOPICS, Address, address, needed
from domain.role import BadAgentName, Role


def test_every_role_has_a_topic_of_its_own() -> None:
    """One topic a role, one partition a shard."""
    assert len(set(TOPICS.values())) == len(Role)
    assert address("pricing_optimizer/3") == Address("rehydrate.pricing-optimizer", 3)


def test_topics_have_as_many_partitions_as_their_role_has_shards() -> None:
    """The highest shard that somebody is decides."""
    assert needed(["lead/0", "lead/2", "pricing_optimizer/0"]) == {"rehydrate.lead": 3, "rehydrate.pricing-optimizer": 1}


@pytest.mark.parametrize("name", ["lead", "lead/", "/0", "lead/x", "lead/-1", ""])
def test_a_name_that_is_no_agent_is_refused(name: str) -> None:
    """Before anything is sent to nowhere."""
    with pytest.raises(BadAgentName):
        address(name)
