"""Given these events of a workflow, when a step ends or time is over, then exactly these events follow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain import workflow
from domain.decision import NOTHING, Decision, digest
from domain.graph import GRAPHS, LAUNCH_PRODUCT
from domain.message import Failure, MessageType, Task, TaskRef
from domain.role import shard_of
from domain.workflow import (
    KIND,
    Ended,
    Started,
    Status,
    StepAssigned,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepStatus,
    Unexpected,
    UnknownGraph,
    Workflow,
    WorkflowEvent,
)

NOW = 1_000
STREAM = "workflow-3f9a-1-0"
TIME_MS = 600_000
PARAMETERS: dict[str, Any] = {"key": "clay-pot", "index": 0, "product": "p" * 64, "shards": {"pricing_optimizer": 4}}
STARTED = Started(at_ms=NOW, graph="LAUNCH_PRODUCT", key="clay-pot", reply_to="lead/0", parameters=PARAMETERS)
FAILURE = Failure("fatal", "no_cost", "no cost is known")


def given(*events: WorkflowEvent) -> Workflow:
    return KIND.fold(events)


def assigned(step: str, at_ms: int = NOW) -> StepAssigned:
    role = LAUNCH_PRODUCT.steps[step].role
    shard = shard_of("clay-pot", 4) if role == "pricing_optimizer" else 0
    return StepAssigned(at_ms=at_ms, step=step, agent=f"{role}/{shard}", deadline_ms=at_ms + TIME_MS)


def completed(step: str) -> StepCompleted:
    return StepCompleted(at_ms=NOW, step=step, output={"of": step})


def complete(state: Workflow, step: str) -> Decision:
    return workflow.complete_step(state, step, {"of": step}, 1, NOW)


def document(state: Workflow) -> Any:
    return msgspec.json.decode(workflow.result_document(state))


BRANCHED = (
    STARTED,
    assigned("CREATE_LISTING"),
    completed("CREATE_LISTING"),
    assigned("GENERATE_DESCRIPTION"),
    assigned("SET_PRICE"),
)
"""Listing is done, its two branches are under way."""


# --- the start --------------------------------------------------------------------------------------------------------------------


def test_a_workflow_begins_with_the_steps_that_wait_for_nothing() -> None:
    """On the shard that the product's key selects, with their time."""
    decision = workflow.start(given(), Task(STREAM, "LAUNCH_PRODUCT", PARAMETERS), "lead/0", NOW)
    assert decision.events == [STARTED, assigned("CREATE_LISTING")]


@pytest.mark.parametrize("events", [[STARTED], [STARTED, Ended(at_ms=NOW, completed=True, result="r")]], ids=["running", "over"])
def test_a_repeated_assignment_changes_nothing(events: list[WorkflowEvent]) -> None:
    """Repairs may repeat any message."""
    assert workflow.start(given(*events), Task(STREAM, "LAUNCH_PRODUCT", PARAMETERS), "lead/0", NOW) == NOTHING


def test_a_workflow_that_nobody_declared_is_refused() -> None:
    """With its name: the sender learns why."""
    with pytest.raises(UnknownGraph, match="PAINT_PRODUCT"):
        workflow.start(given(), Task(STREAM, "PAINT_PRODUCT", {}), "lead/0", NOW)


# --- steps ------------------------------------------------------------------------------------------------------------------------


def test_a_completed_step_begins_what_waited_for_it() -> None:
    """All branches at once, in declared order, each on its own shard."""
    decision = complete(given(STARTED, assigned("CREATE_LISTING")), "CREATE_LISTING")
    assert decision.events == [completed("CREATE_LISTING"), assigned("GENERATE_DESCRIPTION"), assigned("SET_PRICE")]


