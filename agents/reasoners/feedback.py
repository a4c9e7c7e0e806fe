"""What customers say: sentiment from a small lexicon together with the rating, and the aspects they speak of.

The rating weighs more than the words, since people mean the stars they give; the words move a review across a border only where
they clearly disagree. Words count per clause, so that "lovely colour, but it runs small" praises the colour and blames the fit.
Quotes are row numbers: what a person wrote stays in the review file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import msgspec

from domain.trade.catalogue import Review

Sentiment = Literal["negative", "neutral", "positive"]
Aspect = Literal["quality", "size_fit", "price", "delivery", "colour", "material", "comfort"]
ASPECTS: tuple[Aspect, ...] = ("quality", "size_fit", "price", "delivery", "colour", "material", "comfort")
QUOTES = 3

_WORDS_WEIGHT = 0.8  # of a star: what clear words add to or take from the rating
_BORDER = 0.6  # stars from the middle: beyond it a review is no longer neutral

_GOOD = frozenset(
    "love loved lovely great perfect perfectly beautiful gorgeous good nice excellent amazing awesome wonderful "
    "comfortable comfy soft flattering cute pretty fantastic best happy pleased recommend sturdy solid durable "
    "elegant stylish stunning adorable fabulous fun quick fast easy compliments worth warm cozy lightweight "
    "breathable classy versatile unique fine favorite favourite well-made bargain impressed delighted superb "
    "reliable smooth silky true".split()
)
_BAD = frozenset(
    "bad poor poorly terrible awful horrible disappointed disappointing disappointment cheap cheaply itchy "
    "scratchy uncomfortable tight loose huge baggy boxy broke broken ripped tore torn defective flimsy thin stiff "
    "rough faded shrunk shrank return returned returning unflattering unfortunately ugly weird odd awkward late "
    "slow damaged missing wrong overpriced expensive waste worst hate hated problem issue issues flaw flaws fell "
    "unravel unraveled frumpy shapeless see-through dull stained smell smells useless leaks".split()
)
_NEGATIONS = frozenset(
    "not no never isn't wasn't don't doesn't didn't can't couldn't won't wouldn't aren't weren't nothing hardly without".split()
)
_REACH = 3  # words behind a negation that it turns round
_ASPECT_TERMS: dict[Aspect, str] = {
    "quality": r"quality|well[- ]made|made|sewn|stitch\w*|seams?|durable|sturdy|flimsy|broke\w*|ripped|defect\w*|flaws?",
    "size_fit": r"sizes?|sized|sizing|fits?|fitted|fitting|small|large|big|tight|loose|petite|length|long|short|runs?|waist|snug",
    "price": r"prices?|priced|pricey|expensive|overpriced|cost|costs|money|value|sale|bargain|worth|affordable",
    "delivery": r"delivery|delivered|shipping|shipped|arrived?|arrival|package|packaging|late|courier",
    "colour": r"colou?rs?|colou?red|shades?|hue|faded|vibrant|black|white|red|blue|green|navy|pink|grey|gray",
    "material": r"materials?|fabrics?|cotton|silk|silky|wool|linen|polyester|leather|textile|cloth|knit|thin|thick|sheer",
    "comfort": r"comfort\w*|comfy|uncomfortable|soft|itchy|scratchy|cozy|cosy|breathable|warm|stiff",
}
_ASPECT_WORDS = {aspect: re.compile(rf"\b(?:{terms})\b") for aspect, terms in _ASPECT_TERMS.items()}
_BAD_FIT = re.compile(
    r"\b(?:(?:too|so|very|runs?|bit|way|ran) (?:\w+ )?(?:small|large|big|tight|long|short|wide|loose)|wrong size)\b"
)
_CLAUSE = re.compile(r"[.!?;,\n]+|\bbut\b|\bhowever\b|\balthough\b|\bthough\b|\bexcept\b")
_TOKEN = re.compile(r"[a-z]+(?:['-][a-z]+)*")


class AspectMention(msgspec.Struct, frozen=True):
    """One aspect a review speaks of, and how."""

    aspect: Aspect
    polarity: Sentiment


class Judgement(msgspec.Struct, frozen=True):
    """What one review says, by its row."""

    row: int
    rating: int
    sentiment: Sentiment
    aspects: tuple[AspectMention, ...]


class SentimentCounts(msgspec.Struct, frozen=True):
    """How many reviews, or mentions of an aspect, are of which sentiment."""

    negative: int = 0
    neutral: int = 0
    positive: int = 0


class AspectSummary(msgspec.Struct, frozen=True):
    """One aspect over all reviews; `polarity` is what most mentions that take a side say, neutral when they balance."""

    aspect: Aspect
    mentions: SentimentCounts
    polarity: Sentiment


class Quotation(msgspec.Struct, frozen=True):
    """A review worth reading for its sentiment, by its row in the review file."""

    row: int
    sentiment: Sentiment


class FeedbackSummary(msgspec.Struct, frozen=True):
    """The reviews of one product. `histogram` counts ratings 1 to 5; the mean has two places, half up, None for no reviews."""

    count: int
    mean_rating: Decimal | None
    histogram: tuple[int, int, int, int, int]
    sentiment: SentimentCounts
    aspects: tuple[AspectSummary, ...]
    quotes: tuple[Quotation, ...]
    note: str


def judge(review: Review) -> Judgement:
    """The sentiment and aspects of one review."""
    words = f"{review.title}.\n{review.text}".lower().replace("’", "'")
    clauses = [clause for clause in _CLAUSE.split(words) if clause.strip()]
    scores = [_score(clause) for clause in clauses]
    good, bad = sum(score for score in scores if score > 0), -sum(score for score in scores if score < 0)
    lexical = (good - bad) / (good + bad + 1)
    leaning = review.rating - 3 + _WORDS_WEIGHT * lexical
    mentions = []
    for aspect in ASPECTS:
        touching = [score for clause, score in zip(clauses, scores, strict=True) if _ASPECT_WORDS[aspect].search(clause)]
        if touching:
            mentions.append(AspectMention(aspect, _sign(sum(touching))))
    return Judgement(review.row, review.rating, _sign(leaning, _BORDER), tuple(mentions))


def summarise(reviews: Sequence[Review]) -> FeedbackSummary:
    """The reviews together; the order they come in does not matter."""
    judged = sorted((judge(review) for review in reviews), key=lambda judgement: judgement.row)
    count = len(judged)
    ratings = [judgement.rating for judgement in judged]
    mean = (Decimal(sum(ratings)) / count).quantize(Decimal("0.01"), ROUND_HALF_UP) if count else None
    return FeedbackSummary(
        count=count,
        mean_rating=mean,
        histogram=(ratings.count(1), ratings.count(2), ratings.count(3), ratings.count(4), ratings.count(5)),
        sentiment=_counts([judgement.sentiment for judgement in judged]),
        aspects=tuple(_aspects(judged)),
        quotes=_quotations(judged),
        note=f"{count} review{'s' if count != 1 else ''}." if count else "No reviews of this product.",
    )


def _score(clause: str) -> int:
    """Good words less bad words; a negation turns round what follows within its reach."""
    score, turned = 0, 0
    for word in _TOKEN.findall(clause):
        if word in _NEGATIONS:
            turned = _REACH
            continue
        value = 1 if word in _GOOD else -1 if word in _BAD else 0
        score += -value if turned else value
        turned = max(turned - 1, 0)
    if _BAD_FIT.search(clause) and not re.search(r"\b(?:not|n't|never) (?:\w+ )?too\b", clause):
        score -= 1
    return score


def _sign(value: float, border: float = 0) -> Sentiment:
    return "positive" if value > border else "negative" if value < -border else "neutral"


def _counts(sentiments: Sequence[Sentiment]) -> SentimentCounts:
    return SentimentCounts(sentiments.count("negative"), sentiments.count("neutral"), sentiments.count("positive"))


def _aspects(judged: Sequence[Judgement]) -> list[AspectSummary]:
    """The aspects spoken of, in the order of `ASPECTS`."""
    summaries = []
    for aspect in ASPECTS:
        polarities = [mention.polarity for judgement in judged for mention in judgement.aspects if mention.aspect == aspect]
        if polarities:
            counts = _counts(polarities)
            summaries.append(AspectSummary(aspect, counts, _sign(counts.positive - counts.negative)))
    return summaries


def _quotations(judged: Sequence[Judgement]) -> tuple[Quotation, ...]:
    """For each sentiment that occurs the review with most aspects (the first of equals), the most frequent sentiment first."""
    groups: dict[Sentiment, list[Judgement]] = {}
    for judgement in judged:
        groups.setdefault(judgement.sentiment, []).append(judgement)
    order = sorted(groups, key=lambda sentiment: (-len(groups[sentiment]), sentiment))
    best = [min(groups[sentiment], key=lambda judgement: (-len(judgement.aspects), judgement.row)) for sentiment in order]
    return tuple(Quotation(judgement.row, judgement.sentiment) for judgement in best[:QUOTES])
