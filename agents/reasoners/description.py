"""A product's description: the vendor's own sentences made clean, then the facts of the listing, size and care.

The rules write no praise. They keep what the vendor says, once and without shouting, leave out links and addresses, and where
the vendor says nothing they say only what the feed states.
"""

from __future__ import annotations

import hashlib
from html import escape

import msgspec

from agents.reasoners import text
from agents.reasoners.attributes import Name
from agents.reasoners.listing import Listing
from domain.trade.catalogue import Product

LIMIT = 3_000  # characters of HTML
_FACTS: tuple[Name, ...] = (
    "material", "colour", "pattern", "dimensions", "capacity", "weight", "scent", "flavour",
)  # fmt: skip
_PEOPLE = {"female": "women", "male": "men", "unisex": "everyone"}
_VALUES_SHOWN = 8
_SENTENCES_A_PARAGRAPH = 3
_OPENINGS = (
    "{title} by {vendor}.", "{title}, from {vendor}.", "From {vendor}: {title}.", "Introducing {title} by {vendor}.",
    "Meet {title}, from {vendor}.", "{vendor} presents {title}.", "Now in the shop: {title} by {vendor}.",
)  # fmt: skip
_OPENINGS_ALONE = ("{title}.", "Introducing {title}.", "Meet {title}.", "Now in the shop: {title}.", "Here is {title}.")
_FACTS_LABELS = ("Details:", "At a glance:", "The facts:", "What it is:", "Good to know:")


class Description(msgspec.Struct, frozen=True):
    """A description as a step's output names it: SHA-256 of its UTF-8 bytes in hex, and its length in characters."""

    digest: str
    chars: int


def reference(description_html: str) -> Description:
    """What stands in an event for the text, which itself lies in the content store."""
    return Description(hashlib.sha256(description_html.encode()).hexdigest(), len(description_html))


def write(product: Product, listing: Listing, seed: int = 0) -> str:
    """HTML of p, ul and li with everything escaped, at most `LIMIT` characters.

    The seed and the handle choose among openings and labels, so that a catalogue does not read as one template.
    """
    prose, items = text.own_words(product.body_html)
    opening = _opening(product, listing, prose, seed)
    tail = _tail(product, listing, seed, bare=not prose and not items)
    kept: list[str] = []
    budget = LIMIT - len(_paragraphs([opening] if opening else [])) - len(tail)
    for sentence in prose:
        if len(_paragraphs([*kept, sentence])) > budget:
            break
        kept.append(sentence)
    first = [opening] if opening else []
    body = _paragraphs(first + kept) if len(kept) < 2 else _paragraphs(first) + _paragraphs(kept)
    points: list[str] = []
    for item in items:
        if len(body) + len(_list([*points, item])) + len(tail) > LIMIT:
            break
        points.append(item)
    return body + _list(points) + tail


def _opening(product: Product, listing: Listing, prose: list[str], seed: int) -> str:
    """A first sentence that names the product, unless the vendor's own begins so."""
    if prose and prose[0].casefold().startswith(listing.title.casefold()):
        return ""
    vendor = text.cut(text.tidy(product.vendor), 80)
    options = _OPENINGS if vendor and vendor.casefold() not in listing.title.casefold() else _OPENINGS_ALONE
    return text.pick(options, seed, product.handle, "opening").format(title=listing.title, vendor=vendor)


def _tail(product: Product, listing: Listing, seed: int, *, bare: bool) -> str:
    """Facts, sizes and care: what a buyer looks for below the prose."""
    facts = [(name.capitalize(), _shown(listing.values(name))) for name in _FACTS if listing.values(name)]
    if people := listing.values("gender") + listing.values("age_group"):
        facts.append(("For", _shown(tuple(_PEOPLE.get(value.lower(), value) for value in people))))
    if bare and listing.product_type:
        facts.insert(0, ("Type", listing.product_type))
    grams = {variant.grams for variant in product.variants}
    if len(grams) == 1 and min(grams) > 0 and not listing.values("weight"):
        facts.append(("Weight", f"{min(grams)} g"))
    parts = []
    if facts:
        label = text.pick(_FACTS_LABELS, seed, product.handle, "facts")
        parts.append(f"<p>{label}</p>" + _list([f"{name}: {value}" for name, value in facts]))
    if sizes := listing.values("size"):
        parts.append(f"<p>{'Sizes' if len(sizes) > 1 else 'Size'}: {escape(_shown(sizes))}.</p>")
    if care := listing.values("care"):
        parts.append(f"<p>Care: {escape(_shown(care))}.</p>")
    if bare and not parts:
        parts.append("<p>The vendor gives no further details.</p>")
    return "".join(parts)


def _shown(values: tuple[str, ...]) -> str:
    more = len(values) - _VALUES_SHOWN
    return text.listed([*values[:_VALUES_SHOWN], f"{more} more"]) if more > 0 else text.listed(values)


def _paragraphs(prose: list[str]) -> str:
    groups = [prose[start : start + _SENTENCES_A_PARAGRAPH] for start in range(0, len(prose), _SENTENCES_A_PARAGRAPH)]
    return "".join(f"<p>{escape(' '.join(group))}</p>" for group in groups)


def _list(points: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(point)}</li>' for point in points)}</ul>" if points else ""
