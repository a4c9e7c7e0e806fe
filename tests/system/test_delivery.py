"""The last moment of a run: everything is done, and the user has no files yet."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.system.conftest import Target, Undisturbed, launch
from tests.system.swarm import Swarm


def test_files_that_were_not_written_are_written_by_the_same_command_without_a_second_effect(
    tmp_path: Path, peace: Undisturbed, target: Target
) -> None:
    """A crash between the end of the run and its files: no mail and no post is asked for again."""
    book = peace.swarm.home.name
    swarm = launch(tmp_path / book, peace.feed, target)
    shutil.copytree(peace.swarm.data, swarm.data)
    _forget_delivery(swarm)
    asked = target.entries(book)

    again = swarm.run().document

    assert again["run_id"] == peace.run_id
    assert swarm.outputs() == peace.outputs
    assert target.entries(book) == asked
    assert swarm.done("run.Delivered") == {peace.run_id: 1}
    assert swarm.verify()["mismatches"] == []


def _forget_delivery(swarm: Swarm) -> None:
    """Bring the data dir to where it was when the run was over and nothing was written yet."""
    with closing(sqlite3.connect(swarm.data / "events.db")) as connection:
        gone = connection.execute("DELETE FROM stored_events WHERE topic = 'run.Delivered'").rowcount
        connection.commit()
    assert gone == 1
