"""Options of the whole suite, and what it says at its end."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Property tests: a fast profile for every run, a deep one for a night (HYPOTHESIS_PROFILE=deep).
settings.register_profile("fast", max_examples=40)
settings.register_profile("deep", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# Fixtures of real servers, which any test may ask for.
pytest_plugins = ["tests.services.kafka.fixtures", "tests.services.postgres"]

KILLS = 14
"""As few as hit each named point and each kind of process."""
FINDINGS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=KILLS, metavar="N", help=f"kills of the campaign in tests/system ({KILLS})")
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FINDINGS] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long runs only where it is asked for: by --slow, by a marker expression, or by its own name."""
    named = any("::" in argument for argument in config.args)
    if config.getoption("--slow") or config.getoption("-m") or named:
        return
    slow = [item for item in items if item.get_closest_marker("slow") is not None]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Figures that tests measured: a promise that holds is worth its number."""
    if found := config.stash[FINDINGS]:
        terminalreporter.section("measured")
        for line in found:
            terminalreporter.line(line)
