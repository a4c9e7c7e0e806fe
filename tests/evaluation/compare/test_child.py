"""Measurements in processes of their own: an answer, or one line that says why there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from evaluation.compare.child import CannotMeasure, ask


async def _python(code: str, within_s: float = 30.0) -> dict[str, object]:
    return await ask([sys.executable, "-c", code], {"number": 20}, env={"EXTRA": "1"}, within_s=within_s)


async def test_a_child_is_asked_and_answers_in_json() -> None:
    code = "import json, os, sys; print(json.dumps({'sum': json.load(sys.stdin)['number'] + int(os.environ['EXTRA'])}))"
    assert await _python(code) == {"sum": 21}


async def test_of_a_traceback_the_error_is_told() -> None:
    with pytest.raises(CannotMeasure, match=r"^ValueError: no such table$"):
        await _python("raise ValueError('no such table')")


async def test_a_silent_end_tells_its_exit_code() -> None:
    with pytest.raises(CannotMeasure, match="exit code 3"):
        await _python("raise SystemExit(3)")


@pytest.mark.parametrize("answer", ["'not json'", "[1]"])
async def test_what_is_no_json_object_is_no_answer(answer: str) -> None:
    with pytest.raises(CannotMeasure, match="answered no JSON"):
        await _python(f"print({answer})")


async def test_a_child_that_hangs_is_ended(tmp_path: Path) -> None:
    """It wrote its pid, and that process is gone when the call is back."""
    pid = tmp_path / "pid"
    with pytest.raises(CannotMeasure, match="took longer than 2 s"):
        await _python(
            f"import os, threading; open({str(pid)!r}, 'w').write(str(os.getpid())); threading.Event().wait()", within_s=2
        )
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CannotMeasure, match=r"^/no/such/python: No such file or directory$"):
        await ask(["/no/such/python"], within_s=5)
