"""`rehydrate bench swarm`: the same six-step workflow over the whole road.

Supervisor, lead and one worker as processes, Kafka between them, one TASK_ASSIGN and one TASK_COMPLETE a step, two appends a step.
Read models are no part of that road and are left out unless they are asked for. Times are those of the events themselves: from the
first assignment to the last completion of the measured workflows. The processor time of each process stands beside them.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from agents.states import States
from agents.unit import Unit
from broker import codec
from domain import run, workflow
from domain.decision import Decision, digest
from domain.event import decode
from domain.role import CLIENT
from evaluation.bench import cpu, noop
from evaluation.bench.figures import machine, percentile
from evaluation.bench.ground import ground
from runtime import wiring
from runtime.clock import wall_clock_ms
from runtime.datadir import DataDir
from runtime.settings import Settings
from runtime.supervisor import PROJECTOR, Supervisor
from store.opening import Store

AGENTS = ("lead/0", f"{noop.ROLE}/0")
MODULES = ("evaluation.bench.noop",)
WORKFLOWS = 2000
WARM_UP = 0.2
"""Share of the workflows at either end that is not counted: the window fills and empties there."""
TIMEOUT_S = 300.0
LOOK_EVERY_S = 0.2


async def measure(
    concurrency: Sequence[int], workflows: int = WORKFLOWS, settings: Settings | None = None, *, read_models: bool = False
) -> dict[str, Any]:
    """Steps a second with so many workflows under way at a time, each figure from a swarm and a store of its own."""
    asked = settings or Settings()
    results = []
    kind = ""
    for at_once in concurrency:
        async with ground(asked.database) as place:
            kind = place.kind
            with tempfile.TemporaryDirectory(
                prefix="rehydrate-bench-", dir=os.environ.get("REHYDRATE_BENCH_DIR", "/var/tmp")
            ) as folder:
                given = asked.model_copy(update={"data_dir": Path(folder) / "data", "database": place.url})
                results.append({"concurrency": at_once, **await _measure(given, at_once, workflows, read_models)})
    kafka = asked.kafka or "embedded"
    return {
        "benchmark": "swarm",
        "machine": machine(),
        "store": kind,
        "kafka": kafka,
        "read_models": read_models,
        "results": results,
    }


async def _measure(settings: Settings, at_once: int, workflows: int, read_models: bool) -> dict[str, Any]:
    data = DataDir(settings.data_dir, settings.database).open()
    data.lock()
    store = await wiring.event_store(data)
    supervisor = Supervisor(settings, data, store, AGENTS, MODULES, read_models=read_models)
    try:
        stream = await _request(store, at_once, workflows)
        await supervisor.start()
        processes = {**{name: supervisor.pid_of(name) for name in AGENTS}, "supervisor": os.getpid()}
        if read_models:
            processes[PROJECTOR] = supervisor.pid_of(PROJECTOR)
        before = cpu.spent_s(processes)
        await asyncio.wait_for(_over(store, stream, supervisor), TIMEOUT_S)
        after = cpu.spent_s(processes)
        return {**_figures(await _steps(store)), "cpu_us_per_step": cpu.per_step_us(before, after, workflows * noop.STEPS)}
    finally:
        await supervisor.stop()
        await store.close()


async def _request(store: Store, at_once: int, workflows: int) -> str:
    items = [run.Item(index, f"flow-{index}", "0" * 64) for index in range(workflows)]
    manifest = msgspec.json.encode(items)
    event = run.Requested(
        at_ms=wall_clock_ms(), workflow=noop.TEMPLATE, key="bench", seed=0, as_of="2026-11-21", currency="USD", products=workflows,
        manifest=digest(manifest), shards={}, parameters={}, window=at_once,
    )  # fmt: skip
    unit = Unit(CLIENT, None, States(store), codec.encode, event.at_ms)
    await unit.record(run.stream_of(event, 1), Decision([event], [manifest]))
    await store.append(unit.request())
    return run.stream_of(event, 1)


async def _over(store: Store, stream: str, supervisor: Supervisor) -> None:
    """Follow the run's own stream to its end, in looks so rare and small that they do not count."""
    version = 0
    while True:
        for event in await store.history(stream, version):
            version += 1
            if isinstance(event, run.Completed):
                return
        if supervisor.failed.done():
            supervisor.failed.result()
        await asyncio.sleep(LOOK_EVERY_S)


async def _steps(store: Store) -> list[tuple[int, int]]:
    """When each step was assigned and completed, in milliseconds, in order of completion."""
    begun: dict[tuple[str, str], int] = {}
    steps = []
    position = 0
    while rows := await store.log(position, 5000):
        position = rows[-1].position
        for row in rows:
            if row.topic == workflow.StepAssigned.TOPIC:
                assigned = decode(row.topic, row.state)
                assert isinstance(assigned, workflow.StepAssigned)
                begun[row.stream, assigned.step] = assigned.at_ms
            elif row.topic == workflow.StepCompleted.TOPIC:
                completed = decode(row.topic, row.state)
                assert isinstance(completed, workflow.StepCompleted)
                steps.append((begun.pop((row.stream, completed.step)), completed.at_ms))
    return steps


def _figures(steps: Sequence[tuple[int, int]]) -> dict[str, Any]:
    edge = int(len(steps) * WARM_UP)
    counted = steps[edge : len(steps) - edge]
    seconds = (counted[-1][1] - counted[0][1]) / 1000
    latencies = [float(end - begin) for begin, end in counted]
    return {
        "steps_per_second": round(len(counted) / seconds),
        "p50_ms": round(percentile(latencies, 0.5), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
    }
