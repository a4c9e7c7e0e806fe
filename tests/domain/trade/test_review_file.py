"""A review file gives its reviews without their authors, and every problem."""

from __future__ import annotations

import pytest

from domain.trade.catalogue import Problem, Review
from domain.trade.review_file import read_reviews
from domain.trade.table import MAX_PROBLEMS


def test_a_review_comes_without_its_author() -> None:
    """Names and addresses of reviewers do not get into the swarm."""
    data = b"title,body,rating,reviewer_name,reviewer_email,product_handle\nGood,Holds well,5,Jo Doe,jo@example.com,mug\n"
    reviews, problems = read_reviews(data)
    assert (reviews, problems) == ((Review(1, "mug", 5, "Good", "Holds well"),), ())


@pytest.mark.parametrize(
    "header", ["handle,RATING,Title,body", "Product_Handle,Rating,title,Text", "handle,rating,title,Review Text"]
)
def test_column_names_are_read_in_any_case(header: str) -> None:
    """Review apps spell them differently."""
    assert read_reviews(f"{header}\nmug,4,,Fine\n".encode())[0] == (Review(1, "mug", 4, "", "Fine"),)


def test_a_rating_without_words_is_a_review() -> None:
    """Many customers only give stars."""
    assert read_reviews(b"handle,rating,body\nmug,1,\n") == ((Review(1, "mug", 1, "", ""),), ())


@pytest.mark.parametrize("rating", ["0", "6", "4.5", "", "five", "-1"])
def test_a_rating_is_a_whole_number_from_one_to_five(rating: str) -> None:
    """A row with any other is a problem, and the reviews after it keep their numbers."""
    reviews, problems = read_reviews(f"handle,Rating,body\nmug,{rating},a\nmug,3,b\n".encode())
    assert [(review.row, review.rating) for review in reviews] == [(2, 3)]
    assert [(problem.line, problem.column) for problem in problems] == [(2, "Rating")]
    assert "a whole number from 1 to 5" in problems[0].reason


def test_a_review_of_no_product_of_the_catalogue_is_a_problem_when_the_catalogue_is_given() -> None:
    """It would be feedback on nothing."""
    _, problems = read_reviews(b"handle,rating,body\ncup,3,a\n", handles={"mug"})
    assert problems == (Problem(2, "handle", '"cup" is no product of the catalogue'),)


def test_the_column_of_the_handle_can_be_named() -> None:
    """Data sets of reviews name products by columns of their own."""
    reviews, problems = read_reviews(b"Clothing ID,Rating,Title,Review Text\n767,4,,Soft\n", handle_column="Clothing ID")
    assert (reviews, problems) == ((Review(1, "767", 4, "", "Soft"),), ())


def test_a_file_of_nothing_but_problems_is_given_up() -> None:
    """Nothing in it is trusted, and the memory stays small."""
    reviews, problems = read_reviews(b"handle,rating,body\nmug,1,\n" + b"mug,x,\n" * 2 * MAX_PROBLEMS)
    assert (reviews, len(problems)) == ((), MAX_PROBLEMS + 1)


def test_every_problem_of_a_row_and_of_a_file_is_reported() -> None:
    """Bad handle and bad rating of one row, a ragged row, a file without rows, a file without columns."""
    _, problems = read_reviews(b"handle,rating,body\na b,9,x\nmug,3,a,b\n")
    assert [(problem.line, problem.column) for problem in problems] == [(2, "handle"), (2, "rating"), (3, "")]
    assert [problem.line for problem in read_reviews(b"handle,rating,body\n")[1]] == [0]
    assert [problem.column for problem in read_reviews(b"a,b\n1,2\n")[1]] == ["body", "product_handle", "rating"]
