"""A reservation never promises what is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.reasoners import stock
from domain.trade.catalogue import Product
from tests.agents.reasoners.samples import BARE, MUG, products


def test_levels_stand_above_the_feed() -> None:
    """A counted level replaces the feed's number, by key or SKU; what is not counted keeps the feed's."""
    lines = stock.reserve(MUG, {"MUG-W": 0}).lines
    assert [(line.available, line.reserved, line.status, line.counted_by) for line in lines] == [
        (12, 10, "in_stock", "feed"),
        (0, 0, "out", "levels"),
    ]


def test_the_last_piece_may_be_sold() -> None:
    """Safety stock is at most half of what is there."""
    one = replace(BARE, variants=(replace(BARE.variants[0], quantity=1),))
    assert stock.reserve(one).lines[0] == stock.Line("grey-thing#1", 1, 0, 1, "low", "feed")


def test_a_negative_safety_stock_is_refused() -> None:
    """Nobody reserves more than there is by a typing error."""
    with pytest.raises(ValueError, match="safety"):
        stock.reserve(MUG, None, -1)


@given(products(), st.dictionaries(st.sampled_from(["v#0", "v#1", "A"]), st.integers(-3, 50)) | st.none(), st.integers(0, 10))
def test_sums_and_parts_agree(product: Product, levels: dict[str, int] | None, safety: int) -> None:
    """Available is safety and reserved, the product's sums are its lines', and only what is out reserves nothing."""
    reservation = stock.reserve(product, levels, safety)
    assert all(line.available == line.safety + line.reserved and 0 <= line.safety <= safety for line in reservation.lines)
    assert reservation.reserved == sum(line.reserved for line in reservation.lines)
    assert reservation.available == sum(line.available for line in reservation.lines)
    assert (reservation.status == "out") == (reservation.reserved == 0)
