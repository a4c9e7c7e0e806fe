"""The vendor gets the same file back, with the listings in it and nothing else changed."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trade.catalogue import Product
from domain.trade.export import ListingChange, VariantChange, render_catalogue
from domain.trade.feed import read_catalogue
from domain.trade.table import Unreadable, write_rows
from tests.domain.trade.feeds import HEADER, feed, line

FULL = feed(
    line(option="Size", value="S", sku="M-S", tags="old", body='"<p>a,\n""b""</p>"', compare_at="12"),
    "mug,,,,,,,,,,,,,https://a/2,",
    line(title="", value="L", quantity="7"),
    line("cup", title="Cup"),
)


def change(*, compare_at: Decimal | None = None, product_type: str = "") -> ListingChange:
    """A listing of the mug, both variants."""
    sold = {"M-S": VariantChange(Decimal("8.5"), compare_at, 3), "mug#2": VariantChange(Decimal(10), None, 0)}
    return ListingChange("Blue mug", "<p>Blue, “dry”</p>", ("tea", "blue"), product_type, sold)


def test_without_changes_the_file_comes_back_as_it_was() -> None:
    """Columns, rows, blank SKUs and unknown cells are the vendor's."""
    assert render_catalogue(FULL, {}) == FULL


def test_a_listing_replaces_texts_prices_and_quantities_and_nothing_else() -> None:
    """Written out in full: the image row and the other product stay."""
    assert render_catalogue(FULL, {"mug": change(compare_at=Decimal("9.999"))}).decode().splitlines() == [
        HEADER,
        'mug,Blue mug,"<p>Blue, “dry”</p>",Alder & Pine,,"tea, blue",Size,S,M-S,,3,8.50,10.00,,',
        "mug,,,,,,,,,,,,,https://a/2,",
        "mug,,,Alder & Pine,,,,L,,,0,10.00,,,",
        "cup,Cup,,Alder & Pine,,,,,,,5,9.50,,,",
    ]


def test_a_compare_at_price_that_is_over_is_taken_out() -> None:
    """None means no crossed-out price, not the old one."""
    mug = read_catalogue(render_catalogue(FULL, {"mug": change()})).products[0]
    assert [variant.compare_at for variant in mug.variants] == [None, None]


def test_the_type_is_filled_in_only_where_the_vendor_gave_none() -> None:
    """The vendor's own word stands, also when it is Shopify's category."""
    given_type = b"Handle,Title,Type,Variant Price\nmug,Mug,Cups,9\n"
    category = b"Handle,Title,Product Category,Variant Price\nmug,Mug,Cups,9\n"
    neither = b"Handle,Title,Variant Price\nmug,Mug,9\n"
    types = [
        read_catalogue(render_catalogue(data, {"mug": change(product_type="Mugs")})).products[0].product_type
        for data in (given_type, category, neither)
    ]
    assert types == ["Cups", "Cups", "Mugs"]


def test_a_column_that_a_listing_needs_is_added_at_the_end() -> None:
    """A lean file grows by what was made for it, no further."""
    listing = ListingChange("Mug", "<p>a</p>", ("tea",), "", {"mug#1": VariantChange(Decimal(8), Decimal(9), 2)})
    assert render_catalogue(b"Note,Variant Price,Title,Handle\nx,9,M,mug\ny,9,C,cup\n", {"mug": listing}).decode() == (
        "Note,Variant Price,Title,Handle,Body (HTML),Tags,Variant Inventory Qty,Variant Compare At Price\n"
        "x,8.00,Mug,mug,<p>a</p>,tea,2,9.00\n"
        "y,9,C,cup,,,,\n"
    )


def test_a_repeated_title_follows_the_first_row() -> None:
    """Some shops repeat the product in each row: the repetition must not contradict."""
    data = feed(line(option="Size", value="S", sku="M-S"), line(value="L"))
    assert render_catalogue(data, {"mug": change()}).decode().count("Blue mug") == 2


def test_omitted_handles_lose_all_their_rows() -> None:
    """What was left out of the run as invalid is left out of the result, and the result is sound."""
    data = feed(line("a"), line("b", price="x"), line("", title="?"), line("a/b"), line("c"))
    found = read_catalogue(data)
    again = read_catalogue(render_catalogue(data, {}, omit=found.left_out))
    assert ([product.handle for product in again.products], again.problems) == (["a", "c"], ())


