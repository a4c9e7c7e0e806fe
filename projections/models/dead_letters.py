"""`dead_letters`: one row a message that ended without being handled.

`status` is waiting, replayed or discarded; a replayed letter that is refused again waits again, and `times` counts how often it
was recorded. `raw` is the digest of the bytes, which lie in the erasable content store.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Index
from sqlalchemy.schema import Table

from domain.deadletter import Discarded, Recorded, Replayed, Status
from domain.ports import store
from projections.model import METADATA, Model, big_column, count_column, key_column, moment_column, text_column
from projections.rows import Row

TABLE = Table(
    "dead_letters",
    METADATA,
    key_column("letter_id"),
    text_column("status"),
    text_column("reason"),
    text_column("detail"),
    text_column("agent"),
    text_column("raw"),
    text_column("message_id"),
    text_column("message_type"),
    text_column("sender"),
    text_column("correlation_id"),
    text_column("task_id"),
    text_column("task_type"),
    text_column("kafka_topic"),
    count_column("kafka_partition"),
    big_column("kafka_offset"),
    count_column("times"),
    moment_column("recorded_at_ms"),
    moment_column("decided_at_ms"),
    big_column("position"),
    Index("dead_letters_by_status", "status", "position"),
)

# Some of it comes from bytes that nobody vouches for, and PostgreSQL takes no NUL in a text.
_TEXTS = ("reason", "detail", "agent", "raw", "message_id", "message_type", "sender", "correlation_id", "task_id", "task_type")


def rows(recorded: store.Recorded) -> Iterable[Row]:
    """What an event of a dead letter changes in its row."""
    key, event = (recorded.stream,), recorded.event
    match event:
        case Recorded():
            put: dict[str, Any] = {name: getattr(event, name).replace("\0", "\ufffd") for name in _TEXTS}
            put |= {"status": Status.WAITING.value, "position": recorded.position}
            put |= {"kafka_topic": event.topic, "kafka_partition": event.partition, "kafka_offset": event.offset}
            yield Row(key, put=put | {"recorded_at_ms": event.at_ms, "decided_at_ms": None}, add={"times": 1})
        case Replayed(at_ms=at_ms):
            yield Row(key, put={"status": Status.REPLAYED.value, "decided_at_ms": at_ms})
        case Discarded(at_ms=at_ms):
            yield Row(key, put={"status": Status.DISCARDED.value, "decided_at_ms": at_ms})


MODEL = Model("dead_letters", (Recorded, Replayed, Discarded), rows)
