"""Documents of a launch: how they are written, named and read back.

A document is JSON with sorted keys and amounts as strings, named by the SHA-256 of its bytes. Equal values give equal bytes, so a
step that is done twice names one document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from agents.framework.errors import AgentError
from agents.reasoners.campaign import Post
from agents.reasoners.feedback import FeedbackSummary
from agents.reasoners.listing import Listing
from agents.reasoners.pricing import Quote
from agents.reasoners.results import ProductResult, Status
from agents.reasoners.stock import Reservation
from agents.skill import Content, Outcome
from domain import decision
from domain.event import Event
from domain.graph import LAUNCH_PRODUCT
from domain.message import Task
from domain.trade.catalogue import Dossier, Product

T = TypeVar("T")


class BadDocument(AgentError):
    """A document is not what the task says it is: trying again would read the same bytes."""

    code = "bad_document"


# --- writing --------------------------------------------------------------------------------------------------------


class Document(NamedTuple):
    """Bytes with their digest."""

    name: str
    encoded: bytes


def encoded(data: bytes) -> Document:
    """What is bytes already: a file, or JSON that a reasoner wrote."""
    return Document(decision.digest(data), data)


def of(value: Any) -> Document:
    """A value as JSON."""
    return encoded(msgspec.json.encode(value, order="sorted"))


def outcome(
    document: Document,
    summary: Mapping[str, Any],
    *,
    files: Mapping[str, Document] | None = None,
    contents: Sequence[Document] = (),
    trade: Mapping[str, Sequence[Event]] | None = None,
) -> Outcome:
    """A step's outcome: its JSON document, a small output that names it, files by path, and further contents."""
    output: dict[str, Any] = {"document": document.name, **summary}
    if files is not None:
        output["files"] = {path: file.name for path, file in sorted(files.items())}
    kept = {part.name: part.encoded for part in (document, *(files or {}).values(), *contents)}
    return Outcome(msgspec.json.decode(document.encoded), output, tuple(kept.values()), trade or {})


# --- reading --------------------------------------------------------------------------------------------------------


class Reader(Generic[T]):
    """Reads documents of one type; what decodes them is made once."""

    def __init__(self, kind: type[T], word: str) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._word = word

    async def read(self, content: Content, name: str) -> T:
        """Raises BadDocument for bytes of another form."""
        try:
            return self._decode(await content(name))
        except msgspec.DecodeError as error:
            raise BadDocument(f"{name[:12]} is no {self._word}: {error}") from error


class _Head(msgspec.Struct, frozen=True):
    """A dossier without what only single steps need: the reviews of a product can be thousands."""

    product: Product


class _Result(msgspec.Struct, frozen=True):
    """A product's result as `domain.workflow.result_document` writes it."""

    index: int
    key: str
    product: str
    completed: bool
    failed_step: str
    reason: str
    outputs: dict[str, dict[str, Any]]


LISTING: Final = Reader(Listing, "listing")
QUOTES: Final = Reader(tuple[Quote, ...], "list of quotes")
RESERVATION: Final = Reader(Reservation, "reservation")
POSTS: Final = Reader(tuple[Post, ...], "list of posts")
FEEDBACK: Final = Reader(FeedbackSummary, "feedback summary")
HANDLES: Final = Reader(tuple[str, ...], "list of handles")
_DOSSIER: Final = Reader(Dossier, "dossier")
_HEAD: Final = Reader(_Head, "dossier")
_RESULTS: Final = Reader(tuple[str, ...], "list of results")
_RESULT: Final = Reader(_Result, "result of a product")


def as_of(task: Task) -> date:
    """The day that the run speaks of."""
    return date.fromisoformat(task.parameters["as_of"])


def made_by(task: Task, step: str) -> str:
    """The name of the document that an earlier step gave."""
    return str(task.context[step]["document"])


async def dossier(task: Task, content: Content) -> Dossier:
    """What the vendor's files say of the task's product. Raises BadDocument when they speak of another one."""
    found = await _DOSSIER.read(content, task.parameters["product"])
    if (found.product.handle, found.product.index) != (task.parameters["key"], task.parameters["index"]):
        raise BadDocument(f"the dossier is of product {found.product.index}, the task of product {task.parameters['index']}")
    return found


# --- all products of a run ------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """Where a field of `ProductResult` comes from: the step, and what reads its document."""

    step: str
    reader: Reader[Any]


_PARTS: Final[Mapping[str, _Part]] = {
    "listing": _Part("CREATE_LISTING", LISTING),
    "quotes": _Part("SET_PRICE", QUOTES),
    "reservation": _Part("RESERVE_STOCK", RESERVATION),
    "posts": _Part("SCHEDULE_POSTS", POSTS),
    "feedback": _Part("MONITOR_FEEDBACK", FEEDBACK),
}


def _behind(step: str) -> frozenset[str]:
    before = LAUNCH_PRODUCT.steps[step].after
    return frozenset(before).union(*(_behind(name) for name in before))


# What is surely done where a step failed. A step beside it may have been done or not, as time would have it, and two runs of
# equal input must tell the same: of a failed product only what led to the failure is read.
_BEHIND: Final = {step: _behind(step) for step in LAUNCH_PRODUCT.steps}


async def results(task: Task, content: Content, *parts: str) -> tuple[ProductResult, ...]:
    """What came of each product, in feed order, with these parts; `description_html` may be one of them."""
    names = await _RESULTS.read(content, task.parameters["results"])
    found = [await _result(await _RESULT.read(content, name), content, parts) for name in names]
    return tuple(sorted(found, key=lambda result: result.index))


async def _result(result: _Result, content: Content, parts: Sequence[str]) -> ProductResult:
    head = await _HEAD.read(content, result.product)
    certain = result.outputs.keys() if result.completed else _BEHIND.get(result.failed_step, frozenset())
    fields: dict[str, Any] = {}
    for name in parts:
        if name == "description_html":
            if "GENERATE_DESCRIPTION" in certain:
                fields[name] = (await content(result.outputs["GENERATE_DESCRIPTION"]["html"])).decode()
        elif (part := _PARTS[name]).step in certain:
            fields[name] = await part.reader.read(content, result.outputs[part.step]["document"])
    status: Status = "completed" if result.completed else "failed"
    return ProductResult(result.index, result.key, status, result.reason, head.product, **fields)
