"""What one run did, folded from the log: what `rehydrate run` shows while it works and prints as JSON at its end. Pure.

The supervisor follows the log live and feeds every event; those of other runs pass by. Agents belong to no run: a take-over
counts when it happens between the run's request and its end. The read models give the same document later:
`queries.run_document`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from domain import agent, run, streams, task, workflow
from domain.event import Event
from domain.graph import GRAPHS, TEMPLATES
from domain.ports.store import Recorded
from domain.role import Role, shard_of
from projections import views
from projections.models.agents import agent_of
from projections.models.recoveries import is_recovery
from projections.models.workflows import CLOSING_INDEX, REQUESTED


class AgentProgress(msgspec.Struct, frozen=True):
    """An agent and the last that it did for this run: the event's topic, its stream and moment (all None: nothing yet)."""

    agent: str
    epoch: int
    pid: int
    status: str
    last_event: str | None
    last_stream: str | None
    last_at_ms: int | None


class StepProgress(msgspec.Struct, frozen=True):
    """How far one step of the graph is, over all products: `total` of them will come to it, `in_hand` are with their agent now."""

    name: str
    total: int
    done: int
    in_hand: int
    failed: int


class Progress(msgspec.Struct, frozen=True):
    """How far a run is. `started`, `ended` and `failed` count products; a failed product's open steps leave `steps_total`.

    `steps` are those of each product in the order of their graph, then, once the run is closing, those that close it.
    """

    status: str
    products: int
    started: int
    ended: int
    failed: int
    steps_done: int
    steps_total: int
    steps: list[StepProgress]
    agents: list[AgentProgress]
    recoveries: list[views.Recovery]


class _Step:
    __slots__ = ("agent", "attempts", "name", "reason", "status", "task_id")

    def __init__(self, task_id: str, name: str, owner: _Agent) -> None:
        self.task_id, self.name, self.agent = task_id, name, owner
        self.status: str = workflow.StepStatus.ASSIGNED.value
        self.attempts = 0
        self.reason = ""


class _Flow:
    __slots__ = ("done", "ended_at_ms", "graph", "index", "key", "lead", "reason", "started_at_ms", "status", "steps")

    def __init__(self, index: int, key: str, lead: _Agent) -> None:
        self.index, self.key, self.lead = index, key, lead
        self.status: str = REQUESTED
        self.graph = ""
        self.reason = ""
        self.started_at_ms: int | None = None
        self.ended_at_ms: int | None = None
        self.done = 0
        self.steps: dict[str, _Step] = {}


class _Agent:
    __slots__ = ("epoch", "last", "name", "pid", "status")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = self.pid = 0
        self.status: str = agent.Status.UNKNOWN.value
        self.last: Recorded | None = None


