"""The same swarm on Apache Kafka: what it gives is what it gives on the embedded broker, whatever happens to Kafka meanwhile."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from tests.services.kafka.fixtures import Start
from tests.services.kafka.server import KafkaServer
from tests.system.feed import Feed
from tests.system.swarm import Swarm, until

pytestmark = pytest.mark.services

PRODUCTS = 12
UNREAD = 5
PRICING = "pricing_optimizer/0"
OUTAGE_S = 30.0
COMPLAINTS = 15
"""Lines of ERROR or WARNING in a log after an outage: each kind once, ours and the libraries'."""
TOLD_ONCE = "Kafka does not answer, waiting for it"


def assert_equal_to(quiet: Swarm, swarm: Swarm) -> None:
    """Each step was done once, the files are those of the quiet run, and all that is stored fits together."""
    assert set(swarm.done("task.Completed").values()) == {1}
    assert swarm.outputs() == quiet.outputs()
    assert swarm.verify()["mismatches"] == []


def logs(swarm: Swarm) -> dict[str, str]:
    """What each process wrote into its log."""
    return {path.stem: path.read_text() for path in (swarm.data / "logs").glob("*.log")}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory, feed_of: Callable[[int], Feed]) -> tuple[Feed, Swarm]:
    """A feed, and what a swarm on the embedded broker makes of it."""
    feed = feed_of(PRODUCTS)
    swarm = Swarm(tmp_path_factory.mktemp("quiet"), feed)
    assert swarm.run().document["status"] == "completed"
    return feed, swarm


def test_two_swarms_on_one_cluster_do_not_meet(tmp_path: Path, kafka_address: str, quiet: tuple[Feed, Swarm]) -> None:
    """At the same time, with the same feed: numbers of one that reached the other would pass for its own."""
    feed, expected = quiet
    swarms = [Swarm(tmp_path / name, feed, kafka=kafka_address) for name in ("one", "two")]
    for ended in [swarm.start() for swarm in swarms]:
        assert ended.wait().document["status"] == "completed"
    for swarm in swarms:
        assert_equal_to(expected, swarm)
        assert "dead letter" not in "".join(logs(swarm).values())


@pytest.mark.slow
def test_kafka_killed_for_half_a_minute_is_waited_for(
    tmp_path: Path, own_kafka: Start, quiet: tuple[Feed, Swarm], report: Callable[[str], None]
) -> None:
    """SIGKILL in the middle of a run, a start after 30 s: agents wait, say so once, and go on; nothing shows in what the run gives."""
    feed, expected = quiet
    kafka = own_kafka()
    swarm = Swarm(tmp_path / "swarm", feed, kafka=kafka.bootstrap, window=2)
    running = swarm.start()
    until(lambda: len(swarm.done("task.Completed")) >= PRODUCTS, "the run is under way")
    kafka.kill()
    done = len(swarm.done("task.Completed"))
    time.sleep(OUTAGE_S)  # the length of the outage is what is tested
    assert running.process.poll() is None
    kafka.start()
    back = time.monotonic()
    until(lambda: len(swarm.done("task.Completed")) > done + 2, "the swarm goes on")
    report(f"kafka: killed for {OUTAGE_S:.0f} s, at work {time.monotonic() - back:.1f} s after its port was open again")
    ended = running.wait()
    assert ended.document["status"] == "completed"
    assert ended.document["recoveries"] == []
    assert_equal_to(expected, swarm)
    assert ended.err.count("waiting for Kafka") == ended.err.count("Kafka is back") == 1
    told = {name: text for name, text in logs(swarm).items() if name not in {"supervisor", "projector"}}
    assert {name: text.count(TOLD_ONCE) for name, text in told.items()} == dict.fromkeys(told, 1)
    worst = max((text.count(" ERROR ") + text.count(" WARNING "), text) for text in told.values())
    assert worst[0] <= COMPLAINTS, worst[1]


@pytest.mark.slow
def test_records_that_are_deleted_before_they_are_read_are_sent_again(
    tmp_path: Path, own_kafka: Start, quiet: tuple[Feed, Swarm], report: Callable[[str], None]
) -> None:
    """DeleteRecords on every topic, first while an agent stands still before what it has to read, then until the end of the run."""
    feed, expected = quiet
    kafka = own_kafka()
    swarm = Swarm(tmp_path / "swarm", feed, kafka=kafka.bootstrap, silence_s=60)
    running = swarm.start()
    swarm.freeze(PRICING)
    unread = until(lambda: shard(swarm, PRICING, UNREAD), "messages wait for prices", every_s=0.2)
    asyncio.run(delete_all(kafka.bootstrap))
    assert shard(swarm, PRICING)["begin"] >= unread["end"]
    swarm.thaw(PRICING)
    while running.process.poll() is None:
        asyncio.run(delete_all(kafka.bootstrap))
    report(f"kafka: {unread['lag']} unread records of one agent deleted, and all others as long as the run went on")
    assert running.wait().document["status"] == "completed"
    assert_equal_to(expected, swarm)


@pytest.mark.slow
def test_a_broker_that_is_another_cluster_is_refused_until_the_swarm_is_told_to_move(
    tmp_path: Path, kafka_server: KafkaServer, own_kafka: Start, quiet: tuple[Feed, Swarm]
) -> None:
    """One line and exit code 2, nothing done; with --new-kafka the run that was begun on the first cluster ends on the second."""
    feed, expected = quiet
    swarm = Swarm(tmp_path / "swarm", feed, kafka=kafka_server.bootstrap, window=2)
    running = swarm.start()
    until(lambda: len(swarm.done("task.Completed")) >= PRODUCTS, "the run is under way")
    running.process.kill()
    assert running.wait().code == -signal.SIGKILL
    until(lambda: not swarm.processes(), "nobody is left")

    other = own_kafka()
    swarm.environment["REHYDRATE_KAFKA"] = other.bootstrap
    head = swarm.head()
    refused = swarm.run()
    assert refused.code == 2
    assert re.fullmatch(r"error: --kafka \S+ is the cluster (\S+), and this swarm ran on (\S+) .*--new-kafka.*\n", refused.err)
    assert other.cluster_id in refused.err
    assert kafka_server.cluster_id in refused.err
    assert swarm.head() == head

    assert swarm.start(*swarm.command, "--new-kafka").wait().document["status"] == "completed"
    assert_equal_to(expected, swarm)


def shard(swarm: Swarm, agent: str, lag: int = 0) -> dict[str, int]:
    """What `rehydrate topics` tells about an agent's shard; nothing unless so many records lie before the agent."""
    found = swarm.start("topics", "--json").wait().document
    (row,) = (row for topic in found for row in topic["shards"] if row["agent"] == agent)
    return row if row["lag"] >= lag else {}


async def delete_all(bootstrap: str) -> None:
    """Delete all records that are there now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = [name for name in await admin.list_topics() if name.startswith("rehydrate.")]
        _ = await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=-1) for topic in topics})
    finally:
        await admin.close()
