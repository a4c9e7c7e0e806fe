"""A step that takes long delays nobody but what waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.system.conftest import Target
from tests.system.feed import Feed
from tests.system.swarm import Swarm

PRODUCTS = 32
SLOW = "-0-SCHEDULE_POSTS/posts"
AT_MOST = 2.0
NOISE_MS = 250
"""What the clock of a busy machine adds to a percentile of a few hundred steps."""

STEPS = """
SELECT s.originator_id || '/' || json_extract(s.state, '$.step'),
       json_extract(e.state, '$.at_ms') - json_extract(s.state, '$.at_ms')
FROM stored_events s JOIN stored_events e ON e.originator_id = s.originator_id AND e.topic = 'workflow.StepCompleted'
    AND json_extract(e.state, '$.step') = json_extract(s.state, '$.step')
WHERE s.topic = 'workflow.StepAssigned' AND s.originator_id NOT LIKE '%-close'
    AND s.notification_id > (SELECT max(notification_id) FROM stored_events WHERE topic = 'agent.Ready')
"""
"""Those before all agents were ready waited for a start and not for each other."""


def latencies(swarm: Swarm) -> Mapping[str, int]:
    """From a step's assignment to its completion, as the lead saw it; the step of the slow effect and what comes behind left out."""
    return {step: took for step, took in swarm.query(STEPS) if "-0/" not in step}


def p99(values: Mapping[str, int]) -> int:
    return sorted(values.values())[len(values) * 99 // 100]


@pytest.mark.parametrize("slow_s", [4.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_slow_step_delays_no_other_workflow_of_its_shard(
    slow_s: float, tmp_path: Path, target: Target, feed_of: Callable[[int], Feed], report: Callable[[str], None]
) -> None:
    """While one product's posts take long, the steps of all others take at most twice their time (p99), all on one shard a role."""
    feed = feed_of(PRODUCTS)
    quick = Swarm(tmp_path / "quick", feed, effects_url=target.url(f"quick-{slow_s:.0f}"), window=8)
    slow = Swarm(tmp_path / "slow", feed, effects_url=target.url(f"slow-{slow_s:.0f}", SLOW, slow_s), window=8)
    document = slow.run().document
    assert document["status"] == quick.run().document["status"] == "completed"
    assert document["elapsed_s"] > slow_s
    assert slow.outputs() == quick.outputs()
    without, beside = latencies(quick), latencies(slow)
    common = without.keys() & beside.keys()
    assert len(common) >= PRODUCTS * 3, "there are steps enough to compare"
    without, beside = {step: without[step] for step in common}, {step: beside[step] for step in common}
    report(f"latency: p99 of a step {p99(without)} ms, beside a step of {slow_s:.0f} s {p99(beside)} ms")
    assert p99(beside) <= p99(without) * AT_MOST + NOISE_MS
