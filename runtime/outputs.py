"""The files of a finished run: out of the content store, whole or not at all.

They are written into a folder beside the target and moved there by rename. A small file names the run that wrote a folder, so that the
same run may write it again and nobody else's files are overwritten.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

MARKER = ".rehydrate-run"
REPLACED = frozenset({"products.csv"})
"""Names of outputs that an input may well have: where both are the same file, the feed would be gone."""


class OutputRefused(Exception):
    """The folder holds something else, or cannot be written; the message names the remedy."""


class OutputFailed(Exception):
    """The files of a finished run could not be written."""


def check_target(out: Path, key: str | None, overwrite: bool) -> None:
    """Refuse a folder that holds something else, before anything starts. `key` None: the run is not known yet.

    Raises:
        OutputRefused: with the remedy.
    """
    if out.exists() and not out.is_dir():
        raise OutputRefused(f"{out}: is a file; give a folder with --out")
    if not overwrite and out.is_dir() and any(out.iterdir()) and _written_by(out) != key:
        raise OutputRefused(f"{out}: holds files that are not of this run; give another --out, or --overwrite")
    parent = out.absolute()
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK):
        raise OutputRefused(f"{parent}: not writable; give another --out")


def check_place(out: Path, inputs: Iterable[Path], data_dir: Path) -> None:
    """Refuse a place where no folder can be, before anything is written anywhere.

    Raises:
        OutputRefused: with the remedy.
    """
    if out.resolve().is_relative_to(data_dir.resolve()):
        raise OutputRefused(f"{out}: is in the data dir; give a folder of its own with --out")
    for path in inputs:
        if path.name in REPLACED and (out / path.name).exists() and path.samefile(out / path.name):
            raise OutputRefused(f"{out}: would replace the input {path}; give another --out")
    place = out.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise OutputRefused(f"{place}: is a file; give a folder with --out")
    try:
        Path(tempfile.mkdtemp(prefix=".rehydrate-", dir=place)).rmdir()
    except OSError as error:
        raise OutputRefused(f"{place}: not writable ({error.strerror or error}); give another --out") from error


async def write(out: Path, key: str, files: Mapping[str, str], content: Callable[[str], Awaitable[bytes]]) -> list[str]:
    """Write all files of a run; gives their paths, sorted.

    Raises:
        OutputFailed: the folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            for name, digest in files.items():
                path = staging / _safe(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_file(path, await content(digest))
            _write_file(staging / MARKER, f"{key}\n".encode())
            _move_into_place(staging, out)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OutputFailed(
            f"{out}: {error.strerror or error}; the run is done, but its files are not there: mend this and run it anew"
        ) from error
    return [str(out / name) for name in sorted(files)]


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise OutputRefused(f"{name!r} is no path inside the folder")
    return path


def _write_file(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _move_into_place(staging: Path, out: Path) -> None:
    staging.chmod(0o755)
    if not out.exists():
        staging.rename(out)
        return
    for path in sorted(staging.rglob("*")):
        target = out / path.relative_to(staging)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            path.replace(target)


def _written_by(out: Path) -> str | None:
    try:
        return (out / MARKER).read_text().strip()
    except OSError:
        return None
