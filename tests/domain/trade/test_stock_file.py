"""A stock file gives a level for each variant it names, and every problem."""

from __future__ import annotations

import pytest

from domain.trade.catalogue import Problem
from domain.trade.feed import read_catalogue
from domain.trade.stock_file import read_stock
from domain.trade.table import MAX_PROBLEMS
from tests.domain.trade.feeds import feed, line


@pytest.mark.parametrize("header", ["SKU,Available", "Variant SKU,Quantity", "sku,Variant Inventory Qty"])
def test_every_usual_name_of_the_columns_will_do(header: str) -> None:
    """Warehouses and shops export their lists under different names."""
    assert read_stock(f"{header}\nA-1,4\nB-2,0.0\n".encode()) == ({"A-1": 4, "B-2": 0}, ())


def test_a_variant_without_sku_is_named_by_handle_and_position() -> None:
    """The keys are those of the feed, whether the position is counted or written out."""
    levels, problems = read_stock(b"Handle,SKU,Available\nmug,M-1,1\nmug,,2\ncup#1,,3\n")
    assert (levels, problems) == ({"M-1": 1, "mug#2": 2, "cup#1": 3}, ())


def test_a_product_feed_is_a_stock_file_too() -> None:
    """Its rows of images name no variant, and its keys are those of the catalogue."""
    data = feed(line(option="Size", value="S", sku="M"), "mug,,,,,,,,,,,,,https://a/2,", line(title="", value="L", quantity="7"))
    levels, problems = read_stock(data)
    assert problems == ()
    assert levels == {variant.key: variant.quantity for variant in read_catalogue(data).products[0].variants}


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("A-2,,x", "Available", "not a whole number"),
        ("A-2,,-1", "Available", "negative: write 0"),
        ("A-2,,", "Available", "blank: write 0"),
        ("A-1,,3", "SKU", '"A-1" is already on line 2'),
        (",,3", "Handle", "names no variant"),
        (",a b,3", "Handle", 'has " " in it'),
        ("A-2,,3,4", "", "4 cells under 3 columns"),
    ],
)
def test_a_bad_row_gives_a_problem_and_no_level(row: str, column: str, reason: str) -> None:
    """The rows around it are read."""
    levels, problems = read_stock(f"SKU,Handle,Available\nA-1,,1\n{row}\nA-9,,9\n".encode())
    assert levels == {"A-1": 1, "A-9": 9}
    assert [(problem.line, problem.column) for problem in problems] == [(3, column)]
    assert reason in problems[0].reason


def test_a_row_that_cannot_be_read_does_not_move_the_variants_after_it() -> None:
    """Stock given to the wrong variant is worse than none."""
    levels, problems = read_stock(b"Handle,Available\nmug,1,1\nmug,2\n")
    assert levels == {"mug#2": 2}
    assert [problem.line for problem in problems] == [2]


def test_a_file_of_nothing_but_problems_is_given_up() -> None:
    """No level in it is trusted, and the memory stays small."""
    levels, problems = read_stock(b"SKU,Available\nA,1\n" + b"B,x\n" * 2 * MAX_PROBLEMS)
    assert (levels, len(problems)) == ({}, MAX_PROBLEMS + 1)


def test_missing_columns_are_named_with_what_will_do_instead() -> None:
    """A file of something else is refused at its header."""
    levels, problems = read_stock(b"Name,Count\na,1\n")
    assert levels == {}
    assert [problem.column for problem in problems] == ["Available", "SKU"]
    assert "Variant SKU or Handle will do too" in problems[1].reason


def test_a_header_alone_is_a_problem() -> None:
    """Nobody means to give no stock at all."""
    assert read_stock(b"SKU,Available\n") == ({}, (Problem(0, "", "the file has a header and no rows under it"),))
