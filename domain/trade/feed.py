"""A vendor's product feed: every product that is sound, and every problem of the file.

A row with a problem spoils its whole product: half a product would be listed with variants missing. Reading goes on, so the
vendor mends all in one go. Whether problems end a run or only leave products out is for the caller to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import msgspec

from domain.trade import shopify
from domain.trade.catalogue import Problem, Product, Variant
from domain.trade.cells import BadCell, amount, handle_fault, sku_fault, whole
from domain.trade.table import MAX_PROBLEMS, Row, Table, Unreadable, given_up, read_table
from domain.trade.wording import shown

T = TypeVar("T")


class Feed(msgspec.Struct, frozen=True):
    """What a feed holds. `products` have no problem of their own; `left_out` are the handles, as written, of those that do.

    A handle in `left_out` may be blank or impossible: it is what to leave out of a file made from this one.
    """

    products: tuple[Product, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[str, ...] = ()


def read_catalogue(data: bytes) -> Feed:
    """The products of a Shopify product CSV, in feed order, numbered from 0. A problem of the file as a whole leaves none."""
    try:
        table = read_table(data, shopify.REQUIRED, shopify.OPTIONAL)
    except Unreadable as refusal:
        return Feed((), tuple(sorted(refusal.problems)))
    reading = _Reading(table)
    for row in table.rows:
        reading.take(row)
        if len(reading.problems) >= MAX_PROBLEMS:
            return Feed((), given_up(reading.problems, row))
    return reading.feed()


@dataclass(slots=True)
class _Draft:
    """A product while its rows come in. `sound` falls with the first problem and never rises again."""

    handle: str
    first: Row
    option_names: tuple[str, ...]
    sound: bool = True
    variant_rows: int = 0
    variants: list[Variant] = field(default_factory=list)
    combinations: dict[tuple[str, ...], int] = field(default_factory=dict)
    images: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Reading:
    table: Table
    drafts: dict[str, _Draft] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    astray: dict[str, None] = field(default_factory=dict)
    above: _Draft | None = None

    def take(self, row: Row) -> None:
        handle = self.table.cell(row, shopify.HANDLE)
        fault = handle_fault(handle)
        if row.flaw:
            self.problems.append(self.table.problem(row, row.flaw))
        elif fault:
            self.problems.append(Problem(row.line, shopify.HANDLE, fault))
        if fault:
            self._stray(row, handle)
            return
        draft = self.drafts.get(handle)
        is_first = draft is None
        if draft is None:
            draft = self.drafts[handle] = _Draft(handle, row, self._option_names(row))
        self.above = draft
        if row.flaw:
            draft.sound = False
            return
        if is_first and not self.table.cell(row, shopify.TITLE):
            self._problem(draft, row, shopify.TITLE, "blank on the product's first row")
        image = self.table.cell(row, shopify.IMAGE)
        if image:
            draft.images[image] = None
        if is_first or not image or shopify.is_variant(self.table, row):
            self._variant(draft, row)

    def feed(self) -> Feed:
        if not self.drafts and not self.problems:
            return Feed((), (Problem(0, "", "the file has a header and no products under it"),))
        sound = [draft for draft in self.drafts.values() if draft.sound]
        products = tuple(self._product(index, draft) for index, draft in enumerate(sound))
        spoilt = [draft.handle for draft in self.drafts.values() if not draft.sound]
        return Feed(products, tuple(sorted(self.problems)), (*self.astray, *spoilt))

    def _stray(self, row: Row, handle: str) -> None:
        self.astray[handle] = None
        # Spreadsheets leave a repeated handle blank: such a row belongs to the product above it, which now lacks a variant.
        if not handle and self.above and not self.table.cell(row, shopify.TITLE):
            self.above.sound = False

    def _option_names(self, row: Row) -> tuple[str, ...]:
        names = tuple(self.table.cell(row, column) for column in shopify.OPTION_NAMES)
        is_placeholder = names == (shopify.NO_OPTION[0], "", "")
        first_value = self.table.cell(row, shopify.OPTION_VALUES[0])
        return ("", "", "") if is_placeholder and first_value in ("", shopify.NO_OPTION[1]) else names

    def _variant(self, draft: _Draft, row: Row) -> None:
        draft.variant_rows += 1
        sku = self.table.cell(row, shopify.SKU)
        fault = sku_fault(sku)
        if fault:
            self._problem(draft, row, shopify.SKU, fault)
        key = shopify.variant_key(sku, draft.handle, draft.variant_rows)
        self._claim(draft, row, key)
        options = self._options(draft, row)
        price = self._read(draft, row, shopify.PRICE, amount)
        if not self.table.cell(row, shopify.PRICE):
            self._problem(draft, row, shopify.PRICE, "blank: every variant has a price")
        compare_at = self._read(draft, row, shopify.COMPARE_AT, amount)
        cost = self._read(draft, row, shopify.COST, amount)
        quantity = self._read(draft, row, shopify.QUANTITY, whole) or 0
        grams = self._read(draft, row, shopify.GRAMS, whole) or 0
        barcode = self.table.cell(row, shopify.BARCODE)
        price = price if price is not None else Decimal(0)  # never seen: without a price the product is not sound
        draft.variants.append(Variant(key, row.line, sku, options, price, compare_at, cost, quantity, grams, barcode))

    def _claim(self, draft: _Draft, row: Row, key: str) -> None:
        earlier = self.keys.setdefault(key, row.line)
        if earlier != row.line:
            self._problem(draft, row, shopify.SKU, f"{shown(key)} is already the SKU of line {earlier}")

    def _options(self, draft: _Draft, row: Row) -> tuple[str, ...]:
        if draft.first.flaw:
            return ()  # what its options are called stood on the row that could not be read
        options: list[str] = []
        for name, column in zip(draft.option_names, shopify.OPTION_VALUES, strict=True):
            value = self.table.cell(row, column)
            if name and value:
                options.append(value)
            elif name:
                self._problem(draft, row, column, f"blank, but the product has the option {shown(name)}")
            elif value and value != shopify.NO_OPTION[1]:
                reason = (
                    f"{shown(value)} is of an option without a name: the product's first row, line {draft.first.line}, names it"
                )
                self._problem(draft, row, column, reason)
        combination = tuple(options)
        earlier = draft.combinations.setdefault(combination, row.line)
        if earlier != row.line:
            what = (
                f"{shown(' / '.join(combination))} is already the variant"
                if combination
                else "a second variant without options beside that"
            )
            self._problem(draft, row, shopify.OPTION_VALUES[0], f"{what} of line {earlier}")
        return combination

    def _read(self, draft: _Draft, row: Row, column: str, reader: Callable[[str], T]) -> T | None:
        text = self.table.cell(row, column)
        if not text:
            return None
        try:
            return reader(text)
        except BadCell as failure:
            self._problem(draft, row, column, str(failure))
            return None

    def _problem(self, draft: _Draft, row: Row, column: str, reason: str) -> None:
        draft.sound = False
        self.problems.append(Problem(row.line, column, reason))

    def _product(self, index: int, draft: _Draft) -> Product:
        table, row = self.table, draft.first
        tags = (tag.strip() for tag in table.cell(row, shopify.TAGS).split(","))
        return Product(
            index=index,
            handle=draft.handle,
            title=table.cell(row, shopify.TITLE),
            body_html=table.raw(row, shopify.BODY),
            vendor=table.cell(row, shopify.VENDOR),
            product_type=shopify.product_type(table, row),
            tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
            option_names=tuple(name for name in draft.option_names if name),
            variants=tuple(draft.variants),
            image_urls=tuple(draft.images),
        )
