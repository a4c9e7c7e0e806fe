"""Rows of a CSV text: what RFC 4180 says, and a flaw where it is broken."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.trade.table import parse, write_rows

CELLS = st.text(st.sampled_from('ab ,"\n') | st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=4))
def test_what_is_written_is_read_again(rows: list[list[str]]) -> None:
    """Any cells survive writing and reading, with nothing held against them."""
    read = list(parse(write_rows(rows).decode()))
    assert [row.cells for row in read] == rows
    assert not any(row.flaw for row in read)


@given(st.text(st.sampled_from('ab,"\n'), max_size=40))
def test_a_text_is_flawed_exactly_where_the_strict_csv_reader_refuses_it(text: str) -> None:
    """Python's own reader in strict mode is the oracle, for cells and for refusals."""
    rows = list(parse(text))
    try:
        expected = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error:
        assert any(row.flaw for row in rows)
    else:
        assert [row.cells for row in rows] == [cells or [""] for cells in expected]
        assert not any(row.flaw for row in rows)


@given(st.text(st.sampled_from('a,"\n'), max_size=60))
def test_lines_rise_and_no_line_is_skipped_after_a_flaw(text: str) -> None:
    """Each row starts where the one before it ended; a flawed one ends with its physical line."""
    rows = list(parse(text))
    for row, following in pairwise(rows):
        inside = sum(cell.count("\n") for cell in row.cells)
        assert following.line == row.line + inside + 1
