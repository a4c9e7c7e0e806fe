"""A launch from the vendor's files to the files the vendor gets: whatever order things happen in, one result."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
from typing import Any

import pytest

from domain.trade import campaign, price, product, review, stock
from domain.trade.feed import read_catalogue
from tests.agents.roles import feeds
from tests.agents.roles.driver import NOON_MS, Launch

FAILED = "stoneware-mug"
SOLD_OUT = "linen-shirt"
BROKEN_ROW = b"spoilt,Spoilt,,,,,,,,,,,,,,,,a lot,,,,,,,,,,,\n"


def launch(chance: int = 0, *broken: tuple[str, str], catalogue: bytes = feeds.CATALOGUE) -> Launch:
    """The examples, with one product sold out in every variant."""
    levels = feeds.example_levels()
    for item in read_catalogue(catalogue).products:
        if item.handle == SOLD_OUT:
            levels |= dict.fromkeys((variant.key for variant in item.variants), 0)
    return Launch(catalogue, levels=levels, reviews=feeds.example_reviews(), broken=frozenset(broken), chance=chance)


@pytest.fixture(scope="module")
def untouched() -> Launch:
    """A launch that tests only look at."""
    return asyncio.run(launch().play())


def row(played: Launch, handle: str) -> dict[str, Any]:
    """A product as the report shows it."""
    rows: list[dict[str, Any]] = json.loads(played.files["report.json"])["products"]
    return next(row for row in rows if row["handle"] == handle)


# --- one result -----------------------------------------------------------------------------------------------------------------


async def test_files_do_not_depend_on_order_time_or_receipts(untouched: Launch) -> None:
    """Products and branches overtake each other, clocks and receipts differ, the run has another number: equal bytes."""
    for chance in (1, 2, 3):
        other = await launch(chance).play()
        assert other.run.outputs == untouched.run.outputs
        assert other.files == untouched.files
        assert sorted((intent.target, intent.payload) for intent in other.effects.values()) == sorted(
            (intent.target, intent.payload) for intent in untouched.effects.values()
        )


@pytest.mark.parametrize("step", ["CREATE_LISTING", "GENERATE_DESCRIPTION", "SET_PRICE", "RESERVE_STOCK", "MONITOR_FEEDBACK"])
async def test_a_failure_does_not_let_the_order_in_either(step: str) -> None:
    """What happened to be done beside the failed step is not told: it might as well not have been."""
    first, *others = [(await launch(chance, (FAILED, step)).play()).files for chance in range(3)]
    assert all(other == first for other in others)


async def test_a_step_done_again_gives_the_same(untouched: Launch) -> None:
    """After a crash a step is done twice, at another time and with the receipts of the first try lost."""
    for task_id, task in untouched.tasks.items():
        before, again = untouched.outcomes[task_id], await untouched.perform(task)
        assert (again.document, again.output, again.contents) == (before.document, before.output, before.contents)


def test_nothing_that_differs_between_runs_is_in_a_document(untouched: Launch) -> None:
    """No run number and no time of day: `3f9a21c4` names the input, `run-3f9a21c4-1` one run of it."""
    given = {name for outcome in untouched.outcomes.values() for name in map(untouched.contents.keep, outcome.contents)}
    for name in given:
        assert b"3f9a21c4-1" not in untouched.contents[name]
        assert str(NOON_MS)[:5].encode() not in untouched.contents[name]


# --- the catalogue --------------------------------------------------------------------------------------------------------------


def test_the_catalogue_can_be_imported_again_and_holds_what_was_decided(untouched: Launch) -> None:
    """Every price, compare-at price and quantity in the file is a quote's and a reservation's."""
    feed = read_catalogue(untouched.files["products.csv"])
    assert not feed.problems
    assert [item.handle for item in feed.products] == [item.handle for item in untouched.feed.products]
    for item in feed.products:
        listing = untouched.document(item.handle, "CREATE_LISTING")
        quotes = {quote["key"]: quote for quote in untouched.document(item.handle, "SET_PRICE")}
        lines = {line["key"]: line for line in untouched.document(item.handle, "RESERVE_STOCK")["lines"]}
        html = untouched.contents[untouched.output(item.handle, "GENERATE_DESCRIPTION")["html"]].decode()
        assert (item.title, item.body_html, list(item.tags)) == (listing["title"], html, listing["tags"])
        for variant in item.variants:
            compare_at = None if variant.compare_at is None else str(variant.compare_at)
            assert (str(variant.price), compare_at) == (quotes[variant.key]["price"], quotes[variant.key]["compare_at"])
            assert variant.quantity == lines[variant.key]["reserved"]


async def test_a_product_that_failed_keeps_its_rows_and_shows_in_the_report() -> None:
    """The vendor sees it among the things to look at; the shop sees no change."""
    played = await launch(5, (FAILED, "RESERVE_STOCK")).play()
    before = {item.handle: item for item in played.feed.products}
    after = {item.handle: item for item in read_catalogue(played.files["products.csv"]).products}
    assert played.run.status == "degraded"
    assert after[FAILED] == before[FAILED]
    assert after["enamel-camp-mug"] != before["enamel-camp-mug"]
    assert (row(played, FAILED)["status"], row(played, FAILED)["reason"]) == ("failed", "the dice fell badly")
    attention = json.loads(played.files["report.json"])["attention"]
    assert FAILED in [item["handle"] for item in attention if item["kind"] == "failed"]
    assert b"the dice fell badly" in played.files["report.html"]


async def test_products_left_out_at_the_start_are_not_in_the_file() -> None:
    """A file with a problem is launched without the product that has it."""
    played = await launch(catalogue=feeds.CATALOGUE + BROKEN_ROW).play()
    assert played.feed.left_out == ("spoilt",)
    feed = read_catalogue(played.files["products.csv"])
    assert not feed.problems
    assert "spoilt" not in [item.handle for item in feed.products]
    assert len(feed.products) == len(played.feed.products)


async def test_a_run_without_products_gives_its_files() -> None:
    """Nothing to do is no error."""
    header = feeds.CATALOGUE.split(b"\n", 1)[0] + b"\n"
    played = await Launch(header).play()
    assert played.run.status == "completed"
    assert set(played.files) == {"products.csv", "calendar.json", "calendar.ics", "report.html", "report.json"}
    assert played.files["products.csv"] == header


async def test_a_run_in_which_everything_failed_still_closes() -> None:
    """The catalogue comes back as it was, and no mail is sent."""
    played = Launch(feeds.CATALOGUE)
    played.broken = frozenset((item.handle, "CREATE_LISTING") for item in played.manifest)
    await played.play()
    assert played.run.status == "failed"
    assert not played.effects
    assert read_catalogue(played.files["products.csv"]) == read_catalogue(feeds.CATALOGUE)


# --- posts and mails ------------------------------------------------------------------------------------------------------------


async def test_mails_name_only_what_can_be_sold() -> None:
    """Neither what failed nor what is sold out, even where it failed after everything but the last step."""
    played = await launch(0, (FAILED, "MONITOR_FEEDBACK")).play()
    sellable = {item.handle for item in played.feed.products} - {FAILED, SOLD_OUT}
    titles = {played.output(handle, "CREATE_LISTING")["title"] for handle in sellable}
    named = set()
    for path, data in played.files.items():
        if path.endswith(".eml"):
            body = email.message_from_bytes(data, policy=email.policy.default).get_body(("plain",))
            assert body is not None
            lines = body.get_content().splitlines()
            named |= {line[2:].split(": ")[0] for line in lines if line.startswith("- ")}
    assert named == titles


def test_each_mail_is_one_effect_with_the_bytes_of_its_file(untouched: Launch) -> None:
    """What lies in the folder is what was sent."""
    sent = {intent.name: intent for intent in untouched.effects.values() if intent.kind == "mail"}
    files = {path: data for path, data in untouched.files.items() if path.endswith(".eml")}
    assert {f"mails/{name.removeprefix('mail-')}.eml": intent.payload for name, intent in sent.items()} == files
    assert all(intent.media_type == "message/rfc822" for intent in sent.values())
    assert all(intent.target.startswith("launch-list+") for intent in sent.values())


def test_posts_are_one_order_a_product_and_none_for_what_is_sold_out(untouched: Launch) -> None:
    """The order is the step's document, and the calendar holds every post of every order."""
    orders = [intent for intent in untouched.effects.values() if intent.kind == "post"]
    assert len(orders) == len(untouched.feed.products) - 1
    assert {(intent.name, intent.target, intent.media_type) for intent in orders} == {
        ("posts", "social-scheduler", "application/json")
    }
    ordered = [post for intent in orders for post in json.loads(intent.payload)]
    planned = json.loads(untouched.files["calendar.json"])["posts"]

    def by_product(post: dict[str, Any]) -> tuple[int, int]:
        return post["index"], post["number"]

    assert sorted(planned, key=by_product) == sorted(ordered, key=by_product)
    assert untouched.files["calendar.ics"].count(b"BEGIN:VEVENT") == len(ordered)
    assert untouched.output(SOLD_OUT, "SCHEDULE_POSTS") | {"document": ""} == {"document": "", "posts": 0, "first_at": None}


