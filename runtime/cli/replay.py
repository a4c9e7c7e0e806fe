"""`replay list|show|verify`: what any stream was at any time, and the proof that all that is kept follows from the events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.common import Call, command, group
from runtime.cli.errors import DEVIATED, BadUsage
from runtime.cli.output import Table

if TYPE_CHECKING:
    from runtime.datadir import DataDir
    from runtime.replay import Replayed
    from runtime.verify import Report
    from store.opening import Store

LISTED = 50
"""Mismatches and notes that people see; --json has all."""

FIELD_WIDTH = 60


def register(app: typer.Typer) -> None:
    """Declare the commands of this module."""
    replay = group(app, "replay", "Streams of events: list, replay to any time, verify.")
    command(replay, "list", "rehydrate replay list", "rehydrate replay list --kind run --json")(list_streams)
    command(
        replay,
        "show",
        "rehydrate replay show run-3f9a21c4-1",
        "rehydrate replay show agent-lead/0 --at-version 2",
        "rehydrate replay show task-3f9a21c4-1-17-SET_PRICE --at 2026-11-21T09:30:00Z --json",
    )(show)
    command(replay, "verify", "rehydrate replay verify", "rehydrate replay verify --json")(verify)


def list_streams(
    call: Call,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only streams of this kind, such as run.")] = None,
) -> None:
    """List all streams with their versions."""
    asyncio.run(_list(call, kind))


async def _list(call: Call, kind: str | None) -> None:
    from runtime import replay
    from runtime.cli.reading import event_store

    async with event_store(call) as store:
        found = await replay.streams(store, kind)
    rows = [(row.stream, row.kind, row.version, row.events) for row in found]
    nothing = f"no streams of kind {kind}" if kind else "no streams yet; they begin with `rehydrate run`"
    call.out.result(found, Table(("stream", "kind", ">version", ">events"), rows) if found else nothing)


# --- show -----------------------------------------------------------------------------------------------------------


def show(
    call: Call,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="A stream, as `replay list` names it.")],
    at_version: Annotated[int | None, typer.Option("--at-version", min=0, metavar="N", help="As it was after N events.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As it was at this time (RFC 3339, such as 2026-11-21T09:30:00Z).")
    ] = None,
) -> None:
    """Show a stream: its events and the state that follows."""
    asyncio.run(_show(call, stream, at_version, at))


async def _show(call: Call, stream: str, at_version: int | None, at: str | None) -> None:
    from runtime import replay
    from runtime.cli.reading import event_store

    if at_version is not None and at is not None:
        raise BadUsage("give --at-version or --at, not both")
    at_ms = None if at is None else _moment(at)
    async with event_store(call) as store:
        try:
            found = await replay.show(store, stream, version=at_version, at_ms=at_ms)
        except replay.NoSuchStream as error:
            raise BadUsage(str(error)) from error
    if call.out.json:
        call.out.result(found)
    else:
        call.out.result(found, *_shown(found))


def _moment(text: str) -> int:
    from domain.message import from_rfc3339

    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise BadUsage(f"--at {text}: not a time with its offset, such as 2026-11-21T09:30:00Z") from error


def _shown(found: Replayed) -> list[object]:
    import json

    from runtime.replay import decoded

    rows = []
    for row in found.events:
        fields: dict[str, Any] = decoded(row.event)
        told = "  ".join(f"{name}={_short(value)}" for name, value in fields.items() if name not in {"at_ms", "class_version"})
        rows.append((row.version, row.at, row.topic, told))
    heading = f"{found.stream}: {found.kind} at version {found.version}"
    table: list[object] = [Table((">version", "time", "event", "fields"), rows)] if rows else ["no events up to there"]
    state = json.dumps(decoded(found.state), indent=2, ensure_ascii=False)
    return [heading, *table, "state", state]


def _short(value: Any) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= FIELD_WIDTH else text[: FIELD_WIDTH - 1] + "…"


# --- verify ---------------------------------------------------------------------------------------------------------


def verify(call: Call) -> int:
    """Prove that all that is kept follows from the events.

    Exits with 3 where it does not. Every stream is replayed from its first event. Versions must count without a hole; events must
    decode; snapshots, fences, the index of open streams, applied marks and outbox must be what the events say; documents must
    have their digests; read models must equal their replay, at the position where they are. Works while a swarm runs.
    """
    return asyncio.run(_verify(call))


async def _verify(call: Call) -> int:
    from runtime.cli.reading import event_store
    from runtime.verify import verify_store

    data = call.data()
    async with event_store(call) as store:
        async with store.audit() as audit:
            report = await verify_store(audit)
        await _verify_read_models(data, store, report)
    call.out.result(report, *_told(report))
    return DEVIATED if report.mismatches else 0


async def _verify_read_models(data: DataDir, store: Store, report: Report) -> None:
    from projections import rebuild
    from projections.database import open_engine
    from projections.fold import CannotProject
    from projections.schema import SchemaMismatch
    from runtime.verify import Mismatch, Note

    nothing = Note("read models", "read model", "there are none yet; the next run or `rehydrate projections rebuild` makes them")
    if not data.has_read_models():
        report.notes.append(nothing)
        return
    engine = open_engine(data.read_models_url)
    try:
        found = await rebuild.verify(engine, store)
    except SchemaMismatch as mismatch:
        if mismatch.found:
            raise
        report.notes.append(nothing)
        return
    except CannotProject as error:
        report.mismatches.append(Mismatch("read models", "read model", "a log that can be replayed", str(error)))
        return
    finally:
        await engine.dispose()
    head = await store.head()
    if found.position > head:
        report.mismatches.append(Mismatch("read models", "read model", f"position {head} or less", f"position {found.position}"))
    report.read_models = len(found.rows)
    for one in found.mismatches:
        row = ", ".join(f"{name} {value}" for name, value in one.key.items())
        where = f"{one.table}: {row}{f': {one.column}' if one.column else ''}"
        report.mismatches.append(Mismatch(where, "read model", one.replayed, one.read_model))
    if found.total > len(found.mismatches):
        more = found.total - len(found.mismatches)
        report.notes.append(Note("read models", "read model", f"{more} more values are not as a replay gives them"))


def _told(report: Report) -> list[object]:
    counts = f"{report.events} events in {report.streams} streams, {report.snapshots} snapshots, {report.read_models} read models"
    lines: list[object] = []
    if report.mismatches:
        rows = [(one.what, one.where, one.expected, one.found) for one in report.mismatches[:LISTED]]
        lines.append(Table(("what", "where", "events say", "found"), rows))
        if len(report.mismatches) > LISTED:
            lines.append(f"… and {len(report.mismatches) - LISTED} more; --json lists all")
    for note in report.notes[:LISTED]:
        lines.append(f"note: {note.where}: {note.detail}")
    if len(report.notes) > LISTED:
        lines.append(f"note: … and {len(report.notes) - LISTED} more notes; --json lists all")
    verdict = f"{len(report.mismatches)} mismatches" if report.mismatches else "all of it follows from the events"
    return [*lines, f"{counts}: {verdict}"]
