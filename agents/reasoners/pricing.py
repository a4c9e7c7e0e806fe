"""Launch prices within bounds. What must hold, the stronger first:

1. not below cost x (1 + minimum markup), and not below the vendor's price where the cost is unknown: a floor of what is known
2. not above the vendor's compare-at price
3. among variants of equal cost, the one the vendor prices higher is not launched lower
4. gross margin (price - cost) / price of at least the minimum; discount on the list price of at most the maximum
5. a charm ending where one fits: .99 below 20, .95 below 100, whole amounts from there

Where two contradict, the stronger holds and the quote says so (`within_bounds` is false when 4 could not be kept; where even 1
and 2 contradict, the price keeps 1 and shows no compare-at price). The list price is compare-at, else the vendor's price.
Floors round up to cents, ceilings down, a launch discount half up; a margin rounds down to four places, so it never flatters.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Literal

import msgspec

from domain.trade.catalogue import Product, Variant

_CENT = Decimal("0.01")
_ZERO = Decimal("0.00")
_BASIS_POINT = Decimal("0.0001")

Rule = Literal[
    "launch_discount", "vendor_price", "cost_unknown", "min_margin", "min_markup", "max_discount",
    "compare_at_cap", "conflict", "monotone", "no_price",
]  # fmt: skip
RULES: tuple[Rule, ...] = (
    "launch_discount", "vendor_price", "cost_unknown", "min_margin", "min_markup", "max_discount",
    "compare_at_cap", "conflict", "monotone", "no_price",
)  # fmt: skip


class Bounds(msgspec.Struct, frozen=True):
    """The bounds of a run, as fractions: 0.30 is 30 %."""

    min_margin: Decimal = Decimal("0.30")
    min_markup: Decimal = Decimal("0.10")
    max_discount: Decimal = Decimal("0.20")
    launch_discount: Decimal = Decimal("0.10")

    def __post_init__(self) -> None:
        fractions = (self.min_margin, self.max_discount, self.launch_discount)
        if not all(0 <= fraction < 1 for fraction in fractions) or not 0 <= self.min_markup < 100:
            raise ValueError("margin and discounts are fractions from 0 to below 1, the markup one from 0 to below 100")


class Quote(msgspec.Struct, frozen=True):
    """The launch price of one variant, two places. `compare_at` is the price to strike through, None where none is higher."""

    key: str
    price: Decimal
    compare_at: Decimal | None
    cost: Decimal | None
    margin: Decimal | None
    rule: Rule
    reason: str
    within_bounds: bool


class _Draft(msgspec.Struct, frozen=True):
    """A variant on its way to a quote; `floor` and `ceiling` are rules 1 and 2 in cents."""

    position: int
    variant: Variant
    floor: Decimal
    ceiling: Decimal | None
    price: Decimal
    rule: Rule


def quote(product: Product, bounds: Bounds) -> tuple[Quote, ...]:
    """One quote a variant, in feed order."""
    with localcontext(Context(prec=34)):  # the caller's decimal context must not change a price
        drafts = [_draft(position, variant, bounds) for position, variant in enumerate(product.variants)]
        costs: dict[Decimal | None, list[_Draft]] = {}
        for draft in drafts:
            costs.setdefault(draft.variant.cost, []).append(draft)
        settled = [draft for group in costs.values() for draft in _monotone(group)]
        return tuple(_quoted(draft, bounds) for draft in sorted(settled, key=lambda draft: draft.position))


def charm_down(amount: Decimal) -> Decimal | None:
    """The greatest charm price not above the amount; None below 0.99."""
    whole = int(amount)
    for units in (whole, whole - 1):
        if units >= 0 and _charm(units) <= amount:
            return _charm(units)
    return None


def charm_up(amount: Decimal) -> Decimal:
    """The least charm price not below the amount."""
    down = charm_down(amount)
    return amount if down == amount else _charm(int(down) + 1 if down is not None else 0)


def _charm(units: int) -> Decimal:
    return Decimal(units) + (Decimal("0.99") if units < 20 else Decimal("0.95") if units < 100 else _ZERO)


def _draft(position: int, variant: Variant, bounds: Bounds) -> _Draft:
    """Rules 1, 2, 4 and 5 for one variant by itself."""
    vendor = max(variant.price, _ZERO).quantize(_CENT, ROUND_HALF_UP)
    ceiling = _compare_at(variant)
    floors: list[tuple[Decimal, Rule]] = []
    rule: Rule
    if variant.cost is None:
        hard = vendor
        target, rule = vendor, "cost_unknown"
    else:
        cost = max(variant.cost, _ZERO)
        hard = (cost * (1 + bounds.min_markup)).quantize(_CENT, ROUND_CEILING)
        floors = [(hard, "min_markup"), ((cost / (1 - bounds.min_margin)).quantize(_CENT, ROUND_CEILING), "min_margin")]
        discounted = (vendor * (1 - bounds.launch_discount)).quantize(_CENT, ROUND_HALF_UP)
        target, rule = (discounted, "launch_discount") if ceiling is None else (vendor, "vendor_price")
    listed = ceiling if ceiling is not None else vendor
    floors.append(((listed * (1 - bounds.max_discount)).quantize(_CENT, ROUND_CEILING), "max_discount"))
    if vendor == 0 and ceiling is None and not variant.cost:
        return _Draft(position, variant, _ZERO, None, _ZERO, "no_price")
    floor, floored_by = max(floors, key=lambda pair: pair[0])
    if floor > target:
        target, rule = floor, floored_by
    if ceiling is not None and hard > ceiling:
        return _Draft(position, variant, hard, ceiling, hard, "conflict")
    if ceiling is not None and target > ceiling:
        return _Draft(position, variant, hard, ceiling, ceiling, "compare_at_cap")
    kept = variant.cost is None and rule == "cost_unknown"  # nothing is known that would justify another price than the vendor's
    price = target if kept else _ending(target, max(hard, floor), ceiling)
    return _Draft(position, variant, hard, ceiling, price, rule)


def _compare_at(variant: Variant) -> Decimal | None:
    if variant.compare_at is None or variant.compare_at <= 0:
        return None
    return variant.compare_at.quantize(_CENT, ROUND_FLOOR)


def _ending(target: Decimal, floor: Decimal, ceiling: Decimal | None) -> Decimal:
    down = charm_down(target)
    if down is not None and down >= floor:
        return down
    up = charm_up(target)
    return up if ceiling is None or up <= ceiling else target


def _monotone(group: list[_Draft]) -> list[_Draft]:
    """Rule 3: raise the dearer variant where its ceiling allows, else lower the cheaper one.

    Lowering cannot break rule 1: with one cost there is one markup floor, and where the cost is unknown the dearer variant
    stands at or above its own vendor's price, which is not below the cheaper one's.
    """
    ordered = sorted(group, key=lambda draft: (draft.variant.price, draft.price, draft.position))
    highest = _ZERO
    raised: list[_Draft] = []
    for draft in ordered:
        allowed = highest if draft.ceiling is None else min(highest, draft.ceiling)
        raised.append(_moved(draft, max(draft.price, allowed)))
        highest = max(highest, raised[-1].price)
    lowest: Decimal | None = None
    settled: list[_Draft] = []
    for draft in reversed(raised):
        if lowest is not None and draft.price > lowest:
            draft = _moved(draft, max(lowest, draft.floor))
        lowest = draft.price if lowest is None else min(lowest, draft.price)
        settled.append(draft)
    return settled


def _moved(draft: _Draft, price: Decimal) -> _Draft:
    return draft if price == draft.price else msgspec.structs.replace(draft, price=price, rule="monotone")


def _quoted(draft: _Draft, bounds: Bounds) -> Quote:
    variant, price = draft.variant, draft.price
    listed = draft.ceiling if draft.ceiling is not None else max(variant.price, _ZERO).quantize(_CENT, ROUND_HALF_UP)
    margin = None
    if variant.cost is not None and price > 0:
        margin = ((price - variant.cost) / price).quantize(_BASIS_POINT, ROUND_FLOOR)
    within = price >= listed * (1 - bounds.max_discount) and (margin is None or margin >= bounds.min_margin)
    return Quote(
        key=variant.key,
        price=price,
        compare_at=listed if listed > price else None,
        cost=variant.cost,
        margin=margin,
        rule=draft.rule,
        reason=_reason(draft, bounds),
        within_bounds=within and draft.rule not in {"conflict", "no_price"},
    )


def _reason(draft: _Draft, bounds: Bounds) -> str:
    unknown = " Cost unknown, margin not checked." if draft.variant.cost is None else ""
    reasons: dict[Rule, str] = {
        "launch_discount": f"Vendor's price less {_percent(bounds.launch_discount)} for the launch.",
        "vendor_price": "Vendor's price, already below compare-at.",
        "cost_unknown": "Vendor's price kept as the floor of what is known.",
        "min_margin": f"Raised to a gross margin of {_percent(bounds.min_margin)}.",
        "min_markup": f"Raised to {_percent(bounds.min_markup)} above cost.",
        "max_discount": f"Raised to {_percent(bounds.max_discount)} off the list price.",
        "compare_at_cap": "Held at the vendor's compare-at price.",
        "conflict": "Compare-at lies below the price floor; the floor holds and no compare-at is shown.",
        "monotone": "Set so that a variant the vendor prices higher is not launched lower.",
        "no_price": "The feed gives neither price nor cost.",
    }
    return reasons[draft.rule] + unknown


def _percent(fraction: Decimal) -> str:
    return f"{(fraction * 100).normalize():f} %"


def span(quotes: Sequence[Quote]) -> tuple[Decimal, Decimal] | None:
    """The lowest and the highest price above nothing, None where there is none."""
    prices = sorted(quote.price for quote in quotes if quote.price > 0)
    return (prices[0], prices[-1]) if prices else None
