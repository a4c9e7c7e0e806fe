"""The numbers and names in a cell, read strictly: what could be meant in two ways is refused with the way to write it."""

from __future__ import annotations

import re
from decimal import Decimal

from domain.money import cents
from domain.trade.wording import shown

MAX_AMOUNT = Decimal(10_000_000)  # nothing in a shop costs ten million: a decimal point is missing, or it is a barcode
MAX_COUNT = 1_000_000_000
MAX_NAME = 255  # characters, Shopify's limit for handles and SKUs

_AMOUNT = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,30})?")
_WHOLE = re.compile(r"[0-9]{1,30}(?:\.0+)?")
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_CURRENCY = re.compile(r"[$€£¥₹]|[A-Z]{3}|kr\.?|zł", re.IGNORECASE)
_PLAIN_HANDLE = re.compile(r"[A-Za-z0-9_-]+")


class BadCell(Exception):
    """The cell's text is not what its column holds; the message says why and how to write it."""


def amount(text: str) -> Decimal:
    """A price or cost of two decimal places, 0 to under `MAX_AMOUNT`. Raises `BadCell`."""
    if not _AMOUNT.fullmatch(text):
        raise BadCell(_why_no_amount(text))
    value = Decimal(text)
    if value >= MAX_AMOUNT:
        raise BadCell(f"{shown(text)} is {MAX_AMOUNT:,} or more: is the decimal point missing?")
    if len(text.partition(".")[2]) > 2:
        raise BadCell(f"{shown(text)} has more than two decimals: write {cents(value)}")
    return cents(value)


def whole(text: str) -> int:
    """A count or a weight in whole units, not negative; `12.0`, as spreadsheets write it, is 12. Raises `BadCell`."""
    if not _WHOLE.fullmatch(text):
        if _WHOLE.fullmatch(text.removeprefix("-")):
            raise BadCell(f"{shown(text)} is negative: write 0 for what is oversold")
        raise BadCell(f"{shown(text)} is not a whole number: write digits only, such as 12")
    value = int(text.partition(".")[0])
    if value >= MAX_COUNT:
        raise BadCell(f"{shown(text)} is too large: {MAX_COUNT:,} or more")
    return value


def handle_fault(handle: str) -> str:
    """Why no product can have this handle, "" if one can.

    Shopify's handles are letters of any script, digits, hyphens and underscores. Other signs would break addresses, and
    `#` is what a variant without SKU is named by.
    """
    if not handle:
        return "blank: every row names its product"
    if len(handle) > MAX_NAME:
        return f"{shown(handle)} is {len(handle)} characters long: at most {MAX_NAME}"
    if _PLAIN_HANDLE.fullmatch(handle):
        return ""
    for char in handle:
        if not (char.isalnum() or char in "-_" if char.isascii() else char.isprintable()):
            return f"{shown(handle)} has {shown(char)} in it: a handle is letters, digits and hyphens"
    return ""


def sku_fault(sku: str) -> str:
    """Why no variant can have this SKU, "" if one can; blank is allowed."""
    if len(sku) > MAX_NAME:
        return f"{shown(sku)} is {len(sku)} characters long: at most {MAX_NAME}"
    if not sku.isprintable():
        return f"{shown(sku)} has a control character or a line end in it"
    return ""


def _why_no_amount(text: str) -> str:
    start = f"{shown(text)} is not a number"
    if _AMOUNT.fullmatch(text.removeprefix("-")):
        return f"{shown(text)} is negative: amounts are 0 or more"
    if _DECIMAL_COMMA.fullmatch(text):
        return f"{start}: decimal comma, write {text.replace(',', '.')}"
    if _THOUSANDS.fullmatch(text):
        return f"{start}: thousands separator, write {text.replace(',', '')}"
    if len(text) <= MAX_NAME and _CURRENCY.search(text) and any(char.isdecimal() for char in text):
        number = _CURRENCY.sub("", text).strip()
        return f"{start}: currency sign, write " + (number if _AMOUNT.fullmatch(number) else "the number alone, such as 12.50")
    return f"{start}: write digits and a decimal point, such as 12.50"
