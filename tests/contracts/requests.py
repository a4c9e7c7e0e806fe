"""Short ways to say what a test of the event store asks for."""

from __future__ import annotations

from collections.abc import Sequence

from domain.ports.store import Append, Outgoing, Received, StreamAppend
from domain.task import Cancelled

ALICE, BOB, CAROL = "lead/0", "pricing_optimizer/0", "inventory_sync/1"


def event(reason: str = "happened", at_ms: int = 1) -> Cancelled:
    """Some event: the store does not look into it."""
    return Cancelled(at_ms=at_ms, reason=reason)


def part(stream: str, expected: int, count: int = 1, open: bool | None = None) -> StreamAppend:
    """`count` events for a stream that is at version `expected`."""
    return StreamAppend(stream, expected, [event(f"{stream}@{expected + index}") for index in range(1, count + 1)], open)


def ask(
    *parts: StreamAppend,
    writer: str = ALICE,
    epoch: int | None = None,
    received: Sequence[tuple[str, int]] = (),
    to: Sequence[str] = (),
    contents: Sequence[bytes] = (),
    claim: bool = False,
) -> Append:
    """A request of `writer` with one message to each of `to`, answering the messages `received`."""
    outgoing = [Outgoing(receiver, f"{writer}→{receiver}".encode(), f"id-{index}") for index, receiver in enumerate(to)]
    return Append(writer, epoch, parts, [Received(*item) for item in received], outgoing, contents, claim=claim)
