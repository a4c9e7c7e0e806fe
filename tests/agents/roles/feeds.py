"""Catalogues to launch: the examples that ship with the project, and as many synthetic products as a test asks for."""

from __future__ import annotations

from pathlib import Path

from domain.trade.catalogue import Review
from domain.trade.review_file import read_reviews
from domain.trade.stock_file import read_stock

EXAMPLES = Path(__file__).parents[3] / "examples"
CATALOGUE = (EXAMPLES / "catalogue.csv").read_bytes()


def example_levels() -> dict[str, int]:
    return dict(read_stock((EXAMPLES / "stock.csv").read_bytes())[0])


def example_reviews() -> tuple[Review, ...]:
    return read_reviews((EXAMPLES / "reviews.csv").read_bytes())[0]


def synthetic(products: int, variants: int = 3) -> bytes:
    """A feed of many plain products of a few types, each with a text of some length and variants by size."""
    header = (
        "Handle,Title,Body (HTML),Vendor,Type,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,"
        "Variant Price,Variant Compare At Price,Image Src,Cost per item"
    )
    lines = [header]
    for number in range(products):
        kind = ("Mugs", "Lamps", "Rugs", "Shirts", "Chairs", "Vases", "Bags", "Candles")[number % 8]
        body = "<p>Made of oak and linen in small batches.</p><ul><li>Care: hand wash only</li></ul>" * (1 + number % 3)
        for variant in range(variants):
            price = 9 + (number * 7 + variant * 3) % 240
            first = f'Item {number} in oak,"{body}",Ampersand,{kind},"oak, gift"' if variant == 0 else ",,,,"
            lines.append(
                f"item-{number},{first},Size,{variant},SKU-{number}-{variant},{200 + number % 300},{number % 40},"
                f"{price}.00,,https://images.example.invalid/{number}.jpg,{price // 3}.50"
            )
    return ("\n".join(lines) + "\n").encode()
