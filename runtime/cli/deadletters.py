"""`deadletters list|show|replay|discard`: messages that ended without being handled, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from runtime.cli.common import Call, command, group
from runtime.cli.errors import BadUsage
from runtime.cli.output import Table

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Dead letters, as `deadletters list` names them.")]
All = Annotated[bool, typer.Option("--all", help="All that wait.")]


def register(app: typer.Typer) -> None:
    """Declare the commands of this module."""
    letters = group(app, "deadletters", "Messages that nobody could handle: look, put back, discard.")
    command(letters, "list", "rehydrate deadletters list", "rehydrate deadletters list --status waiting --json")(list_letters)
    one = "deadletter-9f86d081884c7d659a2feaa0"
    command(letters, "show", f"rehydrate deadletters show {one}")(show)
    command(letters, "replay", f"rehydrate deadletters replay {one}", "rehydrate deadletters replay --all")(replay)
    command(letters, "discard", f"rehydrate deadletters discard {one}", "rehydrate deadletters discard --all")(discard)


def list_letters(
    call: Call,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATUS", help="Only those waiting, replayed or discarded.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 1000,
) -> None:
    """List dead letters, the newest first."""
    asyncio.run(_list(call, status, limit))


async def _list(call: Call, status: str | None, limit: int) -> None:
    from domain import deadletter
    from projections import queries
    from runtime.cli.reading import read_models

    known = [str(known) for known in deadletter.Status if known is not deadletter.Status.UNKNOWN]
    if status is not None and status not in known:
        raise BadUsage(f"--status {status}: must be one of {', '.join(known)}")
    async with read_models(call) as opened:
        found = await queries.dead_letters(opened.engine, status, limit)
    columns = ("letter", "status", "reason", "agent", "?message", "?from", "recorded", "detail")
    rows = [
        (row.letter_id, row.status, row.reason, row.agent, row.message_type, row.sender, row.recorded_at, row.detail[:80])
        for row in found
    ]
    nothing = f"no dead letter is {status}" if status else "no dead letters: every message was handled"
    call.out.result(found, Table(columns, rows) if found else nothing)
    if len(found) == limit:
        call.out.say(f"only the newest {limit} are listed; --limit N lists more")


def show(
    call: Call, letter_id: Annotated[str, typer.Argument(metavar="ID", help="The dead letter, as `deadletters list` names it.")]
) -> None:
    """Show one dead letter: who refused it, why, what it says."""
    asyncio.run(_show(call, letter_id))


async def _show(call: Call, letter_id: str) -> None:
    import msgspec

    from domain.ports.store import NoContent
    from projections import queries
    from runtime.cli.reading import read_models

    async with read_models(call) as opened:
        found = await queries.dead_letter(opened.engine, letter_id)
        if found is None:
            raise BadUsage(f"{letter_id}: there is no such dead letter; `rehydrate deadletters list` lists them")
        try:
            content: str | None = (await opened.store.content(found.raw)).decode(errors="replace")
        except NoContent:
            content = None
    document = msgspec.structs.asdict(found) | {"content": content}
    fields = [(name, value) for name, value in document.items() if name != "content" and value not in {"", None}]
    said = "its bytes are erased" if content is None else content
    call.out.result(document, Table(("field", "value"), fields), said)


def replay(call: Call, letter_ids: Ids = None, every: All = False) -> None:
    """Send messages once more to the agents that refused them.

    All the letters named or none of them. With --all, those that hold no message are left out. While a swarm is stopped the
    messages wait for its next start. A message that is refused again waits here again.
    """
    asyncio.run(_decide(call, letter_ids or [], every, replaying=True))


def discard(call: Call, letter_ids: Ids = None, every: All = False) -> None:
    """Discard messages for good.

    What they hold is erased; that they were, and why they were refused, is kept.
    """
    asyncio.run(_decide(call, letter_ids or [], every, replaying=False))


async def _decide(call: Call, letter_ids: Sequence[str], every: bool, *, replaying: bool) -> None:
    from runtime import deadletters
    from runtime.cli.reading import event_store
    from runtime.clock import wall_clock_ms

    if bool(letter_ids) == every:
        raise BadUsage("give either the ids of dead letters or --all")
    async with event_store(call) as store:
        letters: Sequence[str] = letter_ids
        if every:
            letters = await deadletters.waiting(store)
            if replaying:
                waiting, letters = letters, await deadletters.replayable(store, letters)
                if left := len(waiting) - len(letters):
                    call.out.say(f"{left} hold no message that could be put back; `rehydrate deadletters discard` ends them")
        decide = deadletters.replay if replaying else deadletters.discard
        decided = await decide(store, letters, wall_clock_ms())
    rows = [(one.letter_id, one.status, one.agent, "now" if one.changed else "before") for one in decided]
    call.out.result(decided, Table(("letter", "status", "agent", "decided"), rows) if rows else "no dead letter waits")
