"""Where Kafka is and how to get in: one value that every process of a swarm is given.

It is plain data, so that it travels to other processes; contexts of TLS are made where they are used.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from broker.topics import PREFIX

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
REQUEST_TIMEOUT_MS = 10_000
"""How long a request to a real broker may take. It is what a connection costs that swallows everything; the library's own is 40 s."""


class BadSecurity(Exception):
    """The settings of Kafka's security contradict each other, or name files that cannot be used; the message says which."""


@dataclass(frozen=True, slots=True)
class Security:
    """How to get in. Without files, TLS trusts the authorities that this machine trusts."""

    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @property
    def tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def check(self) -> None:
        """Raises:
        BadSecurity: something is missing or would silently not be used.
        """
        if self.sasl and not (self.username and self.password):
            raise BadSecurity(f"REHYDRATE_KAFKA_SECURITY_PROTOCOL={self.protocol} needs REHYDRATE_KAFKA_USERNAME and …_PASSWORD")
        if not self.sasl and (self.username or self.password):
            raise BadSecurity(
                f"REHYDRATE_KAFKA_USERNAME and …_PASSWORD are not used with REHYDRATE_KAFKA_SECURITY_PROTOCOL={self.protocol}; "
                "set it to SASL_SSL or SASL_PLAINTEXT, or leave them out"
            )
        if not self.tls and (self.ca_file or self.cert_file or self.key_file):
            raise BadSecurity(
                f"REHYDRATE_KAFKA_CA_FILE, …_CERT_FILE and …_KEY_FILE are not used with REHYDRATE_KAFKA_SECURITY_PROTOCOL={self.protocol}; "
                "set it to SSL or SASL_SSL, or leave them out"
            )
        if self.key_file and not self.cert_file:
            raise BadSecurity("REHYDRATE_KAFKA_KEY_FILE needs REHYDRATE_KAFKA_CERT_FILE, the certificate that it is the key of")
        _ = self.context()

    def context(self) -> ssl.SSLContext | None:
        """What TLS needs, None without TLS.

        Raises:
            BadSecurity: a file cannot be read, or is no PEM.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise BadSecurity(
                f"REHYDRATE_KAFKA_CA_FILE {self.ca_file}: {_why(error, 'no certificates in PEM format')}"
            ) from error
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, password="")
            except OSError as error:
                files = f"{self.cert_file}" + (f", REHYDRATE_KAFKA_KEY_FILE {self.key_file}" if self.key_file else "")
                reason = _why(error, "not a certificate and its key in PEM format, without a passphrase")
                raise BadSecurity(f"REHYDRATE_KAFKA_CERT_FILE {files}: {reason}") from error
        return context

    def faststream(self) -> BaseSecurity:
        """As FastStream takes it."""
        context = self.context()
        if not self.sasl:
            return BaseSecurity(ssl_context=context)
        kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
        return kinds[self.mechanism](self.username, self.password, ssl_context=context)

    def aiokafka(self) -> dict[str, Any]:
        """As aiokafka's clients take it."""
        return {
            "security_protocol": self.protocol,
            "ssl_context": self.context(),
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }


def _why(error: OSError, otherwise: str) -> str:
    return otherwise if isinstance(error, ssl.SSLError) else error.strerror or str(error)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka cluster as one swarm uses it. `prefix` begins the names of its topics and groups.

    `embedded` is the broker in the supervisor: it answers an empty fetch only when the wait is over, it checks no sequence of an
    idempotent producer, and creates no topics. On a real one an empty fetch is woken by what comes, so its wait may be long.
    """

    bootstrap: str
    prefix: str = PREFIX
    embedded: bool = False
    security: Security = Security()

    @property
    def addresses(self) -> list[str]:
        return [address.strip() for address in self.bootstrap.split(",")]

    def group(self, agent: str) -> str:
        """The group that keeps how far an agent has read."""
        return f"{self.prefix}{agent.replace('/', '.')}"
