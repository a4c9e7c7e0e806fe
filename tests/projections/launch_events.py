"""A whole launch, played through the domain's own decisions: what a log looks like after it, without store, broker or clock.

Leads, workers and owners take turns by a seed: steps complete in a shuffled order, some fail, some run out of time, agents die
and are taken over, messages become dead letters.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from domain import agent, deadletter, run, streams, task, workflow
from domain.decision import Decision, digest
from domain.event import Event, encode
from domain.message import Failure, Header, MessageType, Task, envelope
from domain.ports.store import Recorded, Stored
from domain.role import CLIENT, Role
from domain.trade.price import Set

NOON_MS = 1_795_262_400_000
WORKERS = [role for role in Role if role is not Role.LEAD]


class MemoryLog:
    """The log of an event store, in memory. Positions rise with holes, as they do in every store."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.recorded: list[Recorded] = []
        self.reads = 0

    def append(self, stream: str, version: int, happened: Event) -> Recorded:
        position = self.stored[-1].position + (2 if len(self.stored) % 7 == 0 else 1) if self.stored else 1
        self.stored.append(Stored(position, stream, version, happened.TOPIC, encode(happened)))
        self.recorded.append(Recorded(position, stream, version, happened))
        return self.recorded[-1]

    async def log(self, after: int, limit: int) -> list[Stored]:
        self.reads += 1
        low, high = 0, len(self.stored)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.stored[middle].position <= after else (low, middle)
        return self.stored[low : low + limit]

    async def head(self) -> int:
        return self.stored[-1].position if self.stored else 0


