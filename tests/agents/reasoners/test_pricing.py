"""Launch prices keep their bounds, the stronger bound first, and say which rule decided."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal, localcontext

import pytest
from hypothesis import given
from msgspec.structs import replace

from agents.reasoners import pricing
from agents.reasoners.pricing import Bounds, Quote
from domain.trade.catalogue import Product, Variant
from tests.agents.reasoners.samples import AMOUNTS, BARE, MUG, products, real_products


def _quote(price: str, compare_at: str | None = None, cost: str | None = None, bounds: Bounds | None = None) -> Quote:
    variant = Variant(
        "v",
        2,
        "v",
        (),
        Decimal(price),
        None if compare_at is None else Decimal(compare_at),
        None if cost is None else Decimal(cost),
    )
    return pricing.quote(replace(BARE, variants=(variant,)), bounds or Bounds())[0]


@pytest.mark.parametrize(
    ("price", "compare_at", "cost", "expected", "rule"),
    [
        ("20.00", None, "5.00", "17.99", "launch_discount"),
        ("18.00", "22.00", "8.00", "17.99", "vendor_price"),
        ("50.00", None, None, "50.00", "cost_unknown"),
        ("10.00", None, "9.00", "12.99", "min_margin"),
        ("15.99", "30.00", None, "24.95", "max_discount"),
        ("20.00", "21.00", "18.00", "21.00", "compare_at_cap"),
        ("20.00", "10.00", "18.00", "19.80", "conflict"),
        ("0.00", None, None, "0.00", "no_price"),
        ("120.40", None, "20.00", "108.00", "launch_discount"),
    ],
)
def test_the_rule_that_decides(price: str, compare_at: str | None, cost: str | None, expected: str, rule: str) -> None:
    """Each rule gives its price and its name."""
    quote = _quote(price, compare_at, cost)
    assert (quote.price, quote.rule) == (Decimal(expected), rule)


def test_an_unknown_cost_is_said_to_be_unknown() -> None:
    """Nobody reads a margin that was never checked."""
    quote = _quote("50.00")
    assert quote.margin is None and "Cost unknown" in quote.reason


def test_a_margin_below_its_bound_is_marked() -> None:
    """Where compare-at leaves no room for the margin, the quote says that it is out of bounds."""
    quote = _quote("20.00", "21.00", "18.00")
    assert quote.margin == Decimal("0.1428") and not quote.within_bounds


@pytest.mark.parametrize(
    ("amount", "down", "up"),
    [
        ("0.50", None, "0.99"),
        ("20.50", "19.99", "20.95"),
        ("99.99", "99.95", "100.00"),
        ("100.50", "100.00", "101.00"),
        ("5.99", "5.99", "5.99"),
    ],
)
def test_charm_endings_by_band(amount: str, down: str | None, up: str) -> None:
    """.99 below 20, .95 below 100, whole amounts from there, also across the borders."""
    assert pricing.charm_down(Decimal(amount)) == (None if down is None else Decimal(down))
    assert pricing.charm_up(Decimal(amount)) == Decimal(up)


@given(AMOUNTS)
def test_charm_prices_enclose_the_amount(amount: Decimal) -> None:
    """Down is never above, up never below, and neither is further than two units away."""
    down = pricing.charm_down(amount)
    assert down is None or amount - 2 < down <= amount
    assert amount <= pricing.charm_up(amount) < amount + 2


@given(products())
def test_bounds_hold_for_any_product(product: Product) -> None:
    """Floor on cost, compare-at as ceiling, and a quote within bounds is within them; two places everywhere."""
    bounds = Bounds()
    quotes = pricing.quote(product, bounds)
    assert [quote.key for quote in quotes] == [variant.key for variant in product.variants]
    for quote, variant in zip(quotes, product.variants, strict=True):
        assert quote.price == quote.price.quantize(Decimal("0.01")) >= 0
        floor = variant.price if variant.cost is None else variant.cost * (1 + bounds.min_markup)
        assert quote.price >= floor
        if variant.compare_at:
            assert quote.price <= variant.compare_at or quote.rule == "conflict"
        assert quote.compare_at is None or quote.compare_at > quote.price
        if quote.margin is not None and variant.cost is not None:
            assert quote.margin == ((quote.price - variant.cost) / quote.price).quantize(Decimal("0.0001"), ROUND_FLOOR)
            assert quote.margin >= bounds.min_margin or not quote.within_bounds
        if quote.within_bounds:
            assert quote.price >= (variant.compare_at or variant.price) * (1 - bounds.max_discount)


@given(products())
def test_variants_of_equal_cost_keep_their_order(product: Product) -> None:
    """The variant that the vendor prices higher is never launched lower than another of the same cost."""
    pairs = list(zip(product.variants, pricing.quote(product, Bounds()), strict=True))
    for one, quoted in pairs:
        for other, other_quoted in pairs:
            if one.cost == other.cost and one.price < other.price:
                assert quoted.price <= other_quoted.price


@given(products())
def test_the_callers_decimal_context_changes_nothing(product: Product) -> None:
    """Prices do not depend on what another library did to the context."""
    expected = pricing.quote(product, Bounds())
    with localcontext() as context:
        context.prec = 6
        assert pricing.quote(product, Bounds()) == expected


def test_bounds_that_make_no_sense_are_refused() -> None:
    """A margin of all the price would divide by nothing."""
    with pytest.raises(ValueError, match="fractions"):
        Bounds(min_margin=Decimal(1))


def test_the_span_is_of_prices_above_nothing() -> None:
    """A variant without price does not make a product free."""
    assert pricing.span(pricing.quote(MUG, Bounds())) == (Decimal("17.99"), Decimal("19.99"))
    assert pricing.span([_quote("0.00")]) is None


@pytest.mark.parametrize("product", real_products(), ids=lambda product: product.handle)
def test_real_products_without_cost_stay_at_or_above_the_vendors_price(product: Product) -> None:
    """A feed without costs gives no discount that nobody can justify."""
    for quote, variant in zip(pricing.quote(product, Bounds()), product.variants, strict=True):
        assert variant.cost is not None or quote.price >= variant.price
