"""The campaign of a launch: when each product is posted where, what the posts say, and the calendar.

A slot follows from the product's index by arithmetic alone, so products are planned in any order, by any process, and never meet:

    channel   rotates with index and post, so that the posts of one product go to different channels
    day       each channel takes a fixed number of products a day; teaser, launch and reminder lie days apart
    time      the day's slots, a quarter of an hour apart, are dealt out in turn to the 1st, 2nd, 3rd … post: a slot belongs to
              one post number, and within that to one product

All times are UTC without an offset. The posts of one run must share `as_of` and `per_product`; then no channel has two at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal

import msgspec

from agents.reasoners import REASONER, text
from agents.reasoners.listing import Listing
from agents.reasoners.pricing import Quote, span
from agents.reasoners.stock import Reservation
from domain.trade.catalogue import Product

Channel = Literal["instagram", "facebook", "x"]
Stage = Literal["teaser", "launch", "reminder"]
CHANNELS: tuple[Channel, ...] = ("instagram", "facebook", "x")
TEXT_LIMITS: dict[Channel, int] = {"instagram": 2_200, "facebook": 500, "x": 280}  # facebook allows more than is read
HASHTAG_LIMITS: dict[Channel, int] = {"instagram": 10, "facebook": 3, "x": 3}
FIRST_HOUR = 9
STEP_MIN = 15
SLOTS_A_DAY = 37  # 09:00 to 18:00, both included
_OCTETS = 75  # RFC 5545, 3.1: longest line without its break
_STAGE_DAYS = (0, 2, 5)  # days from the teaser; later reminders follow three days apart


class Slot(msgspec.Struct, frozen=True):
    """One place in the calendar: `number` counts the posts of a product from 0."""

    number: int
    stage: Stage
    channel: Channel
    at: datetime


class Post(msgspec.Struct, frozen=True):
    """One post, ready to be sent: the text with its hashtags, within the limit of its channel."""

    index: int
    handle: str
    number: int
    stage: Stage
    channel: Channel
    at: datetime
    text: str
    hashtags: tuple[str, ...]


def slots(index: int, as_of: date, per_product: int = 3) -> tuple[Slot, ...]:
    """The slots of the product with this index, in order of time, from the day after `as_of`.

    Raises ValueError for an index below 0 or a number of posts that no day has room for, OverflowError beyond the year 9999.
    """
    if index < 0 or not 1 <= per_product <= SLOTS_A_DAY:
        raise ValueError(f"index {index}, {per_product} posts a product (1 to {SLOTS_A_DAY})")
    turn, offset = divmod(index, len(CHANNELS))
    products_a_day = SLOTS_A_DAY // per_product
    day, place = divmod(turn, products_a_day)
    return tuple(
        Slot(
            number=number,
            stage=_stage(number, per_product),
            channel=CHANNELS[(offset + number) % len(CHANNELS)],
            at=datetime.combine(as_of, time(FIRST_HOUR))
            + timedelta(days=1 + day + _days(number), minutes=STEP_MIN * (place * per_product + number)),
        )
        for number in range(per_product)
    )


def _stage(number: int, per_product: int) -> Stage:
    if per_product == 1:
        return "launch"
    return "teaser" if number == 0 else "launch" if number == 1 else "reminder"


def _days(number: int) -> int:
    return _STAGE_DAYS[number] if number < len(_STAGE_DAYS) else _STAGE_DAYS[-1] + 3 * (number - len(_STAGE_DAYS) + 1)


# --- posts --------------------------------------------------------------------------------------------------------------

_LEADS: dict[Stage, tuple[str, ...]] = {
    "teaser": ("Coming soon: {title}.", "{title} arrives in two days.", "Soon in the shop: {title}.", "Next up: {title}."),
    "launch": ("{title} is here.", "Out today: {title}.", "Now in the shop: {title}.", "Launched: {title}."),
    "reminder": ("Have you seen {title}?", "Still in the shop: {title}.", "A reminder: {title}.", "Once more: {title}."),
}


def posts(
    product: Product,
    listing: Listing,
    quotes: Sequence[Quote],
    reservation: Reservation,
    slots: Sequence[Slot],
    *,
    seed: int = 0,
    currency: str = "",
) -> tuple[Post, ...]:
    """One post a slot, in order of time; none for a product of which nothing is reserved or priced: it cannot be sold.

    Amounts carry the currency where one is given; the feed has none.
    """
    if reservation.reserved <= 0 or span(quotes) is None:
        return ()
    return tuple(_post(product, listing, quotes, reservation, slot, seed, currency) for slot in slots)


def _post(
    product: Product, listing: Listing, quotes: Sequence[Quote], reservation: Reservation, slot: Slot, seed: int, currency: str
) -> Post:
    lead = text.pick(_LEADS[slot.stage], seed, product.handle, slot.number, "post").format(title=listing.title)
    core = [lead, *_sayings(listing, quotes, reservation, slot.stage, currency)]
    hashtags = list(_hashtags(listing))[: HASHTAG_LIMITS[slot.channel]]
    limit = TEXT_LIMITS[slot.channel]
    while weight(_joined(core, hashtags)) > limit and (hashtags or len(core) > 1):
        (hashtags or core).pop()  # the product's name is the last to go
    whole = _joined(core, hashtags)
    while weight(whole) > limit:
        whole = text.cut(whole, len(whole) - 1)
    return Post(product.index, product.handle, slot.number, slot.stage, slot.channel, slot.at, whole, tuple(hashtags))


def _sayings(listing: Listing, quotes: Sequence[Quote], reservation: Reservation, stage: Stage, currency: str) -> Iterator[str]:
    """What is known and worth a post, the most important first."""
    low, high = span(quotes) or (None, None)
    if stage != "teaser" and low is not None:
        price = f"{'From ' if low != high else ''}{low:.2f} {currency}".strip()
        struck = {quote.compare_at for quote in quotes}
        compare = struck.pop() if len(struck) == 1 and low == high else None
        yield f"{price} instead of {compare:.2f}." if compare is not None else f"{price}."
    if stage == "reminder" and reservation.status == "low":
        yield f"Only {reservation.reserved} {'piece' if reservation.reserved == 1 else 'pieces'} for the launch."
    made = [value for value in listing.values("material") if value not in listing.title.lower()]
    if stage != "reminder" and made:
        yield f"Material: {text.listed(made[:3])}."
    if stage == "launch" and len(colours := listing.values("colour")) > 1:
        yield f"In {text.listed(colours[:5]).lower()}." if len(colours) <= 5 else f"In {len(colours)} colours."
    if stage == "launch" and len(sizes := listing.values("size")) > 1:
        yield f"Sizes {text.listed(sizes)}." if len(sizes) <= 6 else f"{len(sizes)} sizes."


def _hashtags(listing: Listing) -> Iterator[str]:
    seen: set[str] = set()
    for tag in listing.tags:
        words = re.findall(r"[^\W_]+", tag)
        joined = "".join(text.capitalised(word) for word in words)
        if 2 <= len(joined) <= 30 and not joined[0].isdigit() and joined.casefold() not in seen:
            seen.add(joined.casefold())
            yield f"#{joined}"


def _joined(core: Sequence[str], hashtags: Sequence[str]) -> str:
    return " ".join((*core, *hashtags))


def weight(post: str) -> int:
    """The length as X counts it: Latin and neighbouring scripts one, all else two; other channels count less."""
    return sum(1 if code <= 0x10FF or 0x2000 <= code <= 0x200D or 0x2010 <= code <= 0x201F else 2 for code in map(ord, post))


# --- calendar -----------------------------------------------------------------------------------------------------------


def calendar_ics(posts: Sequence[Post], run_key: str, as_of: date) -> bytes:
    """An iCalendar object with one event a post, by time.

    UIDs follow from the run and the post, and DTSTAMP from `as_of`, so that importing the file twice changes nothing.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//Rehydrate//{REASONER}//EN", "CALSCALE:GREGORIAN", "METHOD:PUBLISH"]
    for post in _by_time(posts):
        lines.extend(_event(post, run_key, as_of))
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def calendar_json(posts: Sequence[Post], run_key: str, as_of: date) -> bytes:
    """The same calendar as one JSON document with sorted keys."""
    document = {"as_of": as_of.isoformat(), "posts": _by_time(posts), "reasoner": REASONER, "run": run_key}
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def _by_time(posts: Sequence[Post]) -> list[Post]:
    return sorted(posts, key=lambda post: (post.at, post.channel, post.index, post.number))


def _event(post: Post, run_key: str, as_of: date) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{text.digest(run_key, post.index, post.number)[:32]}@rehydrate.invalid"
    yield f"DTSTAMP:{as_of:%Y%m%d}T000000Z"
    yield f"DTSTART:{post.at:%Y%m%dT%H%M%S}Z"
    yield f"DTEND:{post.at + timedelta(minutes=STEP_MIN):%Y%m%dT%H%M%S}Z"
    yield f"SUMMARY:{_escaped(f'{post.channel}: {post.stage} of {post.handle}')}"
    yield f"DESCRIPTION:{_escaped(post.text)}"
    yield f"CATEGORIES:{post.channel},{post.stage}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _escaped(value: str) -> str:
    """TEXT of RFC 5545, 3.3.11; `flat` takes out the control characters that TEXT forbids."""
    return text.flat(value).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> bytes:
    """The line in octets, broken before the limit and never inside a character."""
    folded, room = bytearray(), _OCTETS
    for character in line:
        octets = character.encode()
        if len(octets) > room:
            folded += b"\r\n "
            room = _OCTETS - 1
        folded += octets
        room -= len(octets)
    return bytes(folded) + b"\r\n"
