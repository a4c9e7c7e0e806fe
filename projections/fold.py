"""From stored events to the changes they mean for the read models. Pure: the same events give the same changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from domain import all_streams, event
from domain.ports.store import Recorded, Stored
from projections.models import MODELS
from projections.rows import Batch, Row


class CannotProject(Exception):
    """The read models cannot follow the log any further: a newer version wrote it, or it was changed. Nothing is skipped."""


class Folded(NamedTuple):
    """The changes of the first `events` events, up to and with `position`."""

    batch: Batch
    events: int
    position: int


Taker = tuple[str, Callable[[Recorded], Iterable[Row]]]


def _takers() -> dict[str, list[Taker]]:
    found: dict[str, list[Taker]] = {}
    for model in MODELS:
        for taken in model.events:
            found.setdefault(taken.TOPIC, []).append((model.name, model.rows))
    return found


TAKERS = _takers()
"""Topic → the read models that take it. Other topics are known (all of `all_streams`) and pass by without being decoded."""

STREAM_MODULES = all_streams.MODULES


def fold(stored: Sequence[Stored]) -> Folded:
    """The changes that events in log order mean. An event that cannot be read ends the batch before it.

    Raises:
        CannotProject: the very first event cannot be read.
    """
    batch = Batch()
    events, reached = 0, 0
    for position, stream, version, topic, state in stored:
        try:
            takers = TAKERS.get(topic)
            if takers is None:
                event.check_known(topic)  # nobody here folds it, but a log from a newer version must not pass silently
            happened = None if takers is None else event.decode(topic, state)
        except (event.UnknownTopic, event.CorruptEvent) as error:
            if events:
                break
            where = f"position {position} ({stream}, version {version})"
            raise CannotProject(f"the read models stop before the event at {where}: {error}") from error
        if takers is not None and happened is not None:
            recorded = Recorded(position, stream, version, happened)
            for table, rows in takers:
                for row in rows(recorded):
                    batch.merge(table, row)
        events += 1
        reached = position
    return Folded(batch, events, reached)
