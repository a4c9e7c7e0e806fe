"""Opening the event store that a URL names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from domain.ports.probe import Probe, nobody
from domain.ports.store import EventStore, Snapshot
from store.audit import Audit
from store.keeping import Keeping

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


class BadDatabase(Exception):
    """A URL names something that events cannot be kept in. The message leaves the URL out: it may hold a password."""


class Store(EventStore, Protocol):
    """The port that agents use, and what tools need beyond it."""

    async def check_access(self) -> None:
        """Ask for access anew, as a process that begins does, whatever this one has open.

        Raises:
            StoreUnavailable: with `final` where it lets nobody in any more.
        """

    async def snapshots(self) -> list[Snapshot]:
        """All snapshots."""

    async def erase(self, digest: str) -> None:
        """Erase a content document, for good. The events that name it keep its digest."""

    def keeping(self) -> Keeping:
        """What keeps the store from growing with anything but its events."""

    def audit(self) -> Audit:
        """Everything that lies in the store, as of one moment: an asynchronous context manager."""


def is_postgres(url: str) -> bool:
    """Whether a URL names a PostgreSQL database."""
    return url.startswith(POSTGRES)


def check_url(url: str) -> None:
    """Raises `BadDatabase` unless the URL is empty or names a database of a kind that we know."""
    if not url or is_postgres(url):
        return
    path = url.removeprefix(SQLITE)
    if path in {url, ""} or "?" in path:
        scheme, colon, _ = url.partition(":")
        raise BadDatabase(
            f"--database {scheme + colon}…: events are kept in SQLite (sqlite:///PATH, absolute: sqlite:////PATH) "
            "or PostgreSQL (postgresql://USER@HOST:PORT/DATABASE)"
        )


def sqlite_path(url: str) -> Path | None:
    """The file that a URL of SQLite names; None for another one."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


async def open_store(url: str, path: Path, probe: Probe = nobody, name: str = "store") -> Store:
    """The store at a URL; an empty one stands for the SQLite file `path`. `name` is what a server's own tools show.

    Raises:
        BadDatabase: the URL makes no sense.
        SchemaMismatch: there is something else, or another version.
        StoreUnavailable: it cannot be opened; `DatabaseRefused` where waiting does not help.
    """
    check_url(url)
    if is_postgres(url):
        from store.postgres.store import PostgresStore  # noqa: PLC0415 the driver takes longer to import than `status` may take

        try:
            return await PostgresStore.open(url, probe, name)
        except ValueError as error:
            raise BadDatabase(f"--database {error}") from error
    from store.sqlite import SqliteStore  # noqa: PLC0415 who is on PostgreSQL does without it

    return SqliteStore(sqlite_path(url) or path, probe)
