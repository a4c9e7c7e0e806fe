"""A feed gives its sound products and every problem, each with the physical line it starts on."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from domain.trade.catalogue import Problem, Product
from domain.trade.feed import read_catalogue
from domain.trade.table import MAX_PROBLEMS
from tests.domain.trade.feeds import HEADER, feed, line


def only(data: bytes) -> Problem:
    """The one problem of a feed that has one."""
    problems = read_catalogue(data).problems
    assert len(problems) == 1, problems
    return problems[0]


def product(data: bytes) -> Product:
    """The one product of a feed without problems."""
    found = read_catalogue(data)
    assert found.problems == ()
    return found.products[0]


def test_a_product_is_its_first_row_and_every_further_row_a_variant_or_an_image() -> None:
    """Variants and images come in file order, each variant with its line."""
    mug = product(
        feed(
            line(
                option="Size", value="S", sku="M-S", tags='"tea, kitchen,tea"', cost="3.2", compare_at="12", image="https://a/1"
            ),
            "mug,,,,,,,,,,,,,https://a/2,",
            line(title="", value="L", price="11", grams="410.0"),
        )
    )
    assert (mug.index, mug.handle, mug.title, mug.tags, mug.option_names) == (0, "mug", "Mug", ("tea", "kitchen"), ("Size",))
    assert [(v.key, v.line, v.sku, v.options, v.price, v.grams) for v in mug.variants] == [
        ("M-S", 2, "M-S", ("S",), Decimal("9.50"), 0),
        ("mug#2", 4, "", ("L",), Decimal("11.00"), 410),
    ]
    assert (mug.variants[0].compare_at, mug.variants[0].cost, mug.variants[0].quantity) == (Decimal(12), Decimal("3.20"), 5)
    assert mug.image_urls == ("https://a/1", "https://a/2")


def test_products_are_numbered_in_feed_order_even_when_their_rows_are_mixed() -> None:
    """A product stands where its first row stands."""
    data = feed(line("b", option="Size", value="S"), line("a"), line("b", title="", value="M"))
    assert [(p.index, p.handle, len(p.variants)) for p in read_catalogue(data).products] == [(0, "b", 2), (1, "a", 1)]


def test_shopifys_placeholder_for_no_option_is_no_option() -> None:
    """`Title: Default Title` says nothing of a product and is not shown as an option."""
    mug = product(feed(line(option="Title", value="Default Title")))
    assert (mug.option_names, mug.variants[0].options) == ((), ())


def test_an_amount_is_the_same_however_many_zeros_it_was_written_with() -> None:
    """The same feed written anew has the same content, thus the same digest."""
    assert str(product(feed(line(price="50"))).variants[0].price) == str(product(feed(line(price="50.0"))).variants[0].price)


def test_the_type_is_shopifys_category_where_the_vendor_gives_none() -> None:
    """Both spellings of Shopify's header are read."""
    new = product(b"Handle,Title,Product Category,Variant Price\nmug,Mug,Home > Mugs,9\n")
    both = product(b"Handle,Title,Product Category,Type,Variant Price\nmug,Mug,Home > Mugs,Cups,9\n")
    assert (new.product_type, both.product_type) == ("Home > Mugs", "Cups")


@pytest.mark.parametrize(
    "data", [feed(line()).replace(b"\n", b"\r\n"), feed(line()).replace(b"\n", b"\r"), b"\xef\xbb\xbf" + feed(line())]
)
def test_line_ends_of_every_system_and_a_byte_order_mark_are_accepted(data: bytes) -> None:
    """What Excel, Windows and old Macs write is read alike."""
    assert read_catalogue(data) == read_catalogue(feed(line()))


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    """Cells of several lines and blank lines do not shift the line of a later problem."""
    problem = only(feed(line("a", body='"<p>\n\n</p>"'), "", ",,,", line("b", price="x")))
    assert problem == Problem(7, "Variant Price", '"x" is not a number: write digits and a decimal point, such as 12.50')


