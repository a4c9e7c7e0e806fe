"""Every step of a launch has its skill, and a wrong task is refused before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from agents.framework.schema import InvalidData
from domain.graph import CLOSE_LAUNCH, LAUNCH_PRODUCT, Graph
from tests.agents.roles.driver import INPUT, MODULES, SKILLS

DIGEST = "ab" * 32
COMMON = {"seed": 1, "as_of": "2026-11-21", "currency": "EUR", "run_key": "3f9a21c4"}
PRODUCT = {**COMMON, "key": "mug", "index": 0, "product": DIGEST}
CLOSING = {**COMMON, "key": "run-3f9a21c4-1", "index": -1, "results": DIGEST, "feed": DIGEST, "omit": ""}
STEPS = [(graph, step) for graph in (LAUNCH_PRODUCT, CLOSE_LAUNCH) for step in graph.steps]


def task(graph: Graph) -> dict[str, Any]:
    """What a step of the graph gets, with the output of every step."""
    parameters = PRODUCT if graph is LAUNCH_PRODUCT else CLOSING
    return {"parameters": dict(parameters), "context": {step: {"document": DIGEST} for step in graph.steps}}


def test_every_step_has_one_skill_and_it_is_of_the_role_that_the_graph_names() -> None:
    """No step of a launch waits for a worker that cannot do it."""
    roles = {step.name: step.role for graph in (LAUNCH_PRODUCT, CLOSE_LAUNCH) for step in graph.steps.values()}
    assert {name: skill.role for name, skill in SKILLS.items()} == roles
    assert sum(len(module.SKILLS) for module in MODULES) == len(roles)


@pytest.mark.parametrize(("graph", "step"), STEPS, ids=[step for _, step in STEPS])
def test_a_task_as_the_lead_gives_it_is_taken_and_may_bring_more(graph: Graph, step: str) -> None:
    """Parameters belong to the whole workflow."""
    given = task(graph)
    given["parameters"]["of_another_step"] = 1
    INPUT[step](given, "input")


@pytest.mark.parametrize(("graph", "step"), STEPS, ids=[step for _, step in STEPS])
def test_a_task_that_lacks_a_parameter_is_refused(graph: Graph, step: str) -> None:
    """Also one with a date that is none, a currency that is none, or a digest that is none."""
    subject = "product" if graph is LAUNCH_PRODUCT else "results"
    for name in ("key", "seed", "as_of", "currency", "run_key", subject):
        given = task(graph)
        del given["parameters"][name]
        with pytest.raises(InvalidData):
            INPUT[step](given, "input")
    for name, wrong in {"as_of": "2026-02-30", "currency": "euros", subject: "ab", "seed": "1", "key": 7}.items():
        given = task(graph)
        given["parameters"][name] = wrong
        with pytest.raises(InvalidData):
            INPUT[step](given, "input")


def test_a_step_reads_only_from_steps_that_its_graph_puts_before_it() -> None:
    """What a schema asks of the context is what the graph lets the step see."""
    for graph, name in STEPS:
        behind: set[str] = set()
        todo = list(graph.steps[name].after)
        while todo:
            step = todo.pop()
            behind.add(step)
            todo += graph.steps[step].after
        needs = SKILLS[name].input_schema["properties"]["context"]["required"]
        assert set(needs) <= behind
        for need in needs:
            given = task(graph)
            del given["context"][need]
            with pytest.raises(InvalidData):
                INPUT[name](given, "input")
