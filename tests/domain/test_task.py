"""Given these events of a task, when this is decided, then exactly these events follow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as some

from domain import task
from domain.decision import NOTHING
from domain.event import Event
from domain.message import Failure, MessageType, Task, TaskComplete, TaskFail, TaskRef
from domain.task import (
    KIND,
    Assigned,
    Cancelled,
    Completed,
    EffectIntended,
    EffectPerformed,
    Failed,
    Resumed,
    Status,
    TaskEvent,
    TaskState,
)

NOW = 1_000
STREAM = "task-3f9a-1-0-SET_PRICE"
GIVEN = Task(STREAM, "SET_PRICE", {"key": "clay-pot"})
ASSIGNED = Assigned(at_ms=1, task_type="SET_PRICE", reply_to="lead/0", deadline_ms=9, input=GIVEN)
INTENDED = EffectIntended(at_ms=1, key="k#0", kind="mail", target="press@example.com", payload="d" * 64)
PERFORMED = EffectPerformed(at_ms=2, key="k#0", receipt="250 ok")
COMPLETED = Completed(at_ms=2, output={"price": "1.00"})
FAILED = Failed(at_ms=2, error_class="fatal", code="no_cost", reason="no cost is known")
CANCELLED = Cancelled(at_ms=2, reason="SET_PRICE failed")
OVER = pytest.mark.parametrize("end", [COMPLETED, FAILED, CANCELLED], ids=["completed", "failed", "cancelled"])


def given(*events: TaskEvent) -> TaskState:
    return KIND.fold(events)


def take(state: TaskState, *intents: EffectIntended) -> list[Any]:
    return list(task.take(state, GIVEN, "lead/0", 9, intents, NOW).events)


# --- assignment -------------------------------------------------------------------------------------------------------------------


def test_a_new_task_is_taken_with_its_input_and_what_it_is_about_to_do() -> None:
    """Who resumes it after a crash needs both."""
    assigned = Assigned(at_ms=NOW, task_type="SET_PRICE", reply_to="lead/0", deadline_ms=9, input=GIVEN)
    assert take(given(), INTENDED) == [assigned, INTENDED]


def test_a_task_done_at_once_stores_no_input() -> None:
    """It is over in the same append: nobody will resume it."""
    assert task.at_once(GIVEN, "lead/0", None, NOW) == Assigned(at_ms=NOW, task_type="SET_PRICE", reply_to="lead/0")


def test_a_repeated_assignment_changes_nothing() -> None:
    """Repairs may repeat any message."""
    assert take(given(ASSIGNED)) == []
    assert not task.accepts(given(ASSIGNED))


@OVER
def test_an_assignment_of_a_task_that_is_over_changes_nothing(end: TaskEvent) -> None:
    """Work that was done, failed or given up is not begun again."""
    assert take(given(ASSIGNED, end)) == []


def test_a_cancellation_that_came_first_refuses_the_assignment() -> None:
    """Order is not promised: the cancellation is remembered."""
    cancelled = task.cancel(given(), "SET_PRICE failed", NOW).events
    assert cancelled == [Cancelled(at_ms=NOW, reason="SET_PRICE failed")]
    assert take(given(*cancelled)) == []


# --- the end ----------------------------------------------------------------------------------------------------------------------


def test_a_result_completes_the_task_with_the_effects_behind_it() -> None:
    """Each confirmed effect once, before the completion; attempts count resumptions and retries."""
    decision = task.complete(given(ASSIGNED, INTENDED, Resumed(at_ms=2, epoch=2)), {"sent": 1}, {"k#0": "250 ok"}, 1, NOW)
    performed = EffectPerformed(at_ms=NOW, key="k#0", receipt="250 ok")
    assert decision.events == [performed, Completed(at_ms=NOW, output={"sent": 1}, attempts=3)]


def test_an_effect_that_was_recorded_is_not_recorded_again() -> None:
    """Its receipt is known from the owner before."""
    decision = task.complete(given(ASSIGNED, INTENDED, PERFORMED), {}, {"k#0": "250 ok"}, 0, NOW)
    assert decision.events == [Completed(at_ms=NOW, output={}, attempts=1)]


def test_a_failure_fails_the_task_with_its_reason() -> None:
    """Class, code and reason go into the event, and so to the lead."""
    decision = task.fail(given(ASSIGNED), Failure("transient", "timeout", "no answer"), 4, NOW)
    assert decision.events == [Failed(at_ms=NOW, error_class="transient", code="timeout", reason="no answer", attempts=5)]


def test_a_task_under_way_can_be_cancelled() -> None:
    """The lead gave it up."""
    assert task.cancel(given(ASSIGNED), "too late", NOW).events == [Cancelled(at_ms=NOW, reason="too late")]


@OVER
def test_what_is_over_stays_as_it_is(end: TaskEvent) -> None:
    """A late result, failure, cancellation or owner changes nothing."""
    state = given(ASSIGNED, end)
    assert task.complete(state, {}, {}, 0, NOW) == NOTHING
    assert task.fail(state, Failure("fatal", "c", "r"), 0, NOW) == NOTHING
    assert task.cancel(state, "again", NOW) == NOTHING
    assert task.resume(state, 2, NOW) == NOTHING


def test_a_task_that_was_never_assigned_has_no_end() -> None:
    """A result out of nowhere changes nothing."""
    assert task.complete(given(), {}, {}, 0, NOW) == NOTHING
    assert task.fail(given(), Failure("fatal", "c", "r"), 0, NOW) == NOTHING
    assert task.resume(given(), 2, NOW) == NOTHING


def test_a_new_owner_resumes_what_is_under_way() -> None:
    """With its epoch; the attempt counts, and what was intended and confirmed is known."""
    state = given(
        ASSIGNED, INTENDED, PERFORMED, EffectIntended(at_ms=1, key="k#1", kind="mail", target="b@example.com", payload="e" * 64)
    )
    assert task.resume(state, 3, NOW).events == [Resumed(at_ms=NOW, epoch=3)]
    assert [intent.key for intent in state.intents] == ["k#1"]
    assert state.receipts == {"k#0": "250 ok"}
    assert state.input == GIVEN


_MOVES = {
    "assign": lambda state: task.take(state, GIVEN, "lead/0", 9, [], NOW),
    "cancel": lambda state: task.cancel(state, "given up", NOW),
    "complete": lambda state: task.complete(state, {"price": "1.00"}, {}, 0, NOW),
    "fail": lambda state: task.fail(state, Failure("fatal", "c", "r"), 0, NOW),
    "resume": lambda state: task.resume(state, 2, NOW),
}


@for_all(some.lists(some.sampled_from(sorted(_MOVES)), max_size=12))
def test_any_order_of_moves_ends_a_task_at_most_once(moves: list[str]) -> None:
    """In any order, with repetitions: assigned once at most, ended once at most, and what came first decides."""
    state = given()
    events: list[Event] = []
    for move in moves:
        decided = _MOVES[move](state).events
        events += decided
        state = KIND.fold(decided, state)
    kinds = [type(happened) for happened in events]
    assert kinds.count(Assigned) <= 1
    assert sum(kind in {Completed, Failed, Cancelled} for kind in kinds) <= 1
    first = next((move for move in moves if move in {"assign", "cancel"}), None)
    if first == "cancel":
        assert kinds == [Cancelled], "a cancellation that came first is all that ever happens"
    elif first == "assign" and "cancel" in moves:
        assert state.status in task.OVER


# --- what is told -----------------------------------------------------------------------------------------------------------------


def told(*events: TaskEvent) -> list[Any]:
    return list(KIND.tells(STREAM, given(*events), events[-1]))


def test_the_end_is_told_to_who_assigned_the_task() -> None:
    """Completion and failure; nothing else is told to anybody."""
    (completion,) = told(ASSIGNED, COMPLETED)
    assert (completion.type, completion.receiver, completion.correlation_id) == (
        MessageType.TASK_COMPLETE,
        "lead/0",
        "run-3f9a-1",
    )
    assert completion.body == TaskComplete(TaskRef(STREAM, "SET_PRICE"), {"price": "1.00"}, 1)
    (failure,) = told(ASSIGNED, FAILED)
    assert (failure.type, failure.receiver) == (MessageType.TASK_FAIL, "lead/0")
    assert failure.body == TaskFail(TaskRef(STREAM, "SET_PRICE"), Failure("fatal", "no_cost", "no cost is known"), 1)
    for quiet in ([ASSIGNED], [ASSIGNED, INTENDED], [ASSIGNED, CANCELLED], [CANCELLED], [ASSIGNED, INTENDED, PERFORMED]):
        assert told(*quiet) == []


def test_a_task_is_open_while_it_is_under_way() -> None:
    """Only then has a new owner something to do."""
    assert KIND.is_open(given(ASSIGNED))
    assert [KIND.is_open(state) for state in (given(), given(CANCELLED), given(ASSIGNED, COMPLETED))] == [False] * 3
    assert given(ASSIGNED, INTENDED, COMPLETED).status is Status.COMPLETED
