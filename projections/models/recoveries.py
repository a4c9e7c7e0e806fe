"""`recoveries`: one row each time an agent was taken over after a fault.

A claim is a recovery when the agent had an owner before (epoch above 1) and its end was noticed (`detected_by` is not "start").
`detected_ms` and `resumed_ms` count from the old owner's last sign of life; `resumed_ms` is NULL until the new owner was ready.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.schema import Column, Table
from sqlalchemy.types import Double, Integer

from domain.agent import Claimed, Ready
from domain.ports.store import Recorded
from projections.model import METADATA, Model, big_column, count_column, key_column, moment_column, text_column
from projections.models.agents import agent_of
from projections.rows import Row

TABLE = Table(
    "recoveries",
    METADATA,
    key_column("agent"),
    Column("new_epoch", Integer, primary_key=True, autoincrement=False),
    count_column("old_epoch"),
    text_column("detected_by"),
    Column("detected_ms", Double, nullable=True),
    Column("resumed_ms", Double, nullable=True),
    moment_column("claimed_at_ms"),
    moment_column("ready_at_ms"),
    big_column("position", index=True),
)


def is_recovery(claim: Claimed) -> bool:
    """Whether a claim took an agent over after a fault, and not at a start in order."""
    return claim.epoch > 1 and claim.detected_by != "start"


def rows(recorded: Recorded) -> Iterable[Row]:
    """The row that a claim after a fault makes, and what the new owner's readiness adds to it."""
    agent, event = agent_of(recorded.stream), recorded.event
    match event:
        case Claimed(epoch=epoch, at_ms=at_ms, detected_by=detected_by, detected_ms=detected_ms) if is_recovery(event):
            put = {"old_epoch": epoch - 1, "detected_by": detected_by, "detected_ms": detected_ms}
            yield Row((agent, epoch), put=put | {"claimed_at_ms": at_ms, "position": recorded.position})
        case Ready(epoch=epoch, at_ms=at_ms, resumed_ms=resumed_ms):
            yield Row((agent, epoch), put={"resumed_ms": resumed_ms, "ready_at_ms": at_ms}, amends=True)


MODEL = Model("recoveries", (Claimed, Ready), rows)
