"""The lead: requests, steps, deadlines, joins."""

from __future__ import annotations

import msgspec

from agents.lead import Lead
from domain import deadletter, run, workflow
from domain.decision import digest
from domain.message import Failure, Header, Message, Task, TaskAssign, TaskComplete, TaskFail, TaskRef
from domain.ports.store import Append, StreamAppend
from tests.agents.stage import NOON_MS, Stage

LEAD = "lead/0"
RUN = "run-k-1"
FLOW = "workflow-k-1-0"
ITEMS = [run.Item(index, f"product-{index}", digest(b"dossier")) for index in range(2)]


def message(kind: str, sender: str, body: object) -> Message:
    return Message(Header(f"id-{kind}", kind, sender, LEAD, "2026-11-21T12:00:00.000Z", RUN, RUN, 1), body)


def assign(task_id: str, task_type: str, **parameters: object) -> Message:
    return message("TASK_ASSIGN", LEAD, TaskAssign(Task(task_id, task_type, parameters)))


def completed(task_id: str, task_type: str, sender: str, output: dict[str, object]) -> Message:
    return message("TASK_COMPLETE", sender, TaskComplete(TaskRef(task_id, task_type), output))


async def begun() -> Stage:
    stage = Stage(LEAD)
    await stage.begin(Lead)
    return stage


async def requested() -> Stage:
    """A lead with a run of two products that somebody asked for."""
    stage = await begun()
    manifest = msgspec.json.encode(ITEMS)
    event = run.Requested(
        at_ms=NOON_MS, workflow="product-launch-campaign", key="k", seed=0, as_of="2026-11-21", currency="USD", products=2,
        manifest=digest(manifest), shards={}, parameters={}, window=1,
    )  # fmt: skip
    await stage.store.append(Append("client/0", None, [StreamAppend(RUN, 0, [event])], contents=[manifest]))
    await stage.arrive(stage.delivery(assign(RUN, "product-launch-campaign")))
    return stage


async def test_a_request_starts_as_many_products_as_its_window() -> None:
    """The next one starts when one has ended."""
    stage = await requested()
    assert [told.body.task.task_id for told in stage.said] == ["workflow-k-1-0"]
    end = completed(FLOW, "LAUNCH_PRODUCT", LEAD, {"completed": True, "result": digest(b"0"), "index": 0})
    await stage.arrive(stage.delivery(end))
    assert [told.body.task.task_id for told in stage.said] == ["workflow-k-1-0", "workflow-k-1-1"]


async def test_the_last_product_closes_the_run_with_results_in_feed_order() -> None:
    """Whatever the order of arrival."""
    stage = await requested()
    for index in (0, 1):
        output = {"completed": True, "result": digest(b"%d" % index), "index": index}
        await stage.arrive(stage.delivery(completed(f"workflow-k-1-{index}", "LAUNCH_PRODUCT", LEAD, output)))
    closing = stage.said[-1].body.task
    assert (closing.task_id, closing.task_type) == ("workflow-k-1-close", "CLOSE_LAUNCH")
    results = msgspec.json.decode(await stage.store.content(closing.parameters["results"]))
    assert results == [digest(b"0"), digest(b"1")]


async def test_a_step_that_fails_ends_its_workflow_with_what_it_has() -> None:
    """The run is told, and what was under way is cancelled."""
    stage = await begun()
    await stage.arrive(stage.delivery(assign(FLOW, "LAUNCH_PRODUCT", key="p", index=0)))
    await stage.arrive(stage.delivery(completed("task-k-1-0-CREATE_LISTING", "CREATE_LISTING", "product_listing/0", {"n": 1})))
    failure = TaskFail(TaskRef("task-k-1-0-SET_PRICE", "SET_PRICE"), Failure("fatal", "x", "no cost"))
    await stage.arrive(stage.delivery(message("TASK_FAIL", "pricing_optimizer/0", failure)))
    kinds = [told.header.message_type for told in stage.said]
    assert kinds == ["TASK_ASSIGN", "TASK_ASSIGN", "TASK_ASSIGN", "TASK_CANCEL", "TASK_COMPLETE"]
    assert stage.said[-1].body.output["completed"] is False
    result = msgspec.json.decode(await stage.store.content(stage.said[-1].body.output["result"]))
    assert (result["failed_step"], result["reason"]) == ("SET_PRICE", "no cost")
    assert "CREATE_LISTING" in result["outputs"]


async def test_a_step_without_an_answer_is_given_up_at_its_deadline() -> None:
    """Its agent is told, and the workflow ends."""
    stage = await begun()
    await stage.arrive(stage.delivery(assign(FLOW, "LAUNCH_PRODUCT", key="p", index=0)))
    stage.now_ms += 601_000
    # The next change of any deadline wakes the timer; without one it would wake by itself.
    await stage.arrive(stage.delivery(assign("workflow-k-1-7", "LAUNCH_PRODUCT", key="q", index=7)))
    await stage.host.stop(patience_s=0.1)
    await stage.begin(Lead)
    await stage.until(lambda: any(told.header.message_type == "TASK_CANCEL" for told in stage.said))
    held = workflow.KIND.fold(await stage.events(FLOW))
    assert held.status is workflow.Status.FAILED
    assert held.steps["CREATE_LISTING"].reason == "no answer from product_listing/0 by its deadline"


async def test_a_late_answer_changes_nothing() -> None:
    """The workflow was given up: the answer is taken and has no effect."""
    stage = await begun()
    await stage.arrive(stage.delivery(assign(FLOW, "LAUNCH_PRODUCT", key="p", index=0)))
    failure = TaskFail(TaskRef("task-k-1-0-CREATE_LISTING", "CREATE_LISTING"), Failure("fatal", "x", "y"))
    await stage.arrive(stage.delivery(message("TASK_FAIL", "product_listing/0", failure)))
    before = await stage.events(FLOW)
    await stage.arrive(stage.delivery(completed("task-k-1-0-CREATE_LISTING", "CREATE_LISTING", "product_listing/0", {})))
    assert await stage.events(FLOW) == before


async def test_an_answer_to_a_step_that_nobody_assigned_is_refused() -> None:
    """It is kept as a dead letter, and its sender is told."""
    stage = await begun()
    await stage.arrive(stage.delivery(assign(FLOW, "LAUNCH_PRODUCT", key="p", index=0)))
    stray = stage.delivery(completed("task-k-1-0-SET_PRICE", "SET_PRICE", "pricing_optimizer/0", {}))
    await stage.arrive(stray)
    (letter,) = await stage.events(deadletter.stream_of(digest(stray.raw)))
    assert isinstance(letter, deadletter.Recorded)
    assert "SET_PRICE" in letter.detail
    assert (stage.said[-1].header.message_type, stage.said[-1].header.receiver) == ("NOT_UNDERSTOOD", "pricing_optimizer/0")


async def test_a_workflow_that_nobody_declared_is_refused() -> None:
    """By name, before anything starts."""
    stage = await begun()
    await stage.arrive(stage.delivery(assign("workflow-k-1-9", "DANCE")))
    assert await stage.events("workflow-k-1-9") == []
