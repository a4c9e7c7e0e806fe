"""A workflow takes one product (or what concerns all products) through the steps of its graph.

    (nothing) ──start──▶ RUNNING ──every step completed──▶ COMPLETED
                            └──a step failed or ran out of time──▶ FAILED   (steps under way are cancelled)

Only the lead shard that the product's key selects writes this stream. Each step: ASSIGNED ──▶ COMPLETED | FAILED | CANCELLED.
An answer that comes for a step which is over changes nothing, so repairs may repeat any message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.decision import NOTHING, Decision, digest
from domain.event import Event
from domain.graph import GRAPHS, Step
from domain.message import Failure, MessageType, Task, TaskAssign, TaskCancel, TaskComplete, TaskRef, Tell
from domain.role import shard_of


class Status(StrEnum):
    UNKNOWN = "unknown"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class StepStatus(StrEnum):
    ASSIGNED = "assigned"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


# --- events ---------------------------------------------------------------------------------------------------------


class Started(Event, frozen=True):
    """`key` selects the shards; `parameters` go to every step; the result is told to `reply_to`."""

    TOPIC = "workflow.Started"
    graph: str
    key: str
    reply_to: str
    parameters: dict[str, Any]


class StepAssigned(Event, frozen=True):
    TOPIC = "workflow.StepAssigned"
    step: str
    agent: str
    deadline_ms: int


class StepCompleted(Event, frozen=True):
    TOPIC = "workflow.StepCompleted"
    step: str
    output: dict[str, Any]
    attempts: int = 1


class StepFailed(Event, frozen=True):
    TOPIC = "workflow.StepFailed"
    step: str
    error_class: str
    code: str
    reason: str
    attempts: int = 1


class StepCancelled(Event, frozen=True):
    """The lead gave the step up: another one failed, or its time is over."""

    TOPIC = "workflow.StepCancelled"
    step: str
    reason: str


class Ended(Event, frozen=True):
    """`result` is the digest of the document that holds what the steps gave (see `result_document`)."""

    TOPIC = "workflow.Ended"
    completed: bool
    result: str
    reason: str = ""


WorkflowEvent = Started | StepAssigned | StepCompleted | StepFailed | StepCancelled | Ended


# --- state ----------------------------------------------------------------------------------------------------------


class StepState(msgspec.Struct, frozen=True):
    status: StepStatus
    agent: str
    deadline_ms: int
    output: dict[str, Any] | None = None
    reason: str = ""


class Workflow(msgspec.Struct, frozen=True):
    status: Status = Status.UNKNOWN
    started: Started | None = None
    steps: dict[str, StepState] = {}
    result: str = ""
    reason: str = ""

    @property
    def start(self) -> Started:
        assert self.started is not None, "a workflow that was never started has no start"
        return self.started


def evolve(workflow: Workflow, event: WorkflowEvent) -> Workflow:
    match event:
        case StepAssigned(step=step, agent=agent, deadline_ms=deadline_ms):
            return _with(workflow, step, StepState(StepStatus.ASSIGNED, agent, deadline_ms))
        case StepCompleted(step=step, output=output):
            return _with(workflow, step, replace(workflow.steps[step], status=StepStatus.COMPLETED, output=output))
        case StepFailed(step=step, reason=reason):
            return _with(workflow, step, replace(workflow.steps[step], status=StepStatus.FAILED, reason=reason))
        case StepCancelled(step=step, reason=reason):
            return _with(workflow, step, replace(workflow.steps[step], status=StepStatus.CANCELLED, reason=reason))
        case Started():
            return replace(workflow, status=Status.RUNNING, started=event)
        case Ended(completed=completed, result=result, reason=reason):
            status = Status.COMPLETED if completed else Status.FAILED
            return replace(workflow, status=status, result=result, reason=reason)


def _with(workflow: Workflow, step: str, state: StepState) -> Workflow:
    return replace(workflow, steps={**workflow.steps, step: state})


def result_document(workflow: Workflow) -> bytes:
    """What the workflow gave, also where only a part was done: the content document that its result names."""
    outputs = {name: workflow.steps[name].output for name in sorted(workflow.steps) if workflow.steps[name].output is not None}
    failed = sorted(name for name, step in workflow.steps.items() if step.status is StepStatus.FAILED)
    reason = workflow.steps[failed[0]].reason if failed else ""
    return msgspec.json.encode(
        {
            "index": workflow.start.parameters.get("index", -1),
            "key": workflow.start.key,
            "product": workflow.start.parameters.get("product", ""),
            "completed": not failed,
            "failed_step": failed[0] if failed else "",
            "reason": reason,
            "outputs": outputs,
        }
    )


def outputs_of(workflow: Workflow) -> dict[str, str]:
    """The files that the steps of a closing workflow name among their outputs: path → digest."""
    files: dict[str, str] = {}
    for name in sorted(workflow.steps):
        files.update((workflow.steps[name].output or {}).get("files", {}))
    return files


# --- decisions ------------------------------------------------------------------------------------------------------


class UnknownGraph(Exception):
    """The assignment names a workflow that this version does not declare: it is refused."""


class Unexpected(Exception):
    """An answer for a step that the workflow never assigned: it is refused."""


def start(workflow: Workflow, task: Task, reply_to: str, now_ms: int) -> Decision:
    """Begin the steps that wait for nothing. The same assignment again changes nothing."""
    if workflow.status is not Status.UNKNOWN:
        return NOTHING
    if task.task_type not in GRAPHS:
        raise UnknownGraph(f"no workflow graph is called {task.task_type!r}")
    begun = Started(
        at_ms=now_ms,
        graph=task.task_type,
        key=str(task.parameters.get("key", task.task_id)),
        reply_to=reply_to,
        parameters=task.parameters,
    )
    state = evolve(workflow, begun)
    return Decision([begun, *_assign_ready(state, _completed(state), now_ms)])


def complete_step(workflow: Workflow, step: str, output: dict[str, Any], attempts: int, now_ms: int) -> Decision:
    """A step gave its output: begin what waited for it, or end the workflow after the last step."""
    if not _awaits(workflow, step):
        return NOTHING
    completed = StepCompleted(at_ms=now_ms, step=step, output=output, attempts=attempts)
    events: list[Event] = [completed]
    state = evolve(workflow, completed)
    done = _completed(state)
    if done.issuperset(GRAPHS[state.start.graph].steps):
        return _end(state, events, now_ms)
    return Decision([*events, *_assign_ready(state, done, now_ms)])


def fail_step(workflow: Workflow, step: str, failure: Failure, attempts: int, now_ms: int) -> Decision:
    """A step failed for good: cancel what is under way and end the workflow with what it has."""
    if not _awaits(workflow, step):
        return NOTHING
    failed = StepFailed(
        at_ms=now_ms, step=step, error_class=failure.error_class, code=failure.code, reason=failure.reason, attempts=attempts
    )
    return _give_up(evolve(workflow, failed), [failed], f"{step} failed: {failure.reason}", now_ms)


def expire(workflow: Workflow, now_ms: int) -> Decision:
    """The firing of the deadline timer: steps whose time is over are failed and cancelled at their agent."""
    late = [name for name, step in workflow.steps.items() if step.status is StepStatus.ASSIGNED and step.deadline_ms <= now_ms]
    if workflow.status is not Status.RUNNING or not late:
        return NOTHING
    events: list[Event] = []
    state = workflow
    for name in late:
        reason = f"no answer from {state.steps[name].agent} by its deadline"
        cancelled = StepCancelled(at_ms=now_ms, step=name, reason=reason)
        failed = StepFailed(at_ms=now_ms, step=name, error_class="transient", code="deadline", reason=reason)
        events += [cancelled, failed]
        state = evolve(evolve(state, cancelled), failed)
    return _give_up(state, events, f"{late[0]} ran out of time", now_ms)


def next_deadline(workflow: Workflow) -> int | None:
    """When `expire` has something to do next; None when nothing is under way. Milliseconds since the epoch."""
    due = [step.deadline_ms for step in workflow.steps.values() if step.status is StepStatus.ASSIGNED]
    return min(due) if due and workflow.status is Status.RUNNING else None


def _awaits(workflow: Workflow, step: str) -> bool:
    known = workflow.steps.get(step)
    if known is None:
        raise Unexpected(f"no step {step!r} was assigned")
    return workflow.status is Status.RUNNING and known.status is StepStatus.ASSIGNED


def _completed(workflow: Workflow) -> frozenset[str]:
    return frozenset([name for name, step in workflow.steps.items() if step.status is StepStatus.COMPLETED])


def _assign_ready(workflow: Workflow, done: frozenset[str], now_ms: int) -> Sequence[StepAssigned]:
    start = workflow.start
    return [_assignment(start, step, now_ms) for step in GRAPHS[start.graph].ready(done, workflow.steps)]


def _assignment(start: Started, step: Step, now_ms: int) -> StepAssigned:
    shards: dict[str, int] = start.parameters.get("shards", {})
    agent = f"{step.role}/{shard_of(start.key, shards.get(step.role, 1))}"
    return StepAssigned(at_ms=now_ms, step=step.name, agent=agent, deadline_ms=now_ms + round(step.timeout_s * 1000))


def _give_up(workflow: Workflow, events: list[Event], reason: str, now_ms: int) -> Decision:
    for name, step in workflow.steps.items():
        if step.status is StepStatus.ASSIGNED:
            cancelled = StepCancelled(at_ms=now_ms, step=name, reason=reason)
            events.append(cancelled)
            workflow = evolve(workflow, cancelled)
    return _end(workflow, events, now_ms, reason)


def _end(workflow: Workflow, events: list[Event], now_ms: int, reason: str = "") -> Decision:
    document = result_document(workflow)
    return Decision([*events, Ended(at_ms=now_ms, completed=not reason, result=digest(document), reason=reason)], [document])


# --- messages -------------------------------------------------------------------------------------------------------


def tells(stream: str, workflow: Workflow, event: Event) -> Iterable[Tell]:
    """Assignments and cancellations go to the step's agent, the end to whoever asked for the workflow."""
    run = streams.run_of(stream)
    match event:
        case StepAssigned(step=step, agent=agent, deadline_ms=deadline_ms):
            yield Tell(MessageType.TASK_ASSIGN, agent, TaskAssign(_task(stream, workflow, step)), run, deadline_ms)
        case StepCancelled(step=step, reason=reason):
            ref = TaskRef(streams.task_stream(stream, step), step)
            yield Tell(MessageType.TASK_CANCEL, workflow.steps[step].agent, TaskCancel(ref, reason), run)
        case Ended(completed=completed, result=result, reason=reason):
            ref = TaskRef(stream, workflow.start.graph)
            output: dict[str, Any] = {
                "completed": completed,
                "result": result,
                "index": workflow.start.parameters.get("index", -1),
            }
            output |= {"reason": reason, "files": outputs_of(workflow)}
            yield Tell(MessageType.TASK_COMPLETE, workflow.start.reply_to, TaskComplete(ref, output), run)


def _task(stream: str, workflow: Workflow, step: str) -> Task:
    start = workflow.start
    context = {name: workflow.steps[name].output for name in GRAPHS[start.graph].behind[step]}  # the whole way that led to it
    parameters = {name: value for name, value in start.parameters.items() if name != "shards"}
    return Task(streams.task_stream(stream, step), step, parameters, context, {"$ref": f"urn:rehydrate:task:{step}:output"})


def is_open(workflow: Workflow) -> bool:
    return workflow.status is Status.RUNNING


KIND = streams.register(streams.Kind("workflow", Workflow(), evolve, tells, is_open))
