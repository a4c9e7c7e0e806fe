"""Marketing: posts for each product, the calendar of all posts, and the mails that announce the launch.

    SCHEDULE_POSTS   listing, quotes, reservation   → posts                        effect: one order to the social scheduler
    PLAN_CALENDAR    all results                    → calendar.json, calendar.ics
    SEND_OUTREACH    all results                    → mails/<product type>.eml     effects: one mail each, to a list address

What cannot be sold is neither posted nor mailed. An effect is the same bytes whenever it is asked for, so that a target which
knows its key never sees two versions of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

import msgspec

from agents.reasoners import REASONER, campaign, outreach, schemas
from agents.reasoners.campaign import Post
from agents.reasoners.listing import Listing
from agents.reasoners.outreach import Mail
from agents.reasoners.pricing import Quote
from agents.reasoners.results import ProductResult
from agents.reasoners.stock import Reservation
from agents.roles import contract, documents
from agents.roles.contract import COUNT, DATE, DIGEST, NAME
from agents.roles.documents import Document
from agents.skill import Content, Intent, Outcome, Skill
from domain.message import Task
from domain.role import Role
from domain.streams import run_of
from domain.trade import campaign as campaigns
from domain.trade.catalogue import Product

POSTS_A_PRODUCT: Final = 3  # teaser, launch, reminder
SCHEDULER: Final = "social-scheduler"
CALENDAR_JSON: Final = "calendar.json"
CALENDAR_ICS: Final = "calendar.ics"


# --- posts of one product -------------------------------------------------------------------------------------------


class _ToPost:
    """What the posts of a product are made of; they are written once, for the order as well as for the outcome."""

    def __init__(self, task: Task, product: Product, listing: Listing, quotes: Sequence[Quote], reservation: Reservation) -> None:
        self.product = product
        self._task, self._made = task, (product, listing, quotes, reservation)

    @cached_property
    def posts(self) -> tuple[Post, ...]:
        parameters = self._task.parameters
        slots = campaign.slots(self.product.index, documents.as_of(self._task), POSTS_A_PRODUCT)
        return campaign.posts(*self._made, slots, seed=parameters["seed"], currency=parameters["currency"])

    @cached_property
    def document(self) -> Document:
        return documents.of(self.posts)


class SchedulePosts:
    """Write the posts of a product and hand them to the scheduler; no order for a product that cannot be sold."""

    task_type: ClassVar[str] = "SCHEDULE_POSTS"
    role: ClassVar[str] = Role.MARKETING_OUTREACH
    input_schema: ClassVar[dict[str, Any]] = contract.product_task("CREATE_LISTING", "SET_PRICE", "RESERVE_STOCK")
    output_schema: ClassVar[dict[str, Any]] = schemas.POSTS

    async def gather(self, task: Task, content: Content) -> _ToPost:
        return _ToPost(
            task,
            (await documents.dossier(task, content)).product,
            await documents.LISTING.read(content, documents.made_by(task, "CREATE_LISTING")),
            await documents.QUOTES.read(content, documents.made_by(task, "SET_PRICE")),
            await documents.RESERVATION.read(content, documents.made_by(task, "RESERVE_STOCK")),
        )

    def intents(self, task: Task, material: _ToPost) -> Sequence[Intent]:
        if not material.posts:
            return ()
        return (Intent("posts", "post", SCHEDULER, material.document.encoded, "application/json"),)

    def perform(self, task: Task, material: _ToPost, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        posts, document = material.posts, material.document
        event = campaigns.PostsScheduled(at_ms=now_ms, run=run_of(task.task_id), posts=document.name, count=len(posts))
        summary = {"posts": len(posts), "first_at": posts[0].at.isoformat() if posts else None}
        return documents.outcome(document, summary, trade={campaigns.stream_of(material.product.handle): [event]})


# --- the calendar of all posts --------------------------------------------------------------------------------------


class PlanCalendar(contract.Computes):
    """Gather all posts that the scheduler was told of, also those of a product whose launch failed later: they will go out."""

    task_type: ClassVar[str] = "PLAN_CALENDAR"
    role: ClassVar[str] = Role.MARKETING_OUTREACH
    input_schema: ClassVar[dict[str, Any]] = contract.closing_task()
    output_schema: ClassVar[dict[str, Any]] = contract.step(
        "Calendar",
        contract.record(as_of=DATE, reasoner=NAME, run=NAME, posts=contract.array(schemas.POSTS["items"])),
    )

    async def gather(self, task: Task, content: Content) -> tuple[Post, ...]:
        results = await documents.results(task, content, "posts")
        return tuple(post for result in results for post in result.posts or ())

    def perform(self, task: Task, material: tuple[Post, ...], receipts: Mapping[str, str], now_ms: int) -> Outcome:
        run_key, as_of = task.parameters["run_key"], documents.as_of(task)
        calendar = documents.encoded(campaign.calendar_json(material, run_key, as_of))
        ics = documents.encoded(campaign.calendar_ics(material, run_key, as_of))
        run = run_of(task.task_id)
        event = campaigns.CalendarPlanned(at_ms=now_ms, run=run, calendar=calendar.name, posts=len(material))
        return documents.outcome(
            calendar,
            {"posts": len(material)},
            files={CALENDAR_JSON: calendar, CALENDAR_ICS: ics},
            trade={campaigns.stream_of(run): [event]},
        )


# --- mails ----------------------------------------------------------------------------------------------------------


class Announced(msgspec.Struct, frozen=True):
    """One mail as the step's document names it; `message` is the digest of its bytes."""

    key: str
    product_type: str
    recipient: str
    subject: str
    products: int
    message: str


