"""The command: what it refuses, what it says without a server, and what it shows of a document."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from evaluation.compare.compare import complete
from evaluation.compare.picture import draw
from evaluation.compare.summary import summary
from evaluation.compare.table import notes, table
from runtime.cli.output import plain
from tests.evaluation.compare.runs import ROUNDS
from tests.services import free_ports

ROOT = Path(__file__).parents[3]


def _rehydrate(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runtime.cli", "bench", "compare", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _document(missing: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "benchmark": "compare",
        "date": "2026-11-21",
        "machine": {"cores": 2, "python": "3.11.7", "load_average": 1.5},
        "server": {"server_version": "15.18", "fsync": "on", "synchronous_commit": "on"},
        "steps_per_workflow": 6,
        "payload_bytes": 256,
        "rounds": 3,
        "systems": summary(ROUNDS, missing or {}),
    }


# --- errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "needs a PostgreSQL that all systems share: --database postgresql://"),
        (["--database", "sqlite:///x.db"], 2, "not on sqlite"),
        (
            ["--database", "postgresql://127.0.0.1", "--peers", "temporal"],
            2,
            "no peer 'temporal'; known are langgraph, dbos, restate",
        ),
        (["--database", "postgresql://127.0.0.1", "--peers", ","], 2, "--peers names nobody; known are langgraph, dbos, restate"),
        (["--database", "postgresql://127.0.0.1", "--concurrency", "many"], 2, "'many' is no list of numbers"),
    ],
)
def test_bad_usage_is_one_line(words: list[str], code: int, told: str) -> None:
    ended = _rehydrate(*words)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert len(ended.stderr.splitlines()) == 1 and told in ended.stderr


def test_no_server_is_one_line_with_the_remedy_and_without_the_password() -> None:
    (port,) = free_ports(1)
    ended = _rehydrate("--database", f"postgresql://me:secret@127.0.0.1:{port}")
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert f"PostgreSQL at 127.0.0.1:{port}" in line and "--database postgresql://USER@HOST:PORT" in line
    assert "secret" not in line


# --- what is shown ----------------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_figure_and_one_for_each_system_without() -> None:
    text = plain(table(_document({"dbos": "cannot be installed: no index"})))
    lines = [line.split() for line in text.splitlines()]
    assert ["rehydrate", "16", "8,000", "0.50", "–", "5,100", "–"] in lines
    assert ["langgraph", "16", "800", "0.05", "10.0", "×", "24,000", "–"] in lines
    assert "dbos" in text and "unavailable: cannot be installed: no index" in text


def test_the_notes_name_versions_settings_and_a_server_that_is_not_durable() -> None:
    document = _document()
    assert "langgraph: langgraph 1.0; store postgresql; mode: sync" in notes(document)
    assert not any("NOT DURABLE" in line for line in notes(document))
    assert notes(document)[1:3] == [
        "2026-11-21, 2 cores, load average 1.5, Python 3.11.7",
        "PostgreSQL 15.18, fsync=on, synchronous_commit=on",
    ]
    document["server"]["synchronous_commit"] = "off"
    assert notes(document)[-1].startswith("NOT DURABLE: the server runs with synchronous_commit=off")


def test_the_picture_is_well_formed_and_has_a_bar_for_each_system() -> None:
    """Bars are as long as figures are large; the raw inserts are a line."""
    document = json.loads(json.dumps(_document()))
    root = ET.fromstring(draw(document))
    space = "{http://www.w3.org/2000/svg}"
    bars = [float(each.attrib["width"]) for each in root.iter(f"{space}rect") if each.attrib.get("rx") == "3"]
    assert len(bars) == 2 and bars[0] == pytest.approx(10 * bars[1], rel=0.01)
    assert len(list(root.iter(f"{space}line"))) == 1
    assert {"rehydrate", "langgraph", "8,000"} <= {each.text for each in root.iter(f"{space}text")}


@pytest.mark.parametrize(
    ("statuses", "enough"),
    [
        ({"rehydrate": "measured", "langgraph": "measured", "dbos": "unavailable"}, True),
        ({"rehydrate": "measured", "langgraph": "unavailable", "dbos": "failed"}, False),
        ({"rehydrate": "failed", "langgraph": "measured", "dbos": "measured"}, False),
    ],
)
def test_a_comparison_needs_ours_and_one_peer(statuses: dict[str, str], enough: bool) -> None:
    """The exit code is 1 without."""
    assert complete({"systems": [{"system": name, "status": status} for name, status in statuses.items()]}) is enough
