"""Shopify's product CSV: its columns, which rows are variants, and what a variant is called.

Source: Shopify Help Center, "Using CSV files to import and export products". The first row of a handle holds the product
and its first variant, each further row one more variant, or one more image when it says nothing of a variant.
"""

from __future__ import annotations

from domain.trade.table import Row, Table

HANDLE = "Handle"
TITLE = "Title"
BODY = "Body (HTML)"
VENDOR = "Vendor"
TYPE = "Type"
CATEGORY = "Product Category"
TAGS = "Tags"
OPTION_NAMES = ("Option1 Name", "Option2 Name", "Option3 Name")
OPTION_VALUES = ("Option1 Value", "Option2 Value", "Option3 Value")
SKU = "Variant SKU"
GRAMS = "Variant Grams"
QUANTITY = "Variant Inventory Qty"
PRICE = "Variant Price"
COMPARE_AT = "Variant Compare At Price"
BARCODE = "Variant Barcode"
COST = "Cost per item"
IMAGE = "Image Src"

REQUIRED = ((HANDLE,), (TITLE,), (PRICE,))
OPTIONAL = (
    *(BODY, VENDOR, TYPE, CATEGORY, TAGS, *OPTION_NAMES, *OPTION_VALUES),
    *(SKU, GRAMS, QUANTITY, COMPARE_AT, BARCODE, COST, IMAGE),
)

# What Shopify writes for a product of one variant without options.
NO_OPTION = ("Title", "Default Title")

# A cell in any of these makes a row a variant. Weight unit, tax and policy are left out: some exporters fill them in every row.
_OF_A_VARIANT = (*OPTION_VALUES, SKU, PRICE, COMPARE_AT, QUANTITY, BARCODE, COST)


def is_variant(table: Table, row: Row) -> bool:
    """Whether a row after the first of its handle describes a variant (the first always does)."""
    return any(table.cell(row, column) for column in _OF_A_VARIANT)


def variant_key(sku: str, handle: str, position: int) -> str:
    """What the swarm calls a variant: its SKU, or `<handle>#<position>` when that is blank. Positions count from 1."""
    return sku or f"{handle}#{position}"


def product_type(table: Table, row: Row) -> str:
    """The vendor's own type, or Shopify's category where there is none."""
    return table.cell(row, TYPE) or table.cell(row, CATEGORY)
