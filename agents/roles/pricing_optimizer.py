"""Pricing: what each variant is launched at.

    SET_PRICE   dossier → one quote a variant, with the rule and the reason behind it

A price outside the bounds is no failure: its quote says why, and the report shows it to a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from agents.reasoners import pricing, schemas
from agents.roles import contract, documents
from agents.skill import Content, Outcome, Skill
from domain.message import Task
from domain.role import Role
from domain.streams import run_of
from domain.trade import price as prices
from domain.trade.catalogue import Dossier

BOUNDS: Final = pricing.Bounds(
    min_margin=Decimal("0.30"),  # of the price: below it a launch discount eats what returns and adverts cost
    min_markup=Decimal("0.10"),  # on cost: never broken, whatever else must give way
    max_discount=Decimal("0.20"),  # of the list price: deeper cuts read as clearance
    launch_discount=Decimal("0.10"),  # of the vendor's price, where no compare-at price shows a saving already
)
"""The bounds of a launch, as fractions. They are house rules, not measurements."""


class SetPrice(contract.Computes):
    """Quote every variant within the bounds."""

    task_type: ClassVar[str] = "SET_PRICE"
    role: ClassVar[str] = Role.PRICING_OPTIMIZER
    input_schema: ClassVar[dict[str, Any]] = contract.product_task()
    output_schema: ClassVar[dict[str, Any]] = schemas.QUOTES

    async def gather(self, task: Task, content: Content) -> Dossier:
        return await documents.dossier(task, content)

    def perform(self, task: Task, material: Dossier, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        quotes = pricing.quote(material.product, BOUNDS)
        document = documents.of(quotes)
        asked = {quote.key: f"{quote.price:f}" for quote in quotes}
        event = prices.Set(
            at_ms=now_ms, run=run_of(task.task_id), currency=task.parameters["currency"], prices=asked, quotes=document.name
        )
        low, high = pricing.span(quotes) or (None, None)
        summary = {"min_price": low and f"{low:f}", "max_price": high and f"{high:f}"}
        return documents.outcome(document, summary, trade={prices.stream_of(material.product.handle): [event]})


SKILLS: tuple[Skill, ...] = (SetPrice(),)