BAD_ROWS = {
    "decimal comma": (line(price='"12,50"'), "Variant Price", "decimal comma, write 12.50"),
    "currency sign": (line(price="$12"), "Variant Price", "currency sign, write 12"),
    "currency code": (line(price="12 EUR"), "Variant Price", "currency sign, write 12"),
    "thousands": (line(price='"1,299.00"'), "Variant Price", "thousands separator, write 1299.00"),
    "word": (line(price="abc"), "Variant Price", '"abc" is not a number: write digits'),
    "exponent": (line(price="1e3"), "Variant Price", '"1e3" is not a number'),
    "not a number": (line(price="NaN"), "Variant Price", '"NaN" is not a number'),
    "other digits": (line(price="١٢"), "Variant Price", "is not a number"),
    "negative": (line(price="-1"), "Variant Price", '"-1" is negative'),
    "three decimals": (line(price="1.999"), "Variant Price", "more than two decimals: write 2.00"),
    "absurd": (line(price="10000000"), "Variant Price", "10,000,000 or more"),
    "very long number": (line(price="9" * 5000), "Variant Price", "is not a number"),
    "blank price": (line(price=""), "Variant Price", "blank"),
    "compare at": (line(compare_at="?"), "Variant Compare At Price", '"?" is not a number'),
    "cost": (line(cost="free"), "Cost per item", '"free" is not a number'),
    "quantity": (line(quantity="many"), "Variant Inventory Qty", '"many" is not a whole number'),
    "part of one": (line(quantity="1.5"), "Variant Inventory Qty", '"1.5" is not a whole number'),
    "oversold": (line(quantity="-3"), "Variant Inventory Qty", "negative: write 0"),
    "huge quantity": (line(quantity="9999999999"), "Variant Inventory Qty", "too large"),
    "grams": (line(grams="1kg"), "Variant Grams", '"1kg" is not a whole number'),
    "title": (line(title=""), "Title", "blank on the product's first row"),
    "blank handle": (line(""), "Handle", "blank"),
    "slash": (line("a/b"), "Handle", 'has "/" in it'),
    "space": (line("my mug"), "Handle", 'has " " in it'),
    "number sign": (line("mug#1"), "Handle", 'has "#" in it'),
    "escape": (line("mug\x1b[2J"), "Handle", r'has "\x1b" in it'),
    "long handle": (line("m" * 256), "Handle", "256 characters long: at most 255"),
    "long SKU": (line(sku="s" * 256), "Variant SKU", "256 characters long"),
    "SKU of two lines": (line(sku='"a\nb"'), "Variant SKU", "control character"),
    "option without name": (line(value="Red"), "Option1 Value", '"Red" is of an option without a name'),
    "option without value": (line(option="Size"), "Option1 Value", 'blank, but the product has the option "Size"'),
    "large cell": (line(body="x" * (256 * 1024 + 1)), "Body (HTML)", "larger than 256 KiB"),
    "large in bytes": (line(body="é" * (128 * 1024 + 1)), "Body (HTML)", "larger than 256 KiB"),
    "NUL byte": (line(title="M\0g"), "Title", "NUL byte"),
    "NUL in quotes": (line(title='"M\0g"'), "Title", "NUL byte"),
    "ragged": (line(body="red, or blue"), "", "16 cells under 15 columns"),
    "ragged but blank": (line() + ",", "", "16 cells under 15 columns"),
    "unclosed quote": (line(body='"<p>'), "Body (HTML)", 'the quote is never closed: ""<p>"'),
    "unclosed before quotes": (line(body='"<p>') + "\n" + line("cup", body='"a, b"'), "Body (HTML)", "the quote is never closed"),
    "stray quote": (line(body='"a "b" c"'), "Body (HTML)", 'text after the closing quote: "b" c""'),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_one_problem_and_the_products_around_it_are_kept(name: str) -> None:
    """Line, column and reason name what is wrong; nothing else of the file is lost."""
    row, column, reason = BAD_ROWS[name]
    found = read_catalogue(feed(line("first"), row, line("last")))
    assert [(problem.line, problem.column) for problem in found.problems] == [(3, column)]
    assert reason in found.problems[0].reason
    assert len(found.problems[0].reason) < 200
    kept = [p.handle for p in found.products]
    assert kept == ["first", "cup", "last"] if name == "unclosed before quotes" else kept == ["first", "last"]
    assert [p.index for p in found.products] == list(range(len(kept)))
    assert found.left_out != ()


def test_every_bad_row_is_reported_with_all_its_bad_cells() -> None:
    """A vendor mends a file in one go."""
    found = read_catalogue(feed(line("a", price="x", cost="y"), line("b"), line("c", quantity="z"), line("a/b")))
    assert [(p.line, p.column) for p in found.problems] == [
        (2, "Cost per item"),
        (2, "Variant Price"),
        (4, "Variant Inventory Qty"),
        (5, "Handle"),
    ]
    assert found.left_out == ("a/b", "a", "c")


def test_a_sku_that_two_products_share_is_reported_at_the_second_with_the_line_of_the_first() -> None:
    """The first product keeps its SKU and stays."""
    found = read_catalogue(feed(line("a", sku="S-1"), line("b", sku="S-1")))
    assert found.problems == (Problem(3, "Variant SKU", '"S-1" is already the SKU of line 2'),)
    assert [p.handle for p in found.products] == ["a"]


def test_a_sku_that_looks_like_the_name_of_a_variant_without_one_is_a_duplicate() -> None:
    """Variant keys are unique in a feed."""
    assert only(feed(line("mug"), line("cup", sku="mug#1"))).reason == '"mug#1" is already the SKU of line 2'


@pytest.mark.parametrize(("option", "value"), [("Size", "S"), ("", ""), ("Title", "Default Title")])
def test_two_variants_of_one_product_differ_in_their_options(option: str, value: str) -> None:
    """A customer could not choose between them."""
    problem = only(feed(line(option=option, value=value, sku="1"), line(title="", value=value, sku="2")))
    assert (problem.line, problem.column) == (3, "Option1 Value")
    assert "line 2" in problem.reason


def test_one_bad_row_leaves_out_its_whole_product() -> None:
    """Half a product would be sold with variants missing."""
    found = read_catalogue(feed(line("a", option="Size", value="S"), line("a", title="", value="M", price="x"), line("b")))
    assert ([p.handle for p in found.products], found.left_out) == (["b"], ("a",))


def test_a_first_row_that_cannot_be_read_is_the_only_problem_of_its_product() -> None:
    """Its later rows are not blamed for the title and option names that stood on it."""
    found = read_catalogue(feed(line(option="Size", value="S") + ",", line(title="", value="M")))
    assert ([p.line for p in found.problems], found.left_out) == ([2], ("mug",))


def test_a_row_without_handle_and_title_spoils_the_product_above_it() -> None:
    """As spreadsheets with merged cells write it, it is a variant of that product, which would lack it."""
    found = read_catalogue(feed(line("a"), line("", title="", sku="x"), line("b")))
    assert ([p.handle for p in found.products], found.left_out) == (["b"], ("", "a"))


BAD_FILES = {
    "empty": (b"", "the file is empty"),
    "mark only": (b"\xef\xbb\xbf", "the file is empty"),
    "blank lines": (b"\n\n", "only blank lines"),
    "header only": (HEADER.encode(), "no products under it"),
    "UTF-16": (feed(line()).decode().encode("utf-16"), "the file is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8"),
    "UTF-16 without mark": (feed(line()).decode().encode("utf-16-le"), "the file is UTF-16LE"),
    "UTF-32": (feed(line()).decode().encode("utf-32"), "the file is UTF-32"),
    "Latin-1": (feed(line(), line("cafe", title="Café")).decode().encode("latin-1"), "byte 0xE9 on line 3 (“é” in Latin-1)"),
    "Windows-1252": (feed(line(title="Mug “L”")).decode().encode("cp1252"), "iconv -f WINDOWS-1252 -t UTF-8"),
    "bytes": (b"Handle\n\x81\x8d\x00", "damaged or not a text file"),
    "Excel": (b"PK\x03\x04\x00\x00", "Excel workbook"),
    "gzip": (b"\x1f\x8b\x08\x00", "gzip"),
    "semicolons": (feed(line()).replace(b",", b";"), "separated by semicolons"),
    "broken header": (b'Handle,"Title,Variant Price\nmug,Mug,9\n', "the header cannot be read: the quote is never closed"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_feed_leaves_no_products_and_one_reason(name: str) -> None:
    """The reason says what the file looks like and what to do."""
    data, reason = BAD_FILES[name]
    assert reason in only(data).reason
    assert read_catalogue(data).products == ()


def test_every_missing_column_is_named() -> None:
    """A file of something else is refused at its header."""
    problems = read_catalogue(b"Name,Price\nMug,9\n").problems
    assert [(p.line, p.column) for p in problems] == [(1, "Handle"), (1, "Title"), (1, "Variant Price")]


def test_a_known_column_that_stands_twice_is_refused_and_an_unknown_one_is_not() -> None:
    """Nobody could say which price counts; notes may be called alike."""
    assert only(b"Handle,Title,Variant Price,variant price\nmug,Mug,9,8\n").column == "variant price"
    assert product(b"Handle,Title,Variant Price,Note,Note\nmug,Mug,9,a,b\n").handle == "mug"


TEN_MEGABYTES = 10 * 1024 * 1024
HUGE = {
    "cell": line(body='"' + "x" * TEN_MEGABYTES + '"'),
    "cell never closed": line(body='"' + "x" * TEN_MEGABYTES),
    "quotes": line(body='"' + '""' * (TEN_MEGABYTES // 2) + '"'),
    "commas": line() + "," * TEN_MEGABYTES,
    "quoted cells": line() + ',"",b' * (TEN_MEGABYTES // 20),
}


@pytest.mark.parametrize("name", HUGE)
def test_ten_megabytes_in_one_row_are_one_problem_soon(name: str) -> None:
    """The time is linear in the size of the file, whatever stands in it."""
    started = time.process_time()
    found = read_catalogue(feed(line("first"), HUGE[name], line("last")))
    assert time.process_time() - started < 5
    assert [problem.line for problem in found.problems] == [3]
    assert [p.handle for p in found.products] == ["first", "last"]


def test_a_file_of_nothing_but_problems_is_given_up() -> None:
    """Millions of problems would fill the memory and help nobody; then no product is trusted either."""
    found = read_catalogue(feed(line("good"), *["?" for _ in range(2 * MAX_PROBLEMS)]))
    assert (len(found.problems), found.products) == (MAX_PROBLEMS + 1, ())
    assert "reading stopped here" in found.problems[-1].reason


def test_ten_thousand_rows_are_read_in_well_under_two_seconds() -> None:
    """A large vendor does not wait for the feed to be read."""
    data = feed(*[line(f"mug-{n}", body='"<p>Blue, ""dry""</p>"', sku=f"M-{n}") for n in range(10_000)])
    started = time.process_time()
    found = read_catalogue(data)
    assert time.process_time() - started < 2
    assert (len(found.products), found.problems) == (10_000, ())


def test_a_cell_of_just_the_largest_size_is_read() -> None:
    """The limit is for accidents; no description comes near it."""
    assert len(product(feed(line(body="x" * 256 * 1024))).body_html) == 256 * 1024
