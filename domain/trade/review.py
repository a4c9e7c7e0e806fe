"""What customers say about a product. Written by the feedback listener alone; who wrote a review is never stored."""

from __future__ import annotations

import msgspec

from domain import streams
from domain.event import Event


class Summarised(Event, frozen=True):
    """`summary` is the digest of the document; `mean_rating` is None where there are no reviews."""

    TOPIC = "review.Summarised"
    run: str
    count: int
    mean_rating: str | None
    summary: str


class Reviews(msgspec.Struct, frozen=True):
    count: int = 0
    mean_rating: str | None = None
    summary: str = ""


def evolve(reviews: Reviews, event: Summarised) -> Reviews:
    return Reviews(event.count, event.mean_rating, event.summary)


def stream_of(handle: str) -> str:
    return f"review-{handle}"


KIND = streams.register(streams.Kind("review", Reviews(), evolve))
