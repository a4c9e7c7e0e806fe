"""What a product's variants cost. Written by the pricing optimizer alone."""

from __future__ import annotations

import msgspec

from domain import streams
from domain.event import Event


class Set(Event, frozen=True):
    """`prices` by variant key, decimal amounts in `currency`; `quotes` is the digest of the document with the reasons."""

    TOPIC = "price.Set"
    run: str
    currency: str
    prices: dict[str, str]
    quotes: str


class Price(msgspec.Struct, frozen=True):
    currency: str = ""
    prices: dict[str, str] = {}


def evolve(price: Price, event: Set) -> Price:
    return Price(event.currency, event.prices)


def stream_of(handle: str) -> str:
    return f"price-{handle}"


KIND = streams.register(streams.Kind("price", Price(), evolve))
