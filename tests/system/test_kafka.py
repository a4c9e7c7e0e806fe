"""The same swarm on Apache Kafka: what it gives is what it gives on the embedded broker, whatever happens to Kafka meanwhile."""

from __future__ import annotations

import asyncio
import os
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
from tests.services.kafka.server import PASSWORD, USER, KafkaServer
from tests.system.campaign import draw
from tests.system.conftest import Target, Undisturbed, launch
from tests.system.swarm import Running, Swarm, until
from tests.system.test_kills import MUST_HIT, check, wage

pytestmark = pytest.mark.services

PRICING = "pricing_optimizer/0"
UNREAD = 5
OUTAGE_S = 30.0
COMPLAINTS = 15
"""Lines of ERROR or WARNING in a log after an outage: each kind once, ours and the libraries'."""
TOLD_ONCE = "Kafka does not answer, waiting for it"
KILLS, SEED = 8, 4101


def assert_equal_to(peace: Undisturbed, swarm: Swarm, target: Target) -> None:
    """Each step and each effect was done once, the files are those of a quiet run, and all that is stored fits together."""
    assert swarm.done("task.Completed") == dict.fromkeys(peace.tasks, 1)
    assert target.done(swarm.home.name) == peace.effects
    assert swarm.outputs() == peace.outputs
    assert swarm.verify()["mismatches"] == []


def logs(swarm: Swarm) -> dict[str, str]:
    """What each agent wrote into its log."""
    return {
        path.stem: path.read_text()
        for path in (swarm.data / "logs").glob("*.log")
        if path.stem not in {"supervisor", "projector"}
    }


def under_way(swarm: Swarm) -> Running:
    """Start a run, and come back when some of it is done."""
    running = swarm.start()
    until(lambda: len(swarm.done("task.Completed")) >= 12, "the run is under way")
    return running


@pytest.mark.slow
def test_two_swarms_on_one_cluster_do_not_meet(tmp_path: Path, kafka_address: str, peace: Undisturbed, target: Target) -> None:
    """At the same time, with the same feed: numbers of one that reached the other would pass for its own. One has two shards of each
    role, which are partitions."""
    one, two = (launch(tmp_path / name, peace.feed, target, kafka=kafka_address) for name in ("kafka-one", "kafka-two"))
    shards = [word for role in ("lead", "product_listing", "pricing_optimizer") for word in ("--shards", f"{role}=2")]
    for ended in [one.start(), two.start(*two.command, *shards)]:
        assert ended.wait().document["status"] == "completed"
    for swarm in (one, two):
        assert_equal_to(peace, swarm, target)
        assert "dead letter" not in "".join(logs(swarm).values())
    assert shard(two, "lead/1")["end"] > 0


def test_a_wrong_password_ends_in_one_line_and_leaves_nothing(
    tmp_path: Path, kafka_server: KafkaServer, peace: Undisturbed, target: Target
) -> None:
    """Before anything begins: exit code 2, no data dir, no file, and the password nowhere."""
    swarm = launch(
        tmp_path / "kafka-stranger",
        peace.feed,
        target,
        kafka=kafka_server.addresses["SASL_PLAINTEXT"],
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_username=USER,
        kafka_password="open sesame",
    )
    ended = swarm.run()
    assert ended.code == 2
    assert re.fullmatch(r"error: --kafka \S+: it refuses 'alice' with this password by SCRAM-SHA-512; check .*\n", ended.err)
    assert "sesame" not in ended.err
    assert not swarm.data.exists()
    assert not swarm.out.exists()


@pytest.mark.slow
def test_a_run_with_password_and_tls_gives_the_same(
    tmp_path: Path, kafka_server: KafkaServer, peace: Undisturbed, target: Target
) -> None:
    """SCRAM inside of TLS, which is what a cluster on a network asks for."""
    assert kafka_server.certificates is not None
    swarm = launch(
        tmp_path / "kafka-secure",
        peace.feed,
        target,
        kafka=kafka_server.addresses["SASL_SSL"],
        kafka_security_protocol="SASL_SSL",
        kafka_username=USER,
        kafka_password=PASSWORD,
        kafka_ca_file=kafka_server.certificates.authority,
    )
    assert swarm.run().document["status"] == "completed"
    assert_equal_to(peace, swarm, target)
    assert PASSWORD not in "".join(logs(swarm).values())


