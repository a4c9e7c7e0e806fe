"""What a read model is: a table, the events it is made of, and a pure function from an event to changes of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Integer, MetaData, Text

from domain.event import Event
from domain.ports.store import Recorded
from projections.rows import Row

METADATA = MetaData()
"""All tables that replay builds. What people read beside them (`presence`) has a metadata of its own."""


class Model(NamedTuple):
    """One read model, registered in `projections.models.MODELS`.

    `rows` is pure and takes only events of the classes in `events`. A column is written from one kind of stream only, or by all
    with the same value: streams are in order in themselves, so no order between streams can change a row.
    """

    name: str
    events: tuple[type[Event], ...]
    rows: Callable[[Recorded], Iterable[Row]]


def text_column(name: str, **options: Any) -> Column[str]:
    """A text that is empty until an event says something else."""
    return Column(name, Text, nullable=False, server_default="", **options)


def count_column(name: str, **options: Any) -> Column[int]:
    """A number that is 0 until an event says something else."""
    return Column(name, Integer, nullable=False, server_default="0", **options)


def big_column(name: str, **options: Any) -> Column[int]:
    """A number beyond 32 bits (positions, moments), 0 until an event says something else."""
    return Column(name, BigInteger, nullable=False, server_default="0", **options)


def moment_column(name: str, **options: Any) -> Column[int | None]:
    """A moment in milliseconds since the epoch, NULL until it has come."""
    return Column(name, BigInteger, nullable=True, **options)


def key_column(name: str) -> Column[str]:
    """A text of the primary key."""
    return Column(name, Text, primary_key=True)
