"""A campaign of kills: moments drawn from a seed, dealt to runs. Pure; `test_kills` carries it out."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, NamedTuple

from chaos.census import Passed
from domain.ports.probe import Point

NAMED = (Point.BEFORE_COMMIT, Point.BETWEEN_INTENT_AND_EFFECT, Point.AFTER_COMMIT, Point.BEFORE_COMPLETION, Point.AFTER_EFFECT)
HOSTS = ("supervisor", "fork-server")
"""Whoever else lives dies with them: one of them a run, or the runs would be nothing but starts."""
MOST_OF_A_RUN = 4


class Kill(NamedTuple):
    """A process and its moment: the `hit`-th passing of a named point, or a position of the log."""

    process: str
    point: Point | None
    hit: int
    position: int | None

    def entry(self, name: str) -> dict[str, Any]:
        """As an entry of a chaos plan."""
        moment = {"position": self.position} if self.point is None else {"point": self.point, "hit": self.hit}
        return {"id": name, "process": self.process, **moment}


def draw(kills: int, seed: int, census: Sequence[Passed], head: int) -> list[list[Kill]]:
    """Runs of one to four kills each. A third of all are at named points, every kind of process is killed as long as there are
    kills enough, and no process twice in one run (it counts its passings anew after each start)."""
    rng = random.Random(seed)
    passed = {count.process: count.points for count in census}
    named = list(islice(_named(rng, passed), -(-kills // 3)))
    others = list(islice(_others(rng, sorted(passed), head), kills - len(named)))
    runs: list[list[Kill]] = [[] for _ in range(-(-kills // MOST_OF_A_RUN))]
    for kill in [*others, *named]:
        room = [run for run in runs if len(run) < MOST_OF_A_RUN and not _clash(run, kill)]
        min(room or runs, key=len).append(kill)
    return [run for run in runs if run]


def _clash(run: Sequence[Kill], kill: Kill) -> bool:
    hosted = kill.process in HOSTS
    return any(other.process == kill.process or (hosted and other.process in HOSTS) for other in run)


def _named(rng: random.Random, passed: Mapping[str, Mapping[Point, int]]) -> Iterable[Kill]:
    for point in cycle(NAMED):
        process = rng.choice(sorted(name for name, points in passed.items() if points.get(point, 0)))
        # Batches differ from run to run, and a process that starts again counts anew: the first third is passed for sure.
        yield Kill(process, point, rng.randint(1, max(passed[process][point] // 3, 1)), None)


def _others(rng: random.Random, agents: Sequence[str], head: int) -> Iterable[Kill]:
    everybody = [*HOSTS, "projector", *agents]
    for process in cycle(everybody):
        yield Kill(process, None, 0, rng.randint(1, head))


class Line(NamedTuple):
    """A line of the table that a campaign ends with."""

    what: str
    planned: int
    hit: int


def table(runs: Sequence[Sequence[Kill]], hit: Iterable[Kill]) -> list[Line]:
    """How often each point and each kind of process was planned and hit."""
    planned, found = [kill for run in runs for kill in run], list(hit)
    lines = []
    for what in (*NAMED, None):
        lines.append(
            _line(what or "position of the log", [kill.point is what for kill in planned], [k.point is what for k in found])
        )
    for process in sorted({kill.process for kill in planned}):
        lines.append(_line(process, [kill.process == process for kill in planned], [kill.process == process for kill in found]))
    return lines


def _line(what: str, planned: Sequence[bool], hit: Sequence[bool]) -> Line:
    return Line(what, sum(planned), sum(hit))
