"""A listing is what the shop page of a product states: a clean title, type, tags, attributes, texts for search, and its gaps.

Only what the feed says goes in. What it leaves open is named as a gap, so that a person knows what to add.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from agents.reasoners import text
from agents.reasoners.attributes import Attribute, Name, extract
from domain.trade.catalogue import Product

TITLE_LIMIT = 70
SEO_TITLE_LIMIT = 60
SEO_DESCRIPTION_LIMIT = 155  # what a search page shows before it cuts
TAG_LIMIT = 40
TAGS_LIMIT = 20
SHORT_DESCRIPTION = 40  # characters of visible text below which a description says next to nothing

GapCode = Literal[
    "no_title", "no_description", "short_description", "no_image", "no_product_type", "no_tags",
    "no_price", "no_cost", "blank_sku", "duplicate_sku", "no_weight", "no_barcode",
]  # fmt: skip
GAP_CODES: tuple[GapCode, ...] = (
    "no_title", "no_description", "short_description", "no_image", "no_product_type", "no_tags",
    "no_price", "no_cost", "blank_sku", "duplicate_sku", "no_weight", "no_barcode",
)  # fmt: skip
TypeSource = Literal["vendor", "title", "tag", "unknown"]


class Gap(msgspec.Struct, frozen=True):
    """One thing that the feed leaves open: a code to count by and a sentence for a person."""

    code: GapCode
    detail: str


class Listing(msgspec.Struct, frozen=True):
    """The listing of one product. `product_type` is "" where the vendor gives none and `type_source` is "unknown"."""

    handle: str
    title: str
    product_type: str
    type_source: TypeSource
    tags: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    seo_title: str
    seo_description: str
    gaps: tuple[Gap, ...]

    def values(self, name: Name) -> tuple[str, ...]:
        """The values of one attribute in the order they were found."""
        return tuple(attribute.value for attribute in self.attributes if attribute.name == name)


_TYPES = {
    "shirt": "Shirts", "blouse": "Blouses", "tee": "T-Shirts", "t-shirt": "T-Shirts", "top": "Tops", "jumper": "Jumpers",
    "sweater": "Jumpers", "hoodie": "Hoodies", "jacket": "Jackets", "coat": "Coats", "dress": "Dresses", "skirt": "Skirts",
    "jeans": "Trousers", "trousers": "Trousers", "pants": "Trousers", "shorts": "Shorts", "tuxedo": "Suits",
    "suit": "Suits", "shoes": "Shoes", "sneakers": "Shoes", "boots": "Shoes", "sandals": "Shoes", "high tops": "Shoes",
    "socks": "Socks", "hat": "Hats", "cap": "Hats", "beanie": "Hats", "scarf": "Scarves", "gloves": "Gloves",
    "belt": "Belts", "bag": "Bags", "backpack": "Bags", "tote": "Bags", "wallet": "Wallets", "watch": "Watches",
    "ring": "Jewellery", "necklace": "Jewellery", "earrings": "Jewellery", "bracelet": "Jewellery", "sofa": "Sofas",
    "couch": "Sofas", "armchair": "Chairs", "chair": "Chairs", "stool": "Chairs", "table": "Tables", "desk": "Tables",
    "drawers": "Storage", "shelf": "Storage", "basket": "Storage", "lamp": "Lighting", "light": "Lighting",
    "lantern": "Lighting", "candle": "Candles", "vase": "Vases", "pot": "Pots and Planters", "planter": "Pots and Planters",
    "pots": "Pots and Planters", "mug": "Mugs", "cup": "Mugs", "teapot": "Teapots", "plate": "Tableware",
    "bowl": "Tableware", "glass": "Glassware", "bottle": "Bottles", "pillow": "Cushions", "pillows": "Cushions",
    "cushion": "Cushions", "blanket": "Blankets", "throw": "Blankets", "rug": "Rugs", "towel": "Towels",
    "bed clothes": "Bedding", "duvet": "Bedding", "beanbag": "Chairs", "fence": "Garden", "trowel": "Garden Tools",
    "watering can": "Garden Tools", "mirror": "Mirrors", "clock": "Clocks", "poster": "Wall Art", "notebook": "Stationery",
    "pen": "Stationery", "soap": "Soaps", "toy": "Toys", "puzzle": "Toys", "headphones": "Audio", "speaker": "Audio",
    "keyboard": "Computer Accessories", "cable": "Cables", "tent": "Camping",
}  # fmt: skip
_TYPE = re.compile(
    rf"(?<![\w-])({'|'.join(sorted(map(re.escape, _TYPES), key=lambda word: (-len(word), word)))})(?:e?s)?(?![\w-])"
)
_PROMOTION = re.compile(
    r"[\[(*!]*\b(?:hot sale|best price|best seller|sale|new arrival|new|free shipping|limited offer|must have|"
    r"% off)\b\s*[!*\])]+",
    re.I,
)
_TAGGED: tuple[Name, ...] = ("material", "colour", "pattern")


def compose(product: Product) -> Listing:
    """The listing that the feed's row allows; equal products give equal listings."""
    attributes = extract(product)
    title, titled = _title(product)
    product_type, type_source = _type(product, title)
    return Listing(
        handle=product.handle,
        title=title,
        product_type=product_type,
        type_source=type_source,
        tags=_tags(product, product_type, attributes),
        attributes=attributes,
        seo_title=_seo_title(title, product.vendor),
        seo_description=_seo_description(product, title, attributes),
        gaps=tuple(_gaps(product, titled, product_type, type_source)),
    )