def test_a_row_that_could_not_be_read_is_kept_as_it_was_unless_it_is_omitted() -> None:
    """Its surplus cell does not slip under a column that was added."""
    data = b"Handle,Title,Variant Price\nmug,Mug,9\ncup,Cup,9,8\n"
    lines = render_catalogue(data, {"mug": change()}).decode().splitlines()
    assert lines[2] == "cup,Cup,9,,,8"


def test_foreign_line_ends_and_a_byte_order_mark_are_not_kept() -> None:
    """The result is plain UTF-8 with plain line ends, inside cells too."""
    data = b"\xef\xbb\xbf" + FULL.replace(b"\n", b"\r\n")
    assert render_catalogue(data, {}) == FULL


def test_a_file_that_is_no_feed_is_refused() -> None:
    """There is nothing to write the listings into."""
    with pytest.raises(Unreadable):
        render_catalogue(b"", {})


TEXT = st.text(st.sampled_from('ab é,"\n<>&') | st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
NAME = TEXT.map(str.strip).filter(bool)
TAG = TEXT.map(lambda text: text.replace(",", "").strip()).filter(bool)
AMOUNT = st.integers(0, 999_999_999).map(lambda cents: Decimal(cents).scaleb(-2))
VARIANT = st.builds(VariantChange, AMOUNT, st.none() | AMOUNT, st.integers(0, 999_999))


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[bytes, dict[str, ListingChange]]:
    """A feed with its columns in any order, some of them lacking, and a listing for some of its products."""
    optional = ["Tags", "Body (HTML)", "Variant Inventory Qty", "Variant Compare At Price", "Type", "Variant SKU", 'Own, "note"']
    lacking = draw(st.sets(st.sampled_from(optional)))
    needed = ["Handle", "Title", "Variant Price", "Option1 Name", "Option1 Value"]
    columns = draw(st.permutations([*needed, *(column for column in optional if column not in lacking)]))
    rows: list[list[str]] = [list(columns)]
    changes: dict[str, ListingChange] = {}
    for number in range(draw(st.integers(1, 3))):
        handle = f"product-{number}"
        keys: dict[str, VariantChange] = {}
        for position in range(1, draw(st.integers(1, 3)) + 1):
            sku = draw(st.sampled_from(["", f"S-{number}-{position}"])) if "Variant SKU" not in lacking else ""
            cells = {"Handle": handle, "Title": draw(NAME) if position == 1 else "", "Variant Price": str(draw(AMOUNT))}
            cells |= {"Option1 Name": "Size" if position == 1 else "", "Option1 Value": str(position), "Variant SKU": sku}
            cells |= {'Own, "note"': draw(TEXT), "Tags": draw(TEXT), "Body (HTML)": draw(TEXT)}
            rows.append([cells.get(column, "") for column in columns])
            keys[sku or f"{handle}#{position}"] = draw(VARIANT)
        if draw(st.booleans()):
            tags = tuple(draw(st.lists(TAG, unique=True, max_size=3)))
            changes[handle] = ListingChange(draw(NAME), draw(TEXT), tags, draw(st.just("") | NAME), keys)
    return write_rows(rows), changes


@given(catalogues())
def test_the_result_is_a_feed_without_problems_that_has_the_values_of_the_changes(
    case: tuple[bytes, dict[str, ListingChange]],
) -> None:
    """What was decided is what the shop imports, and products without a listing are what they were."""
    original, changes = case
    before, after = read_catalogue(original), read_catalogue(render_catalogue(original, changes))
    assert (before.problems, after.problems) == ((), ())
    for old, new in zip(before.products, after.products, strict=True):
        listing = changes.get(new.handle)
        if listing is None:
            assert without_lines(new) == without_lines(old)
            continue
        assert (new.title, new.body_html, new.tags) == (listing.title, listing.body_html, listing.tags)
        assert new.product_type == (old.product_type or listing.product_type)
        assert {v.key: VariantChange(v.price, v.compare_at, v.quantity) for v in new.variants} == dict(listing.variants)
        assert [(v.sku, v.options) for v in new.variants] == [(v.sku, v.options) for v in old.variants]


def without_lines(product: Product) -> Product:
    """The product but for where it stood: a description with other line ends moves the rows under it."""
    variants = tuple(msgspec.structs.replace(variant, line=0) for variant in product.variants)
    return msgspec.structs.replace(product, variants=variants)
