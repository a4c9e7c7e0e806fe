"""The record on the wire.

The Kafka value is the whole `{header, body}` document in plain JSON, readable in any Kafka UI. The Kafka headers repeat what routing
and tools need as CloudEvents attributes in binary mode (CloudEvents 1.0, Kafka protocol binding), and carry what is given at
commit: the number, and a digest over number, sender, receiver and value. With a key the digest is an HMAC. So any corruption is
visible, also one that is still valid JSON, and so is a number that was changed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from domain.message import BODIES, Header, Message
from domain.ports.bus import Arrived, Delivery, Place, Undeliverable
from domain.ports.store import Parcel, Received

NUMBER, SENDER, DIGEST = "rehydrate-number", "rehydrate-sender", "rehydrate-digest"
CONTENT_TYPE = b"application/json"

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode_bodies = {name: msgspec.json.Decoder(body).decode for name, body in BODIES.items()}


class _Envelope(msgspec.Struct, frozen=True):
    header: Header
    body: msgspec.Raw


class _HeaderOnly(msgspec.Struct, frozen=True):
    header: Header


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_header = msgspec.json.Decoder(_HeaderOnly).decode

KafkaHeaders = Sequence[tuple[str, bytes]]


def encode(message: Message) -> bytes:
    """The value of the record: `{header, body}` as JSON."""
    return _encode(message)


def digest(key: bytes | None, number: int, sender: str, receiver: str, value: bytes) -> str:
    """SHA-256, or HMAC-SHA-256 with a key, over all that must not change on the way."""
    covered = f"{number}\x1f{sender}\x1f{receiver}\x1f".encode()
    if key is not None:
        return hmac.new(key, covered + value, hashlib.sha256).hexdigest()
    hashed = hashlib.sha256(covered)
    hashed.update(value)
    return hashed.hexdigest()


def read_header(value: bytes) -> Header:
    """The header of an encoded message of ours."""
    return _decode_header(value).header


def kafka_headers(sender: str, parcel: Parcel, key: bytes | None) -> KafkaHeaders:
    """The Kafka headers of a record. `sender` is who numbers it: the message's own sender, but for one put back from the dead."""
    header = read_header(parcel.value)
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", header.message_id.encode()),
        ("ce_type", header.message_type.encode()),
        ("ce_source", header.sender.encode()),
        ("ce_subject", header.stream.encode()),
        ("ce_time", header.timestamp.encode()),
        ("content-type", CONTENT_TYPE),
        (SENDER, sender.encode()),
        (NUMBER, b"%d" % parcel.number),
        (DIGEST, digest(key, parcel.number, sender, parcel.receiver, parcel.value).encode()),
    ]


def read(receiver: str, value: bytes | None, headers: KafkaHeaders, place: Place, key: bytes | None) -> Arrived:
    """What a record holds, for the agent that received it. Never raises: what cannot be read says why."""
    raw = value or b""
    found = dict(headers)
    try:
        sender, number, given = found[SENDER].decode(), int(found[NUMBER]), bytes(found[DIGEST])
        if found[NUMBER] != b"%d" % number:
            raise ValueError(f"number {found[NUMBER]!r}")
    except (KeyError, ValueError, AttributeError, TypeError) as error:  # a header of Kafka may also have no value at all
        return Undeliverable("undecodable", f"Kafka header missing or unreadable: {error}", raw, place)
    if not hmac.compare_digest(given, digest(key, number, sender, receiver, raw).encode()):
        return Undeliverable(
            "digest", f"the digest does not fit: changed on the way, or not meant for {receiver}", raw, place, sender=sender
        )
    return _authentic(Received(sender, number), raw, place, receiver)


def _authentic(received: Received, raw: bytes, place: Place, receiver: str) -> Arrived:
    try:
        envelope = _decode_envelope(raw)
    except msgspec.DecodeError as error:
        return Undeliverable("schema", f"not an envelope: {error}", raw, place, received, sender=received.sender)
    header = envelope.header
    decode_body = _decode_bodies.get(header.message_type)
    try:
        if decode_body is None:
            raise msgspec.ValidationError(f"unknown message type {header.message_type!r}")
        if header.receiver != receiver:
            raise msgspec.ValidationError(f"header.receiver is {header.receiver!r}, delivered to {receiver!r}")
        body: Any = decode_body(envelope.body)
    except msgspec.DecodeError as error:
        return Undeliverable(
            "schema",
            str(error),
            raw,
            place,
            received,
            header.message_id,
            header.message_type,
            header.sender,
            header.correlation_id,
        )
    return Delivery(Message(header, body), received, raw, place)
