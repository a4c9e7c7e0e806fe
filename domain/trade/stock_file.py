"""A vendor's stock file: how many of each variant are there now.

Any CSV with the SKU (or the handle) and a quantity will do: a warehouse's list, Shopify's inventory export, or the product
CSV itself. A row without SKU is the handle's next variant in file order, as in the feed.
"""

from __future__ import annotations

from domain.trade import shopify
from domain.trade.catalogue import Problem
from domain.trade.cells import BadCell, handle_fault, sku_fault, whole
from domain.trade.table import MAX_PROBLEMS, Row, Table, Unreadable, given_up, read_table
from domain.trade.wording import shown

SKU_COLUMNS = ("SKU", shopify.SKU)
QUANTITY_COLUMNS = ("Available", "Quantity", shopify.QUANTITY)


def read_stock(data: bytes) -> tuple[dict[str, int], tuple[Problem, ...]]:
    """Stock levels in units by variant key, and every problem; a row with a problem gives no level."""
    try:
        table = read_table(data, ((*SKU_COLUMNS, shopify.HANDLE), QUANTITY_COLUMNS))
    except Unreadable as refusal:
        return {}, tuple(sorted(refusal.problems))
    quantity_column = next(column for column in QUANTITY_COLUMNS if table.position(column) is not None)
    sku_column = next((column for column in SKU_COLUMNS if table.position(column) is not None), shopify.HANDLE)
    levels: dict[str, int] = {}
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    variants: dict[str, int] = {}
    seen = False
    for row in table.rows:
        seen = True
        try:
            key = _key(table, row, variants, quantity_column)
            if not key:
                continue
            earlier = lines.setdefault(key, row.line)
            if earlier != row.line:
                raise _Refused(sku_column, f"{shown(key)} is already on line {earlier}")
            levels[key] = _quantity(table, row, quantity_column)
        except _Refused as refused:
            problems.append(Problem(row.line, refused.column, refused.reason))
            if len(problems) >= MAX_PROBLEMS:
                return {}, given_up(problems, row)
    if not seen:
        problems.append(Problem(0, "", "the file has a header and no rows under it"))
    return levels, tuple(sorted(problems))


class _Refused(Exception):
    """The row gives no stock level."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


def _key(table: Table, row: Row, variants: dict[str, int], quantity_column: str) -> str:
    """The variant the row is of; "" for a row that is only an image, in a product CSV used as stock file."""
    handle = table.cell(row, shopify.HANDLE)
    if row.flaw:
        if handle:  # counted all the same: the variants after it keep their positions
            variants[handle] = variants.get(handle, 0) + 1
        problem = table.problem(row, row.flaw)
        raise _Refused(problem.column, problem.reason)
    sku = next((text for column in SKU_COLUMNS if (text := table.cell(row, column))), "")
    if table.cell(row, shopify.IMAGE) and not table.cell(row, quantity_column) and not shopify.is_variant(table, row):
        return ""
    if handle:
        variants[handle] = variants.get(handle, 0) + 1
    if sku:
        fault = sku_fault(sku)
        if fault:
            raise _Refused(SKU_COLUMNS[0], fault)
        return sku
    name, _, position = handle.partition("#")
    fault = handle_fault(name) if handle else "blank, and so is the SKU: the row names no variant"
    if fault:
        raise _Refused(shopify.HANDLE, fault)
    return handle if position else shopify.variant_key("", handle, variants[handle])


def _quantity(table: Table, row: Row, column: str) -> int:
    text = table.cell(row, column)
    if not text:
        raise _Refused(column, "blank: write 0 for what is sold out")
    try:
        return whole(text)
    except BadCell as failure:
        raise _Refused(column, str(failure)) from failure
