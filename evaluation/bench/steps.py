"""`rehydrate bench steps`: durable steps a second of a six-step workflow, in one process, on the store.

A step goes through the code that agents use, from the delivered message to the committed append: framework, decide, evolve, unit of
work, group commit, outbox row. Only Kafka is left out: a loop hands the worker's answer back as the next assignment. The
next step of a workflow begins after the one before is committed. A second writer applies the answers, so that the outbox is trimmed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec

from agents.host import Host
from agents.worker import Worker
from broker import codec
from domain import agent
from domain.message import Header, Message, Task, TaskAssign, rfc3339
from domain.ports.bus import Delivery, Handler, Place
from domain.ports.effects import Effect
from domain.ports.store import Append, EventStore, Parcel, Received, StreamAppend
from domain.streams import agent_stream, task_stream, workflow_stream
from evaluation.bench import noop
from evaluation.bench.figures import machine, percentile
from evaluation.bench.ground import Ground, ground
from runtime.child import spare_the_collector
from runtime.clock import wall_clock_ms
from store.opening import Store

WORKER, LEAD = f"{noop.ROLE}/0", "lead/0"
ROUNDS = 3
RAW_INSERTS = 3000
APPLY_EVERY_S = 0.05


class _Loop:
    """Stands for lead and Kafka: gives the worker its assignments and takes its answers."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._handler: Handler | None = None
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._numbers = iter(range(1, 1 << 60))
        self._answered: list[Received] = []

    async def start(self, handler: Handler | None) -> None:
        self._handler = handler

    def send(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            self._answered.append(Received(WORKER, parcel.number))
            task_id = msgspec.json.decode(parcel.value)["body"]["task"]["task_id"]
            self._waiting.pop(task_id).set_result(None)

    def done(self, place: Place) -> None:
        """Nothing is read from a log here."""

    async def stop(self) -> None:
        """Nothing is connected."""

    async def step(self, task_id: str, name: str) -> None:
        """Assign a step and wait until its answer is committed."""
        future = self._waiting[task_id] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        now = wall_clock_ms()
        header = Header(
            task_id, "TASK_ASSIGN", LEAD, WORKER, rfc3339(now), "run-bench-1", task_id, 1, deadline=rfc3339(now + 600_000)
        )
        task = Task(task_id, name, {"key": task_id}, {}, {"$ref": f"urn:rehydrate:task:{name}:output"})
        assert self._handler is not None
        await self._handler([Delivery(Message(header, TaskAssign(task)), Received(LEAD, number), b"", Place("bench", 0, number))])
        await future

    async def apply(self) -> None:
        """The lead's side: mark answers as applied, in groups, as its own appends would."""
        while True:
            await asyncio.sleep(APPLY_EVERY_S)
            taken, self._answered = self._answered, []
            if taken:
                await self._store.append(Append(LEAD, None, received=taken))


class _NoOutbox:
    def __init__(self, loop: _Loop) -> None:
        self._loop = loop

    def publish(self, parcels: Sequence[Parcel]) -> None:
        self._loop.send(parcels)

    async def publish_all(self) -> int:
        return 0

    async def run(self) -> None:
        """Nothing is lost on the way of a function call."""


class _NoEffects:
    async def perform(self, effect: Effect) -> str:
        raise AssertionError("the benchmark's steps have no effects")

    async def close(self) -> None:
        """Nothing is held."""


async def measure(concurrency: Sequence[int], workflows: int = 400, database: str = "") -> dict[str, Any]:
    """Steps a second at each concurrency, with the baseline measured around each."""
    async with ground(database) as place:
        store = await place.open()
        try:
            return await _measure(place, store, concurrency, workflows)
        finally:
            await store.close()


async def _measure(place: Ground, store: Store, concurrency: Sequence[int], workflows: int) -> dict[str, Any]:
    spare_the_collector()  # as agents do
    host, loop = await _worker(store)
    background = asyncio.create_task(loop.apply())
    flows = iter(range(1 << 60))
    await _round(loop, 16, 50, flows)
    before, raws, results = await place.size(), [await place.raw_inserts()], []
    total = 0
    for at_once in concurrency:
        count = max(workflows // 8, 30) if at_once == 1 else workflows
        rounds = []
        for _ in range(ROUNDS):
            rounds.append(await _round(loop, at_once, count, flows))
            raws.append(await place.raw_inserts())
            total += count
        results.append({"concurrency": at_once, "workflows": count, **_middle(rounds)})
    await asyncio.sleep(APPLY_EVERY_S * 3)
    await _round(loop, 1, 1, flows)  # a last append trims what is applied
    background.cancel()
    await host.stop()
    grown = await place.size() - before
    raw = median(raws)
    for result in results:
        result["ratio_to_raw_inserts"] = round(result["steps_per_second"] / raw, 2)
    return {
        "benchmark": "steps",
        "machine": machine(),
        "store": place.kind,
        "steps_per_workflow": noop.STEPS,
        "payload_bytes": noop.PAYLOAD_BYTES,
        "results": results,
        "raw_inserts_per_second": round(raw),
        "bytes_per_workflow": round(grown / total),
    }


async def _worker(store: Store) -> tuple[Host, _Loop]:
    claimed = agent.claim(
        agent.Agent(),
        pid=os.getpid(),
        host="bench",
        detected_by="start",
        detected_ms=None,
        last_sign_ms=None,
        now_ms=wall_clock_ms(),
    )
    await store.append(Append(WORKER, 1, [StreamAppend(agent_stream(WORKER), 0, [claimed])], claim=True))
    loop = _Loop(store)
    host = Host(WORKER, 1, store, loop, _NoOutbox(loop), codec.encode, wall_clock_ms)
    await host.start(Worker(host, {skill.task_type: skill for skill in noop.SKILLS}, _NoEffects()))
    return host, loop


async def _round(loop: _Loop, at_once: int, workflows: int, flows: Any) -> tuple[float, list[float]]:
    numbers = iter([next(flows) for _ in range(workflows)])
    latencies: list[float] = []

    async def one() -> None:
        for number in numbers:
            workflow = workflow_stream("run-bench-1", number)
            for name in noop.NAMES:
                begun = time.perf_counter()
                await loop.step(task_stream(workflow, name), name)
                latencies.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return workflows * noop.STEPS / (time.perf_counter() - begun), latencies


def _middle(rounds: Sequence[tuple[float, list[float]]]) -> dict[str, Any]:
    speed, latencies = sorted(rounds)[len(rounds) // 2]
    return {
        "steps_per_second": round(speed),
        "p50_ms": round(percentile(latencies, 0.5) * 1000, 3),
        "p99_ms": round(percentile(latencies, 0.99) * 1000, 3),
    }
