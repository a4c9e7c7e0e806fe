"""A run is a vendor's request: every product goes through a workflow of its own, then one workflow closes the run.

    REQUESTED ──begin──▶ RUNNING ──last product ended──▶ CLOSING ──closed──▶ COMPLETED | DEGRADED | FAILED
        └───────────────────┴──────────abandon──────────────┴──────────▶ ABANDONED

The request is appended by whoever asks (CLI, API); everything else by lead/0, which knows counts and results, not steps.
At most `window` products are on their way at a time. What a product gives is a content document; the run keeps its digest by the
product's index, so that the join is in feed order, whatever the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.decision import NOTHING, Decision, digest
from domain.event import Event
from domain.graph import TEMPLATES
from domain.message import MessageType, Task, TaskAssign, Tell
from domain.results import NONE, Results
from domain.role import Role, shard_of

LEAD_0 = f"{Role.LEAD}/0"


class Status(StrEnum):
    UNKNOWN = "unknown"
    REQUESTED = "requested"
    RUNNING = "running"
    CLOSING = "closing"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    FAILED = "failed"
    ABANDONED = "abandoned"


OVER = frozenset({Status.COMPLETED, Status.DEGRADED, Status.FAILED, Status.ABANDONED})


# --- events ---------------------------------------------------------------------------------------------------------


class Requested(Event, frozen=True):
    """Somebody asked for a run. `key` names its inputs and the options that change outputs; `manifest` is the content
    document that lists the products; `shards` fixes for this run how many shards each role has."""

    TOPIC = "run.Requested"
    workflow: str
    key: str
    seed: int
    as_of: str
    currency: str
    products: int
    manifest: str
    shards: dict[str, int]
    parameters: dict[str, Any]
    window: int = 64


class Item(msgspec.Struct, frozen=True, array_like=True):
    """A product on its way: its index in the feed, its handle, the digest of its document."""

    index: int
    handle: str
    product: str


class WorkflowsStarted(Event, frozen=True):
    TOPIC = "run.WorkflowsStarted"
    items: list[Item]


class WorkflowEnded(Event, frozen=True):
    """A product has gone its way. `result` is the digest of what it gave, also where only a part was done."""

    TOPIC = "run.WorkflowEnded"
    index: int
    completed: bool
    result: str


class ClosingStarted(Event, frozen=True):
    """All products have ended. `results` is the digest of the list of their results in feed order."""

    TOPIC = "run.ClosingStarted"
    results: str


class Completed(Event, frozen=True):
    """The run is over. `outputs` are the files it produced: path → digest."""

    TOPIC = "run.Completed"
    status: str
    outputs: dict[str, str]
    reason: str = ""


class Abandoned(Event, frozen=True):
    TOPIC = "run.Abandoned"
    reason: str


class Delivered(Event, frozen=True):
    """The files are where the user wanted them. Until then the same request takes this run up again: a new one would do its
    effects a second time."""

    TOPIC = "run.Delivered"


RunEvent = Requested | WorkflowsStarted | WorkflowEnded | ClosingStarted | Completed | Abandoned | Delivered


# --- state ----------------------------------------------------------------------------------------------------------


class Run(msgspec.Struct, frozen=True, gc=False):
    """`started` and `ended` count products; bit i of `done` says that product i ended, and `results` what it gave.

    `done` is worked out where a decision first asks for it (`with_done`): a fold has no use for it, and it would be half of its cost.
    """

    status: Status = Status.UNKNOWN
    request: Requested | None = None
    started: int = 0
    ended: int = 0
    failed: int = 0
    results: Results = NONE
    done: int | None = None
    outputs: dict[str, str] = {}
    reason: str = ""
    delivered: bool = False

    @property
    def undelivered(self) -> bool:
        """There are files that the user has not got yet."""
        return self.status in {Status.COMPLETED, Status.DEGRADED} and not self.delivered

    @property
    def asked(self) -> Requested:
        assert self.request is not None, "a run that nobody requested has no request"
        return self.request


def evolve(run: Run, event: RunEvent) -> Run:
    match event:
        case WorkflowEnded():  # nearly all events of a long run: attributes are read where they are used, which is the cheapest way
            done = run.done
            return Run(
                run.status,
                run.request,
                run.started,
                run.ended + 1,
                run.failed + (not event.completed),
                run.results.add(event.index, event.result),
                None if done is None else done | 1 << event.index,
                run.outputs,
                run.reason,
            )
        case WorkflowsStarted(items=items):
            return replace(run, status=Status.RUNNING, started=run.started + len(items))
        case Requested():
            return replace(run, status=Status.REQUESTED, request=event)
        case ClosingStarted():
            return replace(run, status=Status.CLOSING)
        case Completed(status=status, outputs=outputs, reason=reason):
            return replace(run, status=Status(status), outputs=outputs, reason=reason)
        case Abandoned(reason=reason):
            return replace(run, status=Status.ABANDONED, reason=reason)
        case Delivered():
            return replace(run, delivered=True)


def with_done(run: Run) -> Run:
    """The run with its `done` worked out; from then on each event keeps it."""
    if run.done is not None:
        return run
    done = 0
    for index in run.results.indices():
        done |= 1 << index
    return replace(run, done=done)


def freeze(run: Run) -> Run:
    """The form of a snapshot: results packed, nothing that can be worked out."""
    return replace(run, results=run.results.pack(), done=None)


# --- decisions ------------------------------------------------------------------------------------------------------


class NothingRequested(Exception):
    """A message speaks of a run that has no request: it is refused."""


def request(run: Run, event: Requested) -> Decision:
    """The same request again changes nothing."""
    return NOTHING if run.request is not None else Decision([event])


def begin(run: Run, manifest: Sequence[Item], now_ms: int) -> Decision:
    """Start the first products; a run without products closes at once."""
    if run.request is None:
        raise NothingRequested
    if run.status is not Status.REQUESTED:
        return NOTHING
    if run.asked.products == 0:
        return _close(run, now_ms)
    return Decision([WorkflowsStarted(at_ms=now_ms, items=list(manifest[: run.asked.window]))])


def end_product(run: Run, manifest: Sequence[Item], index: int, completed: bool, result: str, now_ms: int) -> Decision:
    """A product's workflow ended: start the next one, or close the run after the last."""
    run = with_done(run)
    assert run.done is not None
    if run.status is not Status.RUNNING or run.done >> index & 1:
        return NOTHING
    ended = WorkflowEnded(at_ms=now_ms, index=index, completed=completed, result=result)
    events: list[Event] = [ended]
    after = evolve(run, ended)
    if after.started < after.asked.products and after.started - after.ended < after.asked.window:
        events.append(WorkflowsStarted(at_ms=now_ms, items=[manifest[after.started]]))
    if after.ended == after.asked.products:
        closing = _close(after, now_ms)
        return Decision([*events, *closing.events], closing.contents)
    return Decision(events)


