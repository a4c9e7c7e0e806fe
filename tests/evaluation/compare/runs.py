"""Runs as they come out of rounds, with figures that can be followed by hand."""

from __future__ import annotations

from evaluation.compare.rounds import Run
from evaluation.compare.systems import Measured


def run(system: str, number: int, speed: float | None, *, at_once: int = 16, size: float | None = None, reason: str = "") -> Run:
    """One measurement; a speed of None is one that failed."""
    measured = None if speed is None else Measured(speed, 300, size, versions={system: "1.0"}, settings={"mode": "sync"})
    return Run(system, at_once, number, measured, reason)


ROUNDS = [
    run("rehydrate", 0, 8000, size=5000),
    run("langgraph", 0, 800, size=24000),
    run("raw inserts", 0, 16000),
    run("rehydrate", 1, 3000, size=5200),
    run("langgraph", 1, 200, size=20000),
    run("raw inserts", 1, 7500),
    run("rehydrate", 2, 9000, size=5100),
    run("langgraph", 2, 1000, size=25000),
    run("raw inserts", 2, 15000),
]
"""The second round was disturbed: everything is slow in it."""
