"""Where output goes: results to stdout, everything else to stderr. Tables on a terminal, plain columns elsewhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

NOTHING = "–"

# Texts of events may hold what came from outside; a terminal must not obey them.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_STYLES = {
    **dict.fromkeys(("completed", "ready", "done"), "green"),
    **dict.fromkeys(("failed", "discarded"), "red"),
    **dict.fromkeys(("degraded", "waiting", "cancelled", "abandoned", "claimed", "starting", "stopping"), "yellow"),
    **dict.fromkeys(("running", "closing", "requested", "assigned", "replayed"), "cyan"),
    **dict.fromkeys(("stopped", "unknown", NOTHING), "dim"),
}


class Table(NamedTuple):
    """Rows under headings. A heading that begins with `>` is of a column of numbers; one that begins with `?` is left out while
    there is nothing below it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""

    def trimmed(self) -> Table:
        """The table without columns that say nothing."""
        kept = [
            index
            for index, head in enumerate(self.columns)
            if not head.startswith("?") or any(row[index] not in (None, "") for row in self.rows)
        ]
        heads = [self.columns[index].removeprefix("?") for index in kept]
        return Table(heads, [[row[index] for index in kept] for row in self.rows], self.title)


class Output:
    """What a command says. With `json` a result is one document, and the human form is not built."""

    def __init__(self, *, json: bool = False, quiet: bool = False, no_color: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.no_color = no_color or bool(os.environ.get("NO_COLOR"))

    def result(self, document: Any, *shown: object) -> None:
        """Print the result: the document with --json, else what is shown: lines, `Table`s, or anything that rich prints."""
        if self.json:
            data = _encode(document)
            text = (msgspec.json.format(data, indent=2) if sys.stdout.isatty() else data).decode()
            _write(text + "\n")
            return
        for part in shown:
            if isinstance(part, str):
                _write(printable(part) + "\n")
            elif isinstance(part, Table) and not sys.stdout.isatty():
                _write(plain(part))
            else:
                self._print(part)

    def say(self, line: str) -> None:
        """A remark on stderr, unless the user wants none."""
        if not self.quiet:
            try:
                print(printable(line), file=sys.stderr, flush=True)
            except BrokenPipeError:
                self.quiet = True

    @cached_property
    def errors(self) -> Console:
        """Where live views go: stderr as a rich console, with colours as the user wants them."""
        return self._console(sys.stderr)

    def _print(self, part: object) -> None:
        self._console(sys.stdout).print(_pretty(part) if isinstance(part, Table) else part)

    def _console(self, file: TextIO) -> Console:
        from rich.console import Console

        class Patient(Console):
            """Goes on quietly when its reader goes away: rich itself would end the program, and close stdout for stderr."""

            def on_broken_pipe(self) -> None:
                self.quiet = True
                _nobody_reads(file)

        return Patient(file=file, color_system=None if self.no_color else "auto", highlight=False)


def printable(text: str) -> str:
    """The text without characters that steer a terminal."""
    return _CONTROL.sub("\ufffd", text)


def cell(value: object) -> str:
    """How a value looks in a table."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return printable(" ".join(str(value).split()))


def plain(table: Table) -> str:
    """A table as columns of text."""
    table = table.trimmed()
    heads = [head.removeprefix(">") for head in table.columns]
    rows = [[cell(value) for value in row] for row in table.rows]
    widths = [max(len(line[index]) for line in (heads, *rows)) for index in range(len(heads))]
    right = [head.startswith(">") for head in table.columns]
    lines = [f"{table.title}"] if table.title else []
    lines += ("  ".join(_padded(line, widths, right)).rstrip() for line in (heads, *rows))
    return "\n".join(lines) + "\n"


def _padded(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterable[str]:
    for text, width, of_numbers in zip(line, widths, right, strict=True):
        yield text.rjust(width) if of_numbers else text.ljust(width)


def _pretty(table: Table) -> Any:
    from rich import box
    from rich import table as rich_table
    from rich.text import Text

    table = table.trimmed()
    made = rich_table.Table(
        title=Text(table.title, style="bold") if table.title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="bold",
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for head in table.columns:
        # An id that is broken into two lines can still be read; one that is cut cannot be copied.
        made.add_column(head.removeprefix(">"), justify="right" if head.startswith(">") else "left", overflow="fold")
    for row in table.rows:
        texts = [cell(value) for value in row]
        made.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in texts))
    return made


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _nobody_reads(sys.stdout)


def _nobody_reads(file: TextIO) -> None:
    """The reader has what it wanted (`| head`): go on quietly, and keep Python from complaining at its end."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, file.fileno())
    os.close(devnull)


def _to_builtin(value: Any) -> Any:
    if isinstance(value, Path | str):
        return str(value)  # also a subclass of str, such as SQLAlchemy's names of columns
    raise NotImplementedError(f"no JSON for a {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_to_builtin, decimal_format="string").encode