def _close(run: Run, now_ms: int) -> Decision:
    results = msgspec.json.encode(run.results.in_order())
    return Decision([ClosingStarted(at_ms=now_ms, results=digest(results))], [results])


def finish(run: Run, completed: bool, outputs: Mapping[str, str], reason: str, now_ms: int) -> Decision:
    """The closing workflow ended: the run is completed, degraded where only a part can be delivered, failed where nothing can."""
    if run.status is not Status.CLOSING:
        return NOTHING
    if run.failed == run.asked.products > 0 or not (completed or outputs):
        status = Status.FAILED
    else:
        status = Status.DEGRADED if run.failed or not completed else Status.COMPLETED
    return Decision([Completed(at_ms=now_ms, status=status, outputs=dict(sorted(outputs.items())), reason=reason)])


def abandon(run: Run, reason: str, now_ms: int) -> Decision:
    """Give an unfinished run up; a finished one stays what it is."""
    if run.request is None or run.status in OVER:
        return NOTHING
    return Decision([Abandoned(at_ms=now_ms, reason=reason)])


def deliver(run: Run, now_ms: int) -> Decision:
    """The files of a finished run were written."""
    return Decision([Delivered(at_ms=now_ms)]) if run.undelivered else NOTHING


# --- messages -------------------------------------------------------------------------------------------------------


def stream_of(request: Requested, ordinal: int) -> str:
    return streams.run_stream(request.key, ordinal)


def tells(stream: str, run: Run, event: Event) -> Iterable[Tell]:
    """The request goes to lead/0; each product to the lead shard of its handle; the closing to lead/0."""
    template = TEMPLATES.get(run.asked.workflow)
    each, close = (template.each.name, template.close.name) if template else (run.asked.workflow, "")
    match event:
        case Requested():
            yield _assign(stream, LEAD_0, stream, event.workflow, {})
        case WorkflowsStarted(items=items):
            for item in items:
                receiver = f"{Role.LEAD}/{shard_of(item.handle, run.asked.shards.get(Role.LEAD, 1))}"
                parameters = {"key": item.handle, "index": item.index, "product": item.product, **_common(run)}
                yield _assign(stream, receiver, streams.workflow_stream(stream, item.index), each, parameters)
        case ClosingStarted(results=results):
            parameters = {"key": stream, "index": -1, "results": results, **_common(run)}
            yield _assign(stream, LEAD_0, streams.workflow_stream(stream, "close"), close, parameters)


def _common(run: Run) -> dict[str, Any]:
    asked = run.asked
    return {
        "seed": asked.seed,
        "as_of": asked.as_of,
        "currency": asked.currency,
        "shards": asked.shards,
        "run_key": asked.key,
        **asked.parameters,
    }


def _assign(run: str, receiver: str, task_id: str, task_type: str, parameters: dict[str, Any]) -> Tell:
    return Tell(MessageType.TASK_ASSIGN, receiver, TaskAssign(Task(task_id, task_type, parameters)), correlation_id=run)


def is_open(run: Run) -> bool:
    return run.status not in OVER and run.status is not Status.UNKNOWN


KIND = streams.register(streams.Kind("run", Run(), evolve, tells, is_open, snapshot_every=500, freeze=freeze))
