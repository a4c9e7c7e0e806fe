"""What keeps a store from growing with anything but its events, beside the port that agents use.

Everything here may be done while a swarm runs, and again: each method works in short transactions, which appends wait for one at a time.
What may go, and why nobody misses it:

    outbox        a row at or below its receiver's mark: the mark stands for it
    snapshots     all but the last of a stream: a state is folded from the events as well
    commits       rows of writers that ask no more (see each adapter): a row tells its own writer about its last batch
    contents      a document that no event names, itself or through documents that it names: the caller has read the log up to a
                  position and found nobody; who names it behind that position is found in the transaction that erases. Whoever appends
                  the document anew later stores it anew, since names and documents come in one append
    marks         of a sender that is gone and whose messages are all applied: see `forget`
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol

from domain.decision import named

BATCH = 500
"""Rows of one transaction: a few milliseconds."""

TABLES = (
    "stored_events", "contents", "snapshots", "outbox", "applied", "counters", "fences", "open_streams", "commits", "meta",
)  # fmt: skip
"""All tables, the largest first."""


class Table(NamedTuple):
    """A table: its rows, and the bytes that it takes with its indexes; None where this database cannot tell."""

    name: str
    rows: int
    bytes: int | None


class Trimmed(NamedTuple):
    """Rows that were dropped, by table."""

    outbox: int = 0
    snapshots: int = 0
    commits: int = 0


class Erased(NamedTuple):
    """Documents that were erased, and how many bytes they had."""

    documents: int = 0
    bytes: int = 0


class Keeping(Protocol):
    """Raises `StoreUnavailable` where the store is in trouble; what was done until then is done."""

    async def tables(self) -> Sequence[Table]:
        """How large everything is."""

    async def trim(self, *, dry_run: bool = False) -> Trimmed:
        """Drop what agents' own appends have left behind; with `dry_run` only count it."""

    async def collect(self, digests: Collection[str], position: int) -> Erased:
        """Erase those of the documents that no event behind `position` names, itself or through documents. One transaction: give few
        digests, and a position near the end of the log."""

    async def forget(self, sender: str, version: int, *, dry_run: bool = False) -> int:
        """Drop numbers and marks of an agent's messages, if each of them is applied and the agent's stream still is at this version.
        Gives how many receivers that were. The caller knows that no copy of these messages is on its way any more: with
        the marks goes what would tell one, and the agent's numbers begin anew."""

    async def compact(self) -> None:
        """Give freed room back, as far as the database can while others use it; a SQLite file must be used by nobody else."""


def names_reached(names: Iterable[str], document: Callable[[str], bytes | None]) -> set[str]:
    """These names, and all that the documents behind them name, and so on."""
    return reached_from(names, lambda name: named(data) if (data := document(name)) is not None else ())


def reached_from(names: Iterable[str], named_by: Callable[[str], Iterable[str]]) -> set[str]:
    """As `names_reached`, for documents of which only the names that they hold are known."""
    reached = set(names)
    waiting = list(reached)
    while waiting:
        new = set(named_by(waiting.pop())) - reached
        reached |= new
        waiting += new
    return reached
