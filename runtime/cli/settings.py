"""`settings`: every setting with its value and where it came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from runtime.cli.common import Call, command
from runtime.cli.output import Table
from runtime.datadir import DataDir, shown

MASK = "********"


def register(app: typer.Typer) -> None:
    """Declare the command of this module."""
    command(app, "settings", "rehydrate settings", "REHYDRATE_WINDOW=16 rehydrate settings --json")(settings)


def settings(call: Call) -> None:
    """List all settings and where each came from.

    Secrets are masked. Each can be set as the environment variable REHYDRATE_<NAME>; an option of a command wins over it.
    """
    from runtime.settings import Settings

    environment = {name.upper() for name in os.environ}
    found: list[dict[str, Any]] = []
    for name in Settings.model_fields:
        given = getattr(call.given, name, None) is not None
        source = "option" if given else "environment" if f"REHYDRATE_{name.upper()}" in environment else "default"
        value = getattr(call.settings, name)
        if name == "database" and source == "default" and (known := DataDir(call.data_dir).database):
            value, source = known, "data dir"
        found.append({"name": name, "value": _shown(value), "source": source})
    meanings = {name: field.description or "" for name, field in Settings.model_fields.items()}
    rows = [(setting["name"], setting["value"], setting["source"], meanings[setting["name"]]) for setting in found]
    call.out.result(found, Table(("name", "value", "source", "meaning"), rows))


def _shown(value: object) -> object:
    from pydantic import SecretStr

    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, str) and "://" in value:
        return shown(value)  # a URL may hold a password
    return str(value) if isinstance(value, Path) else value
