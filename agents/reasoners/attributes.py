"""Attributes that a vendor states somewhere: material, colour, size, care and the like, each with the place where it stands.

Nothing is inferred from what products usually are. A word counts only where it speaks of the product itself: not where it is
denied ("no plastic", "leather-free"), imitated ("wood look"), of a part ("black buttons"), of something that goes with it
("pair it with black jeans"), or of what the product is made for ("leather cleaner"). A fact missed is a gap a person can fill;
a fact invented is a return.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from agents.reasoners import text
from domain.trade.catalogue import Product

Source = Literal["title", "body", "option", "tag", "type"]
Name = Literal[
    "material", "colour", "pattern", "size", "gender", "age_group",
    "dimensions", "weight", "capacity", "scent", "flavour", "care",
]  # fmt: skip
NAMES: tuple[Name, ...] = (
    "material", "colour", "pattern", "size", "gender", "age_group",
    "dimensions", "weight", "capacity", "scent", "flavour", "care",
)  # fmt: skip
VALUE_LIMIT = 60
VALUES_PER_NAME = 24


class Attribute(msgspec.Struct, frozen=True):
    """One stated fact: its name, its value in the vendor's sense (lower case, options as written), and where it was found."""

    name: Name
    value: str
    source: Source


_MATERIALS = (
    "faux leather,vegan leather,leather,suede,organic cotton,cotton,merino wool,wool,cashmere,silk,linen,polyester,"
    "nylon,acrylic,viscose,rayon,elastane,spandex,fleece,velvet,corduroy,denim,flannel,canvas,jute,hemp,bamboo,"
    "rattan,wicker,cork,oak,walnut wood,pine wood,teak,beech,mahogany,acacia,solid wood,wooden,wood,marble,granite,"
    "concrete,ceramic,porcelain,bone china,stoneware,earthenware,terracotta,clay,borosilicate glass,glass,silicone,"
    "rubber,plastic,stainless steel,carbon steel,steel,cast iron,wrought iron,aluminium,aluminum,titanium,brass,"
    "copper,sterling silver,gold-plated,metal,cardboard,soy wax,beeswax,memory foam"
).split(",")
_COLOURS = (
    "black,white,grey,gray,red,blue,green,yellow,purple,pink,brown,beige,ivory,navy,turquoise,teal,burgundy,maroon,"
    "khaki,magenta,charcoal,multicolour,multicolor,multicoloured,multicolored,orange,cream,olive,mustard,lavender,"
    "mint,peach,coral,rose,gold,silver,tan,off-white,olive green,navy blue,sky blue,royal blue,dark green,"
    "dark blue,dark grey,dark brown,dark red,light blue,light green,light grey,light brown,light pink,rose gold,"
    "dark navy,ocean blue"
).split(",")
# Also the names of fruit, food, plants and metals.
_DOUBTFUL = frozenset("orange cream olive mustard lavender mint peach coral rose gold silver tan".split())
_PATTERNS = "striped,floral,plaid,checked,chequered,checkered,polka dot,tartan,paisley,camouflage,herringbone,gingham".split(",")
_SAME = {
    "wooden": "wood", "aluminum": "aluminium", "gray": "grey", "multicolor": "multicolour", "multicolored": "multicolour",
    "multicoloured": "multicolour", "checkered": "checked", "chequered": "checked", "spandex": "elastane",
}  # fmt: skip
_OPTION_NAMES: dict[str, Name] = {
    "color": "colour", "colour": "colour", "material": "material", "fabric": "material", "size": "size",
    "pattern": "pattern", "scent": "scent", "fragrance": "scent", "flavor": "flavour", "flavour": "flavour",
    "capacity": "capacity", "volume": "capacity", "dimensions": "dimensions", "weight": "weight", "gender": "gender",
    "age group": "age_group", "care": "care",
}  # fmt: skip
_PARTS = frozenset(
    "button buttons collar cuff cuffs lining lined hem pocket pockets chestpocket lace laces sole soles lights led "
    "leds base leg legs handle handles lid lids strap straps zip zips zipper trim trimming stitching letter "
    "lettering print logo accent accents detail details detailing frame feet foot knob knobs rim edge edges edging "
    "buckle belt seam seams sleeve sleeves piping inside interior spout cap cord stand hook hooks back backing "
    "finish effect look like style free scented paint cleaner conditioner polish care oil cleaning protector glue "
    "candy box packaging pattern patterns".split()
)
_NOT_A_COLOUR_BEFORE = frozenset(
    "oil juice tea cheese bean beans seed seeds wine pepper light wash scent scented water gold".split()
)
_FUNCTION_WORDS = frozenset("for with and or of in on to from is are that which it the a an by at".split())