async def test_posts_that_were_ordered_are_planned_even_if_the_product_failed_later() -> None:
    """The scheduler will send them: a calendar without them would be wrong."""
    played = await launch(0, (FAILED, "MONITOR_FEEDBACK")).play()
    planned = json.loads(played.files["calendar.json"])["posts"]
    assert sum(post["handle"] == FAILED for post in planned) == row(played, FAILED)["posts"] == 3


# --- what is told to others -----------------------------------------------------------------------------------------------------


def test_the_streams_of_the_trade_say_what_the_documents_say(untouched: Launch) -> None:
    """Each product's title, prices, stock, posts and reviews can be read from its own streams."""
    for item in untouched.feed.products:
        quotes = {quote["key"]: quote["price"] for quote in untouched.document(item.handle, "SET_PRICE")}
        listed = untouched.states[product.stream_of(item.handle)]
        assert listed.title == untouched.output(item.handle, "CREATE_LISTING")["title"]
        assert listed.description == untouched.output(item.handle, "GENERATE_DESCRIPTION")["html"]
        assert untouched.states[price.stream_of(item.handle)] == price.Price("USD", quotes)
        (reserved,) = untouched.states[stock.stream_of(item.handle)].reserved.values()
        assert sum(reserved.values()) == untouched.output(item.handle, "RESERVE_STOCK")["reserved"]
        assert untouched.states[campaign.stream_of(item.handle)].posts == untouched.output(item.handle, "SCHEDULE_POSTS")["posts"]
        assert untouched.states[review.stream_of(item.handle)].count == untouched.output(item.handle, "MONITOR_FEEDBACK")["count"]
    of_run = untouched.states[campaign.stream_of("run-3f9a21c4-1")]
    assert of_run.calendar == untouched.run.outputs["calendar.json"]
    assert of_run.mails == sum(path.endswith(".eml") for path in untouched.run.outputs)


