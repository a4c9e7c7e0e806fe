"""A filled data dir for each test, and the command line called in this process."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from typer.testing import CliRunner

from runtime.cli import app
from tests.runtime.filled import fill


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout."""
        return msgspec.json.decode(self.out)

    @property
    def error(self) -> str:
        """The one line that it said on stderr, while stdout stayed empty."""
        (line,) = self.err.splitlines()
        assert self.out == ""
        return line


Rehydrate = Callable[..., Ended]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data dir after a launch of three products; made once, since every test gets a copy."""
    root = tmp_path_factory.mktemp("filled") / "data"
    fill(root)
    return root


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    """A data dir of the test's own."""
    return Path(shutil.copytree(template, tmp_path / "data"))


@pytest.fixture
def rehydrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehydrate:
    """Call `rehydrate` with words of the command line, on the data dir of the test."""
    monkeypatch.setenv("REHYDRATE_DATA_DIR", str(tmp_path / "data"))

    def call(*words: str) -> Ended:
        result = CliRunner().invoke(app, list(words))
        return Ended(result.exit_code, result.stdout, result.stderr)

    return call


def change(database: Path, sql: str, *values: object) -> None:
    """Do to a database what nobody should."""
    connection = sqlite3.connect(database)
    with connection:
        assert connection.execute(sql, values).rowcount > 0, "the test changes something"
    connection.close()
