"""Effects are counted where they land, by a process that no part of the swarm can fool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from domain.ports.probe import Point
from tests.system.conftest import Target
from tests.system.feed import Feed
from tests.system.swarm import Swarm

PRODUCTS = 6
MARKETING = "marketing_outreach/0"
FROZEN = {"id": "frozen", "process": MARKETING, "point": Point.BETWEEN_INTENT_AND_EFFECT, "hit": 3, "signal": "STOP"}
KILLED = {"id": "killed", "process": MARKETING, "point": Point.AFTER_EFFECT, "hit": 3}


def test_each_effect_is_done_once(tmp_path: Path, target: Target, feed_of: Callable[[int], Feed]) -> None:
    """An agent freezes between intent and effect, and its successor is killed before it could say what it did: each is replaced, and the
    target has done every intended effect exactly once. A third passing of the one point is always before that of the other."""
    swarm = Swarm(
        tmp_path, feed_of(PRODUCTS), plan=[FROZEN, KILLED], effects_url=target.url("effects"), silence_s=1, heartbeat_s=0.1
    )
    document = swarm.run().document
    assert document["status"] == "completed"
    assert [entry.id for entry in swarm.injected()] == [FROZEN["id"], KILLED["id"]]
    found = [(recovery["agent"], recovery["detected_by"]) for recovery in document["recoveries"]]
    assert found == [(MARKETING, "silence"), (MARKETING, "exit")]
    intended = swarm.query("SELECT json_extract(state, '$.key') FROM stored_events WHERE topic = 'task.EffectIntended'")
    assert intended
    assert Counter(key for key, _ in target.done("effects").elements()) == Counter(key for (key,) in intended)
    assert swarm.verify()["mismatches"] == []
