"""How errors end: one line on stderr and an exit code. A traceback is for us, and shown with -v only.

Exit codes: 0 done · 1 the work failed · 2 bad usage or bad input · 3 a check deviated · 4 stop condition · 130 interrupted.
"""

from __future__ import annotations

import shutil
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

FAILED, BAD_USAGE, DEVIATED, INTERRUPTED = 1, 2, 3, 130

FULL_BYTES = 1024 * 1024
"""A disk with less room than this is called full: the logs of a swarm need some, too."""

# By name, so that a command which is quick need not import what cannot happen to it.
EXPECTED: dict[str, int] = {
    "runtime.cli.errors:BadUsage": BAD_USAGE,
    "runtime.datadir:DataDirError": BAD_USAGE,
    "store.opening:BadDatabase": BAD_USAGE,
    "store.postgres.connection:DatabaseRefused": BAD_USAGE,
    "store.postgres.lock:InUse": BAD_USAGE,
    "runtime.inputs:InputError": BAD_USAGE,
    "runtime.outputs:OutputRefused": BAD_USAGE,
    "runtime.outputs:OutputFailed": FAILED,
    "runtime.runner:UnfinishedRun": BAD_USAGE,
    "chaos.plan:BadPlan": BAD_USAGE,
    "runtime.deadletters:CannotDecide": BAD_USAGE,
    "store.schema:SchemaMismatch": BAD_USAGE,
    "projections.schema:SchemaMismatch": BAD_USAGE,
    "domain.streams:UnknownKind": BAD_USAGE,
    "runtime.supervisor:SwarmFailed": FAILED,
    "broker.connection:BadSecurity": BAD_USAGE,
    "broker.diagnosis:KafkaRefused": BAD_USAGE,
    "runtime.kafka:KafkaLost": FAILED,
    "broker.embedded:EmbeddedKafkaUnavailable": FAILED,
    "domain.ports.store:StoreUnavailable": FAILED,
    "domain.event:UnknownTopic": FAILED,
    "domain.event:CorruptEvent": FAILED,
    "projections.fold:CannotProject": FAILED,
    "runtime.runner:Interrupted": INTERRUPTED,
}


class BadUsage(Exception):
    """An option or argument makes no sense; the message says which, and what would."""


@runtime_checkable
class UsageError(Protocol):
    """What Typer raises about the words of a command line; its own class for that is not public."""

    exit_code: int
    ctx: Any

    def format_message(self) -> str:
        """What is wrong; for a group that is called alone its help."""


def report(error: BaseException, *, verbose: bool, data_dir: Path | None) -> int:
    """Tell the user in one line (a listing of bad rows is more); gives the exit code."""
    if isinstance(error, UsageError):
        _tell_usage(error)
        return BAD_USAGE
    if verbose:
        traceback.print_exception(error, file=sys.stderr)
    code = _expected(error)
    if code is not None:
        # A listing names file and line at the beginning of each line, which tools rely on.
        is_listing = _is(error, "runtime.inputs:InputError")
        text = str(error) or type(error).__name__
        line = f"error: {' '.join(text.split())}{_remedy(error, code, data_dir)}"
        _tell(text if is_listing else line if code != INTERRUPTED else str(error) or "interrupted")
        return code
    if type(error).__module__.startswith("sqlalchemy."):
        remedy = _remedy(error, FAILED, data_dir) or "; `rehydrate projections rebuild` builds them again"
        _tell(f"error: the read models cannot be used: {getattr(error, 'orig', None) or error}{remedy}")
        return FAILED
    log = None if verbose else _log(error, data_dir)
    where = f"{log} says where, and so does -v" if log else "-v shows where"
    _tell(f"error: unexpected {type(error).__name__}: {' '.join(str(error).split())} ({where})")
    return FAILED


def _remedy(error: BaseException, code: int, data_dir: Path | None) -> str:
    """What to do about a disk that is full, which shows in many ways, and about a damaged event store."""
    if code != FAILED:
        return ""
    if "disk is full" in str(error) or _full(data_dir):
        return "; make room on that disk, nothing is lost: the same command goes on"
    damaged = any(word in str(error) for word in ("malformed", "not a database", "unable to open"))
    if damaged and _is(error, "domain.ports.store:StoreUnavailable"):
        return "; put back a copy of this file, or begin anew with another --data-dir"
    return ""


def _full(data_dir: Path | None) -> bool:
    try:
        return data_dir is not None and shutil.disk_usage(data_dir).free < FULL_BYTES
    except OSError:
        return False


def _expected(error: BaseException) -> int | None:
    for name, code in EXPECTED.items():
        if _is(error, name):
            return code
    return None


def _is(error: BaseException, name: str) -> bool:
    module, _, cls = name.partition(":")
    found = getattr(sys.modules.get(module), cls, None)
    return isinstance(found, type) and isinstance(error, found)


def _tell_usage(error: UsageError) -> None:
    text = error.format_message().strip()
    if "\n" in text:  # a group of commands called alone: its help
        _tell(text)
        return
    path = "rehydrate" if error.ctx is None else error.ctx.command_path
    _tell(f"error: {text.rstrip('.')} (see {path} --help)")


def _tell(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        pass  # nobody reads it


def _log(error: BaseException, data_dir: Path | None) -> Path | None:
    """Keep the traceback beside the logs of the swarm, where there is such a place."""
    if data_dir is None or not (data_dir / "logs").is_dir():
        return None
    path = data_dir / "logs" / "cli.log"
    try:
        with path.open("a") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {' '.join(sys.argv)}\n")
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return path
