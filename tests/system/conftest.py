"""What the stories of this folder share: a target of effects, feeds, and a place for figures."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import FINDINGS
from tests.system.feed import Feed, feed
from tests.system.swarm import ROOT
from tests.system.target import Entry, entries

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc")


class Target(NamedTuple):
    """The target of effects, which outlives every swarm."""

    port: int
    directory: Path

    def url(self, book: str, slow: str = "", slow_s: float = 0.0) -> str:
        """Where a swarm sends its effects to. Keys with the text of `slow` in them take `slow_s` seconds."""
        return f"http://127.0.0.1:{self.port}/{book}" + (f"?slow={slow}&slow_s={slow_s}" if slow else "")

    def entries(self, book: str) -> list[Entry]:
        """All requests of a book, in order."""
        return list(entries(self.directory / f"{book}.jsonl"))

    def done(self, book: str) -> Counter[tuple[str, str]]:
        """What was really done: (key, digest of the payload) → how often."""
        return Counter((entry.key, entry.payload) for entry in self.entries(book) if entry.outcome == "done")


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    directory = tmp_path_factory.mktemp("target")
    command = [sys.executable, "-m", "tests.system.target", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Target(int(process.stdout.readline()), directory)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="session")
def feed_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Feed]:
    """Gives a feed of so many products."""
    return lambda products: feed(tmp_path_factory.mktemp(f"feed-{products}-"), products)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Has a figure said at the end of the session."""
    found = request.config.stash[FINDINGS]
    return found.append