def test_a_join_waits_for_all_its_branches() -> None:
    """Posts need the description and the stock, whichever comes last."""
    state = given(*BRANCHED, completed("GENERATE_DESCRIPTION"), completed("SET_PRICE"), assigned("RESERVE_STOCK"))
    assert complete(given(*BRANCHED), "GENERATE_DESCRIPTION").events == [completed("GENERATE_DESCRIPTION")]
    assert complete(state, "RESERVE_STOCK").events == [completed("RESERVE_STOCK"), assigned("SCHEDULE_POSTS")]


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_workflow_comes_to_its_end(graph: str) -> None:
    """When each step completes, the last one ends it, with all outputs in its result."""
    state = given()
    decision = workflow.start(state, Task(STREAM, graph, {"key": "k"}), "lead/0", NOW)
    while True:
        state = KIND.fold(decision.events, state)
        under_way = [name for name, step in state.steps.items() if step.status is StepStatus.ASSIGNED]
        if not under_way:
            break
        decision = complete(state, under_way[-1])
    last = decision.events[-1]
    assert isinstance(last, Ended)
    assert last.completed
    assert [digest(content) for content in decision.contents] == [last.result]
    assert document(state)["outputs"] == {name: {"of": name} for name in GRAPHS[graph].steps}
    assert state.status is Status.COMPLETED


def test_an_answer_for_a_step_that_is_over_changes_nothing() -> None:
    """Twice completed, failed after it was completed, completed after it was given up."""
    state = given(STARTED, assigned("CREATE_LISTING"), completed("CREATE_LISTING"), assigned("SET_PRICE"))
    assert complete(state, "CREATE_LISTING") == NOTHING
    assert workflow.fail_step(state, "CREATE_LISTING", FAILURE, 1, NOW) == NOTHING
    ended = KIND.fold(workflow.fail_step(state, "SET_PRICE", FAILURE, 1, NOW).events, state)
    assert complete(ended, "SET_PRICE") == NOTHING
    assert workflow.fail_step(ended, "SET_PRICE", FAILURE, 1, NOW) == NOTHING
    assert workflow.expire(ended, NOW + TIME_MS) == NOTHING


@pytest.mark.parametrize("step", ["SET_PRICE", "PAINT"])
def test_an_answer_for_a_step_that_was_never_assigned_is_refused(step: str) -> None:
    """It cannot be late or repeated: somebody is wrong."""
    with pytest.raises(Unexpected, match=step):
        complete(given(STARTED, assigned("CREATE_LISTING")), step)
    with pytest.raises(Unexpected, match=step):
        workflow.fail_step(given(), step, FAILURE, 1, NOW)


# --- giving up --------------------------------------------------------------------------------------------------------------------


def test_a_failed_step_cancels_what_is_under_way_and_ends_the_workflow() -> None:
    """What was done so far is in the result, with the reason."""
    decision = workflow.fail_step(given(*BRANCHED), "SET_PRICE", FAILURE, 3, NOW)
    failed, cancelled, ended = decision.events
    assert failed == StepFailed(
        at_ms=NOW, step="SET_PRICE", error_class="fatal", code="no_cost", reason="no cost is known", attempts=3
    )
    assert cancelled == StepCancelled(at_ms=NOW, step="GENERATE_DESCRIPTION", reason="SET_PRICE failed: no cost is known")
    state = KIND.fold(decision.events, given(*BRANCHED))
    assert ended == Ended(
        at_ms=NOW, completed=False, result=digest(decision.contents[0]), reason="SET_PRICE failed: no cost is known"
    )
    assert document(state) == {
        "index": 0,
        "key": "clay-pot",
        "product": "p" * 64,
        "completed": False,
        "failed_step": "SET_PRICE",
        "reason": "no cost is known",
        "outputs": {"CREATE_LISTING": {"of": "CREATE_LISTING"}},
    }
    assert state.status is Status.FAILED


def test_a_step_whose_time_is_over_fails_and_is_cancelled_at_its_agent() -> None:
    """All steps that are late, and with them those under way."""
    late = given(*BRANCHED[:-1], assigned("SET_PRICE", at_ms=NOW + 5))
    reason = "no answer from product_listing/0 by its deadline"
    events = workflow.expire(late, NOW + TIME_MS).events
    assert events[:3] == [
        StepCancelled(at_ms=NOW + TIME_MS, step="GENERATE_DESCRIPTION", reason=reason),
        StepFailed(at_ms=NOW + TIME_MS, step="GENERATE_DESCRIPTION", error_class="transient", code="deadline", reason=reason),
        StepCancelled(at_ms=NOW + TIME_MS, step="SET_PRICE", reason="GENERATE_DESCRIPTION ran out of time"),
    ]
    assert isinstance(events[3], Ended)
    assert len(events) == 4


