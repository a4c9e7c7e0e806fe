"""Fixtures: the Kafka that tests share, and Kafkas of their own for tests that take theirs down."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services import missing
from tests.services.kafka import jars
from tests.services.kafka.server import KafkaServer

Start = Callable[..., KafkaServer]


@pytest.fixture(scope="session")
def kafka_installed() -> None:
    """Kafka can be started here; else the test is skipped, or fails where servers are required."""
    if jars.java() is None:
        missing(f"Kafka needs Java {jars.JAVA_AT_LEAST} or newer: `make services` says what to install")
    if not jars.fetched():
        missing(f"Kafka's jars are not in {jars.JARS}: `make services` fetches them")
    if shutil.which("openssl") is None:
        missing("certificates for Kafka need the command openssl")


@pytest.fixture(scope="session")
def kafka_server(kafka_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka that all tests of the session share, with listeners without security, with passwords, and with TLS. Nobody stops it."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"), secure=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka_address(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of a Kafka without security: the one that REHYDRATE_TEST_KAFKA names, or `kafka_server`."""
    if named := os.environ.get("REHYDRATE_TEST_KAFKA"):
        return named
    server: KafkaServer = request.getfixturevalue("kafka_server")
    return server.bootstrap


@pytest.fixture
def own_kafka(kafka_installed: None, tmp_path: Path) -> Iterator[Start]:
    """Starts a Kafka that belongs to this test alone; takes what `KafkaServer` takes."""
    servers: list[KafkaServer] = []

    def start(**options: object) -> KafkaServer:
        server = KafkaServer(tmp_path / f"kafka-{len(servers)}", **options)  # type: ignore[arg-type]  # options of two kinds
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()
