"""An environment for each peer, made once from its lock file: exact versions with hashes, and nothing of ours. What a peer needs from
npm (a server, say) has a lock beside that one, `PEER.npm`, and lies in the same environment.

It lies in a cache under a name that holds the digest of its locks and the version of Python: another lock is another environment. A file
that is written last says that it is complete, so an interrupted making is seen and begun anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from evaluation.compare.child import CannotMeasure, run

PEERS = Path(__file__).parent / "peers"
READY = ".ready"
INSTALL_WITHIN_S = 600.0

# uv takes over neither its own configuration nor an interpreter that it would have to fetch.
UV_ENV = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}


def default_folder() -> Path:
    """Where environments are kept unless the user says otherwise (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rehydrate" / "bench"


async def python_of(peer: str, folder: Path, say: Callable[[str], None]) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing.

    Raises:
        CannotMeasure: it cannot be made; the message says what the installer said.
    """
    lock = PEERS / f"{peer}.lock"
    npm = PEERS / f"{peer}.npm"
    locks = [lock, npm / "package-lock.json"] if npm.is_dir() else [lock]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in locks)).hexdigest()[:12]
    home = folder / f"{peer}-py{sys.version_info.major}{sys.version_info.minor}-{digest}"
    python = home / "bin" / "python"
    try:
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs on this loop meanwhile
        with _alone(folder / f"{home.name}.lock"):
            if not (home / READY).exists():
                say(f"making the environment of {peer} in {home}")
                shutil.rmtree(home, ignore_errors=True)
                await _make(home, python, lock)
                if npm.is_dir():
                    await _add_from_npm(home, npm)
                (home / READY).touch()
    except OSError as error:
        place = error.filename or folder
        raise CannotMeasure(f"{place}: {error.strerror or error}; name another folder with --environments") from error
    return python


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two runs do not make the same environment at the same time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def _make(home: Path, python: Path, lock: Path) -> None:
    uv = _uv()
    if uv is not None:
        try:
            await _run([uv, "venv", "--quiet", "--python", sys.executable, str(home)])
            await _run([uv, "pip", "install", "--quiet", "--python", str(python), *_EXACTLY, str(lock)])
            return
        except CannotMeasure:
            shutil.rmtree(home, ignore_errors=True)  # pip knows the index of its own configuration
    # Our own pip installs into any environment. To put one into each takes seconds, and is for who has none.
    ours = find_spec("pip") is not None
    await _run([sys.executable, "-m", "venv", *(["--without-pip"] if ours else []), str(home)])
    pip = [sys.executable, "-m", "pip", "--python", str(python)] if ours else [str(python), "-m", "pip"]
    await _run([*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", *_EXACTLY, str(lock)])


async def _add_from_npm(home: Path, wanted: Path) -> None:
    if shutil.which("npm") is None:
        raise CannotMeasure("cannot be installed: a part of it comes from npm, which is not here (it comes with Node.js)")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(wanted / name, home)
    await _run(["npm", "ci", "--prefix", str(home), "--ignore-scripts", "--no-audit", "--no-fund"])


_EXACTLY = ("--require-hashes", "--no-deps", "--requirement")


async def _run(command: Sequence[str]) -> None:
    try:
        await run(command, env=UV_ENV, within_s=INSTALL_WITHIN_S)
    except CannotMeasure as error:
        raise CannotMeasure(f"cannot be installed: {error}") from error


def _uv() -> str | None:
    """uv of our own environment, or the one on the path; None: there is none."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")
