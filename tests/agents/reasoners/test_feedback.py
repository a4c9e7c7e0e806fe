"""What customers say is counted honestly, and persons' words stay where they are."""

from __future__ import annotations

import csv
import os
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given

from agents.reasoners import feedback
from domain.trade.catalogue import Review
from tests.agents.reasoners.samples import REVIEWS


def _review(rating: int, text: str, row: int = 1) -> Review:
    return Review(row, "mug", rating, "", text)


@pytest.mark.parametrize(
    ("rating", "text", "sentiment"),
    [
        (5, "", "positive"),
        (1, "Great product, love it", "negative"),
        (3, "", "neutral"),
        (3, "Perfect, beautiful, soft, I love it", "positive"),
        (3, "Not good, poor quality and it broke. Awful.", "negative"),
        (4, "Terrible seams, it ripped, returned it, disappointed", "neutral"),
    ],
)
def test_words_move_a_rating_only_across_a_near_border(rating: int, text: str, sentiment: str) -> None:
    """Stars decide; clear words move the undecided ones."""
    assert feedback.judge(_review(rating, text)).sentiment == sentiment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lovely colour, but it runs small", {"colour": "positive", "size_fit": "negative"}),
        ("The fabric is not soft", {"material": "negative", "comfort": "negative"}),
        ("Never disappointed with the quality", {"quality": "positive"}),
        ("Delivery was late", {"delivery": "negative"}),
        ("The price is ok", {"price": "neutral"}),
        ("Nothing else to say", {}),
    ],
)
def test_aspects_take_the_side_of_their_clause(text: str, expected: dict[str, str]) -> None:
    """Praise and blame in one sentence go to what each speaks of; a negation turns them round."""
    found = feedback.judge(_review(3, text)).aspects
    assert {mention.aspect: mention.polarity for mention in found} == expected


def test_no_reviews_give_an_honest_empty_summary() -> None:
    """No mean is invented out of nothing."""
    summary = feedback.summarise([])
    assert (summary.count, summary.mean_rating, summary.histogram) == (0, None, (0, 0, 0, 0, 0))
    assert summary.note == "No reviews of this product."


def test_mean_and_histogram() -> None:
    """The mean has two places, half up."""
    summary = feedback.summarise([_review(rating, "", row) for row, rating in enumerate((5, 5, 4, 1, 3, 5, 5, 5), 1)])
    assert (summary.mean_rating, summary.histogram) == (Decimal("4.13"), (1, 0, 1, 1, 5))


def test_quotes_are_rows_and_never_words() -> None:
    """At most three reviews to read, one a sentiment, by number only."""
    summary = feedback.summarise([_review(5, "Secretword soft fabric", 4), _review(5, "ok", 2), _review(1, "awful", 9)])
    assert [(quote.row, quote.sentiment) for quote in summary.quotes] == [(4, "positive"), (9, "negative")]
    assert b"ecretword" not in msgspec.json.encode(summary)


@given(REVIEWS)
def test_counts_agree_whatever_the_order(reviews: list[Review]) -> None:
    """Every review counts once in each total, and arrival does not matter."""
    summary = feedback.summarise(reviews)
    counts = summary.sentiment
    assert summary.count == len(reviews) == sum(summary.histogram) == counts.negative + counts.neutral + counts.positive
    assert summary == feedback.summarise(reviews[::-1])
    assert {quote.row for quote in summary.quotes} <= {review.row for review in reviews}


def test_real_reviews_are_judged_better_than_by_a_constant() -> None:
    """On real reviews the sentiment agrees with whether the customer recommends, for both answers (balanced accuracy)."""
    folder = os.environ.get("REHYDRATE_TEST_DATA")
    path = Path(folder or "", "clothing_reviews", "reviews.csv")
    if not folder or not path.exists():
        pytest.skip("REHYDRATE_TEST_DATA names no reviews")
    hits: dict[str, list[bool]] = {"0": [], "1": []}
    with path.open(encoding="utf-8", newline="") as file:
        for row, line in enumerate(csv.DictReader(file), 1):
            review = Review(row, "dress", int(line["Rating"]), line["Title"], line["Review Text"])
            positive = feedback.judge(review).sentiment == "positive"
            hits[line["Recommended IND"]].append(positive == (line["Recommended IND"] == "1"))
    assert sum(sum(answers) / len(answers) for answers in hits.values()) / 2 > 0.9
