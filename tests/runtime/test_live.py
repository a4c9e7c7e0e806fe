"""The live view: what fits where, and progress that nobody reads any more."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from projections.run_summary import AgentProgress, Progress, StepProgress
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


def _shown(width: int, height: int, steps: int = 6) -> list[str]:
    agents = [
        AgentProgress(f"{role}/0", 1, 12345, "ready", "task.Completed", "task-f8f301c630fb-1-12-GENERATE_DESCRIPTION", 0)
        for role in (
            "analytics_reporter",
            "feedback_listener",
            "inventory_sync",
            "lead",
            "marketing_outreach",
            "pricing",
            "listing",
        )
    ]
    rows = [StepProgress(f"STEP_{number}", 60, 12, 1, 0) for number in range(steps)]
    file = io.StringIO()
    view = LiveView(Console(file=file, width=width, height=height, force_terminal=True, color_system=None), "title")
    view.say("SIGKILL to lead/0")
    view.progress(Progress("running", 60, 20, 12, 0, 90, 364, rows, agents, []))
    with view:
        pass
    return file.getvalue().splitlines()


def test_on_a_low_terminal_news_and_agents_are_seen_whole() -> None:
    """80 by 24: no bar for each step, one line an agent, names and epochs uncut."""
    text = "\n".join(_shown(80, 24, steps=10))
    assert "SIGKILL to lead/0" in text and "steps" in text and "step 1" not in text
    for name in ("analytics_reporter/0", "marketing_outreach/0", "epoch", "process", "status", "ready"):
        assert name in text


def test_on_a_high_terminal_each_step_has_its_bar() -> None:
    """There is room."""
    text = "\n".join(_shown(120, 50))
    assert "step 5" in text and "GENERATE_DESCRIPTION" in text
