"""What arrives is what was sent, or says why not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from broker import codec
from domain.ports.bus import Delivery, Place, Undeliverable
from domain.ports.store import Parcel, Received
from tests.broker.letters import RECEIVER, SENDER, message

PLACE = Place("rehydrate.lead", 0, 7)
PARCEL = Parcel(RECEIVER, 12, codec.encode(message(12)))
OURS = ("rehydrate-sender", "rehydrate-number", "rehydrate-digest")
KEYS = [None, b"a key of the swarm"]


@pytest.mark.parametrize("key", KEYS, ids=["digest", "hmac"])
def test_a_message_comes_back_as_it_was(key: bytes | None) -> None:
    """Encode and read are each other's inverse, and the number comes with the message."""
    read = codec.read(RECEIVER, PARCEL.value, codec.kafka_headers(SENDER, PARCEL, key), PLACE, key)
    assert read == Delivery(message(12), Received(SENDER, 12), PARCEL.value, PLACE)


def test_the_value_is_the_whole_document_in_plain_json() -> None:
    """Any Kafka UI shows it."""
    document = json.loads(PARCEL.value)
    assert set(document) == {"header", "body"}
    assert document["body"]["output"] == {"index": 12}


def test_kafka_headers_are_cloudevents_attributes() -> None:
    """CloudEvents 1.0, binary content mode: id, source, type and specversion are required."""
    headers = dict(codec.kafka_headers(SENDER, PARCEL, None))
    assert headers["ce_id"] == message(12).header.message_id.encode()
    assert (headers["ce_source"], headers["ce_type"], headers["ce_specversion"]) == (SENDER.encode(), b"TASK_COMPLETE", b"1.0")


@pytest.mark.parametrize("key", KEYS, ids=["digest", "hmac"])
def test_each_flipped_byte_of_the_value_is_found(key: bytes | None) -> None:
    """Whatever byte changes on the way, the message is not authentic any more, also where it is still valid JSON."""
    headers = codec.kafka_headers(SENDER, PARCEL, key)
    for at in range(len(PARCEL.value)):
        changed = bytearray(PARCEL.value)
        changed[at] ^= 0x01
        read = codec.read(RECEIVER, bytes(changed), headers, PLACE, key)
        assert isinstance(read, Undeliverable)
        assert (read.reason, read.received) == ("digest", None)


@pytest.mark.parametrize("name", OURS)
@given(at=some.integers(0, 200), mask=some.integers(1, 255))
def test_each_flipped_byte_of_our_headers_is_found(name: str, at: int, mask: int) -> None:
    """Sender, number and digest are covered, too: a changed one never counts as some other message."""
    headers = []
    for header, value in codec.kafka_headers(SENDER, PARCEL, None):
        changed = bytearray(value)
        if header == name:
            changed[at % len(changed)] ^= mask
        headers.append((header, bytes(changed)))
    read = codec.read(RECEIVER, PARCEL.value, headers, PLACE, None)
    # A flipped case of a hexadecimal digit or such may mean the same: then the message is the very same, too.
    assert isinstance(read, Undeliverable) or read == Delivery(message(12), Received(SENDER, 12), PARCEL.value, PLACE)
    assert not isinstance(read, Undeliverable) or read.received is None


@pytest.mark.parametrize("missing", OURS)
def test_a_missing_header_is_told_and_not_raised(missing: str) -> None:
    """A record of somebody else's producer is undecodable."""
    headers = [(name, value) for name, value in codec.kafka_headers(SENDER, PARCEL, None) if name != missing]
    read = codec.read(RECEIVER, PARCEL.value, headers, PLACE, None)
    assert isinstance(read, Undeliverable)
    assert (read.reason, read.received, read.raw) == ("undecodable", None, PARCEL.value)


def signed(value: bytes) -> list[tuple[str, bytes]]:
    """Headers that make any value authentic."""
    found = dict(codec.kafka_headers(SENDER, PARCEL, None))
    found["rehydrate-digest"] = codec.digest(None, PARCEL.number, SENDER, RECEIVER, value).encode()
    return list(found.items())


HEADER = PARCEL.value[: PARCEL.value.index(b',"body"')]
CORPUS = {
    "empty": b"",
    "no JSON": b"\xff\x00{",
    "no object": b"[]",
    "no header": b"{}",
    "deep": b"[" * 100_000,
    "no body": HEADER + b"}",
    "body of another type": HEADER + b',"body":7}',
    "body without its fields": HEADER + b',"body":{}}',
    "unknown type": PARCEL.value.replace(b'"TASK_COMPLETE"', b'"TASK_DANCE"'),
    "for somebody else": PARCEL.value.replace(b'"receiver":"lead/0"', b'"receiver":"lead/1"'),
    "version of another type": PARCEL.value.replace(b'"version":2', b'"version":"2"'),
    "a lone surrogate": PARCEL.value.replace(b"run-abc-1", b"run-\\ud800"),
}


@pytest.mark.parametrize("value", CORPUS.values(), ids=CORPUS.keys())
def test_what_is_authentic_and_makes_no_sense_is_refused_and_counts_as_received(value: bytes) -> None:
    """Its sender means it: it would come again for ever if it did not count."""
    read = codec.read(RECEIVER, value, signed(value), PLACE, None)
    assert isinstance(read, Undeliverable)
    assert (read.reason, read.received, read.raw) == ("schema", Received(SENDER, 12), value)


@given(some.binary(max_size=200), some.lists(some.tuples(some.sampled_from([*OURS, "ce_id"]), some.binary(max_size=30))))
def test_no_bytes_make_the_reader_raise(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    """Whatever somebody writes into the topic: it is read as undeliverable."""
    assert isinstance(codec.read(RECEIVER, value, headers, PLACE, None), Undeliverable)


def test_a_key_of_another_swarm_opens_nothing() -> None:
    """With a key, a message of somebody without it is not authentic."""
    read = codec.read(RECEIVER, PARCEL.value, codec.kafka_headers(SENDER, PARCEL, None), PLACE, b"secret")
    assert isinstance(read, Undeliverable)
    assert read.reason == "digest"
