"""What of a product can be sold, and what a launch has set aside. Written by inventory sync alone."""

from __future__ import annotations

import msgspec

from domain import streams
from domain.event import Event


class Reserved(Event, frozen=True):
    """`available` and `reserved` by variant key, in pieces. A later reservation of the same run replaces the earlier one."""

    TOPIC = "stock.Reserved"
    run: str
    available: dict[str, int]
    reserved: dict[str, int]


class Stock(msgspec.Struct, frozen=True):
    """`reserved` by run, then by variant key."""

    available: dict[str, int] = {}
    reserved: dict[str, dict[str, int]] = {}


def evolve(stock: Stock, event: Reserved) -> Stock:
    return Stock(event.available, {**stock.reserved, event.run: event.reserved})


def stream_of(handle: str) -> str:
    return f"stock-{handle}"


KIND = streams.register(streams.Kind("stock", Stock(), evolve))
