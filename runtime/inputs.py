"""Reading the files a vendor names, and saying in one listing what is wrong with them."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterable
from pathlib import Path

from domain.trade.catalogue import Problem

MAX_FILE_BYTES = 256 * 1024 * 1024
PIPE_PATIENCE_S = 10.0
"""How long a pipe may stay without a writer: nobody waits for ever for a file that nobody writes."""
MAX_LISTED = 50  # lines: what a person reads in one go; after mending them the rest is listed


class InputError(Exception):
    """An input file cannot be used; its owner's fault, and nothing has begun. The message is the whole listing."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems))
        super().__init__(format_problems(path, self.problems))


def load_file(path: Path) -> bytes:
    """The file's bytes, at most `MAX_FILE_BYTES`. Raises `InputError`."""
    try:
        with open(path, "rb", opener=_open_soon) as file:
            # The size is asked first so that a huge file is refused at once, and checked again because a pipe has none.
            is_large = os.fstat(file.fileno()).st_size > MAX_FILE_BYTES
            data = b"" if is_large else file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as failure:
        raise _refused(path, "no such file") from failure
    except IsADirectoryError as failure:
        raise _refused(path, "this is a directory: name the file in it") from failure
    except PermissionError as failure:
        raise _refused(path, "no permission to read the file") from failure
    except OSError as failure:
        raise _refused(path, f"the file cannot be read: {failure.strerror or failure}") from failure
    if is_large or len(data) > MAX_FILE_BYTES:
        raise _refused(path, f"the file is larger than {MAX_FILE_BYTES // 1024**2} MiB: split it")
    return data


def _open_soon(path: str, flags: int) -> int:
    """Open a file. To open a pipe would wait for a writer for ever; here the wait for its first bytes has an end."""
    handle = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISFIFO(os.fstat(handle).st_mode):
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        if not waiting.poll(PIPE_PATIENCE_S * 1000):
            os.close(handle)
            raise OSError(f"it is a pipe into which nobody has written for {PIPE_PATIENCE_S:g} s")
    os.set_blocking(handle, True)
    return handle


def check(path: Path, problems: Iterable[Problem]) -> None:
    """Raises `InputError` if there is any problem."""
    found = tuple(problems)
    if found:
        raise InputError(path, found)


def format_problems(path: Path, problems: Iterable[Problem]) -> str:
    """The problems in file order, `file:line: column: reason` each, at most `MAX_LISTED` lines of them."""
    found = sorted(problems)
    lines = [_one_line(path, problem) for problem in found[:MAX_LISTED]]
    if len(found) > MAX_LISTED:
        lines.append(f"… and {len(found) - MAX_LISTED} more")
    return "\n".join(lines)


def _one_line(path: Path, problem: Problem) -> str:
    where = f"{path}:{problem.line}" if problem.line else f"{path}"
    return ": ".join(part for part in (where, problem.column, problem.reason) if part)


def _refused(path: Path, reason: str) -> InputError:
    return InputError(path, [Problem(0, "", reason)])
