"""A graph that is declared wrongly is refused at import; one that is declared rightly can be walked to its end."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.graph import GRAPHS, LAUNCH_PRODUCT, TEMPLATES, BadGraph, Graph, Step, declare
from domain.role import Role

LEAD = Role.LEAD


def names(steps: list[Step]) -> list[str]:
    return [step.name for step in steps]


def test_first_come_the_steps_that_wait_for_nothing() -> None:
    """A branch begins when what it waits for is completed, a join when all of it is."""
    launch = LAUNCH_PRODUCT
    assert names(launch.ready([], [])) == ["CREATE_LISTING"]
    assert names(launch.ready(["CREATE_LISTING"], ["CREATE_LISTING"])) == ["GENERATE_DESCRIPTION", "SET_PRICE"]
    begun = ["CREATE_LISTING", "GENERATE_DESCRIPTION", "SET_PRICE"]
    assert names(launch.ready(["CREATE_LISTING", "GENERATE_DESCRIPTION"], begun)) == []
    assert names(launch.ready(["CREATE_LISTING", "SET_PRICE"], begun)) == ["RESERVE_STOCK"]


def test_a_step_that_has_begun_does_not_begin_again() -> None:
    """Whether it is completed or not."""
    assert LAUNCH_PRODUCT.ready([], ["CREATE_LISTING"]) == []
    assert LAUNCH_PRODUCT.ready(LAUNCH_PRODUCT.steps, LAUNCH_PRODUCT.steps) == []


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=lambda graph: graph.name)
@given(draw=some.randoms())
def test_every_declared_graph_is_walked_to_its_end_in_any_order(graph: Graph, draw: Random) -> None:
    """Completing steps in whatever order they come to be ready does every step once, each after what it needs."""
    completed: list[str] = []
    begun: list[str] = []
    while len(completed) < len(graph.steps):
        begun += names(graph.ready(completed, begun))
        under_way = sorted(set(begun) - set(completed))
        assert under_way, f"{graph.name} stands still after {completed}"
        step = draw.choice(under_way)
        assert set(graph.steps[step].after) <= set(completed)
        completed.append(step)
    assert sorted(begun) == sorted(graph.steps)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([Step("A", LEAD), Step("A", LEAD)], "same name"),
        ([Step("A", LEAD, after=("B",))], "waits for B"),
        ([Step("A", LEAD, after=("B",)), Step("B", LEAD, after=("A",))], "wait for each other"),
        ([Step("A", LEAD, after=("A",))], "wait for each other"),
    ],
    ids=["twice", "missing", "cycle", "itself"],
)
def test_a_wrong_graph_is_refused_with_its_fault(steps: list[Step], says: str) -> None:
    """No run can start on a graph that cannot be walked."""
    with pytest.raises(BadGraph, match=says):
        Graph("WRONG", *steps)


def test_a_name_is_declared_once() -> None:
    """A second graph of the same name would change workflows under way."""
    with pytest.raises(BadGraph, match="twice"):
        declare(Graph("LAUNCH_PRODUCT", Step("A", LEAD)))


def test_templates_are_made_of_declared_graphs() -> None:
    """The lead finds each part of a template by its name."""
    for template in TEMPLATES.values():
        assert GRAPHS[template.each.name] is template.each
        assert GRAPHS[template.close.name] is template.close
