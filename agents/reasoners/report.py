"""The report of a launch: what was done, what it looks like, and what needs a person's eye.

It holds nothing that differs between two runs with the same inputs: no time of day, no duration, no path, no host.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Literal

import msgspec
from jinja2 import Environment, StrictUndefined, Template

from agents.reasoners import REASONER, charts, text
from agents.reasoners.campaign import CHANNELS
from agents.reasoners.charts import Bar, Column
from agents.reasoners.feedback import SentimentCounts
from agents.reasoners.listing import GAP_CODES
from agents.reasoners.outreach import Mail
from agents.reasoners.pricing import span
from agents.reasoners.results import ProductResult, Status

_PRICE_EDGES = tuple(Decimal(edge) for edge in (10, 20, 50, 100, 200, 500))
_MARGIN_EDGES = tuple(Decimal(edge) / 100 for edge in (0, 10, 20, 30, 40, 50, 60, 70))
_DAYS_SHOWN = 60  # a longer campaign is drawn by weeks

Kind = Literal["failed", "out_of_bounds", "out_of_stock", "listing_gaps"]
KINDS: dict[Kind, str] = {
    "failed": "Failed products",
    "out_of_bounds": "Prices outside their bounds",
    "out_of_stock": "Out of stock",
    "listing_gaps": "Listing gaps",
}


class Attention(msgspec.Struct, frozen=True):
    """One thing about one product that a person should look at."""

    kind: Kind
    index: int
    handle: str
    title: str
    detail: str


class Totals(msgspec.Struct, frozen=True):
    """The run in numbers; `reserved` counts pieces."""

    products: int
    completed: int
    failed: int
    variants: int
    reserved: int
    posts: int
    mails: int
    reviews: int
    gaps: int


class Row(msgspec.Struct, frozen=True):
    """One product in the table; amounts have two places, `margin` is the lowest of its variants, None where a cost is unknown."""

    index: int
    handle: str
    title: str
    product_type: str
    status: Status
    reason: str
    variants: int
    price_low: Decimal | None
    price_high: Decimal | None
    margin: Decimal | None
    reserved: int
    stock: str
    posts: int
    reviews: int
    rating: Decimal | None
    gaps: tuple[str, ...]


class MailRow(msgspec.Struct, frozen=True):
    """One announcement without its bytes."""

    key: str
    recipient: str
    subject: str
    products: int


class ReportData(msgspec.Struct, frozen=True):
    """All that the report says; HTML and JSON are two views of it. A column of the timeline is `timeline_days` long."""

    workflow: str
    as_of: date
    seed: int
    reasoner: str
    totals: Totals
    attention: tuple[Attention, ...]
    products: tuple[Row, ...]
    prices: tuple[Bar, ...]
    margins: tuple[Bar, ...]
    stock: tuple[Bar, ...]
    gaps: tuple[Bar, ...]
    sentiment: SentimentCounts
    channels: tuple[str, ...]
    timeline: tuple[Column, ...]
    timeline_days: int
    mails: tuple[MailRow, ...]


def build(results: Sequence[ProductResult], mails: Sequence[Mail], as_of: date, workflow: str, seed: int) -> ReportData:
    """The report's data; results and mails may come in any order."""
    ordered = sorted(results, key=lambda result: (result.index, result.handle))
    timeline, timeline_days = _timeline(ordered)
    rows = tuple(_row(result) for result in ordered)
    summaries = [result.feedback.sentiment for result in ordered if result.feedback]
    return ReportData(
        workflow=workflow,
        as_of=as_of,
        seed=seed,
        reasoner=REASONER,
        totals=Totals(
            products=len(rows),
            completed=sum(row.status == "completed" for row in rows),
            failed=sum(row.status == "failed" for row in rows),
            variants=sum(row.variants for row in rows),
            reserved=sum(row.reserved for row in rows),
            posts=sum(row.posts for row in rows),
            mails=len(mails),
            reviews=sum(row.reviews for row in rows),
            gaps=sum(len(row.gaps) for row in rows),
        ),
        attention=tuple(item for kind in KINDS for result in ordered for item in _attention(kind, result)),
        products=rows,
        prices=_histogram([quote.price for result in ordered for quote in result.quotes or ()], _PRICE_EDGES),
        margins=_margins(ordered),
        stock=_stock(ordered),
        gaps=_gaps(rows),
        sentiment=SentimentCounts(
            sum(counts.negative for counts in summaries),
            sum(counts.neutral for counts in summaries),
            sum(counts.positive for counts in summaries),
        ),
        channels=CHANNELS,
        timeline=timeline,
        timeline_days=timeline_days,
        mails=tuple(
            MailRow(mail.key, mail.recipient, mail.subject, mail.products) for mail in sorted(mails, key=lambda mail: mail.key)
        ),
    )


def render_json(data: ReportData) -> bytes:
    """One JSON document with sorted keys; amounts are strings."""
    return msgspec.json.format(msgspec.json.encode(data, order="sorted"), indent=2) + b"\n"


def render_html(data: ReportData) -> str:
    """One self-contained page."""
    sentiment = [
        Bar("positive", data.sentiment.positive, "good"),
        Bar("neutral", data.sentiment.neutral, "muted"),
        Bar("negative", data.sentiment.negative, "bad"),
    ]
    return _template().render(
        data=data,
        groups=[(kind, label, [item for item in data.attention if item.kind == kind]) for kind, label in KINDS.items()],
        charts={
            "prices": charts.columns("Launch prices", data.prices),
            "margins": charts.columns("Gross margins", data.margins),
            "stock": charts.bars("Stock status of variants", data.stock),
            "gaps": charts.bars("Listing gaps", data.gaps),
            "sentiment": charts.bars("Sentiment of reviews", sentiment),
            "timeline": charts.stacks("Posts over time", data.channels, data.timeline),
        },
    )


