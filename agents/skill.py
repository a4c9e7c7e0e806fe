"""A skill is how a role does one step: what it reads, what it will do to the world, what it gives.

    gather ──▶ (intents ──▶ effects) ──▶ perform

`gather` reads documents through a port. `intents` and `perform` are pure: the same task, material and receipts give the same
outcome in any process, which is what makes a recovered run equal to an undisturbed one. A skill with intents waits: its task is
taken in a first append together with the intents, and completed in a second after the effects are done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from domain.event import Event
from domain.message import Task

Content = Callable[[str], Awaitable[bytes]]
"""Reads a content document by its digest."""


class Intent(NamedTuple):
    """An effect that a step is about to have on the world. `name` tells the effects of one task apart."""

    name: str
    kind: str
    target: str
    payload: bytes
    media_type: str


class Outcome(NamedTuple):
    """What a step gives.

    `document` is the full result, checked against the skill's output schema, kept as a content document whose digest goes into
    the output as `document`. `output` is what later steps and the lead need at hand: small. `contents` are further
    documents that the output names. `trade` are events of the trade's streams, by stream.
    """

    document: Any
    output: dict[str, Any]
    contents: Sequence[bytes] = ()
    trade: Mapping[str, Sequence[Event]] = {}


class Skill(Protocol):
    """One step of a role."""

    @property
    def task_type(self) -> str:
        """The step's name in the workflow graph."""

    @property
    def role(self) -> str:
        """The role that does it."""

    @property
    def input_schema(self) -> dict[str, Any]:
        """What `{parameters, context}` of a task must look like (JSON Schema draft-07)."""

    @property
    def output_schema(self) -> dict[str, Any]:
        """What the document that the step gives looks like."""

    async def gather(self, task: Task, content: Content) -> Any:
        """Read the documents that the step needs. Does nothing else."""

    def intents(self, task: Task, material: Any) -> Sequence[Intent]:
        """The effects that the step has, in order; none for a step that only computes."""

    def perform(self, task: Task, material: Any, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        """Do the step. `receipts` are those of the intents, by name; `now_ms` stamps events and enters nothing else."""
