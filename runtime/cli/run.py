"""`rehydrate run` and `rehydrate demo`: the main job."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.common import Call, command
from runtime.cli.errors import BadUsage

if TYPE_CHECKING:
    from runtime.datadir import DataDir
    from runtime.request import Inputs, Wish
    from runtime.runner import Hook

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEMO_VICTIM = "marketing_outreach/0"
DEMO_WINDOW = 12
"""Few products at a time, so that every agent has work in hand when one is killed."""
MAX_SHARDS = 32
YEARS = range(1970, 2200)
LISTED_OUTPUTS = 12


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(
        app,
        "run",
        "rehydrate run product-launch-campaign --products feed.csv --out results",
        "rehydrate run product-launch-campaign --products feed.csv --stock stock.csv --out results --seed 7 --as-of 2026-11-21",
    )(run)
    command(app, "demo", "rehydrate demo", "rehydrate demo --no-kill --out launch")(demo)


def run(
    call: Call,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="product-launch-campaign")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the files of the run go.")],
    products: Annotated[
        Path | None, typer.Option(metavar="FEED.csv", help="The vendor's products, in Shopify's CSV format.")
    ] = None,
    stock: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Stock levels (CSV: SKU, Available), else the feed's.")
    ] = None,
    reviews: Annotated[Path | None, typer.Option(metavar="FILE", help="Reviews (CSV: handle, rating, title, body).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal files.")] = 0,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="The day that dates count from, YYYY-MM-DD; default: today.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave products with bad rows out instead of refusing the feed.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write into a folder that holds other files.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish the run that is not finished, with the files that it began with.")
    ] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give the unfinished run up and begin this one.")] = False,
    shards: Annotated[list[str] | None, typer.Option(metavar="ROLE=N", help="Processes of a role; may be repeated.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 also when only a part could be delivered.")] = False,
    new_kafka: Annotated[
        bool, typer.Option("--new-kafka", help="The Kafka of --kafka is another cluster than before: move there.")
    ] = False,
) -> int:
    """Run a workflow for a vendor's products.

    Each product goes through the workflow on its own; what concerns all follows. After any crash the same command on the same
    data dir finishes what was interrupted.
    """
    from runtime import request

    if resume and abandon:
        raise BadUsage("--resume and --abandon exclude each other")
    options = request.Options(
        _workflow(workflow), seed, _date(as_of), call.settings.currency, skip_invalid, call.settings.window, _shards(shards or ())
    )
    if products is None and not resume:
        raise BadUsage("--products FEED.csv is missing; only --resume goes without")
    files = None if products is None or resume else request.Files(products, stock, reviews)
    wish = request.Wish(files, options, out, overwrite, abandon)
    return _execute(call, wish, strict=strict, new_kafka=new_kafka)


def demo(
    call: Call,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the files of the run go.")] = Path("demo-out"),
    kill: Annotated[bool, typer.Option("--kill/--no-kill", help=f"Kill {DEMO_VICTIM} half-way with SIGKILL.")] = True,
) -> int:
    """Launch the example catalogue and kill an agent half-way.

    A supervisor, an embedded Kafka and one process per agent launch 60 products. Half-way one agent is killed with SIGKILL: another
    process takes its place, and the run ends as if nothing had happened.
    """
    from runtime import request

    files = request.Files(EXAMPLES / "catalogue.csv", EXAMPLES / "stock.csv", EXAMPLES / "reviews.csv")
    if not files.products.exists():
        raise BadUsage(f"{EXAMPLES}: the demo's catalogue is in the project's repository; run it from a clone")
    options = request.Options("product-launch-campaign", 0, None, call.settings.currency, False, DEMO_WINDOW)
    return _execute(call, request.Wish(files, options, out, overwrite=True), hook=kill_half_way if kill else None)


def _execute(
    call: Call, wish: Wish, *, strict: bool = False, new_kafka: bool = False, hook: Callable[[Call], Hook] | None = None
) -> int:
    import asyncio

    from runtime import outputs, request
    from runtime.cli import before

    # First what may be wrong: it leaves nothing behind, not even a data dir.
    inputs = request.read(wish.files, wish.options) if wish.files is not None else None
    outputs.check_place(wish.out, [path for path in wish.files or () if path is not None], call.data_dir)
    if inputs is not None and wish.abandon:
        day = wish.options.as_of or datetime.date.today()  # noqa: DTZ011 the user's own day
        outputs.check_target(wish.out, request.key_of(inputs, wish.options, day), wish.overwrite)
    seen = before.kafka_answers(call.settings)
    asyncio.run(before.database_answers(call.settings.database))
    data = call.data(create=inputs is not None)
    data.lock()
    if not call.settings.database:
        asyncio.run(before.database_answers(data.database))  # the password that is remembered may be an old one
    before.kafka_is_the_same(call, data, seen, new_kafka)
    import runtime.preload  # noqa: F401 what this process and all others of the swarm need, imported once for all of them
    from runtime import wiring
    from runtime.processes import ForkServer

    wiring.import_adapters(call.settings, data)
    server = ForkServer()
    server.fork()
    try:
        return _swarm(call, wish, inputs, data, strict, hook)
    finally:
        server.stop()


def _swarm(
    call: Call, wish: Wish, inputs: Inputs | None, data: DataDir, strict: bool, hook: Callable[[Call], Hook] | None
) -> int:
    import asyncio
    import gc

    gc.disable()  # among what is imported it finds nothing, and looking takes a quarter of the time
    from runtime import runner
    from runtime.cli import before
    from runtime.live import LiveView

    gc.enable()
    asyncio.run(before.read_models_fit(call, data))
    _keep_log(call, data)
    with LiveView(call.out.errors, f"rehydrate · {wish.options.workflow}", quiet=call.given.quiet) as live:
        view = runner.View(live.progress, live.say)
        document = asyncio.run(runner.execute(wish, inputs, call.settings, data, view, hook(call) if hook else None))
    call.out.result(document, *summary(document))
    return runner.exit_code(document, strict)


def _keep_log(call: Call, data: DataDir) -> None:
    """What the supervisor has to remark goes into a file beside the logs of its agents; with -v to stderr, as it is set already."""
    import logging

    from runtime import logs

    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a log that cannot be written must not fill the terminal
    if not call.given.verbose:
        path = data.logs / "supervisor.log"
        level = call.settings.log_level
        logging.basicConfig(filename=path, level=level, format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
        logs.quieten()


def kill_half_way(call: Call) -> Hook:
    """A hook of the runner: SIGKILL for one agent when half of the products are through, once."""
    from chaos import crash
    from projections.run_summary import Progress
    from runtime.supervisor import Supervisor

    done = False

    def hook(supervisor: Supervisor, progress: Progress) -> None:
        nonlocal done
        pid = supervisor.pid_of(DEMO_VICTIM)
        if done or pid is None or progress.ended * 2 < progress.products or progress.status != "running":
            return
        done = True
        supervisor.tell(
            f"SIGKILL to {DEMO_VICTIM} (process {pid}), with {progress.ended} of {progress.products} products through"
        )
        fault = crash.Crash(id=f"demo-{pid}", process=DEMO_VICTIM, position=0)
        crash.inject(fault, pid, call.data().chaos)

    return hook


def summary(document: Mapping[str, Any]) -> list[str]:
    """What happened, in lines."""
    from projections.views import Recovery
    from runtime.live import recovery_line

    steps = [step for flow in document["workflows"] for step in flow["steps"]]
    done = sum(step["status"] == "completed" for step in steps)
    ended = [flow for flow in document["workflows"] if flow["status"] in {"completed", "failed"}]
    lines = [
        f"{document['status']}: {document['run_id']}, {max(len(ended) - 1, 0)} products, "
        f"{done} of {len(steps)} steps, {document['elapsed_s']:.1f} s"
    ]
    lines += [recovery_line(Recovery(**recovery)) for recovery in document["recoveries"]]
    failed = [flow for flow in document["workflows"] if flow["status"] == "failed"]
    lines += [f"failed: {flow['key']}: {flow['reason']}" for flow in failed[:LISTED_OUTPUTS]]
    skipped = document["skipped_rows"]
    if skipped:
        lines.append(
            f"{len(skipped)} bad row{'s' * (len(skipped) != 1)} left out: "
            + "; ".join(f"line {row['line']}: {row['reason']}" for row in skipped[:3])
        )
    paths = [path for path in document["outputs"] if "/mails/" not in path]
    mails = len(document["outputs"]) - len(paths)
    lines += [f"  {path}" for path in paths]
    if mails:
        lines.append(f"  {Path(paths[0]).parent / 'mails'}{'/'} ({mails} mails)" if paths else f"  {mails} mails")
    return lines


# --- arguments ------------------------------------------------------------------------------------------------------


def _workflow(name: str) -> str:
    import domain.all_streams  # noqa: F401 every kind of stream must be known before anything is read
    from domain.graph import TEMPLATES

    if name not in TEMPLATES:
        raise BadUsage(f"there is no workflow {name!r}; there is {', '.join(sorted(TEMPLATES))}")
    return name


def _date(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise BadUsage(f"--as-of {text!r} is no date such as 2026-11-21") from error
    if day.year not in YEARS:
        raise BadUsage(f"--as-of {text}: is not in the years {YEARS[0]} to {YEARS[-1]}")
    return day


def _shards(given: Sequence[str]) -> dict[str, int]:
    from domain.role import Role

    shards = {}
    for text in given:
        role, equals, count = text.partition("=")
        if role not in set(Role) or not equals or not count.isdecimal() or not 1 <= int(count) <= MAX_SHARDS:
            raise BadUsage(f"--shards {text!r} is no ROLE=N with N from 1 to {MAX_SHARDS} and a role of {', '.join(Role)}")
        shards[role] = int(count)
    return shards
