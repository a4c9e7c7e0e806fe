"""Documents have one form, and what is not what it claims to be is refused with its reason."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from agents.framework import errors
from agents.roles import documents
from domain.decision import digest
from domain.message import Task
from domain.trade.catalogue import Dossier, Product, Variant
from tests.agents.roles.driver import Contents

MUG = Product(3, "mug", "Mug", "", "", "", (), (), (Variant("mug#1", 2, "", (), Decimal("5.00")),))


def task(**parameters: object) -> Task:
    return Task("task-3f9a21c4-1-3-SET_PRICE", "SET_PRICE", {"key": "mug", "index": 3, "as_of": "2026-11-21", **parameters})


def result(contents: Contents, index: int, failed_step: str = "", **steps: str) -> str:
    """A product's result, kept; `steps` are the documents of its steps."""
    product = contents.keep(msgspec.json.encode(Dossier(msgspec.structs.replace(MUG, index=index, handle=f"mug-{index}"))))
    made = {
        "index": index,
        "key": f"mug-{index}",
        "product": product,
        "completed": not failed_step,
        "failed_step": failed_step,
        "reason": "",
        "outputs": {step: {"document": document} for step, document in steps.items()},
    }
    return contents.keep(msgspec.json.encode(made))


def test_equal_values_give_one_document_whatever_the_order_of_their_keys() -> None:
    """Keys are sorted and amounts are strings that keep their places."""
    one, other = documents.of({"b": Decimal("1.50"), "a": 1}), documents.of({"a": 1, "b": Decimal("1.50")})
    assert one == other
    assert one.encoded == b'{"a":1,"b":"1.50"}'
    assert one.name == digest(one.encoded)


def test_an_outcome_names_all_that_it_holds_once() -> None:
    """A file that is the step's document as well is kept once; the document is what its bytes say."""
    document, page = documents.of({"pieces": 2}), documents.encoded(b"<p>")
    outcome = documents.outcome(document, {"pieces": 2}, files={"b.json": document, "a.html": page}, contents=[page])
    assert outcome.output == {"document": document.name, "pieces": 2, "files": {"a.html": page.name, "b.json": document.name}}
    assert list(outcome.output["files"]) == ["a.html", "b.json"]
    assert sorted(outcome.contents) == sorted([document.encoded, page.encoded])
    assert outcome.document == {"pieces": 2}


async def test_a_dossier_of_another_product_is_refused() -> None:
    """A task whose parameters were mixed up must not price one product with the costs of another."""
    contents = Contents()
    name = contents.keep(msgspec.json.encode(Dossier(MUG)))
    assert (await documents.dossier(task(product=name), contents.read)).product == MUG
    with pytest.raises(documents.BadDocument, match="of product 3, the task of product 4"):
        await documents.dossier(task(product=name, index=4), contents.read)


async def test_bytes_of_another_form_are_refused_for_good() -> None:
    """The reason names document and place, never what stands there; trying again would read the same bytes."""
    contents = Contents()
    name = contents.keep(b'{"handle": 7}')
    with pytest.raises(documents.BadDocument, match=r"is no listing: Expected `str`, got `int` - at `\$\.handle`") as caught:
        await documents.LISTING.read(contents.read, name)
    assert errors.failure(caught.value).error_class == "fatal"
    assert errors.failure(caught.value).code == "bad_document"


async def test_results_come_in_feed_order_with_the_parts_asked_for() -> None:
    """The order of the list is not relied on, and what nobody asked for is not read."""
    contents = Contents()
    quotes, missing = contents.keep(b"[]"), digest(b"never stored")
    names = [result(contents, index, SET_PRICE=quotes, CREATE_LISTING=missing) for index in (2, 0, 1)]
    closing = task(results=contents.keep(msgspec.json.encode(names)))
    found = await documents.results(closing, contents.read, "quotes")
    assert [(item.index, item.handle, item.status) for item in found] == [
        (0, "mug-0", "completed"),
        (1, "mug-1", "completed"),
        (2, "mug-2", "completed"),
    ]
    assert all(item.quotes == () and item.listing is None for item in found)


async def test_of_a_failed_product_only_what_led_to_the_failure_is_read() -> None:
    """Where the description failed, the price may have been set or not: no two runs would tell the same."""
    contents = Contents()
    quotes = contents.keep(b"[]")
    names = [
        result(contents, 0, "GENERATE_DESCRIPTION", SET_PRICE=quotes),
        result(contents, 1, "RESERVE_STOCK", SET_PRICE=quotes),
    ]
    closing = task(results=contents.keep(msgspec.json.encode(names)))
    beside, behind = await documents.results(closing, contents.read, "quotes", "posts")
    assert (beside.quotes, behind.quotes) == (None, ())
    assert (beside.posts, behind.posts) == (None, None)
