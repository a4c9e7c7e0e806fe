"""The vendor's catalogue with the swarm's listings in it, in the vendor's own format.

The file a vendor gets back is the one given, cell by cell, but for what a listing changes. Columns unknown here, blank SKUs
and the order of rows are the vendor's and stay. Only what a listing needs and the file lacks is added, as last columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

import msgspec

from domain.money import cents
from domain.trade import shopify
from domain.trade.table import Row, Table, read_table, write_rows


class VariantChange(msgspec.Struct, frozen=True):
    """What a variant is sold at, in the run's currency, and how many units there are. `compare_at` None: no crossed-out price."""

    price: Decimal
    compare_at: Decimal | None
    quantity: int


class ListingChange(msgspec.Struct, frozen=True):
    """One product's listing; `variants` by variant key. A tag has no comma in it, which is what separates tags in the file.

    `product_type` is used only where the vendor gave none. A variant that is not named keeps its cells.
    """

    title: str
    body_html: str
    tags: tuple[str, ...]
    product_type: str
    variants: Mapping[str, VariantChange]


def render_catalogue(original: bytes, changes: Mapping[str, ListingChange], omit: Collection[str] = ()) -> bytes:
    """The feed with the changes by handle in it, without the rows of the handles in `omit`; other products stay as they were.

    UTF-8 with `\\n` line ends and quotes only where needed; reading it again gives the values of the changes.
    Raises `table.Unreadable` if `original` is no feed at all.
    """
    table = read_table(original, shopify.REQUIRED, shopify.OPTIONAL)
    added = [column for column in _needed(changes) if table.position(column) is None]
    return write_rows([[*table.header.cells, *added], *_rows(table, changes, frozenset(omit), added)])


def _rows(table: Table, changes: Mapping[str, ListingChange], omit: frozenset[str], added: list[str]) -> Iterator[list[str]]:
    width = len(table.header.cells)
    places = {column: width + number for number, column in enumerate(added)}
    variants: dict[str, int] = {}
    for row in table.rows:
        handle = table.cell(row, shopify.HANDLE)
        if handle in omit:
            continue
        cells = row.cells[:width] + [""] * (width - len(row.cells) + len(added))
        is_first = handle not in variants
        is_variant = is_first or shopify.is_variant(table, row)
        variants[handle] = variants.get(handle, 0) + is_variant
        change = changes.get(handle)
        if change and row.flaw is None:
            key = shopify.variant_key(table.cell(row, shopify.SKU), handle, variants[handle])
            texts = _product_cells(table, row, change, is_first)
            if is_variant and key in change.variants:
                texts |= _variant_cells(change.variants[key])
            for column, text in texts.items():
                place = table.position(column)
                place = places.get(column) if place is None else place
                if place is not None:
                    cells[place] = text
        yield cells + row.cells[width:]  # surplus cells of a row that was kept as it is stay surplus


def _needed(changes: Mapping[str, ListingChange]) -> list[str]:
    listings = changes.values()
    variants = [variant for listing in listings for variant in listing.variants.values()]
    wanted = {
        shopify.BODY: any(listing.body_html for listing in listings),
        shopify.TYPE: any(listing.product_type for listing in listings),
        shopify.TAGS: any(listing.tags for listing in listings),
        shopify.QUANTITY: bool(variants),
        shopify.COMPARE_AT: any(variant.compare_at is not None for variant in variants),
    }
    return [column for column, is_wanted in wanted.items() if is_wanted]


def _product_cells(table: Table, row: Row, change: ListingChange, is_first: bool) -> dict[str, str]:
    """The product's own cells. On later rows they are blank, or a repetition, which must not contradict the first row."""
    texts = {shopify.TITLE: change.title, shopify.BODY: change.body_html, shopify.TAGS: ", ".join(change.tags)}
    if not is_first:
        return {column: text for column, text in texts.items() if table.cell(row, column)}
    if change.product_type and not shopify.product_type(table, row):
        texts[shopify.TYPE] = change.product_type
    return texts


def _variant_cells(change: VariantChange) -> dict[str, str]:
    return {
        shopify.PRICE: f"{cents(change.price):f}",
        shopify.COMPARE_AT: "" if change.compare_at is None else f"{cents(change.compare_at):f}",
        shopify.QUANTITY: str(change.quantity),
    }