_DENIED = re.compile(
    r"\b(?:no|not|non|never|without|free (?:of|from)|instead of|unlike|for|faux|fake|imitation|like)\b[^.,;:!?]{0,40}$"
)
_COMPANY = re.compile(
    r"\b(?:pairs? (?:it |them )?with|goes (?:\w+ )?with|matche?s? (?:\w+ )?with|match(?:es)?|works with|wear (?:it |them )?with|"
    r"combine (?:it |them )?with|looks? (?:\w+ )?(?:with|on)|against|compatible with|also available|remove[sd]?|"
    r"cleans?|protects?)\b[^.!?]*"
)


def _vocabulary(words: Iterable[str], suffix: str = "") -> re.Pattern[str]:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-]){suffix}")


_MATERIAL = _vocabulary(_MATERIALS, r"(?: blend(?!\w))?")
_COLOUR = _vocabulary(_COLOURS)
_PATTERN = _vocabulary(_PATTERNS)
_SHARE = re.compile(r"(\d{1,3})\s?%\s*$")
_NUMBER = r"\d{1,5}(?:[.,]\d{1,3})?"
_LENGTH = r"(?:cm|mm|m|in|inches|inch|ft|feet)\b"
_DIMENSIONS = re.compile(
    rf"(?<![\w.,])(?:{_NUMBER}\s?(?:{_LENGTH})?\s?[x×]\s?){{1,2}}{_NUMBER}\s?{_LENGTH}"
    rf"|(?<![\w.,]){_NUMBER}[ -]?{_LENGTH} (?:tall|high|wide|long|deep|thick|in diameter|in height|in length|in width)\b"
)
_WEIGHT_STATED = re.compile(rf"\b(?:weigh(?:s|ing)?|weight)\b[^.\d]{{0,20}}({_NUMBER}\s?(?:kg|g|grams|lbs?|oz)\b)")
_WEIGHT = re.compile(rf"(?<![\w.,])({_NUMBER}\s?(?:kg|g|lbs?)\b)")
_CAPACITY = re.compile(rf"(?<![\w.,])({_NUMBER}[ -]?(?:ml|cl|l|litres?|liters?|fl\.? ?oz)\b)")
_CARE = re.compile(
    r"\b(?:not |do not |don't )?(?:machine[ -]wash(?:able)?(?: (?:cold|warm|at \d\d ?°?c?))?|hand[ -]wash(?: only| cold)?|"
    r"dry[ -]clean(?: only)?|dishwasher[ -]safe|microwave[ -]safe|oven[ -]safe|tumble dry(?: low)?|line dry|"
    r"wipe clean(?: with a (?:damp|dry) cloth)?)\b"
    r"|\b(?:do not|don't) (?:bleach|iron|wring|soak)\b"
)
_FEMALE = re.compile(r"\b(?:wom[ae]n['’]?s|ladies['’]?|for women|girls?['’]?s?)(?!\w)")
_MALE = re.compile(r"\b(?:men['’]?s|for men|gentlemen['’]?s?|boys?['’]?s?)(?!\w)")
_CHILD = re.compile(r"\b(?:kids?['’]?s?|child(?:ren)?['’]?s?|boys?['’]?s?|girls?['’]?s?)(?!\w)")
_INFANT = re.compile(r"\b(?:bab(?:y|ies)|infants?|toddlers?|newborns?)['’]?s?(?!\w)(?! (?:blue|pink|doll))")


def extract(product: Product) -> tuple[Attribute, ...]:
    """What the feed states, by name in the order of `NAMES`; of one fact stated twice the more reliable place is kept."""
    found: dict[tuple[Name, str], Attribute] = {}
    per_name: dict[Name, int] = {}
    for attribute in _stated(product):
        key = (attribute.name, attribute.value.casefold())
        if key not in found and attribute.value and per_name.get(attribute.name, 0) < VALUES_PER_NAME:
            found[key] = attribute
            per_name[attribute.name] = per_name.get(attribute.name, 0) + 1
    kept = [attribute for attribute in found.values() if not _is_refined(attribute, found.values())]
    return tuple(sorted(kept, key=lambda attribute: NAMES.index(attribute.name)))  # stable: order of finding stays


def _is_refined(attribute: Attribute, others: Iterable[Attribute]) -> bool:
    """Whether another statement is more exact: "wool" in a title, where the body says "wool blend" or "80% wool"."""
    value = re.escape(attribute.value)
    return attribute.name == "material" and any(
        other.name == "material"
        and re.fullmatch(rf"(?:\d+% )?{value}(?: blend)?", other.value)
        and other != attribute
        and len(other.value) > len(attribute.value)
        for other in others
    )


