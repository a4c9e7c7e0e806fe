"""Feeds from elsewhere, read from where REHYDRATE_TEST_DATA points; their licences do not let them be copied here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domain.trade.catalogue import Product
from domain.trade.export import ListingChange, VariantChange, render_catalogue
from domain.trade.feed import read_catalogue
from tests.tau2 import catalogue_csv

ROOT = Path(os.environ.get("REHYDRATE_TEST_DATA", ""))
SHOPIFY = ("apparel.csv", "home-and-garden.csv")
TAU2 = "tau2"

pytestmark = pytest.mark.skipif(
    "REHYDRATE_TEST_DATA" not in os.environ,
    reason="REHYDRATE_TEST_DATA is not set to a directory with shopify_products/*.csv and tau2_retail/db.json",
)


def feed_of(name: str) -> bytes:
    """The feed as bytes."""
    if name == TAU2:
        return catalogue_csv(ROOT / "tau2_retail" / "db.json")
    return (ROOT / "shopify_products" / name).read_bytes()


@pytest.mark.parametrize(("name", "products", "variants"), [(SHOPIFY[0], 20, 22), (SHOPIFY[1], 20, 21), (TAU2, 50, 0)])
def test_a_real_feed_has_no_problems(name: str, products: int, variants: int) -> None:
    """All products and variants are read."""
    found = read_catalogue(feed_of(name))
    assert found.problems == ()
    assert len(found.products) == products
    assert not variants or sum(len(product.variants) for product in found.products) == variants


@pytest.mark.parametrize("name", [*SHOPIFY, TAU2])
def test_a_real_feed_is_the_same_feed_when_its_own_values_are_written_into_it(name: str) -> None:
    """Nothing is lost or moved on the way."""
    original = feed_of(name)
    found = read_catalogue(original)
    again = read_catalogue(render_catalogue(original, {product.handle: listing(product) for product in found.products}))
    assert again == found
    assert read_catalogue(render_catalogue(original, {})) == found


def test_availability_of_tau2_becomes_a_quantity() -> None:
    """An item that is not available cannot be sold."""
    quantities = {v.quantity for p in read_catalogue(feed_of(TAU2)).products for v in p.variants}
    assert quantities == {0, 10}


def listing(product: Product) -> ListingChange:
    """The product as a listing that changes nothing."""
    variants = {v.key: VariantChange(v.price, v.compare_at, v.quantity) for v in product.variants}
    return ListingChange(product.title, product.body_html, product.tags, product.product_type, variants)
