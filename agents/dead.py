"""What becomes of a message that cannot be handled."""

from __future__ import annotations

from domain import deadletter
from domain.message import TaskAssign
from domain.ports.bus import Delivery, Undeliverable


def refused(delivery: Delivery, why: str) -> Undeliverable:
    """An authentic message that is refused: it counts as applied, and the task that it assigns fails."""
    header = delivery.message.header
    task = delivery.message.body.task if isinstance(delivery.message.body, TaskAssign) else None
    return Undeliverable(
        "refused",
        why,
        delivery.raw,
        delivery.place,
        delivery.received,
        header.message_id,
        header.message_type,
        header.sender,
        header.correlation_id,
        task,
    )


def letter(found: Undeliverable, agent: str, raw: str, at_ms: int) -> deadletter.Recorded:
    """The event that keeps it; `raw` is the digest of its bytes."""
    task = found.task
    return deadletter.Recorded(
        at_ms=at_ms,
        reason=found.reason,
        detail=found.detail[:500],
        agent=agent,
        raw=raw,
        message_id=found.message_id,
        message_type=found.message_type,
        sender=found.sender,
        correlation_id=found.correlation_id,
        task_id=task.task_id if task else "",
        task_type=task.task_type if task else "",
        topic=found.place.topic,
        partition=found.place.partition,
        offset=found.place.offset,
    )
