"""Analytics: the report of a run.

    BUILD_REPORT   all results, the mails sent → report.json, report.html

The report names the rules that decided (`reasoner`), so that nobody takes them for a language model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple

from agents.reasoners import report
from agents.reasoners.outreach import Mail
from agents.reasoners.results import ProductResult
from agents.roles import contract, documents
from agents.roles.contract import COUNT, DATE, NAME, TEXT
from agents.roles.marketing_outreach import OUTREACH
from agents.skill import Content, Outcome, Skill
from domain.graph import TEMPLATES
from domain.message import Task
from domain.role import Role

REPORT_JSON: Final = "report.json"
REPORT_HTML: Final = "report.html"
WORKFLOW: Final = TEMPLATES["product-launch-campaign"].name

_AMOUNT: Final = contract.or_null({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"})
_BARS: Final = contract.array(contract.record(label=NAME, count=COUNT, tone=NAME))
_STATUS: Final = {"enum": ["completed", "failed"]}


class _ToReport(NamedTuple):
    results: tuple[ProductResult, ...]
    mails: tuple[Mail, ...]


class BuildReport(contract.Computes):
    """Say what was done, in numbers, product by product, and what needs a person's eye."""

    task_type: ClassVar[str] = "BUILD_REPORT"
    role: ClassVar[str] = Role.ANALYTICS_REPORTER
    input_schema: ClassVar[dict[str, Any]] = contract.closing_task("EXPORT_CATALOGUE", "SEND_OUTREACH")
    output_schema: ClassVar[dict[str, Any]] = contract.step(
        "Report",
        contract.record(
            workflow=NAME,
            as_of=DATE,
            seed={"type": "integer"},
            reasoner=NAME,
            totals=contract.record(**dict.fromkeys(report.Totals.__struct_fields__, COUNT)),
            attention=contract.array(
                contract.record(kind={"enum": sorted(report.KINDS)}, index=COUNT, handle=NAME, title=TEXT, detail=NAME)
            ),
            products=contract.array(
                contract.record(
                    index=COUNT,
                    handle=NAME,
                    title=TEXT,
                    product_type=TEXT,
                    status=_STATUS,
                    reason=TEXT,
                    variants=COUNT,
                    price_low=_AMOUNT,
                    price_high=_AMOUNT,
                    margin=_AMOUNT,
                    reserved=COUNT,
                    stock={"enum": ["", "in_stock", "low", "out"]},
                    posts=COUNT,
                    reviews=COUNT,
                    rating=_AMOUNT,
                    gaps=contract.array(NAME),
                )
            ),
            prices=_BARS,
            margins=_BARS,
            stock=_BARS,
            gaps=_BARS,
            sentiment=contract.record(negative=COUNT, neutral=COUNT, positive=COUNT),
            channels=contract.array(NAME),
            timeline=contract.array(contract.record(label=DATE, counts=contract.array(COUNT))),
            timeline_days={"enum": [1, 7]},
            mails=contract.array(contract.record(key=NAME, recipient=NAME, subject=NAME, products=COUNT)),
        ),
    )

    async def gather(self, task: Task, content: Content) -> _ToReport:
        sent = await OUTREACH.read(content, documents.made_by(task, "SEND_OUTREACH"))
        mails = [
            Mail(mail.key, mail.product_type, mail.recipient, mail.subject, mail.products, await content(mail.message))
            for mail in sent.mails
        ]
        results = await documents.results(task, content, "listing", "quotes", "reservation", "posts", "feedback")
        return _ToReport(results, tuple(mails))

    def perform(self, task: Task, material: _ToReport, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        data = report.build(material.results, material.mails, documents.as_of(task), WORKFLOW, task.parameters["seed"])
        numbers = documents.encoded(report.render_json(data))
        page = documents.encoded(report.render_html(data).encode())
        totals = data.totals
        summary = {"products": totals.products, "completed": totals.completed, "failed": totals.failed}
        return documents.outcome(numbers, summary, files={REPORT_JSON: numbers, REPORT_HTML: page})


SKILLS: tuple[Skill, ...] = (BuildReport(),)
