"""The report shows what was done, escapes what vendors wrote, and is the same each time."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.reasoners import charts, outreach, report
from agents.reasoners.report import ReportData
from agents.reasoners.results import ProductResult
from domain.trade.catalogue import Product, Review
from tests.agents.reasoners.samples import AS_OF, BARE, MUG, launched, products

_VOID = {"meta", "link", "br"}


class _Balance(HTMLParser):
    """Fails on a tag that is closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open += [] if tag in _VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _build(results: list[ProductResult]) -> ReportData:
    return report.build(results, outreach.mails(results, AS_OF, "Kiln"), AS_OF, "product-launch-campaign", 7)


def _some() -> list[ProductResult]:
    failed = ProductResult(2, "evil", "failed", "refused: <script>alert(1)</script>", replace(BARE, index=2, title="<img src=x>"))
    capped = replace(MUG.variants[0], price=Decimal(20), compare_at=Decimal(21), cost=Decimal(18))
    thin = replace(MUG, index=3, handle="thin", title="Thin Mug", variants=(capped,))
    reviews = (Review(1, "mug", 5, "", "love it"), Review(2, "mug", 1, "", "broke"))
    return [launched(MUG, reviews), launched(BARE), failed, launched(thin)]


def test_what_needs_a_person_is_named() -> None:
    """Failures, prices out of bounds, empty stock and gaps each stand under their heading, in feed order."""
    found = [(item.kind, item.index) for item in _build(_some()).attention]
    assert found == [("failed", 2), ("out_of_bounds", 3), ("out_of_stock", 1), ("listing_gaps", 1)]


def test_totals_count_what_is_there() -> None:
    """The tiles are sums of the rows."""
    totals = _build(_some()).totals
    assert (totals.products, totals.completed, totals.failed, totals.variants) == (4, 3, 1, 5)
    assert (totals.posts, totals.mails, totals.reviews) == (6, 1, 2)


def test_vendor_text_is_escaped() -> None:
    """Neither a title nor a reason becomes markup."""
    page = report.render_html(_build(_some()))
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page


def test_the_page_is_self_contained_and_well_formed() -> None:
    """No request leaves the page, every tag closes in turn, and light and dark are both there."""
    page = report.render_html(_build(_some()))
    balance = _Balance()
    balance.feed(page)
    assert balance.open == []
    assert not re.search(r"https?://|<[^>]+\ssrc=|\burl\(|@import|<link", page)
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page
    assert page.count("<svg") == 6


def test_arrival_leaves_no_trace() -> None:
    """Results in any order give the same page and the same JSON, byte for byte."""
    one, other = _build(_some()), _build(_some()[::-1])
    assert report.render_html(one) == report.render_html(other)
    assert report.render_json(one) == report.render_json(other)


def test_the_json_has_sorted_keys_and_exact_amounts() -> None:
    """A diff of two reports is a diff of facts; amounts are strings, not floats."""
    raw = report.render_json(_build(_some()))
    document = json.loads(raw)
    assert list(document) == sorted(document) and list(document["products"][0]) == sorted(document["products"][0])
    assert document["products"][0]["price_low"] == "17.99"
    assert document["reasoner"] == "offline-rules/1"


def test_an_empty_run_has_a_report() -> None:
    """No product is no error."""
    page = report.render_html(_build([]))
    assert "No posts." in page and "No product can be announced." in page


def test_a_long_campaign_is_drawn_by_weeks() -> None:
    """The timeline stays readable for thousands of products."""
    data = _build([launched(replace(MUG, index=index)) for index in (0, 5_000)])
    assert data.timeline_days == 7 and len(data.timeline) < 60
    assert sum(sum(column.counts) for column in data.timeline) == data.totals.posts == 6


@pytest.mark.parametrize("draw", [charts.bars, charts.columns])
def test_charts_are_xml(draw: object) -> None:
    """A chart is well-formed by itself, also for labels with markup and for no data."""
    assert callable(draw)
    for rows in ([], [charts.Bar('<a> & "b"', 0)], [charts.Bar("x", 3), charts.Bar("y", 5, "good")]):
        ElementTree.fromstring(draw("Title <&>", rows))
    ElementTree.fromstring(charts.stacks("t", ("a",), [charts.Column("2026-11-22", (3,))]))


@settings(max_examples=30)
@given(st.lists(products(), max_size=4))
def test_any_results_give_a_page(some: list[Product]) -> None:
    """Whatever went through the launch can be reported."""
    results = [launched(replace(product, index=index)) for index, product in enumerate(some)]
    balance = _Balance()
    balance.feed(report.render_html(_build(results)))
    assert balance.open == []
