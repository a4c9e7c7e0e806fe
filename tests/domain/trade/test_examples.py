"""The example files that the project ships are good input, and show what a feed can hold."""

from __future__ import annotations

from pathlib import Path

from domain.trade.export import render_catalogue
from domain.trade.feed import read_catalogue
from domain.trade.review_file import read_reviews
from domain.trade.stock_file import read_stock

EXAMPLES = Path(__file__).parents[3] / "examples"
CATALOGUE = (EXAMPLES / "catalogue.csv").read_bytes()


def test_the_example_catalogue_has_no_problems_and_comes_back_byte_for_byte() -> None:
    """It is written as this project writes."""
    found = read_catalogue(CATALOGUE)
    assert found.problems == ()
    assert len(found.products) == 60
    assert render_catalogue(CATALOGUE, {}) == CATALOGUE


def test_the_example_catalogue_has_the_odd_products_that_a_real_one_has() -> None:
    """Blank SKUs, no description, no type, sold out, a cell of several lines, a column of the vendor's own."""
    products = read_catalogue(CATALOGUE).products
    variants = [variant for product in products for variant in product.variants]
    assert any(not variant.sku for variant in variants)
    assert any(variant.quantity == 0 for variant in variants)
    assert [product.handle for product in products if not product.body_html] == ["weighted-blanket"]
    assert any(not product.product_type for product in products)
    assert any("\n" in product.body_html for product in products)
    assert b"Custom: Supplier Note" in CATALOGUE


def test_the_example_prices_leave_a_margin() -> None:
    """No price is under its cost or over its crossed-out price."""
    for product in read_catalogue(CATALOGUE).products:
        for variant in product.variants:
            assert variant.cost is not None
            assert variant.cost < variant.price <= (variant.compare_at or variant.price)


def test_the_example_stock_names_every_variant_of_the_catalogue() -> None:
    """Some levels differ from the feed's: the warehouse counted later."""
    levels, problems = read_stock((EXAMPLES / "stock.csv").read_bytes())
    variants = {v.key: v.quantity for product in read_catalogue(CATALOGUE).products for v in product.variants}
    assert problems == ()
    assert levels.keys() == variants.keys()
    assert levels != variants


def test_the_example_reviews_are_of_products_of_the_catalogue_and_of_every_rating() -> None:
    """Good and bad, so that there is something to summarise."""
    handles = {product.handle for product in read_catalogue(CATALOGUE).products}
    reviews, problems = read_reviews((EXAMPLES / "reviews.csv").read_bytes(), handles=handles)
    assert problems == ()
    assert len(reviews) == 120
    assert {review.rating for review in reviews} == {1, 2, 3, 4, 5}
