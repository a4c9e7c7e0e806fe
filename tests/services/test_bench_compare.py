"""`rehydrate bench compare` with the peers themselves, on a real PostgreSQL. Small: it shows that it runs, not how fast."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from evaluation.compare.child import CannotMeasure
from evaluation.compare.environments import PEERS, default_folder, python_of
from evaluation.compare.systems import PEER_NAMES
from evaluation.server import PREFIX

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.services, pytest.mark.slow]  # half a minute on an idle machine: make test-services


@pytest.fixture(scope="module")
def peers() -> None:
    """The peers' environments, made where they are not: that needs an index of packages, and is skipped without."""
    for name in PEER_NAMES:
        try:
            asyncio.run(python_of(name, default_folder(), lambda line: None))
        except CannotMeasure as error:
            pytest.skip(f"{name} {error}")


def test_ours_and_the_peers_are_measured_and_leave_no_database_behind(postgres_url: str, peers: None) -> None:
    words = ["--database", postgres_url, "--rounds", "1", "--workflows", "10", "--concurrency", "4", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "REHYDRATE_DATABASE"}
    ended = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "bench", "compare", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    systems = {system["system"]: system for system in document["systems"]}
    assert {name: (system["status"], system["reason"]) for name, system in systems.items()} == dict.fromkeys(
        ("rehydrate", "rehydrate, whole road", *PEER_NAMES, "raw inserts"), ("measured", None)
    )
    for name in PEER_NAMES:
        (result,) = systems[name]["results"]
        assert (result["concurrency"], result["workflows"]) == (4, 10)
        assert result["steps_per_second"] > 0 and result["rehydrate_is_times"] > 0
        assert systems[name]["store"] == ("its own log" if name == "restate" else "postgresql")
        assert systems[name]["bytes_per_workflow"] is None if name == "restate" else systems[name]["bytes_per_workflow"] > 6 * 256
        lock = (ROOT / f"evaluation/compare/peers/{name}.lock").read_text()
        assert all(f"{package}=={version}" in lock for package, version in systems[name]["versions"].items())
    assert document["server"]["fsync"] == "on"
    assert asyncio.run(_left(postgres_url)) == []


def test_a_killed_measurement_of_a_server_leaves_none_behind(peers: None) -> None:
    """Restate's server is a process of its own: it ends with the one that measures it, however that ends."""
    python = asyncio.run(python_of("restate", default_folder(), lambda line: None))
    request = {
        "peer": "restate",
        "database": "",
        "concurrency": 1,
        "workflows": 10**6,
        "warm_up": 1,
        "steps": 6,
        "payload_bytes": 256,
    }
    process = subprocess.Popen([python, "-s", "-E", PEERS / "run.py"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode())
    process.stdin.close()
    try:
        until = time.monotonic() + 30
        while not (servers := _children(process.pid)):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    (server,) = servers
    while Path("/proc", str(server)).exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path("/proc", str(pid), "task", str(pid), "children").read_text().split()]


def test_an_interrupted_comparison_leaves_no_database_behind(postgres_url: str, peers: None) -> None:
    """Interrupted while a measurement runs: its database is there until then."""
    command = [sys.executable, "-m", "runtime.cli", "bench", "compare", "--database", postgres_url, "--peers", "dbos"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 30
        while not asyncio.run(_left(postgres_url)):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, told
    assert asyncio.run(_left(postgres_url)) == []


async def _left(url: str) -> list[str]:
    connection = await asyncpg.connect(urlunsplit(urlsplit(url)._replace(path="/postgres")))
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE $1", f"{PREFIX}%")
        return [row["datname"] for row in rows]
    finally:
        await connection.close()
