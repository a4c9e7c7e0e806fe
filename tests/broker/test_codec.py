"""The record on the wire: what is written is read again, and what was changed on the way is found."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as some

from broker import codec
from domain.message import Header, Message, Task, TaskAssign, message_id
from domain.ports.bus import Delivery, Place, Undeliverable
from domain.ports.store import Parcel, Received

PLACE = Place("rehydrate.pricing-optimizer", 0, 17)
SENDER, RECEIVER = "lead/0", "pricing_optimizer/0"
MESSAGE = Message(
    Header(
        message_id=message_id("workflow-k-1-0", 3, 0),
        message_type="TASK_ASSIGN",
        sender=SENDER,
        receiver=RECEIVER,
        timestamp="2026-11-21T12:00:00.000Z",
        correlation_id="run-k-1",
        stream="workflow-k-1-0",
        version=3,
    ),
    TaskAssign(Task("task-k-1-0-SET_PRICE", "SET_PRICE", {"key": "müg", "price": "12.50"})),
)
VALUE = codec.encode(MESSAGE)


def record(number: int = 7, key: bytes | None = None, value: bytes = VALUE) -> list[tuple[str, bytes]]:
    return list(codec.kafka_headers(SENDER, Parcel(RECEIVER, number, value), key))


def test_a_message_comes_as_it_was_sent() -> None:
    """With the number that its sender gave it."""
    assert codec.read(RECEIVER, VALUE, record(), PLACE, None) == Delivery(MESSAGE, Received(SENDER, 7), VALUE, PLACE)


def test_the_value_is_the_whole_document_in_plain_json() -> None:
    """Any Kafka UI shows it."""
    document = json.loads(VALUE)
    assert set(document) == {"header", "body"}
    assert document["body"]["task"]["parameters"] == {"key": "müg", "price": "12.50"}


def test_kafka_headers_are_cloudevents_attributes() -> None:
    """CloudEvents 1.0, binary content mode: id, source, type and specversion are required."""
    headers = dict(record())
    assert headers["ce_id"] == MESSAGE.header.message_id.encode()
    assert (headers["ce_source"], headers["ce_type"], headers["ce_specversion"]) == (b"lead/0", b"TASK_ASSIGN", b"1.0")


@given(at=some.integers(0, len(VALUE) - 1), bit=some.integers(0, 7), key=some.sampled_from([None, b"secret"]))
def test_any_flipped_bit_of_the_value_is_found(at: int, bit: int, key: bytes | None) -> None:
    """Also where the result is still valid JSON. It is not authentic, so it must not count as applied."""
    changed = bytearray(VALUE)
    changed[at] ^= 1 << bit
    arrived = codec.read(RECEIVER, bytes(changed), record(key=key), PLACE, key)
    assert isinstance(arrived, Undeliverable)
    assert (arrived.reason, arrived.received) == ("digest", None)


@given(index=some.sampled_from([codec.NUMBER, codec.SENDER, codec.DIGEST]), junk=some.binary(max_size=80))
def test_a_changed_header_of_ours_is_found(index: str, junk: bytes) -> None:
    """A message under another number would be taken for another message."""
    headers = [(name, junk if name == index else data) for name, data in record()]
    if headers == record():
        return
    arrived = codec.read(RECEIVER, VALUE, headers, PLACE, None)
    assert isinstance(arrived, Undeliverable)
    assert arrived.received is None


def test_headers_that_are_missing_are_no_message() -> None:
    """Somebody else writes to our topic."""
    arrived = codec.read(RECEIVER, VALUE, [], PLACE, None)
    assert isinstance(arrived, Undeliverable)
    assert arrived.reason == "undecodable"


def test_another_key_is_no_signature() -> None:
    """With an HMAC key, nobody without it can speak."""
    arrived = codec.read(RECEIVER, VALUE, record(key=b"theirs"), PLACE, b"ours")
    assert isinstance(arrived, Undeliverable)
    assert arrived.reason == "digest"


def test_a_message_for_somebody_else_is_not_ours() -> None:
    """The digest covers the receiver."""
    arrived = codec.read("pricing_optimizer/1", VALUE, record(), PLACE, None)
    assert isinstance(arrived, Undeliverable)
    assert arrived.received is None


def test_what_is_authentic_and_of_no_known_type_counts_as_received() -> None:
    """Its sender said it: it is refused once, and not repaired for ever."""
    document = json.loads(VALUE)
    document["header"]["message_type"] = "SING"
    value = json.dumps(document).encode()
    arrived = codec.read(RECEIVER, value, record(value=value), PLACE, None)
    assert isinstance(arrived, Undeliverable)
    assert (arrived.reason, arrived.received, arrived.message_type) == ("schema", Received(SENDER, 7), "SING")


def test_what_is_authentic_and_has_a_wrong_body_says_where() -> None:
    """The reason names the place in the document."""
    document = json.loads(VALUE)
    document["body"]["task"]["parameters"] = 5
    value = json.dumps(document).encode()
    arrived = codec.read(RECEIVER, value, record(value=value), PLACE, None)
    assert isinstance(arrived, Undeliverable)
    assert "$.task.parameters" in arrived.detail