def test_outputs_are_small(untouched: Launch) -> None:
    """They travel with every later message of their product: numbers and names, never texts."""
    small = [len(json.dumps(outcome.output)) for outcome in untouched.outcomes.values() if "files" not in outcome.output]
    assert max(small) < 300
    assert untouched.output(FAILED, "CREATE_LISTING").keys() == {"document", "title", "product_type", "gaps"}
    assert untouched.output(FAILED, "SET_PRICE").keys() == {"document", "min_price", "max_price"}
    assert untouched.output(FAILED, "RESERVE_STOCK").keys() == {"document", "reserved", "status"}
    assert untouched.output(FAILED, "MONITOR_FEEDBACK").keys() == {"document", "count", "mean_rating"}


def test_what_customers_wrote_stays_in_the_dossier(untouched: Launch) -> None:
    """No document, file or effect quotes a review."""
    given = b"".join(data for outcome in untouched.outcomes.values() for data in outcome.contents)
    texts = [entry.text for entry in feeds.example_reviews() if len(entry.text) > 20]
    assert texts
    assert not [text for text in texts if text.encode() in given]


def test_the_report_says_that_rules_decided(untouched: Launch) -> None:
    """Nobody shall take them for a language model."""
    assert json.loads(untouched.files["report.json"])["reasoner"] == "offline-rules/1"
    assert b"not by a language model" in untouched.files["report.html"]
