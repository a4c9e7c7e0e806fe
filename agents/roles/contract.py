"""What tasks of a launch must bring, as JSON Schemas, and the words that output schemas are made of.

A task may bring more than a step reads: parameters belong to the whole workflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from agents.skill import Intent
from domain.message import Task

Schema = dict[str, Any]

DIGEST: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TEXT: Final[Schema] = {"type": "string"}
NAME: Final[Schema] = {"type": "string", "minLength": 1}
DATE: Final[Schema] = {"type": "string", "format": "date"}

_RUN: Final[Schema] = {
    "seed": {"type": "integer"},
    "as_of": DATE,
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "run_key": NAME,
}
_PRODUCT: Final[Schema] = {**_RUN, "key": NAME, "index": COUNT, "product": DIGEST}
_CLOSING: Final[Schema] = {
    **_RUN,
    "key": {"type": "string", "pattern": "^run-"},
    "results": DIGEST,
    "feed": DIGEST,
    "omit": {"type": "string", "pattern": "^([0-9a-f]{64})?$"},
}


def product_task(*needs: str) -> Schema:
    """The input of a step of one product that reads the documents of these earlier steps."""
    return _task(_PRODUCT, needs)


def closing_task(*needs: str) -> Schema:
    """The input of a step that concerns all products of a run."""
    return _task(_CLOSING, needs)


def record(**properties: Schema) -> Schema:
    """An object with exactly these members."""
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


def array(items: Schema) -> Schema:
    """A list of any length."""
    return {"type": "array", "items": items}


def or_null(schema: Schema) -> Schema:
    """What the schema says, or nothing."""
    return {"anyOf": [schema, {"type": "null"}]}


def step(title: str, schema: Schema) -> Schema:
    """The schema of what a step gives, as a document of its own."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": title, **schema}


class Computes:
    """A step without effects on the world."""

    def intents(self, task: Task, material: Any) -> Sequence[Intent]:
        return ()


def _task(parameters: Schema, needs: Sequence[str]) -> Schema:
    output = {"type": "object", "properties": {"document": DIGEST}, "required": ["document"]}
    members = {
        "parameters": {"type": "object", "properties": parameters, "required": sorted(parameters)},
        "context": {"type": "object", "properties": dict.fromkeys(needs, output), "required": sorted(needs)},
    }
    return step("Task", {"type": "object", "properties": members, "required": sorted(members)})