def test_before_the_deadline_nothing_expires() -> None:
    """A timer that fires early, or for a workflow that was never started, changes nothing."""
    assert workflow.expire(given(*BRANCHED), NOW + TIME_MS - 1) == NOTHING
    assert workflow.expire(given(), NOW + TIME_MS) == NOTHING


def test_the_next_deadline_is_the_earliest_of_what_is_under_way() -> None:
    """None when nothing is."""
    assert workflow.next_deadline(given(*BRANCHED[:-1], assigned("SET_PRICE", at_ms=NOW - 5))) == NOW - 5 + TIME_MS
    assert workflow.next_deadline(given()) is None
    assert workflow.next_deadline(given(STARTED, assigned("CREATE_LISTING"), completed("CREATE_LISTING"))) is None


# --- what is told -----------------------------------------------------------------------------------------------------------------


def told(*events: WorkflowEvent) -> list[Any]:
    return list(KIND.tells(STREAM, given(*events), events[-1]))


def test_an_assignment_carries_all_that_led_to_the_step() -> None:
    """Outputs of every step behind it, and the parameters without what concerns the lead alone."""
    events = (*BRANCHED, completed("GENERATE_DESCRIPTION"), completed("SET_PRICE"), assigned("RESERVE_STOCK"))
    (tell,) = told(*events)
    assert (tell.type, tell.receiver, tell.correlation_id) == (MessageType.TASK_ASSIGN, "inventory_sync/0", "run-3f9a-1")
    assert tell.deadline_ms == NOW + TIME_MS
    task = tell.body.task
    assert (task.task_id, task.task_type) == ("task-3f9a-1-0-RESERVE_STOCK", "RESERVE_STOCK")
    assert task.context == {step: {"of": step} for step in ("CREATE_LISTING", "SET_PRICE")}
    assert task.parameters == {name: PARAMETERS[name] for name in ("key", "index", "product")}


def test_a_cancellation_goes_to_the_agent_of_the_step() -> None:
    """With the task's name and the reason."""
    (tell,) = told(*BRANCHED, StepCancelled(at_ms=NOW, step="SET_PRICE", reason="given up"))
    assert (tell.type, tell.receiver) == (MessageType.TASK_CANCEL, assigned("SET_PRICE").agent)
    assert (tell.body.task, tell.body.reason) == (TaskRef("task-3f9a-1-0-SET_PRICE", "SET_PRICE"), "given up")


def test_the_end_goes_to_who_asked_for_the_workflow() -> None:
    """Also a failed workflow completes its task: what it gave is a result."""
    (tell,) = told(*BRANCHED, Ended(at_ms=NOW, completed=False, result="r" * 64, reason="SET_PRICE failed: no cost is known"))
    assert (tell.type, tell.receiver) == (MessageType.TASK_COMPLETE, "lead/0")
    assert tell.body.task == TaskRef(STREAM, "LAUNCH_PRODUCT")
    assert tell.body.output == {
        "completed": False,
        "result": "r" * 64,
        "index": 0,
        "reason": "SET_PRICE failed: no cost is known",
        "files": {},
    }


def test_files_of_all_steps_are_the_files_of_the_workflow() -> None:
    """What closing steps name among their outputs."""
    output = {"files": {"catalogue.csv": "c" * 64}}
    made = StepCompleted(at_ms=NOW, step="CREATE_LISTING", output=output)
    assert workflow.outputs_of(given(STARTED, assigned("CREATE_LISTING"), made)) == {"catalogue.csv": "c" * 64}


def test_answers_are_told_to_nobody() -> None:
    """What the lead learns stays in its stream until it leads to something."""
    assert told(STARTED) == told(*BRANCHED[:3]) == []
    assert KIND.is_open(given(STARTED))
    assert not KIND.is_open(given())
    assert not KIND.is_open(given(STARTED, Ended(at_ms=NOW, completed=True, result="r")))
