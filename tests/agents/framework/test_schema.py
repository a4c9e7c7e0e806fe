"""A schema is checked before data is, and data that does not fit is told by place and reason, without the data."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.framework import schema
from agents.framework.schema import MESSAGE_LENGTH, PATH_LENGTH, InvalidData, InvalidSchema

PRODUCT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "sku": {"type": "string", "minLength": 1},
        "since": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "prices": {"type": "array", "items": {"type": "object", "properties": {"a/b~c": {"type": "integer", "minimum": 0}}}},
    },
    "required": ["sku"],
}
CHECK = schema.compile(PRODUCT)


def refusal(document: Any) -> InvalidData:
    """How a document is refused."""
    with pytest.raises(InvalidData) as caught:
        CHECK(document, "output")
    return caught.value


def test_what_fits_passes() -> None:
    """Silently."""
    CHECK({"sku": "A", "since": "2026-11-21", "prices": [{"a/b~c": 3}]}, "input")


def test_a_refusal_names_side_place_and_reason() -> None:
    """The place is a JSON pointer with its escapes; the root is the empty pointer."""
    deep = refusal({"sku": "A", "prices": [{}, {"a/b~c": -1}]})
    assert (deep.where, deep.path) == ("output", "/prices/1/a~1b~0c")
    assert deep.message == "the value is less than the minimum of 0"
    assert str(deep) == "output at /prices/1/a~1b~0c: the value is less than the minimum of 0"
    root = refusal({})
    assert (root.path, str(root)) == ("", 'output at its root: "sku" is a required property')


@pytest.mark.parametrize("field", ["since", "mail"])
def test_formats_are_asserted(field: str) -> None:
    """A format is a promise, not a remark."""
    assert refusal({"sku": "A", field: "tomorrow"}).path == f"/{field}"


def test_a_refusal_does_not_quote_the_data() -> None:
    """A customer's address in the wrong field does not reach the log by way of an error, nor by its cause."""
    error = refusal({"sku": "A", "since": "jane@example.org"})
    assert "jane" not in f"{error!s} {error!r} {error.__cause__} {error.args}"
    assert error.__suppress_context__


@pytest.mark.parametrize("thing", [object(), {1: "a"}, {"sku": {"a", "b"}}, MappingProxyType({"sku": "A"}), None, [], "sku"])
def test_what_is_no_json_object_is_refused(thing: Any) -> None:
    """As data, not as a crash."""
    assert refusal(thing).path == ""


def test_a_document_without_end_is_refused() -> None:
    """A cycle does not hang or kill the process."""
    document: dict[str, Any] = {}
    document["again"] = document
    with pytest.raises(InvalidData, match="no JSON document"):
        schema.compile({"enum": [1]})(document, "input")


def test_a_refusal_is_bounded() -> None:
    """Neither a deep path nor a wide message makes it long."""
    names = schema.compile({"additionalProperties": False, "properties": {"p": {}}})
    with pytest.raises(InvalidData) as wide:
        names({f"name{number}": 1 for number in range(1000)}, "input")
    assert len(wide.value.message) <= MESSAGE_LENGTH
    deep = schema.compile({"additionalProperties": {"type": "string"}})
    with pytest.raises(InvalidData) as long:
        deep({"n" * 1000: 1}, "input")
    assert len(long.value.path) <= PATH_LENGTH
    assert all(len(argument) <= max(MESSAGE_LENGTH, PATH_LENGTH) for argument in long.value.args)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"properties": {"a": {"type": "objekt"}}}, "at /properties/a/type"),
        ({"pattern": "("}, "at /pattern"),
        ({"format": "datum"}, "datum"),
        ({"$ref": "http://example.invalid/schema"}, "Retrieval is disabled"),
        ({"$ref": "#/definitions/missing"}, "missing"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "not draft-07"),
    ],
)
def test_a_wrong_schema_is_refused_when_it_is_compiled(wrong: dict[str, Any], why: str) -> None:
    """With its place or its reason, before any data comes, and without a network."""
    with pytest.raises(InvalidSchema, match=why):
        schema.compile(wrong)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sku", "prices", "a/b~c", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_the_fast_validator_agrees_with_the_reference(document: Any) -> None:
    """jsonschema-rs refuses what jsonschema refuses."""
    try:
        CHECK(document, "input")
        fits = True
    except InvalidData:
        fits = False
    assert fits == jsonschema.Draft7Validator(PRODUCT).is_valid(document)


KEYWORDS = ("type", "properties", "required", "minimum", "items", "enum", "additionalProperties", "allOf", "$ref", "title")


@given(st.dictionaries(st.sampled_from(KEYWORDS), VALUES, max_size=3))
def test_what_the_reference_takes_for_no_schema_is_refused(wrong: dict[str, Any]) -> None:
    """And what it takes for one is refused for its references alone."""
    try:
        schema.compile(wrong)
        refused = ""
    except InvalidSchema as error:
        refused = str(error)
    assert bool(refused) == (not is_schema(wrong)) or "$ref" in str(wrong)


def is_schema(given: dict[str, Any]) -> bool:
    try:
        jsonschema.Draft7Validator.check_schema(given)
    except jsonschema.SchemaError:
        return False
    return True
