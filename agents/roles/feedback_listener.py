"""Feedback: what customers say about a product.

    MONITOR_FEEDBACK   dossier with reviews → ratings, sentiment, aspects

A review is quoted by its row in the vendor's file: a customer's words stay there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from agents.reasoners import feedback, schemas
from agents.roles import contract, documents
from agents.skill import Content, Outcome, Skill
from domain.message import Task
from domain.role import Role
from domain.streams import run_of
from domain.trade import review as reviews
from domain.trade.catalogue import Dossier


class MonitorFeedback(contract.Computes):
    """Sum up the reviews that came with the request."""

    task_type: ClassVar[str] = "MONITOR_FEEDBACK"
    role: ClassVar[str] = Role.FEEDBACK_LISTENER
    input_schema: ClassVar[dict[str, Any]] = contract.product_task()
    output_schema: ClassVar[dict[str, Any]] = schemas.FEEDBACK

    async def gather(self, task: Task, content: Content) -> Dossier:
        return await documents.dossier(task, content)

    def perform(self, task: Task, material: Dossier, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        made = feedback.summarise(material.reviews)
        document = documents.of(made)
        mean = None if made.mean_rating is None else str(made.mean_rating)
        event = reviews.Summarised(
            at_ms=now_ms, run=run_of(task.task_id), count=made.count, mean_rating=mean, summary=document.name
        )
        summary = {"count": made.count, "mean_rating": mean}
        return documents.outcome(document, summary, trade={reviews.stream_of(material.product.handle): [event]})


SKILLS: tuple[Skill, ...] = (MonitorFeedback(),)
