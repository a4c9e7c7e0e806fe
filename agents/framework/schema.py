"""JSON Schema (draft-07) for what goes into an agent and what comes out.

A schema is checked against the meta-schema, then compiled, both by jsonschema-rs; what is wrong with one says jsonschema, the reference in
Python, which would else be a tenth of a second of each start, and ten milliseconds more of each worker's, while its messages wait.
Stricter than the libraries' defaults, each for a reason:
- `format` is asserted, and one that draft-07 does not define is refused: it would be a check that nobody makes;
- a remote `$ref` is refused: a check must not depend on a network;
- messages never quote the data: they end in events and logs, where no personal data may be.
"""

from __future__ import annotations

from typing import Any, Literal

import jsonschema_rs

from agents.framework.errors import AgentError, bounded

Where = Literal["input", "output"]
PATH_LENGTH = 200
MESSAGE_LENGTH = 300
_DRAFT_07 = "http://json-schema.org/draft-07/schema"
_MASK = "the value"


class InvalidSchema(ValueError):
    """The schema itself is wrong."""


class InvalidData(AgentError):
    """The data does not fit the schema: at `path`, a JSON pointer (RFC 6901; "" is the whole document), because of `message`."""

    def __init__(self, where: Where, path: str, message: str) -> None:
        self.where, self.path, self.message = where, bounded(path, PATH_LENGTH), bounded(message, MESSAGE_LENGTH)
        super().__init__(where, self.path, self.message)
        self.code = f"invalid_{where}"

    def __str__(self) -> str:
        return f"{self.where} at {self.path or 'its root'}: {self.message}"


class Check:
    """A compiled schema: call it with a document and where that document stands."""

    __slots__ = ("_validate",)

    def __init__(self, validator: jsonschema_rs.Draft7Validator) -> None:
        self._validate = validator.validate

    def __call__(self, document: Any, where: Where) -> None:
        """Do nothing if the document fits the schema.

        Raises:
            InvalidData: it does not, or what the schema looks at is no JSON.
        """
        try:
            self._validate(document)
        except jsonschema_rs.ValidationError as error:
            raise InvalidData(where, _pointer(error.instance_path), error.message) from None  # its cause quotes the data
        except ValueError as error:
            raise InvalidData(where, "", f"no JSON document: {error}") from None


def compile(schema: dict[str, Any]) -> Check:
    """Check a schema and make it ready.

    Raises:
        InvalidSchema: it is not of draft-07, names an unknown format, or refers to what is not there.
    """
    declared = schema.get("$schema", _DRAFT_07)
    if not isinstance(declared, str) or declared.rstrip("#") != _DRAFT_07:
        raise InvalidSchema(f"$schema is {declared!r}, not draft-07")
    try:
        jsonschema_rs.meta.validate({**schema, "$schema": declared})  # it takes one that names no draft for a newer one
        validator = jsonschema_rs.Draft7Validator(
            schema, validate_formats=True, ignore_unknown_formats=False, mask=_MASK, offline=True
        )
    except jsonschema_rs.ValidationError as error:
        raise _invalid(schema, error) from error
    except ValueError as error:
        raise InvalidSchema(bounded(str(error), MESSAGE_LENGTH)) from error
    return Check(validator)


def _invalid(schema: dict[str, Any], found: jsonschema_rs.ValidationError) -> InvalidSchema:
    """What is wrong with a schema, in the words of the reference, which picks the error that explains most of the others."""
    import jsonschema  # noqa: PLC0415 a tenth of a second, which only a wrong schema should take

    path, message = found.instance_path, found.message
    try:
        jsonschema.Draft7Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        path, message = list(error.absolute_path), error.message
    return InvalidSchema(f"at {_pointer(path) or 'its root'}: {bounded(message, MESSAGE_LENGTH)}")


def _pointer(path: Any) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
