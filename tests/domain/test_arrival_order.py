"""Messages arrive in any order, and more than once: a launch comes to the same end.

Order is promised only where causality gives it. Where a step fails, its parallel branch may have got further or less far before it was
cancelled; that much is open, and nothing else. The report therefore reads of a failed product only what led to the failed step.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from domain import run, task, workflow
from domain.graph import LAUNCH_PRODUCT
from domain.message import TaskAssign, TaskCancel
from domain.streams import kind_of
from tests.domain.swarm import Sent, Swarm

PRODUCTS = 4
SEEDS = some.integers(0, 2**32)


@settings(deadline=None)
@given(seed=SEEDS, window=some.integers(1, PRODUCTS + 1), repeat=some.sampled_from([0.0, 0.3, 1.0]))
def test_any_order_of_arrival_comes_to_the_same_state_of_every_stream(seed: int, window: int, repeat: float) -> None:
    """Run, workflows and tasks, field by field, with duplicates in between and everything once more at the end."""
    expected = Swarm(PRODUCTS, {}, window).play_in_order()
    played = Swarm(PRODUCTS, {}, window).play(Random(seed), repeat)
    assert _canonical(played) == _canonical(expected)
    assert played.state(played.run).status is run.Status.COMPLETED


def _canonical(swarm: Swarm) -> dict[str, Any]:
    """The states in their one form: a run may hold its results in the order in which they came."""
    return {stream: kind_of(stream).freeze(state) for stream, state in swarm.states.items()}


FAILING = some.dictionaries(some.integers(0, PRODUCTS - 1), some.sampled_from(sorted(LAUNCH_PRODUCT.steps)), max_size=3)


@settings(deadline=None)
@given(seed=SEEDS, failing=FAILING, window=some.integers(1, PRODUCTS + 1), repeat=some.sampled_from([0.0, 0.3]))
def test_with_failures_and_cancellations_all_that_is_certain_is_the_same(
    seed: int, failing: dict[int, str], window: int, repeat: float
) -> None:
    """The run's end, every whole product, and of a failed one: why it failed and all that led to it."""
    expected = Swarm(PRODUCTS, failing, window).play_in_order()
    played = Swarm(PRODUCTS, failing, window).play(Random(seed), repeat)
    assert _certain(played, failing) == _certain(expected, failing)
    state: run.Run = played.state(played.run)
    assert state.status is (run.Status.DEGRADED if failing else run.Status.COMPLETED)
    assert (state.ended, state.failed) == (PRODUCTS, len(failing))
    _assert_cancellations_are_kept(played)


def _certain(swarm: Swarm, failing: dict[int, str]) -> dict[str, Any]:
    """The states, without what a failed product's parallel branch came to, and without the digests that follow from it."""
    certain: dict[str, Any] = {}
    for stream, state in swarm.states.items():
        index = stream.split("-")[3] if stream.count("-") >= 3 else ""
        failed = failing.get(int(index)) if index.isdecimal() else None
        if isinstance(state, run.Run):
            results = [name for at, name in enumerate(state.results.in_order()) if at not in failing]
            certain[stream] = (state.status, state.started, state.ended, state.failed, results, state.outputs, state.reason)
        elif isinstance(state, workflow.Workflow):
            behind = _behind(failed) if failed else state.steps.keys()
            steps = {name: step for name, step in state.steps.items() if name in behind}
            start = state.start.parameters if index.isdecimal() else {}
            certain[stream] = (state.status, state.reason, steps, start)
        elif failed is None or stream.rpartition("-")[2] in _behind(failed):
            certain[stream] = state
    return certain


def _behind(step: str) -> set[str]:
    """A step and all that it waited for."""
    return {step}.union(*(_behind(name) for name in LAUNCH_PRODUCT.steps[step].after))


def _assert_cancellations_are_kept(swarm: Swarm) -> None:
    for stream, events in swarm.events.items():
        if isinstance(events[0], task.Cancelled):
            assert len(events) == 1, f"{stream} was begun after its cancellation"
        kinds = [type(event) for event in events]
        assert not stream.startswith("task-") or kinds.count(task.Assigned) <= 1
        assert sum(kind in {task.Completed, task.Failed, task.Cancelled} for kind in kinds) <= 1


@given(repeat=some.integers(0, 3))
def test_a_cancellation_that_overtakes_its_assignment_refuses_it(repeat: int) -> None:
    """The parallel branch of a failed step, its cancellation first: it never begins, however often the assignment comes."""
    swarm = Swarm(1, {0: "SET_PRICE"}, 1)
    held: list[Sent] = []
    while swarm.bag:
        thing = swarm.bag.pop(0)
        if (
            isinstance(thing, Sent)
            and isinstance(thing.tell.body, TaskAssign)
            and thing.tell.body.task.task_type == "GENERATE_DESCRIPTION"
        ):
            held.append(thing)
        else:
            cancelled = isinstance(thing, Sent) and isinstance(thing.tell.body, TaskCancel)
            swarm.arrive(thing)
            if cancelled:
                break
    (assignment,) = held
    for _ in range(repeat + 1):
        swarm.arrive(assignment)
    assert [type(event) for event in swarm.events["task-k-1-0-GENERATE_DESCRIPTION"]] == [task.Cancelled]
    swarm.play(Random(repeat))
    assert swarm.state(swarm.run).status is run.Status.FAILED
