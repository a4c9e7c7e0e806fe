"""`store stats|vacuum`: how large the event store is, and what of it nobody needs."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.common import Call, command, group
from runtime.cli.errors import BadUsage
from runtime.cli.output import Table

if TYPE_CHECKING:
    from runtime.retention import Freed, Limits

_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
OlderThan = Annotated[
    str | None,
    typer.Option(
        "--older-than",
        metavar="AGE",
        help="Dead letters of this age go: 90d, 12h, 30m, 0s.  [env: REHYDRATE_DEADLETTER_RETENTION_D; default: 90d]",
    ),
]


def register(app: typer.Typer) -> None:
    """Declare the commands of this module."""
    store = group(app, "store", "The event store: how large it is, and taking away what nobody needs.")
    command(store, "stats", "rehydrate store stats", "rehydrate store stats --json")(stats)
    command(store, "vacuum", "rehydrate store vacuum --dry-run", "rehydrate store vacuum --older-than 30d")(vacuum)


def stats(call: Call, older_than: OlderThan = None) -> None:
    """Show how large the store is, table by table.

    And what `rehydrate store vacuum` would free. Bytes are those of a table with its indexes.
    """
    asyncio.run(_stats(call, older_than))


async def _stats(call: Call, older_than: str | None) -> None:
    from runtime import retention
    from runtime.cli.reading import event_store

    limits = _limits(call, older_than)
    async with event_store(call) as store:
        found = await retention.stats(store, limits)
    tables = Table(("table", ">rows", ">bytes"), [(table.name, table.rows, table.bytes) for table in found.tables])
    total = "" if found.bytes is None else f", {found.bytes} bytes"
    call.out.result(
        found,
        f"{found.events} events of {found.streams} streams{total}",
        tables,
        f"documents: {found.referenced.documents} that events name ({found.referenced.bytes} bytes), "
        f"{found.unreferenced.documents} that none does ({found.unreferenced.bytes} bytes)",
        _table(found.vacuum, "a vacuum would free"),
    )


def vacuum(
    call: Call,
    older_than: OlderThan = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be freed.")] = False,
) -> None:
    """Take away what nobody needs any more.

    Events stay, and the documents that they name. Works while a swarm runs, in steps of a few milliseconds; the file of a SQLite store
    becomes smaller only while none does. Dead letters that wait for longer than the age are discarded, which erases what they hold.
    """
    asyncio.run(_vacuum(call, older_than, dry_run))


async def _vacuum(call: Call, older_than: str | None, dry_run: bool) -> None:
    from runtime import retention
    from runtime.cli.reading import event_store
    from runtime.clock import wall_clock_ms
    from runtime.datadir import DataDirError

    limits = _limits(call, older_than)
    async with event_store(call) as store:
        freed = await retention.vacuum(store, limits, wall_clock_ms(), dry_run=dry_run)
        compacted = False
        if not dry_run:
            data = call.data()
            try:
                if data.needs_quiet:
                    data.lock()
                await store.keeping().compact()
                compacted = True
            except DataDirError:
                call.out.say(f"{data.events}: keeps its size, since a swarm is using it; the room is used for what comes")
            finally:
                data.unlock()
    document: dict[str, Any] = {"dry_run": dry_run, "compacted": compacted, "freed": freed}
    call.out.result(document, _table(freed, "would be freed" if dry_run else "freed"))


def _table(freed: Freed, title: str) -> Table:
    rows = [
        ("messages that are applied", freed.outbox),
        ("snapshots that are not the last", freed.snapshots),
        ("notes of writers that are gone", freed.commits),
        ("marks of senders that are gone", freed.marks),
        ("dead letters, discarded", freed.dead_letters),
        ("documents that nobody needs", freed.documents),
        ("their bytes", freed.document_bytes),
    ]
    return Table(("what", ">rows"), rows, title)


def _limits(call: Call, older_than: str | None) -> Limits:
    from runtime.clock import wall_clock_ms
    from runtime.retention import DAY_MS, Limits

    settings, now_ms = call.settings, wall_clock_ms()
    letters_ms = settings.deadletter_retention_d * DAY_MS
    if older_than is not None:
        match = re.fullmatch(r"(\d{1,6})([smhd])", older_than)
        if match is None:
            raise BadUsage(f"--older-than {older_than!r} is no age such as 90d, 12h, 30m or 0s")
        letters_ms = int(match[1]) * _UNITS_MS[match[2]]
    return Limits(round(now_ms - letters_ms), round(now_ms - settings.sender_retention_d * DAY_MS))