@pytest.mark.slow
def test_kafka_killed_for_half_a_minute_is_waited_for(
    tmp_path: Path, own_kafka: Start, peace: Undisturbed, target: Target, report: Callable[[str], None]
) -> None:
    """SIGKILL in the middle of a run, a start after 30 s: agents wait, say so once, and go on; nothing shows in what the run gives.
    An agent that dies meanwhile is replaced by one that waits, too."""
    kafka = own_kafka()
    swarm = launch(tmp_path / "kafka-killed", peace.feed, target, kafka=kafka.bootstrap, window=2)
    running = under_way(swarm)
    kafka.kill()
    os.kill(swarm.pid_of(PRICING), signal.SIGKILL)
    time.sleep(OUTAGE_S)  # the length of the outage is what is tested
    assert running.process.poll() is None
    done = len(swarm.done("task.Completed"))
    kafka.start()
    back = time.monotonic()
    until(lambda: len(swarm.done("task.Completed")) > done, "the swarm goes on")
    report(f"kafka: killed for {OUTAGE_S:.0f} s, at work {time.monotonic() - back:.1f} s after its port was open again")
    ended = running.wait()
    assert ended.document["status"] == "completed"
    assert [recovery["agent"] for recovery in ended.document["recoveries"]] == [PRICING]
    assert_equal_to(peace, swarm, target)
    assert ended.err.count("waiting for Kafka") == ended.err.count("Kafka is back") == 1
    told = logs(swarm)
    replaced = told.pop(PRICING.replace("/", "."))
    assert replaced.count("waiting for Kafka: --kafka ") == 1
    assert {name: text.count(TOLD_ONCE) for name, text in told.items()} == dict.fromkeys(told, 1)
    worst = max((text.count(" ERROR ") + text.count(" WARNING "), text) for text in told.values())
    assert worst[0] <= COMPLAINTS, worst[1]


@pytest.mark.slow
def test_records_that_are_deleted_before_they_are_read_are_sent_again(
    tmp_path: Path, own_kafka: Start, peace: Undisturbed, target: Target, report: Callable[[str], None]
) -> None:
    """DeleteRecords on every topic, first while an agent stands still before what it has to read, then until the end of the run."""
    kafka = own_kafka()
    swarm = launch(tmp_path / "kafka-emptied", peace.feed, target, kafka=kafka.bootstrap, silence_s=60)
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
    assert_equal_to(peace, swarm, target)


@pytest.mark.slow
def test_topics_that_are_deleted_come_back(tmp_path: Path, own_kafka: Start, peace: Undisturbed, target: Target) -> None:
    """All topics of a swarm at work: they are created again, what was in them is sent again, and nobody has to be started anew."""
    kafka = own_kafka()
    swarm = launch(tmp_path / "kafka-deleted", peace.feed, target, kafka=kafka.bootstrap, window=2)
    running = under_way(swarm)
    asyncio.run(delete_topics(kafka.bootstrap))
    ended = running.wait()
    assert ended.document["status"] == "completed"
    assert ended.err.count("was gone or too small") >= len(peace.census) - 1
    assert_equal_to(peace, swarm, target)


@pytest.mark.slow
def test_another_cluster_is_refused_until_the_swarm_is_told_to_move(
    tmp_path: Path, own_kafka: Start, peace: Undisturbed, target: Target
) -> None:
    """Its log is gone, its id is another: at work the swarm ends with 1, at its start with 2, one line each. With --new-kafka it
    finishes there what it began on the old one."""
    kafka = own_kafka()
    swarm = launch(tmp_path / "kafka-moved", peace.feed, target, kafka=kafka.bootstrap, window=2)
    running = under_way(swarm)
    old = kafka.cluster_id
    kafka.kill()
    kafka.format_anew()
    kafka.start()

    at_work = running.wait()
    assert at_work.code == 1
    assert f"was the cluster {old} and is now {kafka.cluster_id}" in at_work.err.splitlines()[-1]
    head = swarm.head()
    at_start = swarm.run()
    assert at_start.code == 2
    assert re.fullmatch(r"error: --kafka \S+ is the cluster \S+, and this swarm ran on \S+ .*--new-kafka.*\n", at_start.err)
    assert swarm.head() == head

    assert swarm.start(*swarm.command, "--new-kafka").wait().document["status"] == "completed"
    assert_equal_to(peace, swarm, target)


@pytest.mark.slow
def test_no_kill_leaves_a_trace_on_kafka_either(
    tmp_path: Path, kafka_address: str, peace: Undisturbed, target: Target, report: Callable[[str], None]
) -> None:
    """The campaign of `test_kills`, in small: topics, groups and the identities of producers outlive those who are killed."""
    runs = draw(KILLS, SEED, peace.census, peace.head)
    hit = 0
    for number, kills in enumerate(runs):
        war = wage(kills, tmp_path / f"kafka-war-{number}", peace.feed, target, kafka=kafka_address)
        check(war, peace, target)
        hit += len(war.hit)
    report(f"kafka: {hit} of {KILLS} kills hit, in {len(runs)} runs")
    assert hit >= MUST_HIT * KILLS


def shard(swarm: Swarm, agent: str, lag: int = 0) -> dict[str, int]:
    """What `rehydrate topics` tells about an agent's shard; nothing unless so many records lie before the agent."""
    found = swarm.start("topics", "--json").wait().document
    (row,) = (row for topic in found for row in topic["shards"] if row["agent"] == agent)
    return row if row["lag"] >= lag else {}


async def delete_topics(bootstrap: str) -> None:
    """Delete all topics of swarms."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        _ = await admin.delete_topics([name for name in await admin.list_topics() if name.startswith("rehydrate.")])
    finally:
        await admin.close()


async def delete_all(bootstrap: str) -> None:
    """Delete all records that are there now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = [name for name in await admin.list_topics() if name.startswith("rehydrate.")]
        _ = await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=-1) for topic in topics})
    finally:
        await admin.close()
