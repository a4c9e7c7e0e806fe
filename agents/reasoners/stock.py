"""What of the stock is reserved for the launch, and what is held back against miscounts and returns.

Of each variant the safety stock is held back, but never more than half of what is there: a shop with one piece left may sell it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from domain.trade.catalogue import Product, Variant

SAFETY = 2  # pieces a variant

Status = Literal["in_stock", "low", "out"]


class Line(msgspec.Struct, frozen=True):
    """One variant, in pieces: `available` = `safety` + `reserved`; `counted_by` says where the count comes from."""

    key: str
    available: int
    safety: int
    reserved: int
    status: Status
    counted_by: Literal["levels", "feed"]


class Reservation(msgspec.Struct, frozen=True):
    """The lines of one product in feed order and their sums; `status` is the best of any line."""

    lines: tuple[Line, ...]
    available: int
    reserved: int
    status: Status


def reserve(product: Product, levels: Mapping[str, int] | None = None, safety: int = SAFETY) -> Reservation:
    """Reserve what the launch may sell.

    `levels` are pieces by variant key or SKU and stand above the feed's own count; a variant they do not name keeps the feed's.
    A count below zero (oversold) counts as none. Raises ValueError for a negative safety stock.
    """
    if safety < 0:
        raise ValueError(f"safety stock of {safety} pieces")
    lines = tuple(_line(variant, levels or {}, safety) for variant in product.variants)
    statuses = {line.status for line in lines}
    return Reservation(
        lines=lines,
        available=sum(line.available for line in lines),
        reserved=sum(line.reserved for line in lines),
        status="in_stock" if "in_stock" in statuses else "low" if "low" in statuses else "out",
    )


def _line(variant: Variant, levels: Mapping[str, int], safety: int) -> Line:
    level = levels.get(variant.key)
    if level is None and variant.sku:
        level = levels.get(variant.sku)
    available = max(variant.quantity if level is None else level, 0)
    held = min(safety, available // 2)
    return Line(
        key=variant.key,
        available=available,
        safety=held,
        reserved=available - held,
        status="out" if available == 0 else "low" if available <= 2 * safety else "in_stock",
        counted_by="feed" if level is None else "levels",
    )
