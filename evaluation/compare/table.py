"""The comparison for a reader: one table, then what it was measured with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.compare.systems import RAW
from evaluation.server import not_durable
from runtime.cli.output import Table

COLUMNS = (
    "system",
    ">at a time",
    ">steps/s",
    ">of raw inserts",
    ">rehydrate is",
    "?>whole road is",
    ">bytes/workflow",
    "?remark",
)


def table(document: Mapping[str, Any]) -> Table:
    """One row a system and concurrency; a system without figures has one row that says why."""
    return Table(COLUMNS, [row for system in document["systems"] for row in _rows(system)])


def _rows(system: Mapping[str, Any]) -> Iterator[list[object]]:
    remark = system["reason"] and f"{system['status']}: {system['reason']}"
    if system["status"] != "measured":
        yield [system["system"], *[None] * (len(COLUMNS) - 2), remark]
        return
    for result in system["results"]:
        yield [
            "raw inserts beside" if system["system"] == RAW else system["system"],
            result["concurrency"],
            f"{result['steps_per_second']:,}",
            _number(result.get("ratio_to_raw_inserts"), "{:.2f}"),
            _number(result.get("rehydrate_is_times"), "{:.1f} ×"),
            _number(result.get("whole_road_is_times"), "{:.1f} ×"),
            _number(system["bytes_per_workflow"], "{:,}"),
            remark,
        ]
        remark = None


def _number(value: float | None, form: str) -> str | None:
    return None if value is None else form.format(value)


def notes(document: Mapping[str, Any]) -> list[str]:
    """Machine, server, versions and settings, a line each."""
    machine, server = document["machine"], document["server"]
    lines = [
        f"{document['steps_per_workflow']} steps of {document['payload_bytes']} B a workflow; medians of {document['rounds']} rounds; "
        "ratios are taken within a round",
        f"{document['date']}, {machine['cores']} cores, load average {machine['load_average']}, Python {machine['python']}",
        ", ".join((f"PostgreSQL {server['server_version']}", *(f"{k}={v}" for k, v in server.items() if k != "server_version"))),
    ]
    for system in document["systems"]:
        if system["status"] == "measured":
            versions = ", ".join(f"{name} {version}" for name, version in system["versions"].items())
            settings = ", ".join(f"{name}: {value}" for name, value in system["settings"].items())
            lines.append(f"{system['system']}: {versions}; store {system['store']}; {settings}")
    if lacking := not_durable(server):
        lines.append(f"NOT DURABLE: the server runs with {', '.join(lacking)}; a commit is confirmed before it is on the disk")
    return lines
