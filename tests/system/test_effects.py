"""Effects are counted where they land, by a process that no part of the swarm can fool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.ports.probe import Point
from tests.system.conftest import Target
from tests.system.feed import Feed
from tests.system.swarm import Swarm

PRODUCTS = 6
MARKETING = "marketing_outreach/0"
FROZEN = {"id": "frozen", "process": MARKETING, "point": Point.BETWEEN_INTENT_AND_EFFECT, "hit": 3, "signal": "STOP"}
KILLED = {"id": "killed", "process": MARKETING, "point": Point.AFTER_EFFECT, "hit": 3}


@pytest.mark.parametrize("fault", [FROZEN, KILLED], ids=["frozen between intent and effect", "killed before it could say so"])
def test_each_effect_is_done_once(
    fault: Mapping[str, Any], tmp_path: Path, target: Target, feed_of: Callable[[int], Feed]
) -> None:
    """An agent that is lost in the middle of its effects is replaced, and the target has done every intended effect exactly once."""
    book = f"effects-{fault['id']}"
    swarm = Swarm(tmp_path, feed_of(PRODUCTS), plan=[fault], effects_url=target.url(book), silence_s=1, heartbeat_s=0.1)
    document = swarm.run().document
    assert document["status"] == "completed"
    assert [entry.id for entry in swarm.injected()] == [fault["id"]]
    (recovery,) = document["recoveries"]
    assert recovery["agent"] == MARKETING
    assert recovery["detected_by"] == ("silence" if fault is FROZEN else "exit")
    intended = swarm.query("SELECT json_extract(state, '$.key') FROM stored_events WHERE topic = 'task.EffectIntended'")
    assert intended
    assert Counter(key for key, _ in target.done(book).elements()) == Counter(key for (key,) in intended)
    assert swarm.verify()["mismatches"] == []
