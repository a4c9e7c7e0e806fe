"""The lead: runs and workflows. It alone decides what comes next.

It takes requests, walks each product through the graph of its workflow, joins products in feed order, and closes the run. It computes
nothing itself: what a step gives is its agent's business.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from agents.host import Host, Refusal
from agents.unit import Unit
from domain import run, streams, workflow
from domain.graph import GRAPHS, TEMPLATES
from domain.message import Failure as TaskFailure
from domain.message import NotUnderstood, Task, TaskAssign, TaskComplete, TaskFail, TaskRef
from domain.ports.bus import Delivery

_decode_manifest = msgspec.json.Decoder(list[run.Item]).decode


class Lead:
    """The behaviour of role `lead`, on every shard: shard 0 also owns the runs."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._manifests: dict[str, Sequence[run.Item]] = {}
        self._deadlines = Deadlines(self._expire, host.now_ms)

    def mailbox(self, delivery: Delivery) -> str:
        body = delivery.message.body
        if isinstance(body, TaskAssign):
            return body.task.task_id
        return _decided_by(body.task.task_id) if body.task is not None else "undecided"

    async def receive(self, delivery: Delivery, unit: Unit) -> None:
        match delivery.message.body:
            case TaskComplete(task=ref, output=output, attempts=attempts):
                await self._completed(ref, output, attempts, unit)
            case TaskAssign(task=task):
                await self._assigned(task, delivery.message.header.sender, unit)
            case TaskFail(task=ref, failure=failure, attempts=attempts):
                await self._failed(ref, failure, attempts, unit)
            case NotUnderstood(task=ref, reason=reason) if ref is not None:
                await self._failed(ref, TaskFailure("fatal", "not_understood", reason), 1, unit)
            case NotUnderstood():
                pass  # the refused message stands for no task: its dead letter is all that is left of it
            case other:
                raise Refusal(f"the lead does not take {type(other).__name__}")

    async def resume(self, open_streams: Sequence[str]) -> None:
        """Deadlines are state: what is due while nobody was there fires now."""
        for stream in open_streams:
            if stream.startswith("workflow-"):
                self._deadlines.watch(stream, workflow.next_deadline((await self._host.states.get(stream)).state))
        self._host.spawn(self._deadlines.run())

    async def stop(self) -> None:
        """Nothing waits here but timers, and those are state."""

    # --- messages ----------------------------------------------------------------------------------------------------

    async def _assigned(self, task: Task, sender: str, unit: Unit) -> None:
        if task.task_type in TEMPLATES:
            state: run.Run = await unit.state(task.task_id)
            try:
                await unit.record(task.task_id, run.begin(state, await self._manifest(state), unit.now_ms))
            except run.NothingRequested as error:
                raise Refusal(f"{task.task_id} was never requested") from error
        elif task.task_type in GRAPHS:
            try:
                decision = workflow.start(await unit.state(task.task_id, new=True), task, sender, unit.now_ms)
            except workflow.UnknownGraph as error:
                raise Refusal(str(error)) from error
            await self._record(task.task_id, decision, unit)
        else:
            raise Refusal(f"no workflow is called {task.task_type!r}")

    async def _completed(self, ref: TaskRef, output: dict[str, Any], attempts: int, unit: Unit) -> None:
        stream = _decided_by(ref.task_id)
        if stream.startswith("run-"):
            await self._part_ended(stream, ref, output, unit)
            return
        state: workflow.Workflow = await unit.state(stream)
        try:
            decision = workflow.complete_step(state, streams.task_name(ref.task_id).step, output, attempts, unit.now_ms)
        except workflow.Unexpected as error:
            raise Refusal(str(error)) from error
        await self._record(stream, decision, unit)

    async def _part_ended(self, stream: str, ref: TaskRef, output: dict[str, Any], unit: Unit) -> None:
        state: run.Run = await unit.state(stream, refine=run.with_done)
        if state.request is None:
            raise Refusal(f"{stream} was never requested")
        completed, index = bool(output.get("completed")), int(output.get("index", -1))
        if index < 0:
            decision = run.finish(state, completed, output.get("files", {}), str(output.get("reason", "")), unit.now_ms)
        else:
            decision = run.end_product(state, await self._manifest(state), index, completed, str(output["result"]), unit.now_ms)
        await unit.record(stream, decision)
        if decision.events and isinstance(decision.events[-1], run.Completed):
            unit.after(lambda: self._forget(state.asked.manifest))

    async def _failed(self, ref: TaskRef, failure: TaskFailure, attempts: int, unit: Unit) -> None:
        stream = _decided_by(ref.task_id)
        if stream.startswith("run-"):
            raise Refusal("a workflow tells its end with TASK_COMPLETE, also where it failed")
        try:
            decision = workflow.fail_step(
                await unit.state(stream), streams.task_name(ref.task_id).step, failure, attempts, unit.now_ms
            )
        except workflow.Unexpected as error:
            raise Refusal(str(error)) from error
        await self._record(stream, decision, unit)

    # --- helpers -----------------------------------------------------------------------------------------------------

    async def _record(self, stream: str, decision: Any, unit: Unit) -> None:
        await unit.record(stream, decision)
        deadline = workflow.next_deadline(await unit.state(stream))
        unit.after(lambda: self._deadlines.watch(stream, deadline))

    async def _expire(self, stream: str) -> None:
        async def build(unit: Unit) -> None:
            await self._record(stream, workflow.expire(await unit.state(stream), unit.now_ms), unit)

        await self._host.commit(build)

    def _forget(self, manifest: str) -> None:
        self._manifests.pop(manifest, None)

    async def _manifest(self, state: run.Run) -> Sequence[run.Item]:
        if state.request is None:
            return ()
        name = state.asked.manifest
        found = self._manifests.get(name)
        if found is None:
            found = self._manifests[name] = _decode_manifest(await self._host.store.content(name))
        return found


def _decided_by(task_id: str) -> str:
    """The stream that decides about an answer: a task's workflow, a workflow's run."""
    if task_id.startswith("task-"):
        return streams.task_name(task_id).workflow
    return streams.run_of(task_id)


class Deadlines:
    """Timers over what the lead's streams say: a heap of (time, stream). An entry that is out of date costs one look."""

    def __init__(self, fire: Callable[[str], Any], now_ms: Callable[[], int]) -> None:
        self._fire = fire
        self._now_ms = now_ms
        self._heap: list[tuple[int, str]] = []
        self._wanted: dict[str, int] = {}
        self._changed = asyncio.Event()

    def watch(self, stream: str, deadline_ms: int | None) -> None:
        """The stream's next deadline is now this one, or none."""
        if deadline_ms is None:
            self._wanted.pop(stream, None)
        elif self._wanted.get(stream) != deadline_ms:
            self._wanted[stream] = deadline_ms
            heapq.heappush(self._heap, (deadline_ms, stream))
            if self._heap[0] == (deadline_ms, stream):
                self._changed.set()

    async def run(self) -> None:
        """Fire what is due until cancelled."""
        while True:
            while self._heap and self._wanted.get(self._heap[0][1]) != self._heap[0][0]:
                heapq.heappop(self._heap)
            wait_s = (self._heap[0][0] - self._now_ms()) / 1000 if self._heap else None
            if wait_s is not None and wait_s <= 0:
                _, stream = heapq.heappop(self._heap)
                del self._wanted[stream]
                await self._fire(stream)
                continue
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), wait_s)
            except TimeoutError:
                continue
