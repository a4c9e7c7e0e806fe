"""Writes docs/reference from the registries of the code, so that it cannot say anything else than the code does.

    .venv/bin/python docs/generate.py            write the pages
    .venv/bin/python docs/generate.py --check    write nothing; exit 1 and name the pages that are out of date

It reads: `domain.streams.KINDS`, the event classes of the modules in `domain.all_streams`, `domain.message.BODIES`,
`domain.graph.TEMPLATES`, the fields of `runtime.settings.Settings`, and the commands as Typer knows them.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import typer.main

from domain import message
from domain.all_streams import MODULES
from domain.event import Event
from domain.graph import TEMPLATES, Graph
from domain.ports.probe import Point
from domain.streams import Kind
from runtime import cli
from runtime.cli.common import OPTIONS
from runtime.settings import Settings

REFERENCE = Path(__file__).parent / "reference"
HEAD = "<!-- Written by docs/generate.py. Change the code, then run `.venv/bin/python docs/generate.py`. -->\n\n"

WRITERS = {
    "run": "whoever asks (`client/0`: request, abandon), then `lead/0`",
    "workflow": "the lead shard that the product's key selects",
    "task": "the agent that the task is assigned to",
    "agent": "the process that claims",
    "deadletter": "the agent that could not handle the message; `client/0` (replay, discard); a sender whose receiver never was",
    "product": "`product_listing`",
    "price": "`pricing_optimizer`",
    "stock": "`inventory_sync`",
    "campaign": "`marketing_outreach`",
    "review": "`feedback_listener`",
}


# --- helpers --------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table. A bar in a cell would end it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def prose(text: str | None) -> str:
    """A docstring on one line."""
    return " ".join((text or "").split())


def paragraph(text: str) -> str:
    """Prose in lines that fit; code in backquotes is not torn apart."""
    kept = re.sub(r"`[^`]*`", lambda code: code.group().replace(" ", "\0"), prose(text))
    return textwrap.fill(kept, 130, break_long_words=False, break_on_hyphens=False).replace("\0", " ") + "\n"


def own_doc(cls: type) -> str:
    """The docstring that a class itself has, not one that it inherits."""
    return prose(inspect.cleandoc(cls.__dict__.get("__doc__") or ""))


def type_name(annotation: Any) -> str:
    """A type as it is written in the source."""
    text = annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    return re.sub(r"\b(?:domain|typing|builtins)\.(?:\w+\.)*", "", text).replace("NoneType", "None")


def fields(struct: type[msgspec.Struct], skip: Sequence[str] = ()) -> str:
    """`name: type = default` of each field."""
    shown = []
    for field in msgspec.structs.fields(struct):
        if field.name in skip:
            continue
        default = ""
        if field.default is not msgspec.NODEFAULT:
            default = f" = {field.default!r}"
        elif field.default_factory is not msgspec.NODEFAULT:
            default = f" = {field.default_factory()!r}"
        shown.append(f"`{field.name}: {type_name(field.type)}{default}`")
    return ", ".join(shown) or "–"


# --- streams and events ---------------------------------------------------------------------------------------------


def streams_page() -> str:
    """Every kind of stream with its events, then the messages."""
    parts = [
        "# Streams, events and messages\n",
        paragraph(
            "An event is stored as a JSON object of its fields under its topic. Every event also has `at_ms`, the time of the decision in "
            "milliseconds since the epoch (UTC). States come from events alone: `rehydrate replay show STREAM` prints both."
        ),
        "## Kinds of streams\n",
        table(
            ("kind", "written by", "is told in messages", "can be open", "snapshot every"),
            [
                (
                    f"[{kind.name}](#{kind.name})",
                    WRITERS[kind.name],
                    _yes(kind.tells is not Kind.__new__.__defaults__[0]),  # type: ignore[index]
                    _yes(kind.is_open is not Kind.__new__.__defaults__[1]),  # type: ignore[index]
                    f"{kind.snapshot_every} events" if kind.snapshot_every else "–",
                )
                for kind in (module.KIND for module in MODULES)
            ],
        ),
        "Open streams are what a new owner of an agent picks up.\n",
        *(_stream(module) for module in MODULES),
        "## Messages\n",
        paragraph(
            "A message is an event told to somebody. Its id follows from the stream, the version and the index of what it tells. "
            "The Kafka value is `{header, body}` in JSON."
        ),
        paragraph("**Header:** " + fields(message.Header)),
        table(
            ("message", "body", "meaning"),
            [(f"`{name}`", fields(body), own_doc(body) or "–") for name, body in message.BODIES.items()],
        ),
        paragraph("**task** in TASK_ASSIGN: " + fields(message.Task) + ". " + own_doc(message.Task)),
        paragraph("**task** in all others: " + fields(message.TaskRef) + ". " + own_doc(message.TaskRef)),
        paragraph("**failure**: " + fields(message.Failure) + ". " + own_doc(message.Failure)),
    ]
    return "\n".join(parts)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _stream(module: Any) -> str:
    events = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Event) and value.TOPIC and value.__module__ == module.__name__
    ]
    text = inspect.cleandoc(module.__doc__ or "")
    rows = [
        (
            f"`{event.TOPIC}`" + (f" v{event.class_version}" if event.class_version > 1 else ""),
            fields(event, ("at_ms",)),
            own_doc(event) or "–",
        )
        for event in events
    ]
    return f"## {module.KIND.name}\n\n{_paragraphs(text)}\n" + table(("event", "fields", "meaning"), rows)


def _paragraphs(text: str) -> str:
    """A docstring as Markdown: what is indented becomes a block."""
    parts = []
    for block in text.split("\n\n"):
        if block.startswith("    "):
            parts.append("```text\n" + inspect.cleandoc("\n" + block) + "\n```")
        else:
            parts.append(block)
    return "\n\n".join(parts) + "\n"


# --- workflows ------------------------------------------------------------------------------------------------------


def workflows_page() -> str:
    """The graphs of every workflow, as tables and pictures."""
    parts = [
        "# Workflows\n",
        paragraph(
            "A workflow that a user can ask for is two graphs: one for each product, one that closes the run. "
            "A step waits for the steps named under *after* and has so much time for its answer."
        ),
    ]
    for template in TEMPLATES.values():
        parts.append(f"## {template.name}\n")
        parts += [_graph(template.each, "For each product"), _graph(template.close, "Once all products have ended")]
    return "\n".join(parts)


def _graph(graph: Graph, title: str) -> str:
    arrows = [f"    {before} --> {step.name}" for step in graph.steps.values() for before in step.after]
    lonely = [f"    {name}" for name in graph.steps if not any(name in arrow for arrow in arrows)]
    picture = "\n".join(["```mermaid", "flowchart LR", *lonely, *arrows, "```"])
    rows = [
        (f"`{step.name}`", f"`{step.role}`", ", ".join(f"`{name}`" for name in step.after) or "–", f"{step.timeout_s:g} s")
        for step in graph.steps.values()
    ]
    return f"### {graph.name}\n\n{title}.\n\n{picture}\n\n" + table(("step", "role", "after", "time"), rows)


# --- settings -------------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Every setting."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        rows.append((f"`{name}`", f"`REHYDRATE_{name.upper()}`", f"`{default}`" if default else "–", field.description or "–"))
    return (
        "# Settings\n\n"
        + paragraph(
            "An option of a command wins over an environment variable, which wins over the default. "
            "`rehydrate settings` prints each value and where it came from; secrets are masked. Units stand last in the name."
        )
        + "\n"
        + table(("setting", "environment variable", "default", "meaning"), rows)
    )


# --- commands -------------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, Any]]:
    """Path and command of everything that `rehydrate` offers, groups included."""
    root = typer.main.get_command(cli.app)
    context = root.make_context("rehydrate", [], resilient_parsing=True)
    yield from _walk("rehydrate", root, context)


def _walk(path: str, command: Any, context: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _walk(f"{path} {name}", found, context)


def commands_page() -> str:
    """Every command with its options, then the exit codes."""
    known = list(commands())
    common = {option for annotated in OPTIONS.values() for option in annotated.__metadata__[0].param_decls or ()}
    common |= {option for _, parameter in _options(known[0][1]) for option in parameter.opts}
    parts = [
        "# Commands\n",
        "## Options of every command\n",
        "`rehydrate bench` has only its own. Progress and logs go to stderr, results to stdout.\n",
        table(("option", "meaning"), [row for row, _ in _options(known[0][1])]),
        "## Exit codes\n",
        table(
            ("code", "meaning"),
            [
                ("0", "done; for `rehydrate run` also when only a part could be delivered, unless `--strict`"),
                ("1", "the work failed"),
                ("2", "bad usage or bad input; nothing was begun"),
                ("3", "a check deviated (`rehydrate replay verify`, `rehydrate projections verify`)"),
                ("130", "interrupted; the same command goes on with the run"),
            ],
        ),
    ]
    for path, command in known[1:]:
        parts.append(f"## {path}\n")
        text, _, examples = inspect.cleandoc(command.help or "").replace("\b\n", "").partition("Examples:\n")
        parts.append("\n".join(paragraph(part) for part in text.strip().split("\n\n")))
        if hasattr(command, "list_commands"):
            continue
        arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
        rows = [(f"`{argument.metavar or argument.name}`", prose(getattr(argument, "help", ""))) for argument in arguments]
        rows += [row for row, parameter in _options(command) if not common & set(parameter.opts)]
        if rows:
            parts.append(table(("argument or option", "meaning"), rows))
        if examples:
            parts.append("```sh\n" + inspect.cleandoc("\n" + examples) + "\n```\n")
    return "\n".join(parts)


def _options(command: Any) -> list[tuple[tuple[str, str], Any]]:
    rows = []
    for parameter in command.params:
        if parameter.param_type_name != "option" or parameter.name in {"help"}:
            continue
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
        value = f" {parameter.metavar}" if parameter.metavar else ""
        meaning = prose(parameter.help)
        default = parameter.default
        if isinstance(default, str | int | Path) and not isinstance(default, bool) and "default:" not in meaning and str(default):
            meaning = f"{meaning}  Default: `{default}`.".strip()
        rows.append(((f"`{names}{value}`", meaning or "–"), parameter))
    return rows


# --- faults ---------------------------------------------------------------------------------------------------------


def points_page() -> str:
    """The named points at which a fault may stand."""
    source = inspect.cleandoc(inspect.getdoc(Point) or "")
    rows = [(f"`{point.value}`", _WHERE[point]) for point in Point]
    return f"# Points of a crash\n\n{source} Plans name them: see [inject faults](../how-to/inject-faults.md).\n\n" + table(
        ("point", "where it stands"), rows
    )


_WHERE = {
    Point.BEFORE_COMMIT: "in the writer thread, after all rows of a batch are written and before COMMIT",
    Point.AFTER_COMMIT: "in the writer thread, after COMMIT and before anybody is told",
    Point.BETWEEN_INTENT_AND_EFFECT: "in a worker, after the intents are committed and before the effect is asked for",
    Point.AFTER_EFFECT: "in a worker, after the target's receipt and before it is committed",
    Point.BEFORE_COMPLETION: "in a worker, after the work and before the append that completes the step",
}

PAGES: dict[str, Callable[[], str]] = {
    "streams-and-events.md": streams_page,
    "workflows.md": workflows_page,
    "settings.md": settings_page,
    "commands.md": commands_page,
    "points.md": points_page,
}


def main(arguments: Sequence[str]) -> int:
    """Write or check the pages; gives the exit code."""
    stale = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, HEAD + make().rstrip() + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if "--check" not in arguments:
            REFERENCE.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        sys.stderr.write(
            f"{path.relative_to(REFERENCE.parent.parent)} {'is out of date' if '--check' in arguments else 'written'}\n"
        )
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
