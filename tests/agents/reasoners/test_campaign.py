"""Slots never collide, posts fit their channels, calendars are valid and repeatable."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.reasoners import campaign
from agents.reasoners.campaign import Post
from tests.agents.reasoners.samples import AS_OF, BARE, MUG, launched, products, real_products


@pytest.mark.parametrize("per_product", [1, 2, 3, 5, 37])
def test_5000_products_never_meet(per_product: int) -> None:
    """No channel has two posts at a time, whatever the number of posts a product."""
    taken = [(slot.channel, slot.at) for index in range(5_000) for slot in campaign.slots(index, AS_OF, per_product)]
    assert len(set(taken)) == len(taken) == 5_000 * per_product


@given(st.integers(0, 100_000), st.integers(1, 37), st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_a_products_posts_follow_in_time(index: int, per_product: int, as_of: date) -> None:
    """Teaser before launch before reminder, in posting hours, on quarters of an hour, after the day of the run."""
    found = campaign.slots(index, as_of, per_product)
    assert [slot.number for slot in found] == list(range(per_product))
    assert all(one.at < two.at for one, two in pairwise(found))
    assert all(9 * 60 <= slot.at.hour * 60 + slot.at.minute <= 18 * 60 and slot.at.minute % 15 == 0 for slot in found)
    assert found[0].at.date() >= as_of + timedelta(days=1)


def test_the_three_posts_of_a_product_use_three_channels() -> None:
    """A product is seen on every channel, and the campaign starts the day after the run."""
    found = campaign.slots(0, AS_OF)
    assert [(slot.stage, slot.channel, slot.at.isoformat()) for slot in found] == [
        ("teaser", "instagram", "2026-11-22T09:00:00"),
        ("launch", "facebook", "2026-11-24T09:15:00"),
        ("reminder", "x", "2026-11-27T09:30:00"),
    ]


@pytest.mark.parametrize(("index", "per_product"), [(-1, 3), (0, 0), (0, 38)])
def test_what_no_day_has_room_for_is_refused(index: int, per_product: int) -> None:
    """Arguments out of range raise and do not overlap silently."""
    with pytest.raises(ValueError, match="posts a product"):
        campaign.slots(index, AS_OF, per_product)


def test_nothing_is_posted_of_what_cannot_be_sold() -> None:
    """A product that is out of stock gets no post."""
    assert launched(BARE).posts == ()


def test_posts_say_what_is_known() -> None:
    """The launch post names price and choice; savings only where every variant has the same."""
    posts = launched(MUG).posts or ()
    assert [post.stage for post in posts] == ["teaser", "launch", "reminder"]
    assert "From 17.99." in posts[1].text and "In blue and white." in posts[1].text
    assert posts[1].hashtags == ("#Kitchen", "#Gift", "#Mugs")


@given(products().map(launched))
def test_posts_fit_their_channels(result: object) -> None:
    """Any product's posts keep to the limits of text and hashtags, and a hashtag is one word."""
    for post in getattr(result, "posts", ()):
        assert 0 < campaign.weight(post.text) <= campaign.TEXT_LIMITS[post.channel]
        assert len(post.hashtags) <= campaign.HASHTAG_LIMITS[post.channel]
        assert all(tag[1:].isalnum() for tag in post.hashtags)


def test_wide_characters_count_twice() -> None:
    """X counts an ideograph as two, and so do we."""
    assert campaign.weight("ab") == 2 and campaign.weight("日本") == 4


def _posts() -> list[Post]:
    texts = ["Größe; a, b \\ c\nBEGIN:VEVENT" + "日本語" * 40, "plain"]
    return [replace((launched(MUG).posts or ())[number], text=text) for number, text in enumerate(texts)]


def test_the_calendar_is_rfc_5545() -> None:
    """CRLF everywhere, no line over 75 octets, no character cut in two, text escaped, no injected line."""
    calendar = campaign.calendar_ics(_posts(), "run-1", AS_OF)
    lines = calendar.split(b"\r\n")
    assert calendar.endswith(b"END:VCALENDAR\r\n") and b"\n" not in calendar.replace(b"\r\n", b"")
    assert all(len(line) <= 75 and line.decode() is not None for line in lines)
    unfolded = calendar.decode().replace("\r\n ", "")
    assert "DESCRIPTION:Größe\\; a\\, b \\\\ c BEGIN:VEVENT日本語" in unfolded
    assert unfolded.count("\r\nBEGIN:VEVENT") == unfolded.count("\r\nEND:VEVENT") == 2
    assert "DTSTAMP:20261121T000000Z" in unfolded and "DTSTART:20261122T090000Z" in unfolded


def test_calendars_do_not_depend_on_arrival() -> None:
    """Posts in any order give the same bytes; another run gives other UIDs."""
    posts = _posts()
    assert campaign.calendar_ics(posts, "run-1", AS_OF) == campaign.calendar_ics(posts[::-1], "run-1", AS_OF)
    assert campaign.calendar_json(posts, "run-1", AS_OF) == campaign.calendar_json(posts[::-1], "run-1", AS_OF)
    assert campaign.calendar_ics(posts, "run-1", AS_OF) != campaign.calendar_ics(posts, "run-2", AS_OF)


def test_the_json_calendar_holds_every_post() -> None:
    """The JSON names its run, its day and its rules, with the posts by time."""
    document = json.loads(campaign.calendar_json(_posts(), "run-1", AS_OF))
    assert (document["run"], document["as_of"], document["reasoner"]) == ("run-1", "2026-11-21", "offline-rules/1")
    assert [post["at"] for post in document["posts"]] == ["2026-11-22T09:00:00", "2026-11-24T09:15:00"]


def test_real_products_are_all_on_the_calendar() -> None:
    """Every real product with stock has its three posts, teaser, launch and reminder."""
    results = [launched(product) for product in real_products()]
    posts = [post for result in results for post in result.posts or ()]
    sold = [result for result in results if result.reservation and result.reservation.reserved]
    assert len(posts) == 3 * len(sold)
