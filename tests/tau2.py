"""The retail catalogue of tau2-bench (Sierra Research, MIT) as a Shopify product CSV, for tests that want real variety."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec

from domain.trade import shopify
from domain.trade.table import write_rows

IN_STOCK = 10  # units: the data set only says whether an item is available
_COLUMNS = (shopify.HANDLE, shopify.TITLE, shopify.BODY, shopify.VENDOR, shopify.TYPE, shopify.TAGS)
_OPTIONS = tuple(column for pair in zip(shopify.OPTION_NAMES, shopify.OPTION_VALUES, strict=True) for column in pair)
_HEADER = (*_COLUMNS, *_OPTIONS, shopify.SKU, shopify.QUANTITY, shopify.PRICE)


class _Item(msgspec.Struct):
    item_id: str
    options: dict[str, str]
    available: bool
    price: Decimal


class _Product(msgspec.Struct):
    name: str
    variants: dict[str, _Item]


class _Db(msgspec.Struct):
    products: dict[str, _Product]


def catalogue_csv(db_path: Path) -> bytes:
    """The products of a `db.json` in its order; the item id is the SKU. Shopify has three options: the third holds all others."""
    rows: list[tuple[str, ...]] = [_HEADER]
    for product in msgspec.json.decode(db_path.read_bytes(), type=_Db).products.values():
        handle = product.name.lower().replace(" ", "-")
        for number, item in enumerate(product.variants.values()):
            names = _three(tuple(name.capitalize() for name in item.options)) if number == 0 else ("", "", "")
            options = [cell for pair in zip(names, _three(tuple(item.options.values())), strict=True) for cell in pair]
            own = (product.name, "", "", product.name, "retail") if number == 0 else ("",) * 5
            quantity = str(IN_STOCK if item.available else 0)
            rows.append((handle, *own, *options, item.item_id, quantity, f"{item.price:.2f}"))
    return write_rows(rows)


def _three(texts: tuple[str, ...]) -> tuple[str, str, str]:
    first, second, *others = (*texts, "", "")
    return first, second, " / ".join(text for text in others if text)
