"""The systems that are compared, and how each is measured once: in a process of its own, on a database of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from evaluation.bench import noop
from evaluation.bench.ground import RAW_CONNECTIONS, ground
from evaluation.compare.child import CannotMeasure, ask
from evaluation.compare.environments import PEERS, python_of

OURS, ROAD, RAW = "rehydrate", "rehydrate, whole road", "raw inserts"
PEER_NAMES = ("langgraph", "dbos", "restate")

WARM_UP = 20
MEASURE_WITHIN_S = 300.0

OURS_TIMES = 5
"""Ours does so many times the workflows of a peer: it would else be done before a clock and a disk settle."""
RAW_TIMES = 3
"""The baseline is short, so it is taken so many times, and the median of them."""
ROAD_TIMES, ROAD_AT_LEAST = 2, 100


class Measured(NamedTuple):
    """One measurement of one system."""

    steps_per_second: float
    workflows: int | None
    bytes_per_workflow: float | None = None
    store: str = "postgresql"
    versions: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}


class System(Protocol):
    """Something that can be measured."""

    @property
    def name(self) -> str: ...

    async def prepare(self) -> None:
        """Make what measuring needs.

        Raises:
            CannotMeasure: it cannot be had here.
        """

    async def measure(self, database: str, concurrency: int, workflows: int) -> Measured:
        """Measure once, on an empty database.

        Raises:
            CannotMeasure: it failed, and why.
        """


def workflows_at(concurrency: int, workflows: int) -> int:
    """How many workflows a peer does: one at a time takes much longer, so it does fewer."""
    return max(workflows // 3, 10) if concurrency == 1 else max(workflows, concurrency)


class Peer:
    """Another system, in its own environment."""

    def __init__(self, name: str, folder: Path, say: Callable[[str], None]) -> None:
        self.name = name
        self._folder = folder
        self._say = say
        self._python: Path | None = None

    async def prepare(self) -> None:
        self._python = await python_of(self.name, self._folder, self._say)

    async def measure(self, database: str, concurrency: int, workflows: int) -> Measured:
        assert self._python is not None
        return await _run(self._python, self.name, database, concurrency, workflows_at(concurrency, workflows))


class Raw:
    """What is under all of them: the baseline of our own benchmarks, whatever the number of workflows beside it."""

    name = RAW

    async def prepare(self) -> None:
        """Our own environment has all it needs."""

    async def measure(self, database: str, concurrency: int, workflows: int) -> Measured:
        try:
            async with ground(database) as place:
                speeds = [await place.raw_inserts() for _ in range(RAW_TIMES)]
        except (OSError, asyncpg.PostgresError) as error:
            raise CannotMeasure(f"{type(error).__name__}: {error}") from error
        settings = {"connections": RAW_CONNECTIONS, "transactions": "autocommit, one row each"}
        return Measured(median(speeds), None, versions={"asyncpg": version("asyncpg")}, settings=settings)


class Ours:
    """`rehydrate bench steps` on the database, by its command: one process and no Kafka, as the peers run."""

    name = OURS

    async def prepare(self) -> None:
        """It is installed, or nobody could ask."""

    async def measure(self, database: str, concurrency: int, workflows: int) -> Measured:
        return await _bench("steps", database, concurrency, workflows * OURS_TIMES)


class Road:
    """`rehydrate bench swarm` on the database: lead and worker as processes, Kafka between them. More than the peers do."""

    name = ROAD

    async def prepare(self) -> None:
        """It is installed, or nobody could ask."""

    async def measure(self, database: str, concurrency: int, workflows: int) -> Measured:
        return await _bench("swarm", database, concurrency, max(workflows_at(concurrency, workflows * ROAD_TIMES), ROAD_AT_LEAST))


async def _bench(command: str, database: str, concurrency: int, workflows: int) -> Measured:
    """One of our own benchmarks, asked by its command line. A password goes by the environment: `ps` shows command lines."""
    url, secret = without_password(database)
    words = [sys.executable, "-m", "runtime.cli", "bench", command, "--database", url]
    words += ["--concurrency", str(concurrency), "--workflows", str(workflows)]
    answer = await ask(words, env=secret, within_s=MEASURE_WITHIN_S)
    try:
        (result,) = answer["results"]
        return Measured(
            result["steps_per_second"],
            result.get("workflows", workflows),
            answer.get("bytes_per_workflow"),
            answer["store"],
            {"rehydrate": version("rehydrate")},
            {"command": f"bench {command}", **({"kafka": answer["kafka"]} if "kafka" in answer else {})},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CannotMeasure(f"`bench {command}` answered something else than expected: {error!r}") from error


def without_password(url: str) -> tuple[str, dict[str, str]]:
    """The URL without the password, and the environment variable that stands for it (libpq's, which asyncpg reads)."""
    parts = urlsplit(url)
    if not parts.password:
        return url, {}
    _, _, place = parts.netloc.rpartition("@")
    netloc = f"{parts.username}@{place}" if parts.username else place
    return urlunsplit(parts._replace(netloc=netloc)), {"PGPASSWORD": unquote(parts.password)}


async def _run(python: Path, peer: str, database: str, concurrency: int, workflows: int) -> Measured:
    request = {
        "peer": peer,
        "database": database,
        "concurrency": concurrency,
        "workflows": workflows,
        "warm_up": max(WARM_UP, concurrency),
        "steps": noop.STEPS,
        "payload_bytes": noop.PAYLOAD_BYTES,
    }
    # The interpreter sees its own environment and this script, nothing that the caller's environment variables add. No tracing.
    command = [str(python), "-s", "-E", str(PEERS / "run.py")]
    answer = await ask(command, request, env={"LANGSMITH_TRACING": "false"}, within_s=MEASURE_WITHIN_S)
    return Measured(
        answer["steps_per_second"],
        answer["workflows"],
        answer["bytes_per_workflow"],
        answer.get("store", "postgresql"),
        versions=answer["versions"],
        settings=answer["settings"],
    )
