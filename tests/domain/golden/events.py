"""The golden bytes, and the events that they must always decode to.

`stored.txt` holds a line for each topic and class version: topic, version and bytes, separated by tabs. When an event gets a new
version, its old line stays, `EXPECTED` then says what the old bytes are after upcasting, and a line of the new version is added.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from domain import agent, all_streams, deadletter, run, task, workflow
from domain.event import EVENTS, Event
from domain.message import Task
from domain.trade import campaign, price, product, review, stock

FILE = Path(__file__).with_name("stored.txt")
AT = 1_795_262_400_123
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class Golden(NamedTuple):
    """Bytes as a release has stored them."""

    topic: str
    version: int
    state: bytes


def _line(text: str) -> Golden:
    topic, version, state = text.split("\t")
    return Golden(topic, int(version), state.encode())


GOLDEN = [_line(line) for line in FILE.read_text(encoding="utf-8").splitlines()]

TOPICS = {topic for topic, cls in EVENTS.items() if cls.__module__.startswith("domain.")}
"""The topics of the program: tests define more."""

assert all_streams.MODULES, "importing it is what registers the events"

_TASK = Task(
    "task-3f9a-1-17-SET_PRICE",
    "SET_PRICE",
    {"key": "clay-pot", "seed": 7},
    {"CREATE_LISTING": {"title": "Pot"}},
    {"$ref": "urn:x"},
)

_EVENTS: list[Event] = [
    run.Requested(
        at_ms=AT,
        workflow="product-launch-campaign",
        key="3f9a21c4",
        seed=7,
        as_of="2026-11-21",
        currency="EUR",
        products=2,
        manifest=DIGEST,
        shards={"lead": 2, "pricing_optimizer": 1},
        parameters={"feed": DIGEST, "omit": ["a", 1, None, True]},
        window=16,
    ),
    run.WorkflowsStarted(at_ms=AT, items=[run.Item(0, "clay-pot", DIGEST), run.Item(1, "töpfchen", DIGEST)]),
    run.WorkflowEnded(at_ms=AT, index=1, completed=False, result=DIGEST),
    run.ClosingStarted(at_ms=AT, results=DIGEST),
    run.Completed(at_ms=AT, status="degraded", outputs={"catalogue.csv": DIGEST}, reason="1 product failed"),
    run.Abandoned(at_ms=AT, reason="the vendor withdrew"),
    run.Delivered(at_ms=AT),
    workflow.Started(
        at_ms=AT, graph="LAUNCH_PRODUCT", key="clay-pot", reply_to="lead/0", parameters={"index": 0, "shards": {"lead": 2}}
    ),
    workflow.StepAssigned(at_ms=AT, step="SET_PRICE", agent="pricing_optimizer/0", deadline_ms=AT + 600_000),
    workflow.StepCompleted(at_ms=AT, step="SET_PRICE", output={"prices": {"red": "1.00"}, "quotes": DIGEST}, attempts=2),
    workflow.StepFailed(at_ms=AT, step="SET_PRICE", error_class="fatal", code="no_cost", reason="no cost is known", attempts=3),
    workflow.StepCancelled(at_ms=AT, step="SET_PRICE", reason="CREATE_LISTING failed"),
    workflow.Ended(at_ms=AT, completed=False, result=DIGEST, reason="SET_PRICE failed"),
    task.Assigned(at_ms=AT, task_type="SET_PRICE", reply_to="lead/0", deadline_ms=AT + 600_000, input=_TASK),
    task.EffectIntended(
        at_ms=AT, key="task-3f9a-1-close-SEND_OUTREACH#0", kind="mail", target="press@example.com", payload=DIGEST
    ),
    task.EffectPerformed(at_ms=AT, key="task-3f9a-1-close-SEND_OUTREACH#0", receipt="250 2.0.0 ok"),
    task.Resumed(at_ms=AT, epoch=4),
    task.Completed(at_ms=AT, output={"title": "Pot “Ton” – 20 cm", "count": 3, "ratio": 0.5, "none": None}, attempts=2),
    task.Failed(at_ms=AT, error_class="transient", code="timeout", reason="no answer", attempts=5),
    task.Cancelled(at_ms=AT, reason="GENERATE_DESCRIPTION failed"),
    agent.Claimed(at_ms=AT, epoch=2, pid=4711, host="host-1", detected_by="silence", detected_ms=412.5, last_sign_ms=AT - 412),
    agent.Ready(at_ms=AT, epoch=2, open_streams=3, resumed_ms=431.0),
    agent.Stopped(at_ms=AT, epoch=2),
    deadletter.Recorded(
        at_ms=AT,
        reason="schema",
        detail="body.task is missing",
        agent="lead/0",
        raw=DIGEST,
        message_id="6f1d0a3e-5b0e-5d2c-9d55-6a1f3f0e7b10",
        message_type="TASK_ASSIGN",
        sender="client/0",
        correlation_id="run-3f9a21c4-1",
        task_id="task-3f9a-1-17-SET_PRICE",
        task_type="SET_PRICE",
        topic="lead",
        partition=0,
        offset=42,
    ),
    deadletter.Replayed(at_ms=AT),
    deadletter.Discarded(at_ms=AT),
    product.Listed(at_ms=AT, run="run-3f9a21c4-1", title="Clay pot", product_type="Garden", listing=DIGEST),
    product.Described(at_ms=AT, run="run-3f9a21c4-1", description=DIGEST),
    price.Set(at_ms=AT, run="run-3f9a21c4-1", currency="EUR", prices={"red": "12.90", "blue": "13.00"}, quotes=DIGEST),
    stock.Reserved(at_ms=AT, run="run-3f9a21c4-1", available={"red": 10}, reserved={"red": 4}),
    campaign.PostsScheduled(at_ms=AT, run="run-3f9a21c4-1", posts=DIGEST, count=3),
    campaign.CalendarPlanned(at_ms=AT, run="run-3f9a21c4-1", calendar=DIGEST, posts=6),
    campaign.OutreachSent(at_ms=AT, run="run-3f9a21c4-1", mails=12),
    review.Summarised(at_ms=AT, run="run-3f9a21c4-1", count=17, mean_rating="4.25", summary=DIGEST),
]

EXPECTED: dict[tuple[str, int], Event] = {(event.TOPIC, 1): event for event in _EVENTS}
"""What golden bytes decode to, by topic and the version in which they were stored. Every field differs from its default."""