class Outreach(msgspec.Struct, frozen=True):
    """All mails of a run, by key."""

    reasoner: str
    mails: tuple[Announced, ...]


OUTREACH: Final = documents.Reader(Outreach, "list of mails")


class _ToMail:
    """What the mails are made of; like the posts they are written once."""

    def __init__(self, task: Task, results: Sequence[ProductResult]) -> None:
        self._task, self._results = task, results

    @cached_property
    def mails(self) -> tuple[Mail, ...]:
        run_key, currency = self._task.parameters["run_key"], self._task.parameters["currency"]
        sender = _sender(self._results)
        return outreach.mails(self._results, documents.as_of(self._task), sender, run_key=run_key, currency=currency)


def _sender(results: Sequence[ProductResult]) -> str:
    """The vendor that all products are of. Where there are several none may speak for the others: "" is the shop itself."""
    vendors = {result.product.vendor for result in results}
    return vendors.pop() if len(vendors) == 1 else ""


class SendOutreach:
    """Announce what can be sold, one mail a product type."""

    task_type: ClassVar[str] = "SEND_OUTREACH"
    role: ClassVar[str] = Role.MARKETING_OUTREACH
    input_schema: ClassVar[dict[str, Any]] = contract.closing_task("PLAN_CALENDAR")
    output_schema: ClassVar[dict[str, Any]] = contract.step(
        "Outreach",
        contract.record(
            reasoner=NAME,
            mails=contract.array(
                contract.record(key=NAME, product_type=NAME, recipient=NAME, subject=NAME, products=COUNT, message=DIGEST)
            ),
        ),
    )

    async def gather(self, task: Task, content: Content) -> _ToMail:
        return _ToMail(task, await documents.results(task, content, "listing", "quotes", "reservation"))

    def intents(self, task: Task, material: _ToMail) -> Sequence[Intent]:
        return [Intent(f"mail-{mail.key}", "mail", mail.recipient, mail.message, "message/rfc822") for mail in material.mails]

    def perform(self, task: Task, material: _ToMail, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        files = {f"mails/{mail.key}.eml": documents.encoded(mail.message) for mail in material.mails}
        announced = tuple(
            Announced(mail.key, mail.product_type, mail.recipient, mail.subject, mail.products, file.name)
            for mail, file in zip(material.mails, files.values(), strict=True)
        )
        run = run_of(task.task_id)
        event = campaigns.OutreachSent(at_ms=now_ms, run=run, mails=len(announced))
        return documents.outcome(
            documents.of(Outreach(REASONER, announced)),
            {"mails": len(announced)},
            files=files,
            trade={campaigns.stream_of(run): [event]},
        )


SKILLS: tuple[Skill, ...] = (SchedulePosts(), PlanCalendar(), SendOutreach())
