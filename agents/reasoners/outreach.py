"""Launch announcements by e-mail: one digest a product type, to a list address; persons' addresses never come here.

A mail is RFC 5322 bytes with a text and an HTML part. Date, Message-ID and boundary follow from the run and `as_of`, and a mail
names only what can be sold: completed products with pieces reserved and a price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

import msgspec

from agents.reasoners import REASONER, text
from agents.reasoners.pricing import span
from agents.reasoners.results import ProductResult

PRODUCTS_A_MAIL = 20
OTHER = "More products"  # the digest of products whose type nobody states
DOMAIN = "example.invalid"
_ENCODED_SUBJECT = 39  # octets: as base64 in one encoded word the line has at most 76 characters (RFC 2047)
_SEND_AT = time(8, tzinfo=UTC)


class Mail(msgspec.Struct, frozen=True):
    """One announcement. `key` names it and its file; `products` counts all that it announces, also those not listed."""

    key: str
    product_type: str
    recipient: str
    subject: str
    products: int
    message: bytes


def mails(
    results: Sequence[ProductResult], as_of: date, vendor: str, *, run_key: str = "", currency: str = "", domain: str = DOMAIN
) -> tuple[Mail, ...]:
    """The announcements of a run, by key. Results may come in any order; within a mail products stand in feed order."""
    groups: dict[str, list[ProductResult]] = {}
    for result in sorted(results, key=lambda result: result.index):
        if sellable(result):
            groups.setdefault(text.slug(_type(result)), []).append(result)
    sender = text.cut(text.flat(vendor), 40) or "The shop"
    return tuple(_mail(key, groups[key], as_of, sender, run_key, currency, domain) for key in sorted(groups))


def sellable(result: ProductResult) -> bool:
    """Whether a product went through its launch and has pieces and a price."""
    return (
        result.status == "completed"
        and result.reservation is not None
        and result.reservation.reserved > 0
        and span(result.quotes or ()) is not None
    )


def _type(result: ProductResult) -> str:
    return (result.listing.product_type if result.listing else result.product.product_type) or OTHER


def _mail(key: str, group: list[ProductResult], as_of: date, sender: str, run_key: str, currency: str, domain: str) -> Mail:
    product_type = _type(group[0])
    shown, more = group[:PRODUCTS_A_MAIL], len(group) - PRODUCTS_A_MAIL
    subject = _subject(product_type)
    recipient = f"launch-list+{key}@{domain}"
    identity = text.digest(run_key, as_of.isoformat(), key)
    message = EmailMessage(policy=SMTP)
    message["From"] = f"launches@{domain}"
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.combine(as_of, _SEND_AT))
    message["Message-ID"] = f"<{identity[:32]}@{domain}>"
    message["List-Unsubscribe"] = f"<mailto:leave+{key}@{domain}>"
    message["X-Generator"] = REASONER
    # Quoted-printable for both parts: the library's own choice depends on the text and has changed between versions.
    message.set_content("\n".join(_text(shown, more, sender, product_type, currency)), cte="quoted-printable")
    message.add_alternative("\n".join(_html(shown, more, sender, product_type, currency)), subtype="html", cte="quoted-printable")
    for part in message.iter_parts():
        del part["MIME-Version"]  # the library gives it to some parts; it belongs to the whole
    message.set_boundary(f"=_{identity[32:56]}")
    return Mail(key, product_type, recipient, subject, len(group), message.as_bytes())


def _subject(product_type: str) -> str:
    """A subject that stays on one line: how the library folds encoded words differs between versions, and adds spaces."""
    subject = text.cut(f"New: {product_type}", 60, ending="...")
    while not subject.isascii() and len(subject.encode()) > _ENCODED_SUBJECT:
        subject = text.cut(subject, len(subject) - 1, ending="").strip()
    return subject


def _offer(result: ProductResult, currency: str) -> tuple[str, str, str]:
    """Title, price and a remark on stock or savings."""
    title = result.listing.title if result.listing else text.tidy(result.product.title)
    low, high = span(result.quotes or ()) or (None, None)
    price = f"{'from ' if low != high else ''}{low:.2f} {currency}".strip()
    struck = {quote.compare_at for quote in result.quotes or ()}
    compare = struck.pop() if len(struck) == 1 and low == high else None
    remark = f"instead of {compare:.2f}" if compare is not None else ""
    if result.reservation is not None and result.reservation.status == "low":
        remark = ", ".join(part for part in (remark, "few pieces") if part)
    return title, price, remark


def _text(shown: list[ProductResult], more: int, sender: str, product_type: str, currency: str) -> Iterator[str]:
    yield f"{sender} has new products: {product_type}."
    yield ""
    for result in shown:
        title, price, remark = _offer(result, currency)
        yield f"- {title}: {price}{f' ({remark})' if remark else ''}"
        if result.listing and result.listing.seo_description:
            yield f"  {result.listing.seo_description}"
    if more > 0:
        yield f"and {more} more"
    yield ""
    yield "You get this mail because this address is on the launch list."


def _html(shown: list[ProductResult], more: int, sender: str, product_type: str, currency: str) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>' + escape(product_type) + "</title></head>"
    yield '<body style="font-family:sans-serif;max-width:600px;margin:auto;color:#1f2937">'
    yield f'<h1 style="font-size:22px">{escape(product_type)}</h1><p>{escape(sender)} has new products.</p>'
    yield '<table role="presentation" style="width:100%;border-collapse:collapse">'
    for result in shown:
        title, price, remark = _offer(result, currency)
        detail = escape(result.listing.seo_description) if result.listing else ""
        note = f'<br><span style="color:#6b7280">{escape(remark)}</span>' if remark else ""
        yield '<tr style="border-top:1px solid #e5e7eb"><td style="padding:10px 8px 10px 0">'
        yield f'<strong>{escape(title)}</strong><br><span style="color:#6b7280">{detail}</span></td>'
        yield f'<td style="padding:10px 0;text-align:right;white-space:nowrap">{escape(price)}{note}</td></tr>'
    yield "</table>"
    if more > 0:
        yield f"<p>and {more} more</p>"
    yield '<p style="color:#6b7280;font-size:12px">You get this mail because this address is on the launch list.</p>'
    yield "</body></html>"
