"""A CSV file as rows of cells, each row with the physical line where it starts.

The standard library's csv reader is not used: its limit on the size of a cell is a setting of the whole process, an unclosed
quote makes it swallow the rest of the file in silence, and it joins text that follows a closing quote to the cell. Here each
of these is a flaw of one row, and reading goes on at the next physical line.

Cells follow RFC 4180: a cell that starts with a quote ends with one, and holds commas, line ends and doubled quotes. A quote
inside an unquoted cell is an ordinary character. Line ends are `\\n`, `\\r\\n`, or `\\r` when the file has no other; cells
hold `\\n`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from domain.trade.catalogue import Problem
from domain.trade.encoding import Undecodable, decode
from domain.trade.wording import shown

MAX_CELL_BYTES = 256 * 1024
MAX_CELLS = 1_000  # a row of more is not read further: one line of a million commas must not become a million cells
MAX_PROBLEMS = 10_000  # past this the file is something else: millions of problems would help nobody and fill the memory

_QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"([^,\n]*+)')


class Unreadable(Exception):
    """The file as a whole cannot be used; `problems` say why. Definite: nothing was taken from it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a row's cells cannot be trusted to stand under their columns. `cell` counts from 0; -1: no one cell is to blame."""

    cell: int
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `line` is the physical line, from 1, where it starts."""

    line: int
    cells: list[str]
    flaw: Flaw | None = None


class Positions(dict[str, int | None]):
    """Where each column stands, by its name in lower case; a name in another case is looked up once and then known too."""

    def __missing__(self, column: str) -> int | None:
        position = self[column] = self.get(column.casefold())
        return position


@dataclass(frozen=True, slots=True)
class Table:
    """The header and, read as they are asked for, the rows under it that are not wholly blank."""

    header: Row
    rows: Iterator[Row]
    positions: Positions

    def cell(self, row: Row, column: str) -> str:
        """The row's text under this column without the white space around it; "" where there is none."""
        return self.raw(row, column).strip()

    def raw(self, row: Row, column: str) -> str:
        """The row's text under this column as it stands in the file; "" where there is none."""
        position = self.position(column)
        return row.cells[position] if position is not None and position < len(row.cells) else ""

    def position(self, column: str) -> int | None:
        """Where the column stands, counted from 0; None if the file does not have it."""
        return self.positions[column]

    def problem(self, row: Row, flaw: Flaw) -> Problem:
        """A row's flaw as a problem of the file, under the name of its column."""
        names = self.header.cells
        return Problem(row.line, names[flaw.cell].strip() if 0 <= flaw.cell < len(names) else "", flaw.reason)


def read_table(data: bytes, required: Sequence[Sequence[str]], optional: Sequence[str] = ()) -> Table:
    """The table in a file whose first row names its columns, in any letter case and order; unknown columns may be there.

    Each entry of `required` lists the spellings of one column, any of which will do. Raises `Unreadable` for a file
    that is empty, not UTF-8, without usable header, lacks required columns or has a required or optional one twice:
    all of them are named.
    """
    try:
        text = decode(data)
    except Undecodable as failure:
        raise Unreadable(Problem(0, "", str(failure))) from failure
    rows = (row for row in parse(text) if any(cell.strip() for cell in row.cells))
    header = next(rows, None)
    if header is None:
        raise Unreadable(Problem(0, "", "the file is empty" if not text else "the file has only blank lines"))
    if header.flaw:
        raise Unreadable(Problem(header.line, "", f"the header cannot be read: {header.flaw.reason}"))
    positions = Positions()
    for position, name in enumerate(header.cells):
        positions.setdefault(name.strip().casefold(), position)
    known = {name.casefold() for name in (*(name for names in required for name in names), *optional)}
    problems = [*_missing(header, positions, required), *_named_twice(header, positions, known)]
    if problems:
        raise Unreadable(*problems)
    return Table(header, _ragged_flawed(rows, len(header.cells)), positions)


def parse(text: str) -> Iterator[Row]:
    """The rows of a CSV text, blank ones included. A flawed row ends with its physical line."""
    position, line, end = 0, 1, len(text)
    while position < end:
        stop = _line_end(text, position)
        flaw: Flaw | None = None
        if text.find('"', position, stop) < 0:
            cells, following = text[position:stop].split(",", MAX_CELLS), stop + 1
        else:
            cells, flaw, following = _with_quotes(text, position)
        if flaw is None and text.find("\0", position, following) >= 0:
            flaw = _first(cells, lambda cell: "\0" in cell, "holds a NUL byte: the file is damaged or not a text file")
        if flaw is None and following - position > MAX_CELL_BYTES // 4:
            flaw = _first(cells, _too_large, f"the cell is larger than {MAX_CELL_BYTES // 1024} KiB: is a quote missing?")
        yield Row(line, cells, flaw)
        line += text.count("\n", position, following)
        position = following


