"""An address follows from an agent's name alone."""

from __future__ import annotations

import pytest

from broker.topics import Address, address, needed, topic_of
from domain.role import BadAgentName, Role


def test_each_role_has_a_topic_of_its_own_and_each_shard_a_partition() -> None:
    """Two agents never share a partition."""
    places = [address(f"{role}/{shard}") for role in Role for shard in range(3)]
    assert len(set(places)) == len(places)
    assert address("pricing_optimizer/2") == Address("rehydrate.pricing-optimizer", 2)


def test_a_role_of_a_plugin_follows_the_same_rule() -> None:
    """A role that nobody has declared has a topic, too."""
    assert topic_of("gift_wrapper") == "rehydrate.gift-wrapper"


def test_a_topic_has_as_many_partitions_as_its_highest_shard_needs() -> None:
    """Whatever the order of the names."""
    assert needed(["lead/0", "product_listing/2", "product_listing/0"]) == {"rehydrate.lead": 1, "rehydrate.product-listing": 3}


@pytest.mark.parametrize("name", ["", "lead", "lead/", "/0", "lead/x", "lead/-1"])
def test_what_is_no_agent_has_no_address(name: str) -> None:
    """A wrong name is told, never sent to somebody else."""
    with pytest.raises(BadAgentName):
        address(name)
