"""The production column as a whole: events and read models in PostgreSQL, messages over Apache Kafka."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.services.postgres import database_of
from tests.system.conftest import Target, Undisturbed
from tests.system.on_postgres import PostgresSwarm
from tests.system.swarm import until

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_a_swarm_goes_on_from_another_data_dir_on_the_same_topics(
    tmp_path: Path, postgres_url: str, kafka_address: str, peace: Undisturbed, target: Target
) -> None:
    """Every process is killed and the data dir is gone, as on a machine that burnt: database and cluster are all that is needed, and
    they are told apart from those of all other swarms by the id in the database."""
    with database_of(postgres_url) as url:
        effects = target.url("production")
        first, second = (
            PostgresSwarm(tmp_path / name, peace.feed, url, effects_url=effects, kafka=kafka_address, window=2)
            for name in ("first", "second")
        )
        running = first.start()
        until(lambda: len(first.done("task.Completed")) >= 12, "the run is under way")
        running.process.kill()
        assert running.wait().code == -signal.SIGKILL
        until(lambda: not first.processes(), "nobody is left")

        assert second.run().document["status"] == "completed"

        assert second.done("task.Completed") == dict.fromkeys(peace.tasks, 1)
        assert target.done("production") == peace.effects
        assert second.outputs() == peace.outputs
        assert second.verify()["mismatches"] == []
        assert topics(first) == topics(second)


def topics(swarm: PostgresSwarm) -> set[str]:
    """The names of a swarm's topics, all of which have been written to but the client's, to whom nobody writes."""
    found = swarm.start("topics", "--json").wait().document
    assert all(shard["end"] > 0 for topic in found for shard in topic["shards"] if topic["role"] != "client")
    return {topic["topic"] for topic in found}
