"""Product listing: what the shop shows of a product, and in the end the vendor's catalogue with all of it.

    CREATE_LISTING         dossier                      → listing: title, type, tags, attributes, gaps
    GENERATE_DESCRIPTION   dossier, listing             → HTML, named by its digest
    EXPORT_CATALOGUE       original feed, all results   → products.csv

Equal products get equal texts in every run with the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, NamedTuple

from agents.reasoners import REASONER, description, listing, schemas
from agents.reasoners.listing import Listing
from agents.reasoners.results import ProductResult
from agents.roles import contract, documents
from agents.roles.contract import COUNT, DIGEST, NAME, TEXT
from agents.skill import Content, Outcome, Skill
from domain.message import Task
from domain.role import Role
from domain.streams import run_of
from domain.trade import product as products
from domain.trade.catalogue import Dossier, Product
from domain.trade.export import ListingChange, VariantChange, render_catalogue

PRODUCTS_CSV: Final = "products.csv"


class CreateListing(contract.Computes):
    """Clean what the feed says of a product, and name what it leaves open."""

    task_type: ClassVar[str] = "CREATE_LISTING"
    role: ClassVar[str] = Role.PRODUCT_LISTING
    input_schema: ClassVar[dict[str, Any]] = contract.product_task()
    output_schema: ClassVar[dict[str, Any]] = schemas.LISTING

    async def gather(self, task: Task, content: Content) -> Dossier:
        return await documents.dossier(task, content)

    def perform(self, task: Task, material: Dossier, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        made = listing.compose(material.product)
        document = documents.of(made)
        listed = products.Listed(
            at_ms=now_ms, run=run_of(task.task_id), title=made.title, product_type=made.product_type, listing=document.name
        )
        summary = {"title": made.title, "product_type": made.product_type, "gaps": len(made.gaps)}
        return documents.outcome(document, summary, trade={products.stream_of(made.handle): [listed]})


class _ToDescribe(NamedTuple):
    product: Product
    listing: Listing


class GenerateDescription(contract.Computes):
    """Write the text of a product page from the vendor's own sentences and the facts of the listing."""

    task_type: ClassVar[str] = "GENERATE_DESCRIPTION"
    role: ClassVar[str] = Role.PRODUCT_LISTING
    input_schema: ClassVar[dict[str, Any]] = contract.product_task("CREATE_LISTING")
    output_schema: ClassVar[dict[str, Any]] = schemas.DESCRIPTION

    async def gather(self, task: Task, content: Content) -> _ToDescribe:
        dossier = await documents.dossier(task, content)
        return _ToDescribe(dossier.product, await documents.LISTING.read(content, documents.made_by(task, "CREATE_LISTING")))

    def perform(self, task: Task, material: _ToDescribe, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        html = description.write(material.product, material.listing, task.parameters["seed"])
        page = documents.encoded(html.encode())
        document = documents.of(description.Description(page.name, len(html)))
        described = products.Described(at_ms=now_ms, run=run_of(task.task_id), description=page.name)
        return documents.outcome(
            document,
            {"html": page.name, "chars": len(html)},
            contents=[page],
            trade={products.stream_of(material.product.handle): [described]},
        )


class _ToExport(NamedTuple):
    feed: bytes
    omit: tuple[str, ...]
    results: tuple[ProductResult, ...]


class ExportCatalogue(contract.Computes):
    """Give the vendor's file back, ready to import.

    A product that went through has its listing, text, prices and the pieces reserved for the launch: what is held back against
    miscounts is not offered. A product that failed keeps its rows. Products left out at the start are not in the file.
    """

    task_type: ClassVar[str] = "EXPORT_CATALOGUE"
    role: ClassVar[str] = Role.PRODUCT_LISTING
    input_schema: ClassVar[dict[str, Any]] = contract.closing_task()
    output_schema: ClassVar[dict[str, Any]] = contract.step(
        "Export",
        contract.record(
            reasoner=NAME,
            listed=COUNT,
            kept=contract.array(NAME),
            omitted=contract.array(TEXT),
            file=DIGEST,
        ),
    )

    async def gather(self, task: Task, content: Content) -> _ToExport:
        omit = task.parameters["omit"]
        return _ToExport(
            await content(task.parameters["feed"]),
            await documents.HANDLES.read(content, omit) if omit else (),
            await documents.results(task, content, "listing", "description_html", "quotes", "reservation"),
        )

    def perform(self, task: Task, material: _ToExport, receipts: Mapping[str, str], now_ms: int) -> Outcome:
        changes = {result.handle: change for result in material.results if (change := _change(result)) is not None}
        file = documents.encoded(render_catalogue(material.feed, changes, material.omit))
        document = documents.of(
            {
                "reasoner": REASONER,
                "listed": len(changes),
                "kept": [result.handle for result in material.results if result.handle not in changes],
                "omitted": material.omit,
                "file": file.name,
            }
        )
        return documents.outcome(document, {"listed": len(changes)}, files={PRODUCTS_CSV: file})


def _change(result: ProductResult) -> ListingChange | None:
    """What a launch changes of a product's rows; None where it did not come to its end."""
    listed, quotes, reservation = result.listing, result.quotes, result.reservation
    if result.status != "completed" or listed is None or quotes is None or reservation is None:
        return None
    reserved = {line.key: line.reserved for line in reservation.lines}
    return ListingChange(
        title=listed.title,
        body_html=result.description_html or "",
        tags=listed.tags,
        product_type=listed.product_type,
        variants={quote.key: VariantChange(quote.price, quote.compare_at, reserved[quote.key]) for quote in quotes},
    )


SKILLS: tuple[Skill, ...] = (CreateListing(), GenerateDescription(), ExportCatalogue())
