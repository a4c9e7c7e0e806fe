"""A description is the vendor's own words, clean, with the facts; never longer than it may be, never unsafe."""

from __future__ import annotations

import hashlib
import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.reasoners import description, listing
from domain.trade.catalogue import Product
from tests.agents.reasoners.samples import BARE, MUG, products, real_products

_ALLOWED = re.compile(r"</?(?:p|ul|li)>")


def _write(product: Product, seed: int = 0) -> str:
    return description.write(product, listing.compose(product), seed)


def test_the_vendors_sentences_come_once_and_calm() -> None:
    """Shouting and repetition go, the sentences stay, entities are escaped again."""
    written = _write(MUG)
    assert "A mug for slow mornings." in written
    assert written.count("Holds 350 ml &amp; fits most machines.") == 1
    assert "<li>Glazed in blue, no lead</li>" in written


def test_scripts_styles_handlers_and_links_are_gone() -> None:
    """What a page would run or lead away with does not get through."""
    written = _write(MUG)
    assert not re.search(r"alert|steal|color:red|https?:", written)


def test_facts_sizes_and_care_follow_the_prose() -> None:
    """A buyer finds material, sizes and care below the words."""
    written = _write(MUG)
    assert "<li>Material: stoneware</li>" in written
    assert "<p>Sizes: S and L.</p><p>Care: dishwasher safe.</p>" in written


def test_a_product_without_text_is_described_from_facts() -> None:
    """Nothing is made up to fill the space."""
    written = _write(replace(BARE, title="Oak Desk", product_type="Tables"))
    assert "Oak Desk" in written and "<li>Type: Tables</li>" in written
    assert "no further details" in _write(replace(BARE, title="Thing"))


def test_a_catalogue_does_not_read_as_one_template() -> None:
    """Handles spread over the openings, and a seed chooses anew."""
    first = {_write(replace(MUG, handle=f"mug-{number}")).split(".")[0] for number in range(40)}
    assert len(first) > 3
    assert len({_write(MUG, seed) for seed in range(10)}) > 1


@given(products(), st.integers(0, 3))
def test_only_safe_markup_within_the_limit(product: Product, seed: int) -> None:
    """Any feed gives p, ul and li, balanced, and at most 3,000 characters; equal inputs give equal text."""
    written = _write(product, seed)
    assert 0 < len(written) <= description.LIMIT
    assert "<" not in _ALLOWED.sub("", written) and ">" not in _ALLOWED.sub("", written)
    assert all(written.count(f"<{tag}>") == written.count(f"</{tag}>") for tag in ("p", "ul", "li"))
    assert written == _write(product, seed)


def test_an_endless_text_is_cut_between_sentences() -> None:
    """A novel ends with the facts all the same."""
    body = "".join(f"<p>Sentence number {number} says something & more.</p>" for number in range(2_000))
    written = _write(replace(MUG, body_html=body))
    assert 2_500 < len(written) <= description.LIMIT and written.endswith("</p>") and "Sizes: S and L." in written


@pytest.mark.parametrize("opened", ["<!-- ", "<script>", "<a '", '<a ="', "<p ", "&amp;"])
def test_hostile_markup_takes_no_time(opened: str) -> None:
    """Unclosed markup repeated is read in linear time: a quadratic pattern would not end."""
    assert _write(replace(MUG, body_html=opened * 20_000))


def test_the_reference_is_the_hash_of_the_bytes() -> None:
    """An event names the text by the SHA-256 of its UTF-8."""
    reference = description.reference("<p>ü</p>")
    assert reference == description.Description(hashlib.sha256("<p>ü</p>".encode()).hexdigest(), 8)


@pytest.mark.parametrize("product", real_products(), ids=lambda product: product.handle)
def test_real_products_keep_their_words(product: Product) -> None:
    """The first words of a real vendor's text are in the description."""
    words = re.findall(r"[a-z]+", re.sub(r"<[^>]+>", "", product.body_html).lower())[:4]
    assert " ".join(words) in " ".join(re.findall(r"[a-z]+", html.unescape(_write(product)).lower()))
