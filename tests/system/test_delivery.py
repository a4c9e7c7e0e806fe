"""The last moment of a run: everything is done, and the user has no files yet."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.system.conftest import Target
from tests.system.feed import Feed
from tests.system.swarm import Swarm


def test_files_that_were_not_written_are_written_by_the_same_command_without_a_second_effect(
    tmp_path: Path, feed_of: Callable[[int], Feed], target: Target
) -> None:
    """A crash between the end of the run and its files: no mail and no post goes out again."""
    swarm = Swarm(tmp_path / "swarm", feed_of(3), effects_url=target.url("delivery"))
    first = swarm.run().document
    files = {path.relative_to(swarm.out): path.read_bytes() for path in swarm.out.rglob("*") if path.is_file()}
    effects = target.done("delivery")
    _forget_delivery(swarm)

    again = swarm.run().document

    assert again["run_id"] == first["run_id"]
    assert {path.relative_to(swarm.out): path.read_bytes() for path in swarm.out.rglob("*") if path.is_file()} == files
    assert target.done("delivery") == effects
    assert swarm.verify()["mismatches"] == []


def _forget_delivery(swarm: Swarm) -> None:
    """Bring the data dir to where it was when the run was over and nothing was written yet."""
    with closing(sqlite3.connect(swarm.data / "events.db")) as connection:
        gone = connection.execute("DELETE FROM stored_events WHERE topic = 'run.Delivered'").rowcount
        connection.commit()
    assert gone == 1
    shutil.rmtree(swarm.out)
