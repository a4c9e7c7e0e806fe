"""What the stories of this folder share: a target of effects, feeds, and a place for figures."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from chaos import census
from tests.conftest import FINDINGS
from tests.system.feed import Feed, feed
from tests.system.swarm import ROOT, Swarm
from tests.system.target import RELEASED, Entry, entries

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc")


class Target(NamedTuple):
    """The target of effects, which outlives every swarm."""

    port: int
    directory: Path

    def url(self, book: str, slow: str = "", slow_s: float = 0.0) -> str:
        """Where a swarm sends its effects to. Keys with the text of `slow` in them take `slow_s` seconds."""
        return f"http://127.0.0.1:{self.port}/{book}" + (f"?slow={slow}&slow_s={slow_s}" if slow else "")

    def release(self, book: str) -> None:
        """Whatever is slow in a book is so no longer."""
        (self.directory / f"{book}{RELEASED}").touch()

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


PRODUCTS, WINDOW = 16, 8
"""Few products at a time make many moments: commits stay small and follow each other."""


class Undisturbed(NamedTuple):
    """What a run gives that is left in peace."""

    swarm: Swarm
    feed: Feed
    run_id: str
    outputs: dict[str, bytes]
    effects: Counter[tuple[str, str]]
    tasks: set[str]
    head: int
    census: Sequence[census.Passed]


def launch(home: Path, feed: Feed, target: Target, plan: Sequence[Mapping[str, object]] = (), **settings: object) -> Swarm:
    """A swarm whose effects go to a book of its own."""
    return Swarm(home, feed, plan=plan, **{"effects_url": target.url(home.name), "window": WINDOW, **settings})


@pytest.fixture(scope="session")
def peace(tmp_path_factory: pytest.TempPathFactory, target: Target, feed_of: Callable[[int], Feed]) -> Undisturbed:
    """One run for all whose own runs must give the same."""
    feed, home = feed_of(PRODUCTS), tmp_path_factory.mktemp("peace") / "peace"
    swarm = launch(home, feed, target, [{"kind": "count", "id": "census"}])
    document = swarm.run().document
    assert document["status"] == "completed"
    effects, tasks = target.done(home.name), set(swarm.done("task.Completed"))
    counted = census.read(swarm.data / "chaos")
    return Undisturbed(swarm, feed, document["run_id"], swarm.outputs(), effects, tasks, swarm.head(), counted)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Has a figure said at the end of the session."""
    found = request.config.stash[FINDINGS]
    return found.append
