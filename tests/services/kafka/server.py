"""A Kafka server of one node in KRaft mode, whose tests may stop, kill and restart it.

Its numbers are those of a test: little memory, no waits. `group.coordinator.append.linger.ms=0` lets a commit of an offset be answered at
once; the short session of the broker lets one that was killed come back in seconds.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from tests.services import die_with_parent, free_ports
from tests.services.kafka import tls
from tests.services.kafka.jars import JARS, java

USER, PASSWORD = "alice", "alice's secret"
"""Who may come in by SASL, by any mechanism."""
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
SECURE = {"SASL_PLAINTEXT": "SASL_PLAINTEXT", "SSL": "SSL", "SASL_SSL": "SASL_SSL", "MUTUAL": "SSL"}
"""Listeners of a secure server, beside PLAINTEXT: name → protocol. MUTUAL asks its clients for a certificate."""
READY_S = 90.0
"""How long a start may take; two seconds on an idle machine."""
STOP_S = 30.0

ARCHIVE = JARS / "classes.jsa"
"""Kafka's classes as the JVM lays them out, which halves the time of a start. Made once by `make services`; may be missing."""

_HEAP = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_LOGGING = Path(__file__).with_name("log4j2.properties")


def _new_id() -> str:
    return urlsafe_b64encode(b"K" + secrets.token_bytes(15)).decode().rstrip("=")


class KafkaServer:
    """One server and its data in `home`. It keeps its ports for life, so that a restarted one is found where it was."""

    def __init__(self, home: Path, *, secure: bool = False, **properties: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._log = home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        names = ["PLAINTEXT", *SECURE] if secure else ["PLAINTEXT"]
        self._controller, *ports = free_ports(1 + len(names))
        self.addresses: Mapping[str, str] = {name: f"127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
        self.certificates = tls.certificates(home / "tls") if secure else None
        self._properties = {**self._basics(), **(self._security() if secure else {}), **properties}
        self.cluster_id = _new_id()

    @property
    def bootstrap(self) -> str:
        """Where clients without any security begin."""
        return self.addresses["PLAINTEXT"]

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server does not run"
        return self._process.pid

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self, *options: str) -> None:
        """Start it on the data that it has, none at first, and wait until it takes connections. `options` are the JVM's."""
        config = self._home / "server.properties"
        if not config.exists():
            config.write_text("".join(f"{name}={value}\n" for name, value in self._properties.items()))
            self._format(config)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java("-Xlog:disable", *options), "kafka.Kafka", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one call of the kernel, no lock of Python's
            )
        self._until_ready()

    def stop(self) -> None:
        """An orderly end; a server that does not come to it is killed."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def format_anew(self) -> None:
        """Make it another cluster at the same address, without any data. It must not run."""
        assert self._process is None, "the server runs"
        shutil.rmtree(self._home / "data")
        (self._home / "server.properties").unlink()
        self.cluster_id = _new_id()

    def _until_ready(self) -> None:
        """Acceptors are the last that a broker starts: who is connected to will be answered."""
        assert self._process is not None
        end = time.monotonic() + READY_S
        for address in self.addresses.values():
            host, _, port = address.partition(":")
            while True:
                assert self._process.poll() is None, f"Kafka ended at its start: {self._tail()}"
                assert time.monotonic() < end, f"Kafka does not listen after {READY_S} s: {self._tail()}"
                try:
                    socket.create_connection((host, int(port)), timeout=1.0).close()
                    break
                except OSError:
                    time.sleep(0.05)

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def _java(self, *options: str) -> list[str]:
        program = java()
        assert program is not None, "Kafka needs Java 17 or newer"
        share = [f"-XX:SharedArchiveFile={ARCHIVE}"] if ARCHIVE.exists() else []
        return [program, *_HEAP, *share, *options, f"-Dlog4j2.configurationFile={_LOGGING}", "-cp", f"{JARS}/*"]

    def _format(self, config: Path) -> None:
        users = [f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in MECHANISMS if mechanism != "PLAIN"]
        scram = [word for user in users for word in ("--add-scram", user)] if self.certificates is not None else []
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", str(config), *scram]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=READY_S, check=False)
        assert ended.returncode == 0, f"kafka-storage format: {ended.stdout}{ended.stderr}"

    # --- properties --------------------------------------------------------------------------------------------------

    def _basics(self) -> dict[str, str]:
        protocols = {"CONTROLLER": "PLAINTEXT", "PLAINTEXT": "PLAINTEXT", **SECURE}
        here = [f"{name}://{address}" for name, address in self.addresses.items()]
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join([*here, f"CONTROLLER://127.0.0.1:{self._controller}"]),
            "advertised.listeners": ",".join(here),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "log.dirs": str(self._home / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.coordinator.append.linger.ms": "0",
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": "2097152",
        }

    def _security(self) -> dict[str, str]:
        assert self.certificates is not None
        properties = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.server),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.authority),
            "listener.name.mutual.ssl.client.auth": "required",
        }
        module = "org.apache.kafka.common.security"
        for listener in ("sasl_plaintext", "sasl_ssl"):
            name = f"listener.name.{listener}"
            properties[f"{name}.sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
            properties[f"{name}.plain.sasl.jaas.config"] = (
                f'{module}.plain.PlainLoginModule required username="broker" password="broker" user_{USER}="{PASSWORD}";'
            )
            for mechanism in MECHANISMS[1:]:
                properties[f"{name}.{mechanism.lower()}.sasl.jaas.config"] = f"{module}.scram.ScramLoginModule required;"
        return properties
