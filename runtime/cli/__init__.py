"""The command line: `rehydrate COMMAND`. Each module beside this one registers its commands.

Rooms above runtime add commands through the entry point group `rehydrate.commands`; they are looked up by name when they are
called or listed, so nothing here imports them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperGroup

from runtime.cli.common import Given, shared_parameters
from runtime.cli.errors import INTERRUPTED, BadUsage, report

if TYPE_CHECKING:
    from typer._click import Command, Context

GROUP = "rehydrate.commands"
MODULES = ("run", "inspect", "deadletters", "replay", "projections", "store", "topics", "settings")
EPILOG = "\b\nExamples:\n" + "\n".join(
    f"  {example}"
    for example in (
        "rehydrate run product-launch-campaign --products feed.csv --out results",
        "rehydrate status",
        "rehydrate replay verify --json",
    )
)


class Commands(TyperGroup):
    """The commands of `rehydrate`, those of entry points included. Every error ends in a line and an exit code."""

    def list_commands(self, ctx: Context) -> list[str]:
        own = super().list_commands(ctx)
        return own + sorted(name for name in _added() if name not in own)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        found = super().get_command(ctx, cmd_name)
        return _load(_added().get(cmd_name)) if found is None else found

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        entry = _added().get(args[0])
        if entry is not None and args[0] not in self.commands and _load(entry) is None:
            raise BadUsage(f"the command {entry.name!r} is not in this installation: {entry.value} cannot be loaded")
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        told = sys.argv[1:] if args is None else args
        try:
            code = super().main(args, prog_name or "rehydrate", complete_var, False, windows_expand_args, **extra)
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the last place that can say in one line what went wrong
            code = report(error, verbose=bool({"-v", "--verbose"} & set(told)), data_dir=None)
        sys.exit(code if isinstance(code, int) else 0)


@cache
def _added() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


@cache
def _load(entry: EntryPoint | None) -> Command | None:
    """The command that another room offers: a Typer app, or what Typer makes of one."""
    if entry is None:
        return None
    try:
        found = entry.load()
    except (ImportError, AttributeError):
        return None
    if not isinstance(found, typer.Typer):
        return cast("Command", found)
    holder = typer.Typer()
    holder.add_typer(found, name=entry.name)
    return typer.main.get_group(holder).commands[entry.name]


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rehydrate {version('rehydrate')}")
        raise typer.Exit


def _outer(ctx: typer.Context, **given: Any) -> None:
    """An agent swarm for e-commerce work whose agents can be killed at any moment and rebuilt from their events."""
    del given["version"]  # answered already
    ctx.obj = Given(**given)


def _app() -> typer.Typer:
    """All commands, in the order in which `--help` lists them."""
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    about = Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_tell_version),
    ]
    asked = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=about)
    parameters = [context, *shared_parameters(), asked]
    _outer.__dict__["__signature__"] = inspect.Signature(parameters)
    _outer.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    made = typer.Typer(
        cls=Commands,
        callback=_outer,
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,  # its help takes twice as long to import as all the rest
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    for name in MODULES:
        import_module(f"runtime.cli.{name}").register(made)
    return made


app = _app()


def main() -> None:
    """The entry point of the command `rehydrate`."""
    app()
