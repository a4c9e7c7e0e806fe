"""A product as it is offered: its listing and its description. Written by product listing alone."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.event import Event


class Listed(Event, frozen=True):
    """`listing` is the digest of the listing document."""

    TOPIC = "product.Listed"
    run: str
    title: str
    product_type: str
    listing: str


class Described(Event, frozen=True):
    """`description` is the digest of the HTML."""

    TOPIC = "product.Described"
    run: str
    description: str


class Product(msgspec.Struct, frozen=True):
    title: str = ""
    product_type: str = ""
    listing: str = ""
    description: str = ""


def evolve(product: Product, event: Listed | Described) -> Product:
    match event:
        case Listed(title=title, product_type=product_type, listing=listing):
            return replace(product, title=title, product_type=product_type, listing=listing)
        case Described(description=description):
            return replace(product, description=description)


def stream_of(handle: str) -> str:
    return f"product-{handle}"


KIND = streams.register(streams.Kind("product", Product(), evolve))
