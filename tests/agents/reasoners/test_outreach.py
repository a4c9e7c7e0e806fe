"""Announcements are valid mails, the same each time, and promise only what can be sold."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.reasoners import outreach
from agents.reasoners.results import ProductResult
from tests.agents.reasoners.samples import AS_OF, BARE, MUG, launched, products


def _parsed(mail: outreach.Mail) -> EmailMessage:
    message = message_from_bytes(mail.message, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def _part(mail: outreach.Mail, kind: str) -> str:
    part = next(part for part in _parsed(mail).walk() if part.get_content_type() == kind)
    content = part.get_content()
    assert isinstance(content, str)
    return content


def _many(count: int) -> list[ProductResult]:
    return [launched(replace(MUG, index=index, handle=f"mug-{index}", title=f"Mug <{index}>")) for index in range(count)]


def test_one_mail_a_product_type_to_a_list() -> None:
    """Types make mails, recipients are lists, and no person's address appears."""
    shirt = launched(replace(MUG, index=7, title="Shirt", product_type="Shirts"))
    sent = outreach.mails([shirt, launched(MUG)], AS_OF, "Kiln & Co", run_key="run-1")
    assert [(mail.key, mail.recipient, mail.products) for mail in sent] == [
        ("mugs", "launch-list+mugs@example.invalid", 1),
        ("shirts", "launch-list+shirts@example.invalid", 1),
    ]


def test_headers_follow_from_run_and_day() -> None:
    """Date and identity are derived; another run is another message."""
    one, other = (outreach.mails([launched(MUG)], AS_OF, "Kiln", run_key=key)[0] for key in ("run-1", "run-2"))
    assert _parsed(one)["Date"] == "Sat, 21 Nov 2026 08:00:00 +0000"
    assert _parsed(one)["Message-ID"] != _parsed(other)["Message-ID"]
    assert one == outreach.mails([launched(MUG)], AS_OF, "Kiln", run_key="run-1")[0]


def test_text_and_html_say_the_same_products() -> None:
    """Both parts name each product; the HTML escapes what a vendor wrote."""
    mail = outreach.mails([launched(replace(MUG, title="Mug &amp; &lt;Saucer"))], AS_OF, "Kiln & Co", currency="EUR")[0]
    assert "Mug & <Saucer: from 17.99 EUR" in _part(mail, "text/plain")
    assert "<strong>Mug &amp; &lt;Saucer</strong>" in _part(mail, "text/html")


def test_twenty_products_and_the_rest_counted() -> None:
    """A digest stays a digest: 20 products, then how many more."""
    mail = outreach.mails(_many(23), AS_OF, "Kiln")[0]
    assert mail.products == 23
    assert _part(mail, "text/plain").count("\n- ") == 20 and "and 3 more" in _part(mail, "text/plain")


def test_what_cannot_be_sold_is_not_announced() -> None:
    """Failed products and those without stock stay out, and a type of only those gets no mail."""
    failed = replace(launched(MUG), status="failed", reason="refused")
    assert outreach.mails([failed, launched(BARE)], AS_OF, "Kiln") == ()


def test_the_order_of_results_does_not_matter() -> None:
    """Arrival leaves no trace in the bytes."""
    results = _many(5)
    assert outreach.mails(results, AS_OF, "Kiln") == outreach.mails(results[::-1], AS_OF, "Kiln")


@given(products(), st.text(max_size=60))
def test_any_vendor_text_makes_a_valid_mail(product: object, vendor: str) -> None:
    """No title, type or name injects a header or breaks a line; the parts can be read back."""
    assert isinstance(product, type(MUG))
    for mail in outreach.mails([launched(product)], AS_OF, vendor):
        parsed = _parsed(mail)
        assert not parsed.defects and len(parsed.get_all("To", [])) == 1 and parsed["Bcc"] is None
        assert parsed["Subject"] == mail.subject
        assert not any(line.startswith((b" ", b"\t")) for line in mail.message.split(b"\r\n\r\n")[0].split(b"\r\n"))
        assert all(len(line) <= 998 for line in mail.message.split(b"\r\n"))
        assert b"\n" not in mail.message.replace(b"\r\n", b"")
        assert _part(mail, "text/plain") and _part(mail, "text/html")