def given_up(problems: Sequence[Problem], row: Row) -> tuple[Problem, ...]:
    """What is said of a file of more than `MAX_PROBLEMS`, whose reading stopped at this row: nothing in it is to be used."""
    stop = Problem(row.line, "", f"reading stopped here after {MAX_PROBLEMS:,} problems: is this the right file?")
    return (*sorted(problems), stop)


def write_rows(rows: Iterable[Sequence[str]]) -> bytes:
    """The rows as UTF-8 CSV with `\\n` line ends, quoting only where a cell needs it."""
    return "".join(",".join(map(_quoted, row)) + "\n" for row in rows).encode()


def _quoted(cell: str) -> str:
    cell = cell.replace("\r\n", "\n")
    if '"' in cell or "," in cell or "\n" in cell or "\r" in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _with_quotes(text: str, position: int) -> tuple[list[str], Flaw | None, int]:
    """The cells of the row that starts here, its flaw, and where the next row starts."""
    cells: list[str] = []
    flaw: Flaw | None = None
    line_end = -1  # found once a physical line: to look for it at each cell would be quadratic in a line of many cells
    while True:
        if line_end < position:
            line_end = _line_end(text, position)
        if text.startswith('"', position):
            value, reason, position = _one_cell(text, position, line_end)
            if reason and flaw is None:
                flaw = Flaw(len(cells), reason)
            values = [value]
        else:  # all cells up to the next that starts with a quote
            start, position = position, _plain_until(text, position, line_end)
            values = text[start:position].split(",", MAX_CELLS)
        if len(cells) <= MAX_CELLS:
            cells += values
        if position >= len(text) or text[position] == "\n":
            return cells, flaw, position + 1
        position += 1  # over the comma


def _one_cell(text: str, position: int, line_end: int) -> tuple[str, str, int]:
    """The cell that starts with a quote, what is wrong with its quotes ("" if nothing), and where it ends."""
    match = _QUOTED.match(text, position)
    if match is None:
        return _unclosed(text, position, line_end)
    quoted, trailing = match.groups()
    if not trailing.strip():
        return quoted.replace('""', '"'), "", match.end()
    if "\n" not in quoted:
        reason = f'text after the closing quote: {shown(trailing)}; a quote inside a cell is written twice ("")'
        return quoted.replace('""', '"') + trailing, reason, match.end()
    # The quote found on a later line opened a cell there: taking it for the end of this one would swallow good rows.
    # No text is scanned a third time, since between the two only doubled quotes stand.
    return _unclosed(text, position, line_end)


def _unclosed(text: str, position: int, line_end: int) -> tuple[str, str, int]:
    comma = text.find(",", position, line_end)
    stop = line_end if comma < 0 else comma
    cell = text[position:stop]
    return cell, f"the quote is never closed: {shown(cell)}", stop


def _plain_until(text: str, position: int, line_end: int) -> int:
    """Where the run of unquoted cells ends: at the comma before a quote, or with the line."""
    comma = text.find(',"', position, line_end)
    return line_end if comma < 0 else comma


def _line_end(text: str, position: int) -> int:
    stop = text.find("\n", position)
    return len(text) if stop < 0 else stop


def _first(cells: list[str], is_bad: Callable[[str], bool], reason: str) -> Flaw | None:
    return next((Flaw(position, reason) for position, cell in enumerate(cells) if is_bad(cell)), None)


def _too_large(cell: str) -> bool:
    return len(cell) > MAX_CELL_BYTES // 4 and len(cell.encode()) > MAX_CELL_BYTES


def _ragged_flawed(rows: Iterator[Row], width: int) -> Iterator[Row]:
    # Blank surplus cells count too: an unquoted comma in a row that ends with blank cells leaves nothing else to see.
    for row in rows:
        if len(row.cells) > width and row.flaw is None:
            count = str(len(row.cells)) if len(row.cells) <= MAX_CELLS else f"over {MAX_CELLS}"
            reason = f"{count} cells under {width} columns: text with a comma must be in quotes"
            yield Row(row.line, row.cells, Flaw(-1, reason))
        else:
            yield row


def _missing(header: Row, positions: Positions, required: Sequence[Sequence[str]]) -> list[Problem]:
    lacking = [spellings for spellings in required if not any(name.casefold() in positions for name in spellings)]
    if lacking and len(header.cells) == 1:
        for separator, name in ((";", "semicolons"), ("\t", "tabs")):
            if separator in header.cells[0]:
                return [Problem(header.line, "", f"the columns are separated by {name}: save the file with commas")]
    return [
        Problem(header.line, names[0], "the column is missing" + (f"; {' or '.join(names[1:])} will do too" if names[1:] else ""))
        for names in lacking
    ]


def _named_twice(header: Row, positions: Positions, known: set[str]) -> list[Problem]:
    return [
        Problem(header.line, name, f"a second column of this name, number {at + 1}: which one counts?")
        for at, name in enumerate(map(str.strip, header.cells))
        if name.casefold() in known and positions[name] != at
    ]
