"""`rehydrate bench execute`: what the framework adds to one execution that does nothing, input and output checked."""

from __future__ import annotations

import time
from typing import Any

from agents.framework.execution import Agent, Context
from evaluation.bench.figures import machine, percentile
from evaluation.bench.noop import PAYLOAD_BYTES, Noop

EXECUTIONS = 20_000
WARM_UP = 2_000


async def measure() -> dict[str, Any]:
    """Microseconds of one execution."""
    answer = {"result": "x" * PAYLOAD_BYTES}
    agent = Agent("bench", "1", lambda given, context: answer, Noop.input_schema, Noop.output_schema)
    given: dict[str, Any] = {"parameters": {"key": "x"}, "context": {}}
    context = Context("run-bench-1")
    times = []
    for number in range(WARM_UP + EXECUTIONS):
        begun = time.perf_counter_ns()
        result = await agent.execute(given, context)
        if number >= WARM_UP:
            times.append((time.perf_counter_ns() - begun) / 1000)
        assert result.success
    return {
        "benchmark": "execute",
        "machine": machine(),
        "overhead_us": {"p50": round(percentile(times, 0.5), 2), "p99": round(percentile(times, 0.99), 2)},
    }
