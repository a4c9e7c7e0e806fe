"""What an event means for a row, and how the rows of a batch become few statements.

A read model says row by row what an event changes: columns to `put`, columns to `add` to. All changes that a batch makes to one
row are merged into one before anything is written, so rows of a table can be grouped by the columns they touch, and each group is
one statement for many rows. Merging keeps the order of the log within a row; between rows there is none to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Key = tuple[Any, ...]
_NONE: Mapping[str, Any] = {}


class Ref(NamedTuple):
    """A value that the event does not hold: a column of a row that an earlier event (or this batch) made, and what to make of it.

    Only columns that never change once they are set may be referred to; then it does not matter when they are read. Where there
    is no such row the value is an empty text: the log does not tell.
    """

    table: str
    key: str
    column: str
    then: Callable[[Any], Any] | None = None


class Row(NamedTuple):
    """A change of one row, named by its primary key; at least one column changes.

    The row is made if it is missing. With `amends` it is not: the change is dropped where no earlier event made the row.
    """

    key: Key
    put: Mapping[str, Any] = _NONE
    add: Mapping[str, int] = _NONE
    refs: Mapping[str, Ref] = _NONE
    amends: bool = False


class Pending:
    """The merged change of one row."""

    __slots__ = ("add", "amends", "put")

    def __init__(self, amends: bool) -> None:
        self.put: dict[str, Any] = {}
        self.add: dict[str, int] = {}
        self.amends = amends

    def merge(self, row: Row) -> None:
        """Take a later change of the same row in."""
        if not row.amends:
            self.amends = False
        put = self.put
        for column, delta in row.add.items():
            if column in put:
                put[column] += delta
            else:
                self.add[column] = self.add.get(column, 0) + delta
        if self.add:
            for column in row.put:
                self.add.pop(column, None)
        put.update(row.put)

    @property
    def shape(self) -> Shape:
        return Shape(self.amends, frozenset(self.put), frozenset(self.add))


class Shape(NamedTuple):
    """Which columns a change touches; changes of one shape go into one statement."""

    amends: bool
    put: frozenset[str]
    add: frozenset[str]


class Batch:
    """The merged changes of many events: table → key → change, and the references still to be looked up."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, Pending]] = {}
        self.refs: dict[str, list[tuple[Pending, str, Ref]]] = {}

    def merge(self, table: str, row: Row) -> None:
        """Take one change in, after all that were taken in before."""
        rows = self.tables.get(table)
        if rows is None:
            rows = self.tables[table] = {}
        pending = rows.get(row.key)
        if pending is None:
            pending = rows[row.key] = Pending(row.amends)
        pending.merge(row)
        if row.refs:
            waiting = self.refs.setdefault(table, [])
            for column, ref in row.refs.items():
                pending.put[column] = ref
                waiting.append((pending, column, ref))

    def known(self, ref: Ref) -> Any:
        """The value referred to, if this batch put it; None if the database has to be asked."""
        pending = self.tables.get(ref.table, {}).get((ref.key,))
        return None if pending is None else pending.put.get(ref.column)

    def by_shape(self, table: str) -> dict[Shape, list[tuple[Key, Pending]]]:
        """The changes of a table, grouped for writing."""
        groups: dict[Shape, list[tuple[Key, Pending]]] = {}
        for key, pending in self.tables.get(table, {}).items():
            groups.setdefault(pending.shape, []).append((key, pending))
        return groups
