"""Files are read whole or refused with a reason, and problems make one clear listing."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from domain.trade.catalogue import Problem
from runtime.inputs import MAX_FILE_BYTES, InputError, check, format_problems, load_file


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """Bytes in, bytes out."""
    path = tmp_path / "feed.csv"
    path.write_bytes(b"\xff\x00a")
    assert load_file(path) == b"\xff\x00a"


def refusal(path: Path) -> str:
    """Why the file is refused."""
    with pytest.raises(InputError) as caught:
        load_file(path)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The reason names the file."""
    assert refusal(tmp_path / "none.csv") == f"{tmp_path / 'none.csv'}: no such file"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A file in it was meant."""
    assert "this is a directory" in refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    """The reason is the permission, not the file."""
    path = tmp_path / "feed.csv"
    path.write_bytes(b"a")
    path.chmod(0)
    assert "no permission" in refusal(path)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    """The largest file is named in the reason."""
    path = tmp_path / "feed.csv"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert "larger than 256 MiB" in refusal(path)


def test_any_other_failure_is_refused_with_the_systems_words(tmp_path: Path) -> None:
    """A link to itself, for one."""
    path = tmp_path / "loop.csv"
    path.symlink_to(path)
    assert "the file cannot be read: " in refusal(path)


def test_a_pipe_that_nobody_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it for ever."""
    monkeypatch.setattr("runtime.inputs.PIPE_PATIENCE_S", 0.05)
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe into which nobody has written for 0.05 s" in refusal(tmp_path / "pipe")


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """Also when its writer comes later and pauses."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        time.sleep(0.05)
        with path.open("wb", buffering=0) as file:
            file.write(b"a")
            time.sleep(0.05)
            file.write(b"b")

    writer = threading.Thread(target=write)
    writer.start()
    assert load_file(path) == b"ab"
    writer.join()


def test_problems_are_listed_in_file_order_with_what_is_known_of_each() -> None:
    """`file:line: column: reason`; no line for the file as a whole, no column for a row as a whole."""
    problems = [Problem(3, "", "ragged"), Problem(2, "Title", "blank"), Problem(0, "", "odd")]
    assert format_problems(Path("a.csv"), problems) == "a.csv: odd\na.csv:2: Title: blank\na.csv:3: ragged"


def test_a_long_listing_is_cut_and_says_so() -> None:
    """The first fifty fit on a screen."""
    lines = format_problems(Path("a.csv"), [Problem(line, "", "bad") for line in range(1, 62)]).splitlines()
    assert (len(lines), lines[49], lines[50]) == (51, "a.csv:50: bad", "… and 11 more")


def test_check_raises_all_problems_or_nothing() -> None:
    """The error carries them for whoever catches it."""
    check(Path("a.csv"), [])
    with pytest.raises(InputError) as caught:
        check(Path("a.csv"), [Problem(2, "", "bad")])
    assert caught.value.problems == (Problem(2, "", "bad"),)
