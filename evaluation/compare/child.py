"""A measurement in a process of its own: one JSON document in, one out, and a reason in one line where it fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class CannotMeasure(Exception):
    """A system could not be measured, and why, in one line."""


async def ask(
    command: Sequence[str], request: Mapping[str, Any] | None = None, *, env: Mapping[str, str] | None = None, within_s: float
) -> dict[str, Any]:
    """Run a command, give it the request on stdin, and read its answer from stdout.

    Raises:
        CannotMeasure: it cannot be started, ends with an error (the last line of its stderr), takes too long, or answers no JSON.
    """
    told = b"" if request is None else msgspec.json.encode(request)
    out = await run(command, told, env=env, within_s=within_s)
    try:
        answer = msgspec.json.decode(out)
    except msgspec.DecodeError as error:
        raise CannotMeasure(f"answered no JSON: {last_line(out)}") from error
    if not isinstance(answer, dict):
        raise CannotMeasure(f"answered no JSON object: {last_line(out)}")
    return answer


async def run(command: Sequence[str], told: bytes = b"", *, env: Mapping[str, str] | None = None, within_s: float) -> bytes:
    """What a command prints on stdout. It does not outlive this call.

    Raises:
        CannotMeasure: it cannot be started, ends with an error, or takes longer than `within_s`.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(env or {})}
        )
    except OSError as error:
        raise CannotMeasure(f"{command[0]}: {error.strerror or error}") from error
    try:
        out, err = await asyncio.wait_for(child.communicate(told), within_s)
    except TimeoutError as error:
        raise CannotMeasure(f"took longer than {within_s:.0f} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise CannotMeasure(last_line(err) or f"ended with exit code {child.returncode}")
    return out


def last_line(output: bytes) -> str:
    """The last line that says something: of a traceback, the error."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
