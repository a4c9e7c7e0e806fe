"""The same swarm on an Apache Kafka that keeps no offsets: they are hints, and a hint is nothing to wait for."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.offsets import COORDINATOR_S
from tests.services.kafka.fixtures import Start
from tests.system.conftest import Target, Undisturbed, launch
from tests.system.swarm import until
from tests.system.test_kafka import assert_equal_to, logs

pytestmark = [pytest.mark.services, pytest.mark.slow]

TOLD_ONCE = "Kafka does not tell how far was read"


def test_a_kafka_without_a_coordinator_of_groups_does_the_work(
    tmp_path: Path, own_kafka: Start, peace: Undisturbed, target: Target
) -> None:
    """The topic of offsets wants more replicas than there are brokers, so it never comes to be. Nobody dies of it, each says so once,
    and what a start waits for an answer is the whole delay."""
    kafka = own_kafka(**{"offsets.topic.replication.factor": "3"})
    swarm = launch(tmp_path / "kafka-no-offsets", peace.feed, target, kafka=kafka.bootstrap)
    running = swarm.start()
    until(lambda: swarm.done("task.Completed"), "work is done", COORDINATOR_S + 15.0)
    ended = running.wait()
    assert ended.document["status"] == "completed" and ended.document["recoveries"] == []
    assert_equal_to(peace, swarm, target)
    told = logs(swarm)
    assert {name: text.count(TOLD_ONCE) for name, text in told.items()} == dict.fromkeys(told, 1)
    assert "did not stop" not in (swarm.data / "logs" / "supervisor.log").read_text()
