"""The order of measurements: in each round every system once at each concurrency, side by side, beginning with another each time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from evaluation.compare.child import CannotMeasure
from evaluation.compare.systems import Measured, System


class Databases(Protocol):
    """Gives each measurement a database of its own."""

    def database(self) -> AbstractAsyncContextManager[str]: ...


class Run(NamedTuple):
    """What came of measuring a system at one place of one round: a measurement, or why there is none."""

    system: str
    concurrency: int
    round: int
    measured: Measured | None
    reason: str = ""
    load: float = 0.0
    """Processes that wanted a core in the minute before (the load average): more than cores means that others were at work."""


async def measure(
    systems: Sequence[System],
    databases: Databases,
    *,
    concurrency: Sequence[int],
    rounds: int,
    workflows: int,
    say: Callable[[str], None],
) -> list[Run]:
    """Measure all systems in interleaved rounds. One that fails is told and tried again in the next round.

    Raises:
        StoreUnavailable: the server is gone.
    """
    runs: list[Run] = []
    places = rounds * len(concurrency) * len(systems)
    for number in range(rounds):
        for at_once in concurrency:
            for system in _from(systems, number):
                run = await _once(system, databases, at_once, number, workflows)
                runs.append(run)
                told = f"{run.measured.steps_per_second:,.0f} a second" if run.measured else f"failed: {run.reason}"
                say(f"{len(runs)} of {places}: {at_once} at a time, {system.name}: {told}")
    return runs


def _from(systems: Sequence[System], number: int) -> list[System]:
    """All systems, beginning with another one in each round: nobody always follows the same neighbour's write-back."""
    first = number % len(systems)
    return [*systems[first:], *systems[:first]]


async def _once(system: System, databases: Databases, concurrency: int, number: int, workflows: int) -> Run:
    load = os.getloadavg()[0]
    async with databases.database() as url:
        try:
            return Run(system.name, concurrency, number, await system.measure(url, concurrency, workflows), load=load)
        except CannotMeasure as error:
            return Run(system.name, concurrency, number, None, str(error), load)
