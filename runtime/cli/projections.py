"""`projections rebuild|verify`: the read models can be lost, and this is how they come back."""

from __future__ import annotations

import asyncio

import typer

from runtime.cli.common import Call, command, group
from runtime.cli.errors import DEVIATED
from runtime.cli.output import Table


def register(app: typer.Typer) -> None:
    """Declare the commands of this module."""
    projections = group(app, "projections", "Read models: build them again, or prove them right.")
    command(projections, "rebuild", "rehydrate projections rebuild")(rebuild)
    command(projections, "verify", "rehydrate projections verify", "rehydrate projections verify --json")(verify)


def rebuild(call: Call) -> None:
    """Build all read models again from the first event.

    Also where they are missing, damaged or of another version. Readers see the old rows until the new ones are complete, and a
    swarm may run meanwhile, except where the file is damaged.
    """
    asyncio.run(_rebuild(call))


async def _rebuild(call: Call) -> None:
    from projections import rebuild as projections
    from projections.database import open_engine
    from runtime.cli.reading import drop_damaged, event_store

    data = call.data()
    async with event_store(call) as store:
        await store.head()  # first: who cannot read the events must not touch what was made of them
        drop_damaged(data)
        engine = open_engine(data.read_models_url)
        try:
            made = await projections.rebuild(engine, store)
        finally:
            await engine.dispose()
    call.out.result(made, f"built again from {made.events} events, up to position {made.position}")


def verify(call: Call) -> int:
    """Compare the read models with what the events give.

    Exits with 3 where a row differs. What the projector has yet to do is no difference: the comparison is made at the
    position of the read models.
    """
    return asyncio.run(_verify(call))


async def _verify(call: Call) -> int:
    from projections import rebuild as projections
    from runtime.cli.reading import read_models

    async with read_models(call) as opened:
        found = await projections.verify(opened.engine, opened.store)
    rows = [
        (one.table, " ".join(str(value) for value in one.key.values()), one.column or "the row", one.read_model, one.replayed)
        for one in found.mismatches
    ]
    total = sum(found.rows.values())
    good = f"{total} rows of {len(found.rows)} read models are as {found.events} events say"
    bad = f"{found.total} differences in {total} rows; `rehydrate projections rebuild` mends them"
    table = Table(("table", "row", "column", "read model", "events say"), rows)
    call.out.result(found, *([table, bad] if found else [good]))
    return DEVIATED if found else 0
