"""Given these events of a run, when a product ends or somebody asks, then exactly these events follow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as some
from msgspec.structs import replace

from domain import run
from domain.decision import NOTHING, digest
from domain.event import Event
from domain.message import MessageType
from domain.role import shard_of
from domain.run import (
    KIND,
    Abandoned,
    ClosingStarted,
    Completed,
    Item,
    Requested,
    Run,
    RunEvent,
    Status,
    WorkflowEnded,
    WorkflowsStarted,
)

NOW = 1_000
REQUESTED = Requested(
    at_ms=1,
    workflow="product-launch-campaign",
    key="3f9a",
    seed=7,
    as_of="2026-11-21",
    currency="EUR",
    products=3,
    manifest="m" * 64,
    shards={"lead": 2},
    parameters={"feed": "f" * 64},
    window=2,
)
STREAM = run.stream_of(REQUESTED, 1)
MANIFEST = [Item(index, f"handle-{index}", f"{index}" * 64) for index in range(3)]
WINDOW = WorkflowsStarted(at_ms=NOW, items=MANIFEST[:2])


def given(*events: Event) -> Run:
    return KIND.fold(events)


def result(index: int) -> str:
    return digest(f"result {index}".encode())


def ended(index: int, completed: bool = True) -> WorkflowEnded:
    return WorkflowEnded(at_ms=NOW, index=index, completed=completed, result=result(index))


def end(state: Run, index: int, completed: bool = True) -> list[Event]:
    return list(run.end_product(state, MANIFEST, index, completed, result(index), NOW).events)


CLOSING = (
    REQUESTED,
    WINDOW,
    ended(0),
    WorkflowsStarted(at_ms=NOW, items=MANIFEST[2:]),
    ended(1),
    ended(2),
    ClosingStarted(at_ms=NOW, results="r"),
)


# --- the start --------------------------------------------------------------------------------------------------------------------


def test_a_request_is_taken_once() -> None:
    """The same request again changes nothing."""
    assert run.request(given(), REQUESTED).events == [REQUESTED]
    assert run.request(given(REQUESTED), REQUESTED) == NOTHING


def test_a_run_begins_with_as_many_products_as_its_window_holds() -> None:
    """In feed order; again: nothing."""
    assert run.begin(given(REQUESTED), MANIFEST, NOW).events == [WINDOW]
    assert run.begin(given(REQUESTED, WINDOW), MANIFEST, NOW) == NOTHING


def test_a_run_that_nobody_requested_is_refused() -> None:
    """A message that speaks of it is wrong."""
    with pytest.raises(run.NothingRequested):
        run.begin(given(), MANIFEST, NOW)


def test_a_run_without_products_closes_at_once() -> None:
    """There is still a report to write."""
    decision = run.begin(given(replace(REQUESTED, products=0)), [], NOW)
    assert decision.events == [ClosingStarted(at_ms=NOW, results=digest(b"[]"))]
    assert decision.contents == [b"[]"]


# --- products ---------------------------------------------------------------------------------------------------------------------


def test_a_product_that_ended_makes_room_for_the_next() -> None:
    """One for one, in feed order, whichever ended."""
    assert end(given(REQUESTED, WINDOW), 1) == [ended(1), WorkflowsStarted(at_ms=NOW, items=[MANIFEST[2]])]


def test_when_all_have_begun_nothing_more_begins() -> None:
    """The last ones only end."""
    state = given(*CLOSING[:4])
    assert end(state, 2, completed=False) == [ended(2, completed=False)]


def test_a_product_ends_once() -> None:
    """Repairs may repeat any message; a second end of another kind is none."""
    state = given(REQUESTED, WINDOW, ended(1))
    assert end(state, 1) == end(state, 1, completed=False) == []


@pytest.mark.parametrize("events", [[], [REQUESTED], CLOSING], ids=["unknown", "requested", "closing"])
def test_a_product_ends_only_while_the_run_is_running(events: list[RunEvent]) -> None:
    """Before and after, its end changes nothing."""
    assert end(given(*events), 0) == []


def test_after_the_last_product_the_run_closes_with_results_in_feed_order() -> None:
    """Whatever the order in which they came."""
    state = given(REQUESTED, WINDOW, ended(1), WorkflowsStarted(at_ms=NOW, items=MANIFEST[2:]), ended(2))
    decision = run.end_product(state, MANIFEST, 0, True, result(0), NOW)
    results = msgspec.json.encode([result(0), result(1), result(2)])
    assert decision.events == [ended(0), ClosingStarted(at_ms=NOW, results=digest(results))]
    assert decision.contents == [results]


@for_all(some.permutations(range(12)), some.integers(1, 14))
def test_any_order_of_ends_comes_to_the_same_run(order: list[int], window: int) -> None:
    """Never more under way than the window holds; at the end the same state, results and closing message.

    Only those under way can end, so an end that is drawn too early waits its turn.
    """
    manifest = [Item(index, f"handle-{index}", f"{index:064x}") for index in range(12)]
    asked = replace(REQUESTED, products=12, window=window)
    state = KIND.fold(run.begin(given(asked), manifest, NOW).events, given(asked))
    waiting = list(order)
    while waiting:
        assert state.started - state.ended <= window
        index = next(index for index in waiting if index < state.started)
        waiting.remove(index)
        state = KIND.fold(run.end_product(state, manifest, index, index % 3 > 0, result(index), NOW).events, state)
    assert (state.status, state.started, state.ended, state.failed) == (Status.CLOSING, 12, 12, 4)
    assert state.results.in_order() == [result(index) for index in range(12)]


# --- the end ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "completed", "status"),
    [
        ([], True, Status.COMPLETED),
        ([1], True, Status.DEGRADED),
        ([0, 1, 2], True, Status.FAILED),
        ([], False, Status.DEGRADED),
        ([1], False, Status.DEGRADED),
    ],
)
def test_the_status_says_what_was_delivered(failed: list[int], completed: bool, status: Status) -> None:
    """Completed; degraded where products or a part of the closing failed; failed where all products did."""
    state = given(REQUESTED, WINDOW, *(ended(index, index not in failed) for index in range(3)), CLOSING[-1])
    decision = run.finish(state, completed, {"b.csv": "b", "a.csv": "a"}, "why", NOW)
    assert decision.events == [Completed(at_ms=NOW, status=status, outputs={"a.csv": "a", "b.csv": "b"}, reason="why")]
    assert KIND.fold(decision.events, state).status is status


def test_a_run_that_delivers_no_file_has_failed() -> None:
    """The closing failed before it gave anything."""
    state = given(REQUESTED, WINDOW, *(ended(index, True) for index in range(3)), CLOSING[-1])
    (happened,) = run.finish(state, False, {}, "why", NOW).events
    assert isinstance(happened, Completed)
    assert happened.status == Status.FAILED


def test_a_run_without_products_can_be_completed() -> None:
    """None of none failed."""
    state = given(replace(REQUESTED, products=0), ClosingStarted(at_ms=NOW, results="r"))
    (happened,) = run.finish(state, True, {}, "", NOW).events
    assert isinstance(happened, Completed)
    assert happened.status == Status.COMPLETED


def test_a_run_is_finished_only_while_it_closes() -> None:
    """A closing that is repeated, or comes after the run was given up, changes nothing."""
    over = Completed(at_ms=NOW, status="completed", outputs={})
    for events in ([REQUESTED, WINDOW], [*CLOSING, over], [*CLOSING, Abandoned(at_ms=NOW, reason="x")]):
        assert run.finish(given(*events), True, {}, "", NOW) == NOTHING


def test_an_unfinished_run_can_be_given_up() -> None:
    """At any time before its end, once; then nothing of it goes on."""
    gone = Abandoned(at_ms=NOW, reason="the vendor withdrew")
    for events in ([REQUESTED], [REQUESTED, WINDOW], list(CLOSING)):
        assert run.abandon(given(*events), "the vendor withdrew", NOW).events == [gone]
        state = given(*events, gone)
        assert run.abandon(state, "again", NOW) == run.begin(state, MANIFEST, NOW) == NOTHING
        assert end(state, 0) == []


def test_what_is_not_under_way_cannot_be_given_up() -> None:
    """A run that is over stays what it is; one that was never requested is none."""
    over = Completed(at_ms=NOW, status="degraded", outputs={})
    assert run.abandon(given(*CLOSING, over), "x", NOW) == run.abandon(given(), "x", NOW) == NOTHING


# --- what is told -----------------------------------------------------------------------------------------------------------------


def told(*events: RunEvent) -> list[Any]:
    return list(KIND.tells(STREAM, given(*events), events[-1]))


def test_a_request_is_told_to_the_first_lead() -> None:
    """As a task, named by the run."""
    (tell,) = told(REQUESTED)
    assert (tell.type, tell.receiver, tell.body.task.task_id) == (MessageType.TASK_ASSIGN, "lead/0", "run-3f9a-1")
    assert tell.body.task.task_type == "product-launch-campaign"


def test_each_product_goes_to_the_lead_of_its_handle() -> None:
    """With what its steps need to know."""
    tells = told(REQUESTED, WINDOW)
    assert [tell.receiver for tell in tells] == [f"lead/{shard_of(item.handle, 2)}" for item in MANIFEST[:2]]
    task = tells[1].body.task
    assert (task.task_id, task.task_type) == ("workflow-3f9a-1-1", "LAUNCH_PRODUCT")
    assert task.parameters == {
        "key": "handle-1",
        "index": 1,
        "product": "1" * 64,
        "seed": 7,
        "as_of": "2026-11-21",
        "currency": "EUR",
        "shards": {"lead": 2},
        "run_key": "3f9a",
        "feed": "f" * 64,
    }


def test_the_closing_goes_to_the_first_lead() -> None:
    """With the digest of all results."""
    (tell,) = told(*CLOSING)
    task = tell.body.task
    assert (tell.receiver, task.task_id, task.task_type) == ("lead/0", "workflow-3f9a-1-close", "CLOSE_LAUNCH")
    assert (task.parameters["results"], task.parameters["index"]) == ("r", -1)


def test_ends_are_told_to_nobody() -> None:
    """Who asked reads the run's stream."""
    assert told(REQUESTED, WINDOW, ended(0)) == told(REQUESTED, Abandoned(at_ms=NOW, reason="x")) == []
    assert [
        KIND.is_open(given(*events)) for events in ([], [REQUESTED], CLOSING, [REQUESTED, Abandoned(at_ms=1, reason="x")])
    ] == [
        False,
        True,
        True,
        False,
    ]


def test_a_finished_run_is_undelivered_until_its_files_are_written() -> None:
    """Then delivering it again changes nothing, and a run without files has nothing to deliver."""
    over = given(REQUESTED, WINDOW, Completed(at_ms=NOW, status=Status.COMPLETED, outputs={"a.csv": "a"}))
    assert over.undelivered
    decision = run.deliver(over, NOW)
    assert decision.events == [run.Delivered(at_ms=NOW)]
    delivered = KIND.fold(decision.events, over)
    assert not delivered.undelivered
    assert run.deliver(delivered, NOW).events == ()
    assert run.deliver(given(REQUESTED), NOW).events == ()
