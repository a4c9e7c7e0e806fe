"""Customer reviews as review apps and shops export them, without who wrote them.

Only four columns are ever looked at, so names, e-mail addresses and ages of reviewers do not get past this file.
"""

from __future__ import annotations

from collections.abc import Collection

from domain.trade.catalogue import Problem, Review
from domain.trade.cells import BadCell, handle_fault, whole
from domain.trade.table import MAX_PROBLEMS, Row, Table, Unreadable, given_up, read_table
from domain.trade.wording import shown

HANDLE_COLUMNS = ("product_handle", "handle")
RATING_COLUMN = "rating"
TITLE_COLUMN = "title"
TEXT_COLUMNS = ("body", "text", "Review Text")
LOWEST_RATING, HIGHEST_RATING = 1, 5


def read_reviews(
    data: bytes, *, handles: Collection[str] | None = None, handle_column: str | None = None
) -> tuple[tuple[Review, ...], tuple[Problem, ...]]:
    """The reviews of a CSV and every problem; a row with a problem gives no review, though it keeps its number.

    With `handles` a review of any other product is a problem. `handle_column` is where the handle stands if the file
    calls it by a name of its own. Title and text may be blank: a rating alone says something.
    """
    handle_columns = (handle_column,) if handle_column else HANDLE_COLUMNS
    try:
        table = read_table(data, (handle_columns, (RATING_COLUMN,), TEXT_COLUMNS), (TITLE_COLUMN,))
    except Unreadable as refusal:
        return (), tuple(sorted(refusal.problems))
    reviews: list[Review] = []
    problems: list[Problem] = []
    number = 0
    for number, row in enumerate(table.rows, start=1):
        found = _row_problems(table, row, handle_columns, handles)
        problems += found
        if len(problems) >= MAX_PROBLEMS:
            return (), given_up(problems, row)
        if not found:
            reviews.append(
                Review(
                    row=number,
                    handle=_cell(table, row, handle_columns),
                    rating=whole(table.cell(row, RATING_COLUMN)),
                    title=table.cell(row, TITLE_COLUMN),
                    text=_cell(table, row, TEXT_COLUMNS),
                )
            )
    if number == 0:
        problems.append(Problem(0, "", "the file has a header and no reviews under it"))
    return tuple(reviews), tuple(sorted(problems))


def _row_problems(table: Table, row: Row, handle_columns: tuple[str, ...], handles: Collection[str] | None) -> list[Problem]:
    if row.flaw:
        return [table.problem(row, row.flaw)]
    problems: list[Problem] = []
    handle = _cell(table, row, handle_columns)
    fault = handle_fault(handle)
    if not fault and handles is not None and handle not in handles:
        fault = f"{shown(handle)} is no product of the catalogue"
    if fault:
        problems.append(Problem(row.line, _name(table, handle_columns), fault))
    fault = _rating_fault(table.cell(row, RATING_COLUMN))
    if fault:
        problems.append(Problem(row.line, _name(table, (RATING_COLUMN,)), fault))
    return problems


def _rating_fault(text: str) -> str:
    remedy = f"a rating is a whole number from {LOWEST_RATING} to {HIGHEST_RATING}"
    if not text:
        return f"blank: {remedy}"
    try:
        rating = whole(text)
    except BadCell:
        return f"{shown(text)}: {remedy}"
    return "" if LOWEST_RATING <= rating <= HIGHEST_RATING else f"{shown(text)}: {remedy}"


def _cell(table: Table, row: Row, columns: tuple[str, ...]) -> str:
    return next((text for column in columns if (text := table.cell(row, column))), "")


def _name(table: Table, columns: tuple[str, ...]) -> str:
    """The column as the file itself spells it, so that its owner finds it."""
    position = next(at for column in columns if (at := table.position(column)) is not None)
    return table.header.cells[position].strip()
