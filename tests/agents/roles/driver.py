"""Plays a launch offline: the domain decides, the skills work, contents lie in a dict. No store, no broker, no clock.

Whatever a real swarm leaves open is drawn from a seed: which of the waiting tasks is done next, the time, the receipts. Tasks go
through JSON as they would on a wire, and every step is checked against its schemas.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

import domain.all_streams  # noqa: F401 - streams tell their messages only when their kinds are known
from agents.framework.schema import Check
from agents.framework.schema import compile as compile_schema
from agents.roles import (
    analytics_reporter,
    feedback_listener,
    inventory_sync,
    marketing_outreach,
    pricing_optimizer,
    product_listing,
)
from agents.skill import Intent, Outcome, Skill
from agents.worker import effect_key
from domain import run, streams, workflow
from domain.decision import Decision, digest
from domain.event import Event
from domain.graph import CLOSE_LAUNCH, GRAPHS, TEMPLATES
from domain.message import Failure, Task, TaskAssign, TaskCancel, TaskComplete
from domain.trade.catalogue import Dossier, Review
from domain.trade.feed import read_catalogue

MODULES = (
    product_listing,
    pricing_optimizer,
    inventory_sync,
    marketing_outreach,
    feedback_listener,
    analytics_reporter,
)
SKILLS: Mapping[str, Skill] = {skill.task_type: skill for module in MODULES for skill in module.SKILLS}
INPUT: Mapping[str, Check] = {name: compile_schema(skill.input_schema) for name, skill in SKILLS.items()}
OUTPUT: Mapping[str, Check] = {name: compile_schema(skill.output_schema) for name, skill in SKILLS.items()}
NOON_MS = 1_795_262_400_000
OUT_OF_LUCK = Failure("fatal", "out_of_luck", "the dice fell badly")


class Contents(dict[str, bytes]):
    """A content store."""

    def keep(self, data: bytes) -> str:
        self[digest(data)] = data
        return digest(data)

    async def read(self, name: str) -> bytes:
        return self[name]


class Launch:
    """One run over a catalogue. `chance` stands for all that differs between two runs of equal input; `broken` steps fail."""

    def __init__(
        self,
        catalogue: bytes,
        *,
        levels: Mapping[str, int] | None = None,
        reviews: Sequence[Review] = (),
        broken: frozenset[tuple[str, str]] = frozenset(),
        chance: int = 0,
    ) -> None:
        self.contents = Contents()
        self.states: dict[str, Any] = {}
        self.events: list[tuple[str, Event]] = []
        self.effects: dict[str, Intent] = {}
        self.tasks: dict[str, Task] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.feed = read_catalogue(catalogue)
        self.broken = broken
        self._chance = random.Random(chance)
        self._waiting: list[Task] = []
        self._stream = streams.run_stream("3f9a21c4", 1 + chance)
        by_handle: dict[str, list[Review]] = {}
        for review in reviews:
            by_handle.setdefault(review.handle, []).append(review)
        self.manifest = []
        for product in self.feed.products:
            own = None if levels is None else {v.key: levels[v.key] for v in product.variants if v.key in levels}
            dossier = Dossier(product, own, tuple(by_handle.get(product.handle, ())))
            self.manifest.append(run.Item(product.index, product.handle, self.contents.keep(msgspec.json.encode(dossier))))
        omit = self.contents.keep(msgspec.json.encode(self.feed.left_out)) if self.feed.left_out else ""
        request = run.Requested(
            at_ms=self._now(),
            workflow="product-launch-campaign",
            key="3f9a21c4",
            seed=7,
            as_of="2026-11-21",
            currency="USD",
            products=len(self.manifest),
            manifest="",
            shards={"lead": 3},
            parameters={"feed": self.contents.keep(catalogue), "omit": omit},
            window=1 + self._chance.randrange(64),
        )
        self._record(self._stream, run.request(self.run, request))

    @property
    def run(self) -> run.Run:
        return self._state(self._stream)  # type: ignore[no-any-return] # the stream's kind says it

    def output(self, handle: str, step: str) -> dict[str, Any]:
        """What a step of a product gave to those after it."""
        index = next(item.index for item in self.manifest if item.handle == handle)
        return self.outcomes[streams.task_stream(streams.workflow_stream(self._stream, index), step)].output

    def document(self, handle: str, step: str) -> Any:
        """The document of a step of a product."""
        return msgspec.json.decode(self.contents[self.output(handle, step)["document"]])

    @property
    def files(self) -> dict[str, bytes]:
        """What the run gave to its vendor."""
        return {path: self.contents[name] for path, name in self.run.outputs.items()}

    async def play(self) -> Launch:
        """Go on until nobody waits for anything."""
        while self._waiting:
            task = self._waiting.pop(self._chance.randrange(len(self._waiting)))
            if task.task_type in TEMPLATES:
                self._record(task.task_id, run.begin(self._state(task.task_id), self.manifest, self._now()))
            elif task.task_type in GRAPHS:
                self._record(task.task_id, workflow.start(self._state(task.task_id), task, "lead/0", self._now()))
            else:
                await self._step(task)
        assert self.run.status in run.OVER
        return self

    async def _step(self, task: Task) -> None:
        stream, name = streams.task_name(task.task_id)
        state: workflow.Workflow = self._state(stream)
        if (state.start.key, name) in self.broken:
            self._record(stream, workflow.fail_step(state, name, OUT_OF_LUCK, 1, self._now()))
            return
        began = time.process_time()
        outcome = await self.perform(task)
        self.seconds[name] += time.process_time() - began
        self.tasks[task.task_id], self.outcomes[task.task_id] = task, outcome
        for trade_stream, events in outcome.trade.items():
            self._record(trade_stream, Decision(events, outcome.contents))
        self._record(stream, workflow.complete_step(state, name, outcome.output, 1, self._now()))

    async def perform(self, task: Task) -> Outcome:
        """One step as a worker does it, with the effects in between."""
        skill = SKILLS[task.task_type]
        INPUT[task.task_type]({"parameters": task.parameters, "context": task.context}, "input")
        material = await skill.gather(task, self.contents.read)
        receipts = {}
        for intent in skill.intents(task, material):
            key = effect_key(task.task_id, intent)
            assert self.effects.setdefault(key, intent) == intent, "a target that knows the key would see another effect"
            receipts[intent.name] = f"receipt {self._chance.random()}"
        outcome = skill.perform(task, material, receipts, self._now())
        OUTPUT[task.task_type](outcome.document, "output")
        for data in outcome.contents:
            self.contents.keep(data)
        assert msgspec.json.decode(self.contents[outcome.output["document"]]) == outcome.document
        return outcome

    # --- what leads do ----------------------------------------------------------------------------------------------------------

    def _record(self, stream: str, decision: Decision) -> None:
        for data in decision.contents:
            self.contents.keep(data)
        kind = streams.kind_of(stream)
        for event in decision.events:
            self.states[stream] = kind.evolve(self._state(stream), event)
            self.events.append((stream, event))
            for tell in kind.tells(stream, self.states[stream], event):
                self._told(tell.body)

    def _told(self, body: Any) -> None:
        match body:
            case TaskAssign(task=task):
                self._waiting.append(msgspec.json.decode(msgspec.json.encode(task), type=Task))
            case TaskCancel(task=ref):
                self._waiting = [task for task in self._waiting if task.task_id != ref.task_id]
            case TaskComplete(task=ref, output=output) if ref.task_type == CLOSE_LAUNCH.name:
                done = run.finish(self.run, output["completed"], output["files"], output["reason"], self._now())
                self._record(self._stream, done)
            case TaskComplete(output=output):
                index, completed, result = output["index"], output["completed"], output["result"]
                self._record(self._stream, run.end_product(self.run, self.manifest, index, completed, result, self._now()))

    def _state(self, stream: str) -> Any:
        return self.states.get(stream, streams.kind_of(stream).initial)

    def _now(self) -> int:
        return NOON_MS + self._chance.randrange(10**9)
