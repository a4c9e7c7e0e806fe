"""`rehydrate bench`: registered by entry point, so that the rooms below know nothing of this one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

bench = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Measure this machine. Each command prints one JSON document."
)

Concurrency = Annotated[str, typer.Option("--concurrency", help="Workflows under way at a time, separated by commas.")]
Database = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        help="Measure on this PostgreSQL server, in a database of the benchmark's own; else on SQLite.",
    ),
]
Kafka = Annotated[
    str, typer.Option("--kafka", metavar="HOST:PORT[,…]", help="Measure on this Kafka cluster; else on the embedded one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Always so: a benchmark prints one JSON document.")]


@bench.command(epilog="Example: rehydrate bench steps --concurrency 1,16,64")
def steps(
    concurrency: Concurrency = "1,16,64",
    workflows: Annotated[int, typer.Option(min=10)] = 400,
    database: Database = "",
    json: AsJson = True,
) -> None:
    """Durable steps a second in one process, beside raw single-row inserts in the same run."""
    from evaluation.bench import steps as measured

    _print(measured.measure(_numbers(concurrency), workflows, database))


@bench.command(epilog="Example: rehydrate bench swarm --concurrency 16,64")
def swarm(
    concurrency: Concurrency = "16,64",
    workflows: Annotated[int, typer.Option(min=100)] = 2000,
    database: Database = "",
    kafka: Kafka = "",
    read_models: Annotated[bool, typer.Option("--read-models", help="With the process that keeps the read models.")] = False,
    json: AsJson = True,
) -> None:
    """Durable steps a second over the whole road: lead and worker as processes, Kafka between them."""
    from evaluation.bench import swarm as measured
    from runtime.settings import Settings

    _print(measured.measure(_numbers(concurrency), workflows, Settings(database=database, kafka=kafka), read_models=read_models))


@bench.command(epilog="Example: rehydrate bench replay")
def replay(database: Database = "", json: AsJson = True) -> None:
    """Events a second from stored bytes to state."""
    from evaluation.bench import replay as measured

    _print(measured.measure(database))


@bench.command(epilog="Example: rehydrate bench execute")
def execute(json: AsJson = True) -> None:
    """What the framework adds to one execution that does nothing."""
    from evaluation.bench import execute as measured

    _print(measured.measure())


@bench.command(epilog="Example: rehydrate bench compare --database postgresql://postgres@127.0.0.1:5432")
def compare(
    database: Annotated[
        str,
        typer.Option(
            metavar="URL",
            envvar="REHYDRATE_DATABASE",
            help="PostgreSQL that all share; each gets a database of its own there, which is dropped behind it.",
        ),
    ] = "",
    peers: Annotated[str, typer.Option(help="Systems to run beside ours, separated by commas.")] = "langgraph,dbos,restate",
    concurrency: Concurrency = "1,16,64",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; all systems run in each, and medians are taken.")] = 3,
    workflows: Annotated[
        int, typer.Option(min=10, help="Workflows of a peer in each measurement; one at a time: a third.")
    ] = 300,
    environments: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the peers' environments are kept.  [default: in the user's cache]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout in place of the table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Ours beside LangGraph, DBOS and Restate on one machine, in interleaved rounds, with ratios."""
    from evaluation.compare import compare as comparison
    from evaluation.compare.table import notes, table
    from runtime.cli.output import Output

    out = Output(json=json, quiet=quiet)
    names = [name.strip() for name in peers.split(",") if name.strip()]
    document = asyncio.run(
        comparison.compare(
            database,
            peers=names,
            concurrency=_numbers(concurrency),
            rounds=rounds,
            workflows=workflows,
            environments=environments,
            say=out.say,
        )
    )
    out.result(document, table(document), *notes(document))
    if not comparison.complete(document):
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no list of numbers such as 1,16,64") from error
    if min(numbers) < 1:
        raise typer.BadParameter("concurrency begins at 1")
    return numbers


def _print(measurement: Coroutine[Any, Any, dict[str, Any]]) -> None:
    import domain.all_streams  # noqa: F401 every kind of stream must be known

    print(msgspec.json.format(msgspec.json.encode(asyncio.run(measurement))).decode())
