"""The data dir: what of a swarm lies on this machine, who holds it, and which version wrote it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

PROGRAM = "rehydrate"
VERSION = 1
SQLITE = "sqlite:///"


class DataDirError(Exception):
    """The data dir cannot be used; the message names the place and the remedy."""


class BadDatabase(Exception):
    """`--database` names something that events cannot be kept in."""


class DataDir:
    """Paths in a data dir. `open` creates what is missing; `lock` makes this process its one supervisor."""

    def __init__(self, root: Path, database: str = "") -> None:
        self.root = root
        self.events = events_path(database) or root / "events.db"
        self.read_models = root / "read.db"
        self.effects = root / "effects"
        self.logs = root / "logs"
        self.chaos = root / "chaos"
        self._about = root / "rehydrate.json"
        self._lock: int | None = None

    def exists(self) -> bool:
        return self._about.exists()

    def open(self, *, create: bool = True) -> DataDir:
        """Check that the dir is ours and of this version; create it where allowed.

        Raises:
            DataDirError: no directory, not writable, full, of another version, or somebody else's.
        """
        if not create and not self.exists():
            raise DataDirError(f"{self.root}: no data of a swarm here; give --data-dir, or begin with `rehydrate run`")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self.exists():
                if any(self.root.iterdir()):
                    raise DataDirError(f"{self.root}: not empty and not a data dir of ours; give another --data-dir")
                self._write_about()
            self._check_version()
            for directory in (self.effects, self.logs, self.chaos):
                directory.mkdir(exist_ok=True)
            if create:
                self._probe_writable()
            elif not os.access(self.root, os.W_OK):
                raise DataDirError(f"{self.root}: not writable, which SQLite needs to read, too; look as its owner, or at a copy")
        except OSError as error:
            raise DataDirError(f"{self.root}: {error.strerror or error}; give another --data-dir") from error
        return self

    def lock(self) -> None:
        """Become the supervisor of this data dir until the process ends.

        Raises:
            DataDirError: another process is.
        """
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock_soon(handle)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise DataDirError(f"{self.root}: in use by process {holder}; wait for it, or give another --data-dir") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._lock = handle

    def supervisor(self) -> int | None:
        """The process id of the supervisor, None when there is none."""
        try:
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(handle, 20, 0).decode(errors="replace").strip()
            return int(text) if text.isdecimal() else 0
        finally:
            os.close(handle)
        return None

    def _write_about(self) -> None:
        temporary = self._about.with_suffix(".writing")
        temporary.write_text(json.dumps({"program": PROGRAM, "version": VERSION}) + "\n")
        temporary.replace(self._about)

    def _check_version(self) -> None:
        try:
            about = json.loads(self._about.read_text())
            program, version = about["program"], about["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataDirError(f"{self._about}: damaged; restore it, or give another --data-dir") from error
        if program != PROGRAM:
            raise DataDirError(f"{self.root}: a data dir of {program}, not of {PROGRAM}; give another --data-dir")
        if version != VERSION:
            raise DataDirError(
                f"{self.root}: written by version {version} of the data format, this program knows {VERSION}; "
                "use the release that wrote it, or give another --data-dir"
            )

    def _probe_writable(self) -> None:
        probe = self.root / ".probe"
        with probe.open("wb") as file:
            file.write(b"\0" * 65536)
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()


def _lock_soon(handle: int, patience_s: float = 0.5) -> None:
    """Take the lock, with a little patience: `supervisor` holds it for a moment when it looks."""
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def events_path(database: str) -> Path | None:
    """The file that `--database` names, None for the one in the data dir.

    Raises:
        BadDatabase: it names something that is not supported. The URL stays out of the message: it may hold a password.
    """
    if not database:
        return None
    path = database.removeprefix(SQLITE)
    if path in {database, ""} or "?" in path:
        scheme, colon, _ = database.partition(":")
        raise BadDatabase(
            f"--database {scheme + colon}…: events are kept in SQLite only; give sqlite:///PATH (absolute: sqlite:////PATH)"
        )
    return Path(path)
