"""Streams: how they are named, and the table of their kinds.

A name is `<kind>-<key>`, readable in every tool and derived, never drawn: the same run gives the same names.

    run-3f9a21c4-1                    the vendor's request; the number tells repeated runs of equal input apart
    workflow-3f9a21c4-1-17            the workflow of the product with index 17; `-close` is what concerns all products
    task-3f9a21c4-1-17-SET_PRICE      one step of it
    agent-pricing_optimizer/0         who owns that agent, epoch by epoch
    product-clay-plant-pot            of the trade: product, price, stock, campaign, review, each by the product's handle
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from rpds import List

from domain.event import Event
from domain.message import Tell

S = TypeVar("S")


def _no_messages(stream: str, state: Any, event: Any) -> Iterable[Tell]:
    return ()


def _never_open(state: Any) -> bool:
    return False


def _as_it_is(state: Any) -> Any:
    return state


class Kind(NamedTuple, Generic[S]):
    """What is common to all streams of one kind.

    `initial` is the state before the first event; `evolve` gives the state after an event; `tells` the messages that an event is
    told in (given the stream's name and the state after it); `is_open` whether its owner still has work with it: open streams
    are what a new owner picks up. `snapshot_every` events a snapshot is worth its bytes (0: such streams stay short);
    `freeze` brings a state that can be written in several ways into one.
    """

    name: str
    initial: S
    evolve: Callable[[S, Any], S]
    tells: Callable[[str, S, Any], Iterable[Tell]] = _no_messages
    is_open: Callable[[S], bool] = _never_open
    snapshot_every: int = 0
    freeze: Callable[[S], S] = _as_it_is

    def fold(self, events: Iterable[Event], state: S | None = None) -> S:
        """The state that follows from events: the one way in which any state comes to be."""
        evolve = self.evolve
        folded = self.initial if state is None else state
        for event in events:
            folded = evolve(folded, event)
        return folded


KINDS: dict[str, Kind[Any]] = {}

REMEMBERED = 4096
"""So many names are not taken apart again: a message asks for each of its own several times."""


def register(kind: Kind[S]) -> Kind[S]:
    """Put a kind into the table; a second one of the same name is a mistake of the programmer."""
    if kind.name in KINDS:
        raise ValueError(f"stream kind {kind.name!r} is registered twice")
    KINDS[kind.name] = kind
    return kind


class UnknownKind(ValueError):
    """The name does not begin with a kind that this version knows."""


@lru_cache(REMEMBERED)
def kind_of(stream: str) -> Kind[Any]:
    """The kind of a stream, from its name.

    Raises:
        UnknownKind: the text before the first dash is no kind.
    """
    found = KINDS.get(stream.partition("-")[0])
    if found is None:
        raise UnknownKind(f"{stream!r} is no stream name: it must begin with one of {', '.join(sorted(KINDS))}")
    return found


def run_stream(key: str, ordinal: int) -> str:
    return f"run-{key}-{ordinal}"


def workflow_stream(run: str, part: int | str) -> str:
    """`part` is the product's index, or `close` for what concerns all products."""
    return f"workflow-{run.removeprefix('run-')}-{part}"


def task_stream(workflow: str, step: str) -> str:
    return f"task-{workflow.removeprefix('workflow-')}-{step}"


class TaskName(NamedTuple):
    """The workflow and the step that a task stream's name holds."""

    workflow: str
    step: str


@lru_cache(REMEMBERED)
def task_name(stream: str) -> TaskName:
    """Take a task stream's name apart.

    Raises:
        UnknownKind: it is not the name of a task.
    """
    prefix, _, rest = stream.partition("-")
    workflow, dash, step = rest.rpartition("-")
    if prefix != "task" or not dash:
        raise UnknownKind(f"{stream!r} is not the name of a task")
    return TaskName(f"workflow-{workflow}", step)


@lru_cache(REMEMBERED)
def run_of(stream: str) -> str:
    """The run that a workflow or task belongs to."""
    parts = stream.split("-")
    return f"run-{parts[1]}-{parts[2]}" if len(parts) > 2 else stream


def agent_stream(agent: str) -> str:
    return f"agent-{agent}"


def snapshot_codec(kind: Kind[S]) -> tuple[Callable[[S], bytes], Callable[[bytes], S]]:
    """Encode and decode a state of this kind for a snapshot. States are msgspec structs; a persistent list is written as an array.
    Equal states have equal bytes, so a snapshot can be checked against a replay."""
    encode = msgspec.json.Encoder(enc_hook=_to_array, order="deterministic").encode
    decode = msgspec.json.Decoder(type(kind.initial), dec_hook=_from_array).decode
    return lambda state: encode(kind.freeze(state)), decode


def _to_array(value: Any) -> Any:
    if isinstance(value, List):
        return list(value)
    raise NotImplementedError(f"a snapshot cannot hold a {type(value).__name__}")


def _from_array(wanted: type[Any], value: Any) -> Any:
    if wanted is List:
        return List([tuple(item) for item in value])
    raise NotImplementedError(f"a snapshot cannot hold a {wanted.__name__}")
