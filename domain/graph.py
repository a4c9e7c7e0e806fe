"""A workflow as a declared graph: steps, the roles that do them, what each waits for.

Branches are steps that wait for the same step, a join is a step that waits for several. A graph is data: the lead walks it, the
docs draw it, and a test proves that each one can be walked to its end.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from domain.role import Role


class Step(NamedTuple):
    """One step: its name, which is also its task type, the role that does it, the steps whose outputs it needs, and its time."""

    name: str
    role: str
    after: tuple[str, ...] = ()
    timeout_s: float = 600.0


class BadGraph(Exception):
    """The graph has a cycle, a duplicate step, or waits for a step that it does not have."""


class Graph:
    """Steps in an order in which they can be walked.

    Raises:
        BadGraph: when declared wrongly, at import, so that no run can start on it.
    """

    def __init__(self, name: str, *steps: Step) -> None:
        self.name = name
        self.steps: Mapping[str, Step] = {step.name: step for step in steps}
        if len(self.steps) != len(steps):
            raise BadGraph(f"{name}: two steps have the same name")
        for step in steps:
            if missing := [before for before in step.after if before not in self.steps]:
                raise BadGraph(f"{name}: {step.name} waits for {', '.join(missing)}, which it does not have")
        try:
            self.order = tuple(TopologicalSorter({step.name: step.after for step in steps}).static_order())
        except CycleError as error:
            raise BadGraph(f"{name}: steps wait for each other: {' → '.join(error.args[1])}") from error
        self.behind: Mapping[str, Sequence[str]] = {name: self._behind(name) for name in self.steps}
        """All steps on the way to each, in declared order."""

    def _behind(self, name: str) -> list[str]:
        behind: set[str] = set()
        todo = [*self.steps[name].after]
        while todo:
            before = todo.pop()
            if before not in behind:
                behind.add(before)
                todo += self.steps[before].after
        return [name for name in self.steps if name in behind]

    def ready(self, completed: Iterable[str], begun: Container[str]) -> list[Step]:
        """The steps that can begin now: all they wait for is completed, and they have not begun. In declared order."""
        done = frozenset(completed)
        return [step for name, step in self.steps.items() if name not in begun and done.issuperset(step.after)]


GRAPHS: dict[str, Graph] = {}


def declare(graph: Graph) -> Graph:
    """Make a graph known by its name."""
    if graph.name in GRAPHS:
        raise BadGraph(f"{graph.name} is declared twice")
    GRAPHS[graph.name] = graph
    return graph


# --- the product launch (SCOPE A2, A3) ------------------------------------------------------------------------------

LAUNCH_PRODUCT = declare(
    Graph(
        "LAUNCH_PRODUCT",
        Step("CREATE_LISTING", Role.PRODUCT_LISTING),
        Step("GENERATE_DESCRIPTION", Role.PRODUCT_LISTING, after=("CREATE_LISTING",)),
        Step("SET_PRICE", Role.PRICING_OPTIMIZER, after=("CREATE_LISTING",)),
        Step("RESERVE_STOCK", Role.INVENTORY_SYNC, after=("SET_PRICE",)),
        Step("SCHEDULE_POSTS", Role.MARKETING_OUTREACH, after=("GENERATE_DESCRIPTION", "RESERVE_STOCK")),
        Step("MONITOR_FEEDBACK", Role.FEEDBACK_LISTENER, after=("SCHEDULE_POSTS",)),
    )
)
"""What is done for each product of a launch: listing and stock both feed marketing."""

CLOSE_LAUNCH = declare(
    Graph(
        "CLOSE_LAUNCH",
        Step("EXPORT_CATALOGUE", Role.PRODUCT_LISTING),
        Step("PLAN_CALENDAR", Role.MARKETING_OUTREACH),
        Step("SEND_OUTREACH", Role.MARKETING_OUTREACH, after=("PLAN_CALENDAR",)),
        Step("BUILD_REPORT", Role.ANALYTICS_REPORTER, after=("EXPORT_CATALOGUE", "SEND_OUTREACH")),
    )
)
"""What concerns all products of a launch, once each has gone its way."""


class Template(NamedTuple):
    """A workflow that a user can ask for: one graph for each product, one for what concerns all."""

    name: str
    each: Graph
    close: Graph


TEMPLATES: dict[str, Template] = {
    "product-launch-campaign": Template("product-launch-campaign", LAUNCH_PRODUCT, CLOSE_LAUNCH),
}
