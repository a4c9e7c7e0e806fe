"""Inventory: how much of a product the launch may sell.

    RESERVE_STOCK   dossier with stock levels → pieces reserved and held back, variant by variant

A product that is sold out is no failure: it is listed and priced all the same, but neither posted nor mailed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from agents.reasoners import schemas, stock
from agents.roles import contract, documents
from agents.skill import Content, Outcome, Skill
from domain.message import Task
from domain.role import Role
from domain.streams import run_of
from domain.trade import stock as stocks
from domain.trade.catalogue import Dossier


class ReserveStock(contract.Computes):
    """Set aside what is there, less the safety stock. The stock file stands above the feed's own counts."""

    task_type: ClassVar[str] = "RESERVE_STOCK"
    role: ClassVar[str] = Role.INVENTORY_SYNC
    input_schema: ClassVar[dict[str, Any]] = contract.product_task()
    output_schema: ClassVar[dict[str, Any]] = schemas.RESERVATION

    async def gather(self, task: Task, content: Content) -> Dossier:
        return await documents.dossier(task, content)

    def perform(self, task: Task, material: Dossier, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        made = stock.reserve(material.product, material.levels)
        event = stocks.Reserved(
            at_ms=now_ms,
            run=run_of(task.task_id),
            available={line.key: line.available for line in made.lines},
            reserved={line.key: line.reserved for line in made.lines},
        )
        summary = {"reserved": made.reserved, "status": made.status}
        return documents.outcome(documents.of(made), summary, trade={stocks.stream_of(material.product.handle): [event]})


SKILLS: tuple[Skill, ...] = (ReserveStock(),)
