"""What a launch has made of one product, as far as it got."""

from __future__ import annotations

from typing import Literal

import msgspec

from agents.reasoners.campaign import Post
from agents.reasoners.feedback import FeedbackSummary
from agents.reasoners.listing import Listing
from agents.reasoners.pricing import Quote
from agents.reasoners.stock import Reservation
from domain.trade.catalogue import Product

Status = Literal["completed", "failed"]


class ProductResult(msgspec.Struct, frozen=True):
    """One product at the end of its workflow. A part is None where the workflow did not get so far; `reason` is of a failure."""

    index: int
    handle: str
    status: Status
    reason: str
    product: Product
    listing: Listing | None = None
    description_html: str | None = None
    quotes: tuple[Quote, ...] | None = None
    reservation: Reservation | None = None
    posts: tuple[Post, ...] | None = None
    feedback: FeedbackSummary | None = None
