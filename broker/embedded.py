"""Embedded Kafka: librdkafka's mock cluster on loopback, out of the confluent-kafka wheel.

It speaks the real wire protocol, so the road from agent to broker is the same as with Apache Kafka. It persists nothing and keeps a
bounded log; nothing may rest on more, since the outbox repairs whatever it loses. Its threads live in this process, which
therefore must not fork afterwards.
"""

from __future__ import annotations

import ctypes
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_PRODUCER = 0
NUDGE_AFTER_S = 0.005


class EmbeddedKafkaUnavailable(Exception):
    """The confluent-kafka wheel of this platform brings no librdkafka that can be loaded: give `--kafka HOST:PORT`."""


class EmbeddedKafka:
    """A broker that lives until `stop`. `bootstrap` is its address."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._lib = _load()
        error = ctypes.create_string_buffer(512)
        config = self._lib.rd_kafka_conf_new()
        self._lib.rd_kafka_conf_set(
            config, b"log_level", b"0", error, 512
        )  # it would warn on stderr that it has no servers to connect to
        self._client = self._lib.rd_kafka_new(_PRODUCER, config, error, 512)
        if not self._client:
            raise EmbeddedKafkaUnavailable(error.value.decode())
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._client, 1)
        self.bootstrap: str = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        with _nudged(self.bootstrap):
            for topic, partitions in topics.items():
                if self._lib.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1):
                    raise EmbeddedKafkaUnavailable(f"topic {topic} could not be created")

    def stop(self) -> None:
        """Close all connections and forget all messages."""
        if self._cluster:
            with _nudged(self.bootstrap):
                self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
            self._lib.rd_kafka_destroy(self._client)
            self._cluster = None


@contextmanager
def _nudged(bootstrap: str) -> Iterator[None]:
    """The mock cluster does at once what it is told meanwhile. Its thread forgets to look at a command that comes just while it notes
    the one before as seen, and sleeps on for a second, unless something happens on the network: so somebody connects."""
    host, _, port = bootstrap.partition(":")
    over = threading.Event()

    def nudge() -> None:
        while not over.wait(NUDGE_AFTER_S):
            try:
                socket.create_connection((host, int(port)), timeout=1.0).close()
            except OSError:
                pass  # it has gone, as it was told to

    thread = threading.Thread(target=nudge, name="nudge", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _load() -> ctypes.CDLL:
    import confluent_kafka  # noqa: PLC0415 only the process that hosts the broker loads librdkafka

    package = Path(confluent_kafka.__file__).parent
    places = [package.parent / "confluent_kafka.libs", package / ".dylibs", package]
    found = [path for place in places if place.is_dir() for path in sorted(place.glob("librdkafka*")) if path.suffix != ".py"]
    if not found:
        raise EmbeddedKafkaUnavailable("no librdkafka beside the confluent-kafka package; give --kafka HOST:PORT")
    lib = ctypes.CDLL(str(found[0]))
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set", ctypes.c_int, [pointer, text, text, text, ctypes.c_size_t]),
        ("rd_kafka_new", pointer, [ctypes.c_int, pointer, text, ctypes.c_size_t]),
        ("rd_kafka_destroy", None, [pointer]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, ctypes.c_int]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_mock_topic_create", ctypes.c_int, [pointer, text, ctypes.c_int, ctypes.c_int]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
