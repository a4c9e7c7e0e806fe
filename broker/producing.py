"""What aiokafka's idempotent producer lacks on a broker that checks sequences.

- Its numbers go on below zero where the protocol's wrap to zero, after 2³¹ records of a partition, and the broker refuses them.
- A batch that the broker refuses for good (too large, say) has taken numbers that the broker will miss, so everything behind it in that
  partition is refused, too. Java's producer then begins anew under another identity, and so does this one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.producer.transaction_manager import PidAndEpoch

NUMBERS = 2**31


def wrap_numbers(producer: Any) -> None:
    """Have the numbers of an idempotent producer wrap as the protocol says."""
    manager = producer._txn_manager
    if manager is None:
        return

    def increment(place: Any, count: int) -> None:
        manager._sequence_numbers[place] = (manager._sequence_numbers[place] + count) % NUMBERS

    manager.increment_sequence_number = increment


def begin_anew(producer: Any) -> None:
    """Give the producer another identity before its next batch. What was sent under the old one and is tried again stays under it."""
    manager = producer._txn_manager
    if manager is None or not manager.has_pid():
        return
    manager._pid_and_epoch = PidAndEpoch(-1, -1)
    manager._pid_waiter = asyncio.get_running_loop().create_future()
    manager._sequence_numbers.clear()


def knows(producer: Any, topic: str, partition: int) -> bool:
    """Whether the producer has heard of this partition, so that sending to it does not wait for news of the cluster."""
    return partition in (producer.client.cluster.partitions_for_topic(topic) or ())
