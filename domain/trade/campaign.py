"""What is said about products: posts of one product (stream by handle), mails of one run (stream by run). Written by marketing alone."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.event import Event


class PostsScheduled(Event, frozen=True):
    """`posts` is the digest of the document that holds them."""

    TOPIC = "campaign.PostsScheduled"
    run: str
    posts: str
    count: int


class CalendarPlanned(Event, frozen=True):
    TOPIC = "campaign.CalendarPlanned"
    run: str
    calendar: str
    posts: int


class OutreachSent(Event, frozen=True):
    """All mails of the run have been accepted by the mail gateway."""

    TOPIC = "campaign.OutreachSent"
    run: str
    mails: int


class Campaign(msgspec.Struct, frozen=True):
    posts: int = 0
    calendar: str = ""
    mails: int = 0


def evolve(campaign: Campaign, event: PostsScheduled | CalendarPlanned | OutreachSent) -> Campaign:
    match event:
        case PostsScheduled(count=count):
            return replace(campaign, posts=count)
        case CalendarPlanned(calendar=calendar):
            return replace(campaign, calendar=calendar)
        case OutreachSent(mails=mails):
            return replace(campaign, mails=mails)


def stream_of(key: str) -> str:
    return f"campaign-{key}"


KIND = streams.register(streams.Kind("campaign", Campaign(), evolve))
