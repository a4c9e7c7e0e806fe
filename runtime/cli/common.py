"""What every command shares: its options, what they mean together, and how its errors end.

A module of commands offers `register(app)`, and declares each of them so:

    @command(app, "show", "rehydrate workflows show workflow-3f9a21c4-1-17")
    def show(call: Call, workflow_id: Annotated[str, typer.Argument(help=…)]) -> int | None: ...

The options of every command are added by the decorator and arrive as `call`. What a command returns is its exit code (None: 0).
Modules of commands import what they need when they run, so that `--help` and `status` are quick.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_type_hints

import typer

from runtime.cli.errors import BadUsage, UsageError, report
from runtime.cli.output import Output
from runtime.datadir import DataDir
from store.opening import check_url

if TYPE_CHECKING:
    from runtime.settings import Settings

DEFAULT_DATA_DIR = Path(".rehydrate")
"""The same as in `runtime.settings`, which takes four times as long to import as all else that `status` needs."""

F = TypeVar("F", bound=Callable[..., int | None])


class Given(NamedTuple):
    """The options of every command as they were given; None and False: they were not."""

    data_dir: Path | None = None
    database: str | None = None
    kafka: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    def over(self, outer: Given) -> Given:
        """These options, and those given before the command where these are silent."""
        told = {name: value for name, value in self._asdict().items() if value is not None and value is not False}
        return outer._replace(**told)


OPTIONS: dict[str, Any] = {
    "data_dir": Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Data of a swarm.  [env: REHYDRATE_DATA_DIR; default: .rehydrate]"),
    ],
    "database": Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            help="Event store: postgresql://USER@HOST/DB or sqlite:///PATH.  [env: REHYDRATE_DATABASE; default: what the data dir knows]",
        ),
    ],
    "kafka": Annotated[
        str | None,
        typer.Option("--kafka", metavar="HOST:PORT[,…]", help="Kafka cluster.  [env: REHYDRATE_KAFKA; default: embedded]"),
    ],
    "json": Annotated[bool, typer.Option("--json", help="One JSON document on stdout, all else on stderr.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Log to stderr; show tracebacks.")],
    "no_color": Annotated[bool, typer.Option("--no-color", help="No colours.  [env: NO_COLOR]")],
}


class Call:
    """One call of a command: what its common options mean."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self.out = Output(json=given.json, quiet=given.quiet, no_color=given.no_color)

    @property
    def data_dir(self) -> Path:
        """The data dir, whether it is there or not."""
        return self.given.data_dir or Path(os.environ.get("REHYDRATE_DATA_DIR") or DEFAULT_DATA_DIR)

    def data(self, *, create: bool = False) -> DataDir:
        """The data dir, checked; its event store is the one of `--database`.

        Raises:
            DataDirError: it cannot be used; unless `create`, also where there is none.
            BadDatabase: `--database` names something that events cannot be kept in.
        """
        return DataDir(self.data_dir, self.given.database or os.environ.get("REHYDRATE_DATABASE") or "").open(create=create)

    @cached_property
    def settings(self) -> Settings:
        """All settings: options win over environment variables over defaults.

        Raises:
            BadUsage: a value is refused, and which.
        """
        from pydantic import ValidationError

        from runtime.settings import Settings

        told: dict[str, Any] = {name: getattr(self.given, name) for name in ("data_dir", "database", "kafka")}
        try:
            settings = Settings(**{name: value for name, value in told.items() if value is not None})
        except ValidationError as error:
            # The values themselves stay out of it: one of them is a key.
            refused = "; ".join(f"{_named(told, str(problem['loc'][0]))}: {problem['msg']}" for problem in error.errors())
            raise BadUsage(refused) from error
        check_url(settings.database)
        return settings


def _named(told: dict[str, Any], name: str) -> str:
    return f"--{name.replace('_', '-')}" if told.get(name) is not None else f"REHYDRATE_{name.upper()}"


# --- declaring commands ---------------------------------------------------------------------------------------------


def group(app: typer.Typer, name: str, help_line: str) -> typer.Typer:
    """A command that has sub-commands; alone it prints its help."""
    made = typer.Typer(name=name, help=help_line, no_args_is_help=True, rich_markup_mode=None, add_completion=False)
    app.add_typer(made)
    return made


def command(app: typer.Typer, name: str, *examples: str) -> Callable[[F], F]:
    """Declare a command: its help is the docstring (a line, then details) and the examples."""

    def declare(function: F) -> F:
        text = inspect.cleandoc(function.__doc__ or "")
        if examples:
            # \b keeps the formatter from joining the lines of a paragraph.
            text += "\n\n\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)
        app.command(name, help=text)(_with_options(function))
        return function

    return declare


def _with_options(function: Callable[..., int | None]) -> Callable[..., None]:
    """The function as Typer calls it: with the options of every command behind its own."""
    hints = get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "call"
    ]

    @functools.wraps(function)
    def run(ctx: typer.Context, **arguments: Any) -> None:
        given = Given(**{name: arguments.pop(name) for name in OPTIONS})
        call = Call(given.over(ctx.obj) if isinstance(ctx.obj, Given) else given)
        raise typer.Exit(_ended(function, call, arguments))

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    run.__dict__["__signature__"] = inspect.Signature([context, *own, *shared_parameters()])
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (context, *own, *shared_parameters())}
    del run.__dict__["__wrapped__"]  # its signature is not the one that Typer should see
    return run


def shared_parameters() -> list[inspect.Parameter]:
    """The options of every command, as parameters of a function."""
    silent = Given()._asdict()
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=silent[name], annotation=kind)
        for name, kind in OPTIONS.items()
    ]


def _ended(function: Callable[..., int | None], call: Call, arguments: dict[str, Any]) -> int:
    """Run a command; gives its exit code."""
    if call.given.verbose:
        import logging

        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        return function(call, **arguments) or 0
    except typer.Exit as end:
        return end.exit_code
    except Exception as error:
        if isinstance(error, UsageError):
            raise
        return report(error, verbose=call.given.verbose, data_dir=call.data_dir)
