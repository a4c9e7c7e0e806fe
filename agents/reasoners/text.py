"""Vendor text made readable: HTML to blocks and sentences, shouting calmed, lengths kept, choices made by a stable hash.

The tokenizer is our own and small because `html.parser` changed its answers between patch releases of Python, and outputs
must not. Every pattern is linear: an element, comment or quote that is never closed swallows the rest, as it does in a browser.
"""

from __future__ import annotations

import hashlib
import html
import re

import msgspec

ELLIPSIS = "…"
SLUG_LIMIT = 28  # characters: the headers of a mail that carry one stay on one line
_BODY_LIMIT = 100_000  # characters; a feed with more in one cell is broken, and no shop page shows it

_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template|noscript|iframe|svg|object|head|title)\b.*?(?:</\1\s*>|\Z)", re.S | re.I
)
_TAG = re.compile(r"""<([/!?]?[a-zA-Z][\w:-]*)(?:=\s*"[^"]*(?:"|\Z)|=\s*'[^']*(?:'|\Z)|[^>])*+(?:>|\Z)""")
_BLOCKS = frozenset(
    "p div br li ul ol tr td th table h1 h2 h3 h4 h5 h6 section article header footer blockquote dl dt dd hr pre figure".split()
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]+")
_ADDRESS = re.compile(r"https?:|www\.|\S@\S|\bclick here\b|\+?\d[\d ()/-]{8,}\d", re.I)
_SENTENCE_LIMIT = 600  # an endless sentence is cut, so that one cannot push out all others
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=[^\W_a-z]|[\"'“(])")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_ORNAMENT = re.compile(r"[*~=_#|<>^]{2,}|[★☆►▶●◆✔✅🔥]+")
_ACRONYMS = frozenset(
    "LED USB UV XS XL XXL XXXL BPA PVC ABS HDMI NASA UK USA US EU DIY TV PC ID AC DC II III IV VI VII SPF RGB GPS MDF HEPA "
    "NFC PU TPU EVA SKU CE FSC GOTS OLED LCD DVD CD QR".split()
)
_SMALL_WORDS = frozenset("a an and as at but by for from in of on or the to with".split())
_SHOUTED_SHARE = 0.6  # of the letters: above it the whole text shouts, below it only long words in capitals do


class Block(msgspec.Struct, frozen=True):
    """One paragraph, cell or list item of an HTML text; `item` says that it stood in a list."""

    text: str
    item: bool


def flat(text: str) -> str:
    """The text on one line without control characters or runs of space."""
    return _SPACE.sub(" ", _CONTROL.sub(" ", text)).strip()


def tidy(text: str) -> str:
    """A vendor's cell as flat text; entities, which exports leave in plain cells too, are resolved once."""
    return flat(html.unescape(text))


def blocks(markup: str) -> tuple[Block, ...]:
    """The visible text of an HTML fragment, block by block; scripts, styles, comments and attributes are gone."""
    visible = _UNSEEN.sub(" ", markup[:_BODY_LIMIT])
    found: list[Block] = []
    line: list[str] = []
    item, end = False, 0

    def close() -> None:
        if text := tidy("".join(line)):
            found.append(Block(text, item))
        line.clear()

    for tag in _TAG.finditer(visible):
        line.append(visible[end : tag.start()])
        end, name = tag.end(), tag[1].lower()
        if name.lstrip("/") in _BLOCKS:
            close()
            item = name == "li" or (item and name not in {"/li", "/ul", "/ol", "p", "div"})
    line.append(visible[end:])
    close()
    return tuple(found)


def plain(markup: str) -> str:
    """The visible text of an HTML fragment on one line; blocks that end in no stop get one."""
    return " ".join(block.text if block.text[-1] in ".!?…:;" else f"{block.text}." for block in blocks(markup))


def sentences(block: str) -> tuple[str, ...]:
    """The sentences of one block of text."""
    return tuple(part for part in _SENTENCE_END.split(block) if part)


def own_words(markup: str) -> tuple[list[str], list[str]]:
    """The sentences and the list items of a vendor's HTML, each once, calm, and without those that hold links or addresses."""
    prose: list[str] = []
    items: list[str] = []
    seen: set[str] = set()
    for block in blocks(markup):
        for raw in (block.text,) if block.item else sentences(block.text):
            sentence = cut(calm(raw), _SENTENCE_LIMIT)
            key = re.sub(r"\W+", "", sentence.casefold())
            if not key or key in seen or _ADDRESS.search(sentence):
                continue
            seen.add(key)
            (items if block.item else prose).append(sentence if block.item or sentence[-1] in ".!?…:" else f"{sentence}.")
    return prose, items


def calm(text: str, *, title: bool = False) -> str:
    """The text without shouting: capitals lowered (acronyms kept), ornaments and repeated marks gone.

    As a `title`, lowered words are capitalised except small ones; as a sentence, only the first word is.
    """
    text = _SPACE.sub(" ", _ORNAMENT.sub(" ", text)).strip()
    text = re.sub(r"([!?])[!?]+", r"\1", text)
    letters = [character for character in text if character.isalpha()]
    upper = sum(character.isupper() for character in letters)
    shouts = len(letters) >= 4 and upper > _SHOUTED_SHARE * len(letters)

    def lower(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) < 2 or not word.isupper() or word in _ACRONYMS or not (shouts or len(word) >= 5):
            return word
        if not title or (word.lower() in _SMALL_WORDS and match.start() > 0):
            return word.lower()
        return word[0] + word[1:].lower()

    return capitalised(_WORD.sub(lower, text))


def capitalised(text: str) -> str:
    """The text with its first letter in upper case, unless its first word carries capitals of its own, as "iPhone" does."""
    first = text.partition(" ")[0]
    return text if first != first.lower() else text[:1].upper() + text[1:]


def cut(text: str, limit: int, ending: str = ELLIPSIS) -> str:
    """At most `limit` characters, cut between words where there is a place to cut."""
    if len(text) <= limit:
        return text
    head = text[: max(limit - len(ending), 0) + 1]
    space = head.rfind(" ")
    head = head[:space] if space > limit // 2 else head[: max(limit - len(ending), 0)]
    return (head.rstrip(" ,;:-–(/&|") + ending)[:limit]


def listed(words: tuple[str, ...] | list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def slug(text: str) -> str:
    """At most `SLUG_LIMIT` lower-case ASCII letters, digits and hyphens; a hash names what does not fit or has none of them."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if 0 < len(words) <= SLUG_LIMIT:
        return words
    return "-".join(part for part in (words[: SLUG_LIMIT - 9].strip("-"), digest(text)[:8]) if part)


def digest(*parts: object) -> str:
    """SHA-256 in hex over the parts in order; a separator keeps ("ab", "c") and ("a", "bc") apart."""
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()


def pick(options: tuple[str, ...], *key: object) -> str:
    """One of the options, the same for the same key in every process."""
    return options[int(digest(*key)[:12], 16) % len(options)]
