"""What a store makes of a request before it is among others: checked for contradictions, its events encoded, its contents named."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import msgspec

from domain.event import encode
from domain.ports.store import Append, Appended, Fenced, Refused, StoreUnavailable

Row = tuple[str, int, str, bytes]
"""An encoded event of a request: stream, version, topic, state."""


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """A request with its events encoded and its contents named, which the asking thread has done already."""

    request: Append
    rows: Sequence[Row]
    contents: Sequence[tuple[bytes, bytes]]


def encoded(request: Append) -> Encoded:
    """Encode a request.

    Raises:
        ValueError: it contradicts itself.
    """
    _refuse_contradiction(request)
    rows = [
        (part.stream, part.expected + index, event.TOPIC, encode(event))
        for part in request.streams
        for index, event in enumerate(part.events, 1)
    ]
    contents = [(hashlib.sha256(data).digest(), data) for data in request.contents] if request.contents else ()
    return Encoded(request, rows, contents)


def _refuse_contradiction(request: Append) -> None:
    """In a batch it would fail its neighbours, too."""
    if len(request.streams) > 1 and len({part.stream for part in request.streams}) < len(request.streams):
        raise ValueError(f"{request.writer} names a stream twice in one request")
    if len(request.received) > 1 and len(set(request.received)) < len(request.received):
        raise ValueError(f"{request.writer} names a received message twice in one request")
    if request.claim and request.epoch is None:
        raise ValueError(f"{request.writer} claims without an epoch")


def fenced(request: Append, fence: int) -> Fenced:
    """The refusal of a request whose epoch is not the one that may append."""
    wanted = "claims" if request.claim else "writes with"
    return Fenced(f"{request.writer} {wanted} epoch {request.epoch}, but the store is at epoch {fence}")


def definite(answers: Sequence[Appended | Exception]) -> list[Appended | Refused | StoreUnavailable]:
    """The answers to a group of requests, refusals among them; what else went wrong is raised."""
    found: list[Appended | Refused | StoreUnavailable] = []
    for answer in answers:
        if isinstance(answer, Exception) and not isinstance(answer, Refused | StoreUnavailable):
            raise answer
        found.append(answer)
    return found


async def answers(futures: Sequence[asyncio.Future[Appended]]) -> list[Appended | Refused | StoreUnavailable]:
    """The answers to requests that were submitted in this order, refusals among them.

    One after another is cheap: they were committed together, so behind the first the others are there and nothing waits.
    """
    found: list[Appended | Refused | StoreUnavailable] = []
    for future in futures:
        try:
            found.append(await future)
        except (Refused, StoreUnavailable) as refusal:
            found.append(refusal)
    return found
