"""Why a Kafka cannot be used, in one line: asked once at the start, since later every process would say so, each in its own words.

aiokafka logs the reason and raises another, so each address is tried by hand: connect, TLS, versions, password, then metadata.
"""

from __future__ import annotations

import logging
import os
import ssl
from typing import Any, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from broker.connection import Cluster, Security

PATIENCE_MS = 5000
CLIENT = "rehydrate"


class KafkaRefused(Exception):
    """Kafka cannot be used; the message names the address, the reason and the remedy."""


class Seen(NamedTuple):
    """What a cluster tells about itself: its id, and where its brokers say they are."""

    cluster_id: str
    brokers: tuple[str, ...]


async def look(cluster: Cluster) -> Seen:
    """Get in by the first address that lets us, and reach a broker where it says it is.

    Raises:
        BadSecurity: the settings contradict each other.
        KafkaRefused: no address lets us in, or no broker can be reached where it says it is.
    """
    cluster.security.check()
    logging.getLogger("aiokafka.conn").setLevel(logging.ERROR)  # it would warn of a password in the clear, which the user has set
    reasons = []
    for address in cluster.addresses:
        try:
            seen = await _ask(address, cluster.security)
            break
        except (OSError, KafkaError) as error:
            reasons.append(f"{address}: {_reason(error, cluster.security)}")
    else:
        raise KafkaRefused(f"--kafka {'; '.join(reasons)}")
    unreachable = []
    for broker in seen.brokers:
        try:
            await _ask(broker, cluster.security)
        except (OSError, KafkaError) as error:
            unreachable.append(f"{broker}: {_reason(error, cluster.security).partition(';')[0]}")
        else:
            return seen
    raise KafkaRefused(
        f"--kafka {cluster.bootstrap} answers, but its brokers cannot be reached where they say they are ({'; '.join(unreachable)}); "
        "set the brokers' advertised.listeners to addresses that this machine can reach"
    )


async def _ask(address: str, security: Security) -> Seen:
    host, _, port = address.rpartition(":")
    given = security.aiokafka()
    connection = await create_conn(host.strip("[]"), int(port), client_id=CLIENT, request_timeout_ms=PATIENCE_MS, **given)
    try:
        metadata: Any = await connection.send(MetadataRequest([]))
    finally:
        connection.close()
    brokers = tuple(f"{broker[1]}:{broker[2]}" for broker in metadata.brokers)
    return Seen(metadata.cluster_id or "", brokers)


def _reason(error: Exception, security: Security) -> str:
    protocol = f"REHYDRATE_KAFKA_SECURITY_PROTOCOL ({security.protocol})"
    if isinstance(error, ssl.SSLCertVerificationError):
        authority = f"by {security.ca_file}" if security.ca_file else "by this machine"
        return f"its certificate is not trusted {authority}: {error.verify_message}; REHYDRATE_KAFKA_CA_FILE names who to trust"
    if isinstance(error, ssl.SSLError) and "CERTIFICATE_REQUIRED" in str(error):
        return "it asks for a certificate: set REHYDRATE_KAFKA_CERT_FILE and REHYDRATE_KAFKA_KEY_FILE"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error}); check {protocol}"
    if isinstance(error, AuthenticationFailedError | SaslAuthenticationFailed) or "authentication" in str(error).lower():
        return (
            f"it refuses {security.username!r} with this password by {security.mechanism}; check REHYDRATE_KAFKA_USERNAME, "
            "…_PASSWORD and …_SASL_MECHANISM"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"it does not know {security.mechanism}: {' '.join(map(str, error.args))}; check REHYDRATE_KAFKA_SASL_MECHANISM"
    if isinstance(error, IllegalSaslStateError):
        return f"it asks for no password; check {protocol}"
    if isinstance(error, TimeoutError):
        return f"it takes connections, but does not answer within {PATIENCE_MS / 1000:.0f} s; is it Kafka? Check {protocol}"
    if isinstance(error, KafkaError | ConnectionResetError | EOFError):
        wants = "it closes the connection"
        if security.tls:
            return f"{wants}: it may not speak TLS there, or ask for a certificate (REHYDRATE_KAFKA_CERT_FILE); check {protocol}"
        return f"{wants}: it may ask for TLS or a password, or be no Kafka; check {protocol}"
    return f"nobody answers ({_strerror(error)}); start it, or leave --kafka out to use the embedded broker"


def _strerror(error: Exception) -> str:
    """The system's own words: asyncio's hide which error it was."""
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
