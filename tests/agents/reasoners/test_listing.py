"""A listing says what the feed says, cleaner, and names what the feed leaves open."""

from __future__ import annotations

import pytest
from hypothesis import given
from msgspec.structs import replace

from agents.reasoners import listing, text
from agents.reasoners.attributes import Attribute
from domain.trade.catalogue import Product
from tests.agents.reasoners.samples import BARE, MUG, products, real_products


def _attributes(product: Product, name: str) -> list[tuple[str, str]]:
    return [(found.value, found.source) for found in listing.compose(product).attributes if found.name == name]


def _says(title: str = "Thing", body: str = "", tags: tuple[str, ...] = ()) -> Product:
    return replace(BARE, title=title, body_html=body, tags=tags)


def test_a_vendors_shouting_is_fixed() -> None:
    """Capitals and exclamation marks leave the title, the words stay."""
    assert listing.compose(MUG).title == "Handmade Stoneware Mug"


@pytest.mark.parametrize(
    ("title", "clean"),
    [
        ("LED High Tops", "LED High Tops"),
        ("iPhone case", "iPhone case"),
        ("*SALE!* Blue &amp; White Vase", "Blue & White Vase"),
        ("<b>Oak</b> desk", "Oak desk"),
        ("MUG FOR THE ROAD", "Mug for the Road"),
    ],
)
def test_titles_keep_what_is_meant(title: str, clean: str) -> None:
    """Acronyms and brands stay as they are; markup, entities and promotion go."""
    assert listing.compose(_says(title)).title == clean


def test_every_attribute_says_where_it_was_found() -> None:
    """An option stands above a title, a title above the text."""
    assert listing.compose(MUG).attributes == (
        Attribute("material", "stoneware", "title"),
        Attribute("colour", "Blue", "option"),
        Attribute("colour", "White", "option"),
        Attribute("size", "S", "option"),
        Attribute("size", "L", "option"),
        Attribute("capacity", "350 ml", "body"),
        Attribute("care", "dishwasher safe", "body"),
    )


@pytest.mark.parametrize(
    "body",
    [
        "Contains no leather.", "Faux-leather look.", "Made without leather or fur.", "Leather-free.", "Cleans leather.",
        "A cleaner for leather.", "With leather handles.", "Goes well with leather.",
    ],
)  # fmt: skip
def test_what_is_not_said_of_the_product_is_no_attribute(body: str) -> None:
    """Denials, parts, purposes and company are not facts about the product."""
    assert _attributes(_says(body=body), "material") == []


@pytest.mark.parametrize(
    ("product", "name", "expected"),
    [
        (_says(body="80% wool, 20% nylon."), "material", [("80% wool", "body"), ("20% nylon", "body")]),
        (_says("Wool Jumper", "A soft wool blend."), "material", [("wool blend", "body")]),
        (_says(body="Soft faux leather upper."), "material", [("faux leather", "body")]),
        (_says("Cream Sofa"), "colour", [("cream", "title")]),
        (_says("Hand Cream"), "colour", []),
        (_says("Shirt", "Blue shirt with black buttons."), "colour", [("blue", "body")]),
        (_says("Leather Belt", "A brown leather belt."), "material", [("leather", "title")]),
        (_says(tags=("Color:Dark Red",)), "colour", [("dark red", "tag")]),
        (_says("Women's Tee"), "gender", [("female", "title")]),
        (_says(body="Measures 30 x 40 cm."), "dimensions", [("30 x 40 cm", "body")]),
        (_says(body="Weighs about 1.2 kg."), "weight", [("1.2 kg", "body")]),
        (_says(body="Not dishwasher safe."), "care", [("not dishwasher safe", "body")]),
        (_says("Kids Raincoat"), "age_group", [("kids", "title")]),
    ],
)
def test_stated_facts_are_found(product: Product, name: str, expected: list[tuple[str, str]]) -> None:
    """What the vendor states becomes an attribute, as exact as it is stated."""
    assert _attributes(product, name) == expected


def test_a_missing_type_is_inferred_and_said_to_be() -> None:
    """The head noun of the title gives the type, and the gap stays named."""
    found = listing.compose(_says("Oak Coffee Table with Drawers"))
    assert (found.product_type, found.type_source) == ("Tables", "title")
    assert "no_product_type" in {gap.code for gap in found.gaps}


def test_tags_are_merged_once() -> None:
    """Case and space make no new tag; type and attributes join the vendor's tags."""
    assert listing.compose(MUG).tags == ("kitchen", "gift", "mugs", "stoneware", "blue", "white")


def test_the_search_text_is_calm_and_leads_nowhere() -> None:
    """Search engines get the vendor's sentences once, without shouting and links."""
    assert listing.compose(MUG).seo_description == (
        "A mug for slow mornings. Holds 350 ml & fits most machines. Glazed in blue, no lead. Dishwasher safe."
    )


def test_gaps_of_a_bare_product_are_named() -> None:
    """Everything a feed can leave open is said, in a fixed order."""
    assert [gap.code for gap in listing.compose(BARE).gaps] == [
        "no_title", "no_description", "no_image", "no_product_type", "no_tags", "no_cost", "blank_sku", "no_weight", "no_barcode",
    ]  # fmt: skip


@given(products())
def test_limits_hold_for_any_feed(product: Product) -> None:
    """Whatever the vendor writes, titles and texts fit where they will be shown, and carry no markup of ours or theirs."""
    found = listing.compose(product)
    assert 1 <= len(found.title) <= 70
    assert 1 <= len(found.seo_title) <= 60
    assert 1 <= len(found.seo_description) <= 155
    assert len(set(found.tags)) == len(found.tags)
    assert found == listing.compose(product)


@given(products())
def test_no_value_comes_from_nowhere(product: Product) -> None:
    """Each option value stands in the feed as written."""
    stated = {text.tidy(option) for variant in product.variants for option in variant.options}
    options = [found.value for found in listing.compose(product).attributes if found.source == "option"]
    assert all(value in stated or value.endswith("…") for value in options)


@pytest.mark.parametrize("product", real_products(), ids=lambda product: product.handle)
def test_real_products_get_full_listings(product: Product) -> None:
    """A real feed gives a title, a type and something to search for."""
    found = listing.compose(product)
    assert found.title and found.product_type and found.tags and len(found.seo_description) > 10
