"""Every step's output keeps its schema, and the schemas let nothing else through."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from jsonschema import Draft7Validator, ValidationError

from agents.reasoners import description, schemas
from agents.reasoners.results import ProductResult
from domain.trade.catalogue import Product, Review
from tests.agents.reasoners.samples import BARE, MUG, REVIEWS, launched, products, real_products

STEPS = ("LISTING", "DESCRIPTION", "QUOTES", "RESERVATION", "POSTS", "FEEDBACK")


def _outputs(result: ProductResult) -> dict[str, Any]:
    values = {
        "LISTING": result.listing,
        "DESCRIPTION": description.reference(result.description_html or ""),
        "QUOTES": result.quotes,
        "RESERVATION": result.reservation,
        "POSTS": result.posts,
        "FEEDBACK": result.feedback,
    }
    return {step: msgspec.to_builtins(value, str_keys=True) for step, value in values.items()}


def _validate(result: ProductResult) -> None:
    for step, output in _outputs(result).items():
        # An output is read back from JSON, so tuples have become lists.
        Draft7Validator(getattr(schemas, step)).validate(msgspec.json.decode(msgspec.json.encode(output)))


@pytest.mark.parametrize("step", STEPS)
def test_schemas_are_draft_07(step: str) -> None:
    """A schema is one by its own standard."""
    schema = getattr(schemas, step)
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


@given(products(), REVIEWS)
def test_any_products_outputs_keep_their_schemas(product: Product, reviews: list[Review]) -> None:
    """No feed leads to an output that the contract refuses."""
    _validate(launched(product, tuple(reviews)))


@pytest.mark.parametrize("product", [MUG, BARE, *real_products()], ids=lambda product: product.handle)
def test_known_products_outputs_keep_their_schemas(product: Product) -> None:
    """Nor does a real feed."""
    _validate(launched(product))


@pytest.mark.parametrize("step", ["LISTING", "DESCRIPTION", "RESERVATION", "FEEDBACK"])
def test_a_field_too_many_or_too_few_is_refused(step: str) -> None:
    """The contract is strict in both directions."""
    validator, output = Draft7Validator(getattr(schemas, step)), _outputs(launched(MUG))[step]
    for broken in ({**output, "extra": 1}, dict(list(output.items())[1:])):
        with pytest.raises(ValidationError):
            validator.validate(msgspec.json.decode(msgspec.json.encode(broken)))


def test_an_amount_that_is_a_number_is_refused() -> None:
    """Money travels as a string of two places."""
    output = _outputs(launched(MUG))["QUOTES"]
    with pytest.raises(ValidationError):
        Draft7Validator(schemas.QUOTES).validate([{**output[0], "price": 17.99}])