@cache
def _template() -> Template:
    """Read once a process from the package; autoescape is on because titles and reasons are a vendor's text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda fraction: f"{fraction * 100:.1f} %"
    environment.filters["words"] = lambda code: code.replace("_", " ").replace("-", " ")
    source = files("agents.reasoners").joinpath("templates/report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def _row(result: ProductResult) -> Row:
    prices = span(result.quotes or ())
    margins = [quote.margin for quote in result.quotes or ()]
    known = [margin for margin in margins if margin is not None]
    listing, feedback, reservation = result.listing, result.feedback, result.reservation
    return Row(
        index=result.index,
        handle=result.handle,
        title=_title(result),
        product_type=listing.product_type if listing else text.tidy(result.product.product_type),
        status=result.status,
        reason=result.reason,
        variants=len(result.product.variants),
        price_low=prices[0] if prices else None,
        price_high=prices[1] if prices else None,
        margin=min(known) if known and len(known) == len(margins) else None,
        reserved=reservation.reserved if reservation else 0,
        stock=reservation.status if reservation else "",
        posts=len(result.posts or ()),
        reviews=feedback.count if feedback else 0,
        rating=feedback.mean_rating if feedback else None,
        gaps=tuple(gap.code for gap in listing.gaps) if listing else (),
    )


def _title(result: ProductResult) -> str:
    return result.listing.title if result.listing else text.tidy(result.product.title) or result.handle


def _attention(kind: Kind, result: ProductResult) -> list[Attention]:
    details: list[str] = []
    if kind == "failed" and result.status == "failed":
        details = [result.reason or "No reason given."]
    elif kind == "out_of_bounds":
        details = [
            f"{quote.key}: {_bound(quote.margin)}{quote.reason}" for quote in result.quotes or () if not quote.within_bounds
        ]
    elif kind == "out_of_stock" and result.reservation:
        out = [line.key for line in result.reservation.lines if line.status == "out"]
        shown = ", ".join(out[:5]) + (f" and {len(out) - 5} more" if len(out) > 5 else "")
        details = [f"{len(out)} of {len(result.reservation.lines)} variants: {shown}."] if out else []
    elif kind == "listing_gaps" and result.listing and result.listing.gaps:
        details = [" ".join(gap.detail for gap in result.listing.gaps)]
    return [Attention(kind, result.index, result.handle, _title(result), detail) for detail in details]


def _bound(margin: Decimal | None) -> str:
    return "" if margin is None else f"margin {margin * 100:.1f} %. "


def _histogram(values: Sequence[Decimal], edges: Sequence[Decimal], unit: int = 1) -> tuple[Bar, ...]:
    """Counts below the first edge, between edges (lower included), and from the last; labels show edges times `unit`."""
    shown = [f"{edge * unit:.0f}" for edge in edges]
    labels = [f"<{shown[0]}", *(f"{low}–{high}" for low, high in pairwise(shown)), f"{shown[-1]}+"]
    counts = [0] * len(labels)
    for value in values:
        counts[sum(value >= edge for edge in edges)] += 1
    return tuple(Bar(label, count) for label, count in zip(labels, counts, strict=True))


def _margins(ordered: Sequence[ProductResult]) -> tuple[Bar, ...]:
    margins = [quote.margin for result in ordered for quote in result.quotes or ()]
    known = _histogram([margin for margin in margins if margin is not None], _MARGIN_EDGES, unit=100)
    return (*known, Bar("unknown", sum(margin is None for margin in margins), "muted"))


def _stock(ordered: Sequence[ProductResult]) -> tuple[Bar, ...]:
    statuses = [line.status for result in ordered if result.reservation for line in result.reservation.lines]
    return (
        Bar("in stock", statuses.count("in_stock"), "good"),
        Bar("low", statuses.count("low"), "warn"),
        Bar("out", statuses.count("out"), "bad"),
    )


def _gaps(rows: Sequence[Row]) -> tuple[Bar, ...]:
    """Products a gap; gaps that nobody has are left out."""
    counted = [Bar(code.replace("_", " "), sum(code in row.gaps for row in rows)) for code in GAP_CODES]
    return tuple(sorted((bar for bar in counted if bar.count), key=lambda bar: (-bar.count, bar.label)))


def _timeline(ordered: Sequence[ProductResult]) -> tuple[tuple[Column, ...], int]:
    """Posts a channel from the first day to the last, empty ones included, and the days of a column (7 where there are many)."""
    posts = [(post.at.date(), post.channel) for result in ordered for post in result.posts or ()]
    if not posts:
        return (), 1
    first, last = min(posts)[0], max(posts)[0]
    span_days = 1 if (last - first).days < _DAYS_SHOWN else 7
    counts = [[0] * len(CHANNELS) for _ in range((last - first).days // span_days + 1)]
    for day, channel in posts:
        counts[(day - first).days // span_days][CHANNELS.index(channel)] += 1
    starts = [first + timedelta(days=position * span_days) for position in range(len(counts))]
    return tuple(Column(start.isoformat(), tuple(count)) for start, count in zip(starts, counts, strict=True)), span_days