class Launch:
    """One run of `products` products. `play()` appends it to the log, a step of somebody's work at a time."""

    def __init__(self, log: MemoryLog, products: int, *, seed: int = 1, ordinal: int = 1, trouble: bool = True) -> None:
        self.log = log
        self.random = random.Random(seed)
        self.trouble = trouble
        self.now_ms = NOON_MS
        self.states: dict[str, Any] = {}
        self.versions: dict[str, int] = {}
        self.told: list[Header] = []
        self.inbox: list[tuple[str, Any]] = []
        shards = {role.value: 2 for role in Role}
        self.request = run.Requested(
            at_ms=self.now_ms,
            workflow="product-launch-campaign",
            key=f"{seed:08x}",
            seed=seed,
            as_of="2026-11-21",
            currency="EUR",
            products=products,
            manifest=digest(b"manifest"),
            shards=shards,
            parameters={"stock": "s" * 12},
            window=16,
        )
        self.run_id = run.stream_of(self.request, ordinal)
        self.manifest = [run.Item(index, f"handle-{index}-x", digest(str(index).encode())) for index in range(products)]

    # --- the store and the broker of this play -------------------------------------------------------------------------------

    def state(self, stream: str) -> Any:
        return self.states.get(stream, streams.kind_of(stream).initial)

    def apply(self, writer: str, stream: str, decision: Decision) -> None:
        kind = streams.kind_of(stream)
        for happened in decision.events:
            version = self.versions[stream] = self.versions.get(stream, 0) + 1
            state = self.states[stream] = kind.evolve(self.state(stream), happened)
            self.log.append(stream, version, happened)
            for index, tell in enumerate(kind.tells(stream, state, happened)):
                message = envelope(
                    tell, sender=writer, stream=stream, version=version, index=index, at_ms=happened.at_ms, causation_id=None
                )
                self.told.append(message.header)
                self.inbox.append((writer, message))

    # --- the play ---------------------------------------------------------------------------------------------------------------

    def owners(self) -> None:
        """Everybody starts."""
        for role in Role:
            for shard in range(self.request.shards[role.value]):
                self.claim(f"{role.value}/{shard}", "start")

    def claim(self, name: str, detected_by: str, ready: bool = True) -> None:
        stream = streams.agent_stream(name)
        recovered = detected_by != "start"
        claimed = agent.claim(
            self.state(stream),
            pid=self.random.randrange(100, 9999),
            host="host",
            detected_by=detected_by,
            detected_ms=self.random.uniform(1, 90) if recovered else None,
            last_sign_ms=self.now_ms - 50 if recovered else None,
            now_ms=self.now_ms,
        )
        self.apply(name, stream, Decision([claimed]))
        if ready:
            self.apply(name, stream, agent.ready(self.state(stream), 3, self.now_ms))

    def play(self) -> Launch:
        """The run from its request to its end."""
        self.begin()
        while self.step():
            pass
        return self

    def begin(self) -> None:
        self.owners()
        self.apply(CLIENT, self.run_id, run.request(self.state(self.run_id), self.request))

    def step(self) -> bool:
        """One message is handled, picked at random; False when nothing is left to do."""
        if not self.inbox:
            return False
        self.now_ms += self.random.randrange(0, 5)
        if self.trouble:
            self.misfortune()
        sender, message = self.inbox.pop(self.random.randrange(len(self.inbox)))
        receiver, body = message.header.receiver, message.body
        match message.header.message_type:
            case MessageType.TASK_ASSIGN if body.task.task_id.startswith("run-"):
                self.apply(receiver, self.run_id, run.begin(self.state(self.run_id), self.manifest, self.now_ms))
            case MessageType.TASK_ASSIGN if body.task.task_id.startswith("workflow-"):
                name = body.task.task_id
                self.apply(receiver, name, workflow.start(self.state(name), body.task, sender, self.now_ms))
            case MessageType.TASK_ASSIGN:
                self.work(receiver, body.task, sender)
            case MessageType.TASK_CANCEL:
                name = body.task.task_id
                self.apply(receiver, name, task.cancel(self.state(name), body.reason, self.now_ms))
            case MessageType.NOT_UNDERSTOOD if body.task is None:
                pass
            case _ if body.task.task_id.startswith("task-"):
                self.answer(receiver, message)
            case _:
                self.end(receiver, body)
        return True

    def work(self, worker: str, given: Task, reply_to: str) -> None:
        """A worker does a step: at once, or in two appends, resumed in between, sometimes with no good end."""
        stream, chance = given.task_id, self.random.random()
        if not task.accepts(self.state(stream)):
            return
        if chance < 0.5:
            assigned = task.at_once(given, reply_to, self.now_ms + 1000, self.now_ms)
            self.apply(worker, stream, Decision([assigned]))
        else:
            intent = task.EffectIntended(at_ms=self.now_ms, key=f"{stream}#1", kind="post", target="feed", payload=digest(b"p"))
            self.apply(worker, stream, task.take(self.state(stream), given, reply_to, self.now_ms + 1000, [intent], self.now_ms))
            self.trade(worker)
        if self.trouble and chance > 0.9:
            self.apply(worker, stream, task.resume(self.state(stream), 2, self.now_ms))
        if self.trouble and chance > 0.985 and not stream.rpartition("-")[0].endswith("close"):
            failure = Failure("fatal", "no_price", "there is no price")
            self.apply(worker, stream, task.fail(self.state(stream), failure, 1, self.now_ms))
            return
        receipts = {} if chance < 0.5 else {f"{stream}#1": "receipt"}
        done = task.complete(self.state(stream), {"value": 1}, receipts, self.random.randrange(2), self.now_ms)
        self.apply(worker, stream, done)

    def trade(self, worker: str) -> None:
        """Events of the trade stand in the log too, and mean nothing to the read models of the swarm."""
        price = Set(at_ms=self.now_ms, run=self.run_id, currency="EUR", prices={"x": "1.00"}, quotes=digest(b"q"))
        self.apply(worker, "price-x", Decision([price]))

    def answer(self, lead: str, message: Any) -> None:
        body, now_ms = message.body, self.now_ms
        name, step = streams.task_name(body.task.task_id)
        state = self.state(name)
        if self.trouble and self.random.random() < 0.01 and not name.endswith("close"):
            decision = workflow.expire(state, now_ms + 10_000_000)
        elif message.header.message_type == MessageType.TASK_COMPLETE:
            decision = workflow.complete_step(state, step, body.output, body.attempts, now_ms)
        else:
            decision = workflow.fail_step(state, step, body.failure, body.attempts, now_ms)
        self.apply(lead, name, decision)

    def end(self, lead: str, body: Any) -> None:
        state, output = self.state(self.run_id), body.output
        if body.task.task_id.endswith("close"):
            decision = run.finish(state, output["completed"], {"report.md": digest(b"r")}, output["reason"], self.now_ms)
        else:
            decision = run.end_product(state, self.manifest, output["index"], output["completed"], output["result"], self.now_ms)
        self.apply(lead, self.run_id, decision)

    def misfortune(self) -> None:
        chance = self.random.random()
        if chance < 0.004:
            role = self.random.choice(WORKERS)
            how = self.random.choice(["exit", "silence", "start"])
            self.claim(f"{role.value}/{self.random.randrange(2)}", how, ready=self.random.random() < 0.8)
        elif chance < 0.008:
            self.dead_letter(f"bytes {self.random.randrange(5)}".encode())

    def dead_letter(self, raw: bytes) -> None:
        stream = deadletter.stream_of(digest(raw))
        refused = deadletter.Recorded(
            at_ms=self.now_ms,
            reason="schema",
            detail="body: no such field",
            agent="lead/0",
            raw=digest(raw),
            message_id="m-1",
            message_type="TASK_ASSIGN",
            sender="lead/0",
            correlation_id=self.run_id,
            topic="lead",
            partition=0,
            offset=17,
        )
        self.apply("lead/0", stream, deadletter.record(self.state(stream), refused))
        decide = self.random.choice([None, deadletter.replay, deadletter.discard])
        if decide is not None:
            self.apply(CLIENT, stream, decide(self.state(stream), self.now_ms + 1))


def launch(products: int, **options: Any) -> tuple[MemoryLog, Launch]:
    """A log with one launch in it, played to its end."""
    log = MemoryLog()
    return log, Launch(log, products, **options).play()


def upto(log: MemoryLog, events: int) -> MemoryLog:
    """The log as it was after so many events."""
    earlier = MemoryLog()
    earlier.stored, earlier.recorded = log.stored[:events], log.recorded[:events]
    return earlier


def versions_rise(recorded: Sequence[Recorded]) -> bool:
    """Whether each stream's versions count from 1: a check of this generator itself."""
    seen: dict[str, int] = {}
    for one in recorded:
        if one.version != seen.get(one.stream, 0) + 1:
            return False
        seen[one.stream] = one.version
    return True