def _title(product: Product) -> tuple[str, bool]:
    """The vendor's title without shouting and promotion; where there is none, the words of the handle, and False."""
    raw = " ".join(block.text for block in text.blocks(product.title))
    clean = text.calm(_PROMOTION.sub(" ", raw), title=True).replace("!", "").strip(" -–|,.;:*")
    clean = re.sub(r"\s+", " ", clean)
    if clean:
        return text.cut(clean, TITLE_LIMIT, ending=""), True
    words = " ".join(re.findall(r"[^\W_]+", product.handle)) or f"Product {product.index + 1}"
    return text.cut(text.capitalised(words), TITLE_LIMIT, ending=""), False


def _type(product: Product, title: str) -> tuple[str, TypeSource]:
    given = text.cut(text.calm(text.tidy(product.product_type), title=True), TITLE_LIMIT, ending="")
    if given:
        return given, "vendor"
    head = re.split(r" with | for | in |[|(,–]| - ", title.lower())[0]
    if found := _TYPE.findall(head):
        return _TYPES[found[-1]], "title"  # the last noun is the head: a "coffee table" is a table
    for tag in product.tags:
        if match := _TYPE.fullmatch(text.tidy(tag).lower()):
            return _TYPES[match[1]], "tag"
    return "", "unknown"


def _tags(product: Product, product_type: str, attributes: tuple[Attribute, ...]) -> tuple[str, ...]:
    """Lower-case tags without repetition: the vendor's in their order, then type, material, colour and pattern."""
    stated = [attribute.value for attribute in attributes if attribute.name in _TAGGED]
    tags: dict[str, None] = {}
    for raw in (*product.tags, product_type, *stated):
        tag = re.sub(r"\s+", " ", re.sub(r"[^\w\s&%-]+", " ", text.tidy(raw).lower())).strip(" -_&%")
        tags.setdefault(text.cut(tag, TAG_LIMIT, ending=""))
    return tuple(tag for tag in tags if tag)[:TAGS_LIMIT]


def _seo_title(title: str, vendor: str) -> str:
    vendor = text.tidy(vendor)  # a name is written as its owner writes it
    full = f"{title} | {vendor}"
    if vendor and vendor.lower() not in title.lower() and len(full) <= SEO_TITLE_LIMIT:
        return full
    return text.cut(title, SEO_TITLE_LIMIT)


def _seo_description(product: Product, title: str, attributes: tuple[Attribute, ...]) -> str:
    prose, items = text.own_words(product.body_html)
    if prose or items:
        return text.cut(
            " ".join([*prose, *(item if item[-1] in ".!?…" else f"{item}." for item in items)]), SEO_DESCRIPTION_LIMIT
        )
    facts = [f"{attribute.name.replace('_', ' ')} {attribute.value}" for attribute in attributes[:4]]
    vendor = text.tidy(product.vendor)
    opening = f"{title} by {vendor}" if vendor and vendor.lower() not in title.lower() else title
    return text.cut(f"{opening}: {', '.join(facts)}." if facts else f"{opening}.", SEO_DESCRIPTION_LIMIT)


def _gaps(product: Product, titled: bool, product_type: str, type_source: TypeSource) -> list[Gap]:
    body = text.plain(product.body_html)
    gaps: list[Gap] = []
    if not titled:
        gaps.append(Gap("no_title", "No title: the words of the handle stand in."))
    if not body:
        gaps.append(Gap("no_description", "No description text."))
    elif len(body) < SHORT_DESCRIPTION:
        gaps.append(Gap("short_description", f"Description of {len(body)} characters."))
    if not product.image_urls:
        gaps.append(Gap("no_image", "No image."))
    if type_source == "unknown":
        gaps.append(Gap("no_product_type", "No product type, and the title names none that is known."))
    elif type_source != "vendor":
        gaps.append(Gap("no_product_type", f"No product type: {product_type} is taken from the {type_source}."))
    if not any(text.tidy(tag) for tag in product.tags):
        gaps.append(Gap("no_tags", "No tags."))
    return gaps + _variant_gaps(product)


def _variant_gaps(product: Product) -> list[Gap]:
    variants = product.variants
    skus = [variant.sku.strip() for variant in variants if variant.sku.strip()]
    counts: tuple[tuple[GapCode, str, int], ...] = (
        ("no_price", "No price", sum(variant.price <= 0 for variant in variants)),
        ("no_cost", "Cost unknown", sum(variant.cost is None for variant in variants)),
        ("blank_sku", "Blank SKU", len(variants) - len(skus)),
        ("duplicate_sku", "SKU used twice", len(skus) - len(set(skus))),
        ("no_weight", "No weight", sum(variant.grams <= 0 for variant in variants)),
        ("no_barcode", "No barcode", sum(not variant.barcode.strip() for variant in variants)),
    )
    return [Gap(code, f"{name}: {count} of {len(variants)} variants.") for code, name, count in counts if count]
