"""A product and its variants as the swarm works with them, read from a vendor's feed.

A `Product` is a content document: the feed is parsed once, each product is stored under its SHA-256, and events and messages
name the digest. Amounts are `Decimal`; the currency is the run's, since Shopify's CSV has no column for it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Variant(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sellable variant, one data line of the feed.

    `line` is the line of the feed where the row starts (the header is line 1). `sku` may be blank: then `key` is what
    the swarm calls the variant, `<handle>#<position>`.
    """

    key: str
    line: int
    sku: str
    options: tuple[str, ...]
    price: Decimal
    compare_at: Decimal | None = None
    cost: Decimal | None = None
    quantity: int = 0
    grams: int = 0
    barcode: str = ""


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product of the feed with its variants in feed order. `index` counts products of the feed from 0."""

    index: int
    handle: str
    title: str
    body_html: str
    vendor: str
    product_type: str
    tags: tuple[str, ...]
    option_names: tuple[str, ...]
    variants: tuple[Variant, ...]
    image_urls: tuple[str, ...] = ()


class Review(msgspec.Struct, frozen=True, omit_defaults=True):
    """One customer review without its author: who wrote it is personal data and stays out of the swarm.

    `row` counts data rows of the review file from 1; `rating` is 1 to 5.
    """

    row: int
    handle: str
    rating: int
    title: str
    text: str


class Dossier(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product with all that the vendor's files say of it: the content document that a product's workflow starts from.

    `levels` are pieces in stock by variant key; None where no stock file was given.
    """

    product: Product
    levels: dict[str, int] | None = None
    reviews: tuple[Review, ...] = ()


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing wrong with an input file: the line where the row starts (0: the whole file), the column ("" for none), why."""

    line: int
    column: str
    reason: str