class RunSummary:
    """Feed it the log from the run's request on (from earlier, to know all owners); ask it at any time."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.status: str = run.Status.UNKNOWN.value
        self.reason = ""
        self.outputs: dict[str, str] = {}
        self._request: run.Requested | None = None
        self._over = False
        self._started = self._ended = self._failed = 0
        self._done = self._dropped = self._assigned = 0
        self._counts: dict[str, list[int]] = {}  # step → assigned, completed, ended otherwise
        self._flows: dict[str, _Flow] = {}
        self._steps: dict[str, _Step] = {}
        self._agents: dict[str, _Agent] = {}
        self._recoveries: dict[tuple[str, int], views.Recovery] = {}
        self._takers: dict[type[Event], Callable[[Recorded, Any], None]] = {
            **dict.fromkeys((run.Requested, run.WorkflowsStarted, run.WorkflowEnded, run.ClosingStarted), self._feed_run),
            **dict.fromkeys((run.Completed, run.Abandoned), self._feed_run),
            **dict.fromkeys((workflow.Started, workflow.Ended), self._feed_workflow),
            workflow.StepAssigned: self._feed_assigned,
            **dict.fromkeys((workflow.StepCompleted, workflow.StepFailed, workflow.StepCancelled), self._feed_step),
            **dict.fromkeys((task.Assigned, task.Resumed, task.Completed, task.Failed), self._feed_task),
            **dict.fromkeys((agent.Claimed, agent.Ready, agent.Stopped), self._feed_agent),
        }

    @property
    def over(self) -> bool:
        """Whether the run is completed, degraded, failed or abandoned."""
        return self._over

    def feed(self, recorded: Recorded) -> None:
        """Take one event of the log in; events in log order, each once."""
        event = recorded.event
        taker = self._takers.get(type(event))
        if taker is not None:
            taker(recorded, event)

    # --- events ------------------------------------------------------------------------------------------------------

    def _feed_run(self, recorded: Recorded, event: run.RunEvent) -> None:
        if recorded.stream != self.run_id:
            return
        match event:
            case run.WorkflowEnded(completed=completed):
                self._ended += 1
                self._failed += not completed
            case run.WorkflowsStarted(items=items):
                self.status = run.Status.RUNNING.value
                self._started += len(items)
                for item in items:
                    lead = f"{Role.LEAD.value}/{shard_of(item.handle, self._lead_shards())}"
                    name = streams.workflow_stream(self.run_id, item.index)
                    self._flows[name] = _Flow(item.index, item.handle, self._agent(lead))
            case run.Requested():
                self._request = event
                self.status = run.Status.REQUESTED.value
                return  # not the lead's doing
            case run.ClosingStarted():
                self.status = run.Status.CLOSING.value
                name = streams.workflow_stream(self.run_id, "close")
                self._flows[name] = _Flow(CLOSING_INDEX, self.run_id, self._agent(run.LEAD_0))
            case run.Completed(status=status, outputs=outputs, reason=reason):
                self.status, self.outputs, self.reason, self._over = status, outputs, reason, True
            case run.Abandoned(reason=reason):
                self.status, self.reason, self._over = run.Status.ABANDONED.value, reason, True
        self._agent(run.LEAD_0).last = recorded

    def _feed_workflow(self, recorded: Recorded, event: workflow.Started | workflow.Ended) -> None:
        flow = self._flows.get(recorded.stream)
        if flow is None:
            return
        flow.lead.last = recorded
        if isinstance(event, workflow.Started):
            flow.status = workflow.Status.RUNNING.value
            flow.graph, flow.key, flow.started_at_ms = event.graph, event.key, event.at_ms
            return
        flow.status = (workflow.Status.COMPLETED if event.completed else workflow.Status.FAILED).value
        flow.reason, flow.ended_at_ms = event.reason, event.at_ms
        if not event.completed and flow.graph in GRAPHS:
            self._dropped += len(GRAPHS[flow.graph].steps) - flow.done

    def _feed_assigned(self, recorded: Recorded, event: workflow.StepAssigned) -> None:
        flow = self._flows.get(recorded.stream)
        if flow is not None:
            flow.lead.last = recorded
            task_id = streams.task_stream(recorded.stream, event.step)
            self._steps[task_id] = flow.steps[event.step] = _Step(task_id, event.step, self._agent(event.agent))
            self._assigned += 1
            self._count(event.step, 0)

    def _feed_step(
        self, recorded: Recorded, event: workflow.StepCompleted | workflow.StepFailed | workflow.StepCancelled
    ) -> None:
        flow = self._flows.get(recorded.stream)
        step = None if flow is None else flow.steps.get(event.step)
        if flow is None or step is None:
            return
        flow.lead.last = recorded
        if step.status == workflow.StepStatus.ASSIGNED.value:  # a step that ran out of time is cancelled and failed: one end
            self._count(event.step, 1 if isinstance(event, workflow.StepCompleted) else 2)
        match event:
            case workflow.StepCompleted():
                step.status = workflow.StepStatus.COMPLETED.value
                step.reason = ""
                flow.done += 1
                self._done += 1
            case workflow.StepFailed(reason=reason):
                step.status, step.reason = workflow.StepStatus.FAILED.value, reason
            case workflow.StepCancelled(reason=reason):
                step.status, step.reason = workflow.StepStatus.CANCELLED.value, reason

    def _feed_task(self, recorded: Recorded, event: task.TaskEvent) -> None:
        step = self._steps.get(recorded.stream)
        if step is None:
            return
        step.agent.last = recorded
        match event:
            case task.Assigned():
                step.attempts = 1
            case task.Completed(attempts=attempts) | task.Failed(attempts=attempts):
                step.attempts = attempts
            case task.Resumed():
                step.attempts += 1

    def _feed_agent(self, recorded: Recorded, event: agent.AgentEvent) -> None:
        name = agent_of(recorded.stream)
        owned = self._agent(name)
        match event:
            case agent.Claimed(epoch=epoch, pid=pid):
                owned.epoch, owned.pid, owned.status = epoch, pid, agent.Status.CLAIMED.value
                if self._request is not None and not self._over and is_recovery(event):
                    found = views.Recovery(name, epoch - 1, epoch, event.detected_by, event.detected_ms, None)
                    self._recoveries[name, epoch] = found
            case agent.Ready(epoch=epoch, resumed_ms=resumed_ms):
                owned.status = agent.Status.READY.value
                known = self._recoveries.get((name, epoch))
                if known is not None:
                    self._recoveries[name, epoch] = msgspec.structs.replace(known, resumed_ms=resumed_ms)
            case agent.Stopped():
                owned.status = agent.Status.STOPPED.value

    def _count(self, step: str, what: int) -> None:
        self._counts.setdefault(step, [0, 0, 0])[what] += 1

    def _agent(self, name: str) -> _Agent:
        found = self._agents.get(name)
        if found is None:
            found = self._agents[name] = _Agent(name)
        return found

    def _lead_shards(self) -> int:
        return 1 if self._request is None else self._request.shards.get(Role.LEAD, 1)

    # --- what is read ------------------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """How far the run is; cheap enough for a live view."""
        products = 0 if self._request is None else self._request.products
        return Progress(
            status=self.status,
            products=products,
            started=self._started,
            ended=self._ended,
            failed=self._failed,
            steps_done=self._done,
            steps_total=self._steps_total(products),
            steps=self._step_progress(products),
            agents=[_progress(self._agents[name]) for name in sorted(self._agents)],
            recoveries=list(self._recoveries.values()),
        )

    def _step_progress(self, products: int) -> list[StepProgress]:
        template = None if self._request is None else TEMPLATES.get(self._request.workflow)
        if template is None:
            return []
        closing = () if self.status in {run.Status.REQUESTED, run.Status.RUNNING} else template.close.steps
        totals = {**dict.fromkeys(template.each.steps, products), **dict.fromkeys(closing, 1)}
        steps = []
        for name, total in totals.items():
            assigned, done, ended = self._counts.get(name, (0, 0, 0))
            steps.append(StepProgress(name, total, done, assigned - done - ended, ended))
        return steps

    def _steps_total(self, products: int) -> int:
        template = None if self._request is None else TEMPLATES.get(self._request.workflow)
        if template is None:
            return self._assigned
        return products * len(template.each.steps) + len(template.close.steps) - self._dropped

    def document(self) -> dict[str, Any]:
        """The run for `--json`: workflows in the order of the feed, the closing one last, steps in the order of their graph."""
        flows = sorted(self._flows.items(), key=lambda flow: (flow[1].index == CLOSING_INDEX, flow[1].index))
        document = views.RunDocument(
            run_id=self.run_id,
            workflow="" if self._request is None else self._request.workflow,
            status=self.status,
            seed=0 if self._request is None else self._request.seed,
            workflows=[_workflow(name, flow) for name, flow in flows],
            recoveries=list(self._recoveries.values()),
        )
        built: dict[str, Any] = msgspec.to_builtins(document)
        return built


def _progress(owned: _Agent) -> AgentProgress:
    last = owned.last
    if last is None:
        return AgentProgress(owned.name, owned.epoch, owned.pid, owned.status, None, None, None)
    return AgentProgress(owned.name, owned.epoch, owned.pid, owned.status, last.event.TOPIC, last.stream, last.event.at_ms)


def _workflow(name: str, flow: _Flow) -> views.WorkflowOfRun:
    steps = [
        views.Step(step.task_id, step.name, step.agent.name, step.status, step.attempts, step.reason)
        for step in flow.steps.values()
    ]
    return views.WorkflowOfRun(
        workflow_id=name,
        key=flow.key,
        status=flow.status,
        started_at=views.moment(flow.started_at_ms),
        ended_at=views.moment(flow.ended_at_ms),
        reason=flow.reason,
        steps=views.in_graph_order(flow.graph, steps),
    )
