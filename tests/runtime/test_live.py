"""Progress that nobody reads any more does not end the run."""

from __future__ import annotations

import os

import pytest

from runtime.cli.output import Output
from runtime.live import LiveView


def test_progress_goes_on_when_its_reader_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`rehydrate run … 2>&1 | head` finishes the run."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as gone:
        monkeypatch.setattr("sys.stderr", gone)
        with LiveView(Output(json=False, quiet=False, no_color=True).errors, "title") as live:
            live.say("first")
            live.say("second")
