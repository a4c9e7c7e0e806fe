"""The command's work: look at the server, make the environments, measure in rounds, sum up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from evaluation.bench import noop
from evaluation.bench.figures import machine
from evaluation.compare.child import CannotMeasure
from evaluation.compare.environments import default_folder
from evaluation.compare.rounds import measure
from evaluation.compare.summary import summary
from evaluation.compare.systems import PEER_NAMES, Ours, Peer, Raw, Road, System
from evaluation.server import Server
from runtime.cli.errors import BadUsage


async def compare(
    database: str,
    *,
    peers: Sequence[str] = PEER_NAMES,
    concurrency: Sequence[int] = (1, 16, 64),
    rounds: int = 3,
    workflows: int = 300,
    environments: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Ours beside the peers on one PostgreSQL: the document that `--json` prints.

    Raises:
        BadUsage: no such peer, or the database is no PostgreSQL.
        StoreUnavailable: the server does not answer, or refuses us.
    """
    names, server = _known(peers), Server(_postgresql(database))
    settings = await server.settings()
    wanted = [Peer(name, environments or default_folder(), say) for name in names]
    systems: list[System] = [Ours(), Road()]
    missing: dict[str, str] = {}
    for peer in wanted:
        try:
            await peer.prepare()
            systems.append(peer)
        except CannotMeasure as error:
            missing[peer.name] = str(error)
            say(f"{peer.name} {error}")
    systems.append(Raw())
    runs = await measure(systems, server, concurrency=concurrency, rounds=rounds, workflows=workflows, say=say)
    return {
        "benchmark": "compare",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {**machine(), "load_average": round(median(run.load for run in runs), 1)},
        "server": settings,
        "steps_per_workflow": noop.STEPS,
        "payload_bytes": noop.PAYLOAD_BYTES,
        "rounds": rounds,
        "systems": summary(runs, missing),
    }


def complete(document: dict[str, Any]) -> bool:
    """Whether there is something to compare: ours was measured, and at least one peer."""
    measured = [system["system"] for system in document["systems"] if system["status"] == "measured"]
    return Ours.name in measured and any(name in measured for name in PEER_NAMES)


def _postgresql(database: str) -> str:
    if not database:
        raise BadUsage("bench compare needs a PostgreSQL that all systems share: --database postgresql://USER@HOST:PORT")
    if (scheme := urlsplit(database).scheme) not in ("postgresql", "postgres"):
        raise BadUsage(
            f"bench compare runs on PostgreSQL, as the peers do in production, not on {scheme or 'that'}: "
            "--database postgresql://USER@HOST:PORT"
        )
    return database


def _known(peers: Sequence[str]) -> list[str]:
    if not peers:
        raise BadUsage(f"--peers names nobody; known are {', '.join(PEER_NAMES)}")
    for name in peers:
        if name not in PEER_NAMES:
            raise BadUsage(f"no peer {name!r}; known are {', '.join(PEER_NAMES)}")
    return list(dict.fromkeys(peers))
