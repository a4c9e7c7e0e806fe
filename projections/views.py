"""What commands print about runs, workflows, agents, messages and dead letters. The fields are the keys of their JSON.

Moments are RFC 3339 in UTC, None where they have not come; durations end in `_ms`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from domain.graph import GRAPHS
from domain.message import rfc3339


class Step(msgspec.Struct, frozen=True):
    """A step of a workflow as the lead sees it. `attempts` counts how often its work was begun."""

    task_id: str
    task_type: str
    agent: str
    status: str
    attempts: int
    reason: str


class StepDetail(Step, frozen=True):
    """A step with what its agent recorded (`work`) and its times: the lead's (assigned, ended), the agent's (started, done)."""

    work: str
    work_reason: str
    deadline: str | None
    assigned_at: str | None
    started_at: str | None
    done_at: str | None
    ended_at: str | None


class WorkflowOfRun(msgspec.Struct, frozen=True):
    """A workflow with its steps, as a run's document has it. `key` is the product's handle, or the run that it closes."""

    workflow_id: str
    key: str
    status: str
    started_at: str | None
    ended_at: str | None
    reason: str
    steps: list[Step]


class Recovery(msgspec.Struct, frozen=True):
    """An agent was taken over; both durations count from the old owner's last sign of life (None: not known, not yet)."""

    agent: str
    old_epoch: int
    new_epoch: int
    detected_by: str
    detected_ms: float | None
    resumed_ms: float | None


class RunDocument(msgspec.Struct, frozen=True):
    """What `rehydrate run --json` prints, without what only the command knows (outputs, skipped rows, elapsed time)."""

    run_id: str
    workflow: str
    status: str
    seed: int
    workflows: list[WorkflowOfRun]
    recoveries: list[Recovery]


class RunRow(msgspec.Struct, frozen=True):
    """A run in a list. `started`, `ended` and `failed` count products."""

    run_id: str
    workflow: str
    status: str
    seed: int
    as_of: str
    products: int
    started: int
    ended: int
    failed: int
    requested_at: str | None
    ended_at: str | None
    reason: str


class RunDetail(RunRow, frozen=True):
    """A run with what was asked and what it produced: path → digest."""

    key: str
    currency: str
    parameters: dict[str, Any]
    outputs: dict[str, str]


class WorkflowRow(msgspec.Struct, frozen=True):
    """A workflow in a list. `steps_done` of `steps` are completed; `steps` counts those assigned so far."""

    workflow_id: str
    run_id: str
    key: str
    graph: str
    lead: str
    status: str
    steps: int
    steps_done: int
    requested_at: str | None
    started_at: str | None
    ended_at: str | None
    reason: str


class WorkflowDetail(msgspec.Struct, frozen=True):
    """A workflow with its steps in the order of its graph. `result` is the digest of the document of what they gave."""

    workflow_id: str
    run_id: str
    key: str
    graph: str
    lead: str
    status: str
    result: str
    requested_at: str | None
    started_at: str | None
    ended_at: str | None
    reason: str
    steps: list[StepDetail]


class AgentRow(msgspec.Struct, frozen=True):
    """An agent: its owner by the events, its status and last heartbeat by `presence`."""

    agent: str
    role: str
    shard: int
    epoch: int
    pid: int
    status: str
    task_id: str | None
    last_heartbeat_at: str | None
    host: str
    step: str
    note: str


class MessageRow(msgspec.Struct, frozen=True):
    """A message: the event that it tells (`stream`, `version`, and which of the messages of that event, `part`)."""

    message_id: str
    type: str
    sender: str
    receiver: str
    task_id: str
    stream: str
    version: int
    part: int
    at: str | None


class DeadLetterRow(msgspec.Struct, frozen=True):
    """A message that ended without being handled. `raw` is the digest of its bytes."""

    letter_id: str
    status: str
    reason: str
    detail: str
    agent: str
    message_id: str
    message_type: str
    sender: str
    correlation_id: str
    task_id: str
    task_type: str
    raw: str
    topic: str
    partition: int
    offset: int
    times: int
    recorded_at: str | None
    decided_at: str | None


class Lag(msgspec.Struct, frozen=True):
    """How far the read models are behind the log, in positions. Positions have holes, so at most so many events are missing."""

    position: int
    head: int
    behind: int


def moment(at_ms: int | None) -> str | None:
    """A moment for people and programs: RFC 3339, None stays None."""
    return None if at_ms is None else rfc3339(at_ms)


S = TypeVar("S", bound=Step)


def in_graph_order(graph: str, steps: Iterable[S]) -> list[S]:
    """Steps as their graph declares them, whatever the order in which they were assigned; unknown ones behind, by name."""
    known = GRAPHS.get(graph)
    place = {} if known is None else {name: index for index, name in enumerate(known.steps)}
    return sorted(steps, key=lambda step: (place.get(step.task_type, len(place)), step.task_type))
