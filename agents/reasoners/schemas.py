"""JSON Schemas (draft-07) of what each step gives, as `msgspec.to_builtins(value, str_keys=True)` shows it: amounts are strings.

They are written by hand, not derived: a struct that changes must break a test before it breaks a reader of stored outputs.
"""

from __future__ import annotations

from typing import Any, Final

from agents.reasoners import attributes, campaign, feedback, listing, pricing

Schema = dict[str, Any]
_DRAFT: Final = "http://json-schema.org/draft-07/schema#"


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


def _array(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


def _step(title: str, schema: Schema) -> Schema:
    return {"$schema": _DRAFT, "title": title, **schema}


def _text(most: int | None = None, least: int = 0) -> Schema:
    return {"type": "string", "minLength": least} | ({} if most is None else {"maxLength": most})


def _one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_AMOUNT: Final[Schema] = {"type": "string", "pattern": r"^\d+\.\d{2}$"}
_DECIMAL: Final[Schema] = {"type": "string", "pattern": r"^-?\d+(\.\d+)?(E[+-]?\d+)?$"}
_MARGIN: Final[Schema] = {"type": "string", "pattern": r"^-?\d+\.\d{4}$"}
_SENTIMENT: Final[Schema] = _one_of("negative", "neutral", "positive")
_SENTIMENTS: Final[Schema] = _object(negative=_COUNT, neutral=_COUNT, positive=_COUNT)
_STATUS: Final[Schema] = _one_of("in_stock", "low", "out")

LISTING: Final[Schema] = _step(
    "Listing",
    _object(
        handle=_text(),
        title=_text(listing.TITLE_LIMIT, least=1),
        product_type=_text(listing.TITLE_LIMIT),
        type_source=_one_of("vendor", "title", "tag", "unknown"),
        tags={**_array(_text(listing.TAG_LIMIT, least=1), maxItems=listing.TAGS_LIMIT), "uniqueItems": True},
        attributes=_array(
            _object(
                name=_one_of(*attributes.NAMES),
                value=_text(attributes.VALUE_LIMIT, least=1),
                source=_one_of("title", "body", "option", "tag", "type"),
            )
        ),
        seo_title=_text(listing.SEO_TITLE_LIMIT, least=1),
        seo_description=_text(listing.SEO_DESCRIPTION_LIMIT, least=1),
        gaps=_array(_object(code=_one_of(*listing.GAP_CODES), detail=_text(least=1))),
    ),
)
DESCRIPTION: Final[Schema] = _step(
    "Description",
    _object(digest={"type": "string", "pattern": "^[0-9a-f]{64}$"}, chars={"type": "integer", "minimum": 1, "maximum": 3_000}),
)
QUOTES: Final[Schema] = _step(
    "Quotes",
    _array(
        _object(
            key=_text(least=1),
            price=_AMOUNT,
            compare_at=_or_null(_AMOUNT),
            cost=_or_null(_DECIMAL),
            margin=_or_null(_MARGIN),
            rule=_one_of(*pricing.RULES),
            reason=_text(least=1),
            within_bounds={"type": "boolean"},
        )
    ),
)
RESERVATION: Final[Schema] = _step(
    "Reservation",
    _object(
        lines=_array(
            _object(
                key=_text(least=1),
                available=_COUNT,
                safety=_COUNT,
                reserved=_COUNT,
                status=_STATUS,
                counted_by=_one_of("levels", "feed"),
            )
        ),
        available=_COUNT,
        reserved=_COUNT,
        status=_STATUS,
    ),
)
POSTS: Final[Schema] = _step(
    "Posts",
    _array(
        _object(
            index=_COUNT,
            handle=_text(),
            number=_COUNT,
            stage=_one_of("teaser", "launch", "reminder"),
            channel=_one_of(*campaign.CHANNELS),
            at={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:00$"},
            text=_text(max(campaign.TEXT_LIMITS.values()), least=1),
            hashtags={**_array({"type": "string", "pattern": r"^#\S+$"}, maxItems=10), "uniqueItems": True},
        )
    ),
)
FEEDBACK: Final[Schema] = _step(
    "FeedbackSummary",
    _object(
        count=_COUNT,
        mean_rating=_or_null({"type": "string", "pattern": r"^[1-5]\.\d{2}$"}),
        histogram=_array(_COUNT, minItems=5, maxItems=5),
        sentiment=_SENTIMENTS,
        aspects=_array(_object(aspect=_one_of(*feedback.ASPECTS), mentions=_SENTIMENTS, polarity=_SENTIMENT)),
        quotes=_array(_object(row={"type": "integer", "minimum": 1}, sentiment=_SENTIMENT), maxItems=feedback.QUOTES),
        note=_text(least=1),
    ),
)
