"""A swarm without store, broker, clock: states, and a bag of messages from which any may arrive next, and again.

Every agent decides with the domain's own functions. What a step gives depends on its task alone, so whatever differs between two plays
comes from the order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

import msgspec

from domain import run, streams, task, workflow
from domain.decision import Decision, digest
from domain.event import Event
from domain.message import Failure, Task, TaskAssign, TaskCancel, TaskComplete, TaskFail, Tell
from domain.role import Role

NOW = 1_000
WAITING = frozenset({"GENERATE_DESCRIPTION", "RESERVE_STOCK", "SEND_OUTREACH"})
"""Steps that are taken in one append and completed in another: a cancellation may come between."""


class Work(NamedTuple):
    """The end of a wait: something that arrives like a message, at the agent itself."""

    stream: str


class Sent(NamedTuple):
    sender: str
    tell: Tell


class Swarm:
    """One launch. `failing` names the step that fails for a product, by the product's index."""

    def __init__(self, products: int, failing: Mapping[int, str], window: int) -> None:
        self.states: dict[str, Any] = {}
        self.events: dict[str, list[Event]] = {}
        self.bag: list[Sent | Work] = []
        self._failing = {f"task-k-1-{index}-{step}" for index, step in failing.items()}
        self._manifest = [run.Item(index, f"handle-{index}", digest(b"%d" % index)) for index in range(products)]
        shards = {role.value: 2 for role in Role}
        request = run.Requested(
            at_ms=NOW,
            workflow="product-launch-campaign",
            key="k",
            seed=1,
            as_of="2026-11-21",
            currency="EUR",
            products=products,
            manifest=digest(msgspec.json.encode(self._manifest)),
            shards=shards,
            parameters={},
            window=window,
        )
        self.run = run.stream_of(request, 1)
        self.record("client/0", self.run, run.request(self.state(self.run), request))

    def state(self, stream: str) -> Any:
        return self.states.get(stream, streams.kind_of(stream).initial)

    def record(self, writer: str, stream: str, decision: Decision) -> None:
        """Take a decision: its events happen, and what they tell goes into the bag."""
        kind = streams.kind_of(stream)
        for event in decision.events:
            state = self.states[stream] = kind.evolve(self.state(stream), event)
            self.events.setdefault(stream, []).append(event)
            self.bag += [Sent(writer, tell) for tell in kind.tells(stream, state, event)]

    def play_in_order(self) -> Swarm:
        """The reference: what was sent first arrives first, and nothing twice."""
        while self.bag:
            self.arrive(self.bag.pop(0))
        return self

    def play(self, draw: Random, repeat: float = 0.0) -> Swarm:
        """Let everything arrive in the order that `draw` gives, some of it again later; then all of it once more."""
        arrived: list[Sent | Work] = []
        while self.bag:
            at = draw.randrange(len(self.bag))
            self.bag[at], self.bag[-1] = self.bag[-1], self.bag[at]
            thing = self.bag.pop()
            arrived.append(thing)
            self.arrive(thing)
            if draw.random() < repeat:
                self.arrive(draw.choice(arrived))
        draw.shuffle(arrived)
        for thing in arrived:
            self.arrive(thing)
        assert not self.bag, "what was handled before must lead to nothing new"
        return self

    def arrive(self, thing: Sent | Work) -> None:
        if isinstance(thing, Work):
            self._end(thing.stream)
        elif thing.tell.receiver.startswith(Role.LEAD):
            self._lead(thing)
        else:
            self._worker(thing)

    # --- agents ---------------------------------------------------------------------------------------------------------------

    def _lead(self, sent: Sent) -> None:
        me = sent.tell.receiver
        match sent.tell.body:
            case TaskAssign(task=given) if given.task_id.startswith("run-"):
                self.record(me, given.task_id, run.begin(self.state(given.task_id), self._manifest, NOW))
            case TaskAssign(task=given):
                self.record(me, given.task_id, workflow.start(self.state(given.task_id), given, sent.sender, NOW))
            case TaskComplete(task=ref, output=output) if ref.task_id.startswith("workflow-"):
                state: run.Run = self.state(self.run)
                if output["index"] < 0:
                    decision = run.finish(state, output["completed"], output["files"], output["reason"], NOW)
                else:
                    decision = run.end_product(state, self._manifest, output["index"], output["completed"], output["result"], NOW)
                self.record(me, self.run, decision)
            case TaskComplete(task=ref, output=output, attempts=attempts):
                name = streams.task_name(ref.task_id)
                self.record(
                    me, name.workflow, workflow.complete_step(self.state(name.workflow), name.step, output, attempts, NOW)
                )
            case TaskFail(task=ref, failure=failure, attempts=attempts):
                name = streams.task_name(ref.task_id)
                self.record(me, name.workflow, workflow.fail_step(self.state(name.workflow), name.step, failure, attempts, NOW))
            case other:
                raise AssertionError(f"the lead does not take {other}")

    def _worker(self, sent: Sent) -> None:
        me = sent.tell.receiver
        match sent.tell.body:
            case TaskAssign(task=given):
                self._assigned(me, given, sent.sender)
            case TaskCancel(task=ref, reason=reason):
                self.record(me, ref.task_id, task.cancel(self.state(ref.task_id), reason, NOW))
            case other:
                raise AssertionError(f"{me} does not take {other}")

    def _assigned(self, me: str, given: Task, sender: str) -> None:
        state: task.TaskState = self.state(given.task_id)
        if not task.accepts(state):
            return
        if given.task_type in WAITING:
            self.record(me, given.task_id, task.take(state, given, sender, None, [], NOW))
            self.bag.append(Work(given.task_id))
        else:
            self.record(me, given.task_id, Decision([task.at_once(given, sender, None, NOW)]))
            self._end(given.task_id)

    def _end(self, stream: str) -> None:
        state: task.TaskState = self.state(stream)
        if stream in self._failing:
            decision = task.fail(state, Failure("fatal", "broken", f"{stream} cannot be done"), 0, NOW)
        else:
            decision = task.complete(state, {"of": stream, "files": {f"{stream}.txt": digest(stream.encode())}}, {}, 0, NOW)
        self.record("worker", stream, decision)
