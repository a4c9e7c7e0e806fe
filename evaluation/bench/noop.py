"""The benchmark's workflow: six steps in a row that give 256 bytes each and do nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from agents.skill import Content, Intent, Outcome
from domain.graph import TEMPLATES, Graph, Step, Template, declare
from domain.message import Task

ROLE = "bench_worker"
STEPS = 6
PAYLOAD_BYTES = 256
NAMES = tuple(f"NOOP_{number}" for number in range(1, STEPS + 1))
TEMPLATE = "bench"

_EACH = declare(
    Graph("BENCH", *(Step(name, ROLE, after=NAMES[index - 1 : index] if index else ()) for index, name in enumerate(NAMES)))
)
_CLOSE = declare(Graph("BENCH_CLOSE", Step("NOOP_CLOSE", ROLE)))
TEMPLATES[TEMPLATE] = Template(TEMPLATE, _EACH, _CLOSE)


class Noop:
    """A step that does nothing, behind the checks that every step has."""

    role: ClassVar[str] = ROLE
    input_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["parameters", "context"],
        "properties": {"parameters": {"type": "object"}, "context": {"type": "object"}},
    }
    output_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["result"],
        "properties": {"result": {"type": "string", "minLength": PAYLOAD_BYTES}},
    }

    def __init__(self, task_type: str) -> None:
        self.task_type = task_type

    async def gather(self, task: Task, content: Content) -> None:
        return None

    def intents(self, task: Task, material: None) -> Sequence[Intent]:
        return ()

    def perform(self, task: Task, material: None, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        output = {"result": "x" * PAYLOAD_BYTES}
        return Outcome(output, output)


SKILLS = tuple(Noop(name) for name in (*NAMES, "NOOP_CLOSE"))