def _stated(product: Product) -> Iterator[Attribute]:
    title = text.tidy(product.title).lower()
    head = title.split(" with ")[0]
    yield from _of_options(product)
    yield from _of_prose(title, "title", head)
    yield from _of_prose(text.tidy(product.product_type).lower(), "type", head)
    for tag in product.tags:
        yield from _of_tag(text.tidy(tag).lower(), head)
    yield from _of_prose(text.plain(product.body_html).lower(), "body", head)


def _of_options(product: Product) -> Iterator[Attribute]:
    for position, option in enumerate(product.option_names):
        name = _OPTION_NAMES.get(text.tidy(option).lower())
        for variant in product.variants if name else ():
            value = text.tidy(variant.options[position]) if position < len(variant.options) else ""
            if name and value and value.lower() != "default title":
                yield Attribute(name, text.cut(value, VALUE_LIMIT), "option")


def _of_tag(tag: str, head: str) -> Iterator[Attribute]:
    key, colon, value = re.sub(r"[_=]", ":", tag, count=1).partition(":")
    name = _OPTION_NAMES.get(key.strip())
    if colon and name and value.strip():
        yield Attribute(name, text.cut(value.strip(), VALUE_LIMIT), "tag")
        return
    if tag in _COLOURS:  # a tag of one word is a label, so "silver" needs no noun after it
        yield Attribute("colour", _SAME.get(tag, tag), "tag")
        return
    people: dict[str, str] = {"women": "female", "woman": "female", "men": "male", "man": "male", "unisex": "unisex"}
    if tag in people:
        yield Attribute("gender", people[tag], "tag")
    yield from _of_prose(tag, "tag", head)


def _of_prose(prose: str, source: Source, head: str) -> Iterator[Attribute]:
    own = _COMPANY.sub("", prose)
    words: tuple[tuple[Name, re.Pattern[str]], ...] = (("material", _MATERIAL), ("colour", _COLOUR), ("pattern", _PATTERN))
    for name, pattern in words:
        for match in pattern.finditer(own):
            if _speaks_of_product(own, match, name, head):
                yield Attribute(name, _value(own, match, name), source)
    yield from _people(own, source)
    weight = _WEIGHT if source == "title" else _WEIGHT_STATED
    measures: tuple[tuple[Name, re.Pattern[str]], ...] = (
        ("dimensions", _DIMENSIONS),
        ("weight", weight),
        ("capacity", _CAPACITY),
    )
    for name, pattern in measures:
        for match in pattern.finditer(own):
            yield Attribute(name, match[match.lastindex or 0].strip(), source)
    for match in _CARE.finditer(prose):
        yield Attribute("care", match[0].replace("don't", "do not"), source)


def _speaks_of_product(prose: str, match: re.Match[str], name: Name, head: str) -> bool:
    if _DENIED.search(prose[max(0, match.start() - 60) : match.start()]):
        return False
    following = re.match(r"[ -]([\w-]+)(?: ([\w-]+))?", prose[match.end() : match.end() + 60])
    after = [word for word in following.groups() if word] if following else []
    if after and after[0] in _FUNCTION_WORDS:
        after = []
    elif len(after) == 2 and after[1] in _FUNCTION_WORDS:
        after = after[:1]
    if any(word in _PARTS and not re.search(rf"\b{re.escape(word)}\b", head) for word in after):
        return False
    if name == "colour" and match[0] in _DOUBTFUL:  # "cream sofa" is a colour, "hand cream" and "olive oil" are not
        return bool(after) and after[0] not in _NOT_A_COLOUR_BEFORE
    return True


def _value(prose: str, match: re.Match[str], name: Name) -> str:
    value = match[0]
    for word, same in _SAME.items():
        value = re.sub(rf"^{word}\b", same, value)
    share = _SHARE.search(prose[max(0, match.start() - 8) : match.start()]) if name == "material" else None
    return f"{int(share[1])}% {value}" if share and 0 < int(share[1]) <= 100 else value


def _people(prose: str, source: Source) -> Iterator[Attribute]:
    if re.search(r"\bunisex\b", prose):
        yield Attribute("gender", "unisex", source)
    if _FEMALE.search(prose):
        yield Attribute("gender", "female", source)
    if _MALE.search(prose):
        yield Attribute("gender", "male", source)
    if source == "body":
        return  # "safe around children" says who is near, not whom it is for
    if _CHILD.search(prose):
        yield Attribute("age_group", "kids", source)
    if _INFANT.search(prose):
        yield Attribute("age_group", "infant", source)
