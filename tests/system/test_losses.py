"""Whatever Kafka loses is repaired, for Kafka is never what anything rests on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from chaos import loss
from tests.system.conftest import Target, Undisturbed, launch
from tests.system.feed import Feed
from tests.system.swarm import Swarm, until

UNAPPLIED = (
    "SELECT o.sender, o.receiver, count(*) FROM outbox o LEFT JOIN applied a ON a.receiver = o.receiver AND a.sender = o.sender "
    "WHERE o.n > coalesce(a.mark, 0) GROUP BY 1, 2"
)
MANY, PRODUCTS = 100, 120


LEAD, PRICING, LISTING = "lead/0", "pricing_optimizer/0", "product_listing/0"


def unapplied(swarm: Swarm) -> dict[tuple[str, str], int]:
    """Messages in the outbox that lie above their receivers' marks, by sender and receiver."""
    return {(sender, receiver): count for sender, receiver, count in swarm.query(UNAPPLIED)}


def test_a_broker_that_is_replaced_in_the_middle_of_a_run_loses_nothing(tmp_path: Path, feed_of: Callable[[int], Feed]) -> None:
    """At least 100 unapplied messages of two senders vanish with their broker; the same command finds a new one and finishes."""
    swarm = Swarm(tmp_path, feed_of(PRODUCTS), window=PRODUCTS, silence_s=60)
    running = swarm.start()
    swarm.freeze(PRICING)  # what the lead assigns to it waits unread
    until(lambda: unapplied(swarm).get((LEAD, PRICING), 0) >= MANY, "the lead waits for prices")
    swarm.freeze(LEAD)  # and what the others answer waits with the lead
    until(lambda: unapplied(swarm).keys() >= {(LEAD, PRICING), (LISTING, LEAD)}, "two senders wait")
    os.kill(running.pid, signal.SIGKILL)  # the embedded broker dies with its supervisor
    assert running.wait().code == -signal.SIGKILL
    until(lambda: not swarm.processes(), "nobody is left")
    lost = unapplied(swarm)
    assert sum(lost.values()) >= MANY
    assert len({sender for sender, _ in lost}) >= 2
    assert swarm.run().document["status"] == "completed"
    assert not unapplied(swarm)
    assert set(swarm.done("task.Completed").values()) == {1}
    assert swarm.verify()["mismatches"] == []


def test_a_run_completes_although_each_twentieth_record_is_lost(
    tmp_path: Path, target: Target, peace: Undisturbed, report: Callable[[str], None]
) -> None:
    """5 % of all records never reach Kafka: nobody notices but the relays, and files and effects are those of a quiet run."""
    swarm = launch(tmp_path / "lossy", peace.feed, target, [{"id": "loss", "kind": "drop", "share": 0.05, "seed": 3}])
    assert swarm.run().document["status"] == "completed"
    journal = loss.read(swarm.data / "chaos")
    report(f"losses: {sum(entry.dropped for entry in journal)} records of {len(journal)} senders dropped and repaired")
    assert len(journal) >= 2
    assert sum(entry.dropped for entry in journal) >= 5
    assert swarm.outputs() == peace.outputs
    assert target.done("lossy") == peace.effects
    assert swarm.done("task.Completed") == dict.fromkeys(peace.tasks, 1)
    assert swarm.verify()["mismatches"] == []
