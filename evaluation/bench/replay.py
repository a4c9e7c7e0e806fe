"""`rehydrate bench replay`: from stored bytes to state, through the domain's own fold.

The stream is the longest that the product has: a run of some ten thousand products, one event for each that ended.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from agents.states import codec_of, load
from domain import run
from domain.event import Event
from domain.ports.store import Append, Snapshot, StreamAppend
from evaluation.bench.figures import machine
from evaluation.bench.ground import ground

EVENTS = 10_000
ROUNDS = 7
BEHIND_SNAPSHOT = 10


async def measure(database: str = "") -> dict[str, Any]:
    """Events a second without a snapshot, and milliseconds with one that is ten events old."""
    async with ground(database) as place:
        store = await place.open()
        stream = "run-bench-1"
        events = _events()
        for at in range(0, EVENTS, 1000):
            await store.append(Append("client/0", None, [StreamAppend(stream, at, events[at : at + 1000])]))
        held = await load(store, stream)
        speeds = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            held = await load(store, stream)
            speeds.append(EVENTS / (time.perf_counter() - begun))
        assert held.version == EVENTS and held.state.ended == EVENTS - 2
        early = await load(store, stream, EVENTS - BEHIND_SNAPSHOT)
        taken = Snapshot(stream, early.version, codec_of(run.KIND)[0](early.state))
        await store.append(Append("client/0", None, snapshots=[taken]))
        again = await load(store, stream)
        times = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            again = await load(store, stream)
            times.append((time.perf_counter() - begun) * 1000)
            assert run.freeze(again.state) == run.freeze(held.state)
        await store.close()
    return {
        "benchmark": "replay",
        "machine": machine(),
        "store": place.kind,
        "events": EVENTS,
        "events_per_second": round(median(speeds)),
        "snapshot_ms": round(median(times), 3),
    }


def _events() -> list[Event]:
    ended = EVENTS - 2
    request = run.Requested(
        at_ms=1, workflow="product-launch-campaign", key="bench", seed=0, as_of="2026-11-21", currency="USD", products=ended + 1,
        manifest="0" * 64, shards={}, parameters={},
    )  # fmt: skip
    started = run.WorkflowsStarted(at_ms=2, items=[run.Item(index, f"product-{index}", "0" * 64) for index in range(64)])
    return [
        request,
        started,
        *(run.WorkflowEnded(at_ms=3 + index, index=index, completed=True, result="0" * 64) for index in range(ended)),
    ]
