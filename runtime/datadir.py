"""The data dir: what of a swarm lies on this machine, who holds it, and which version wrote it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from store.opening import SQLITE, check_url, is_postgres, sqlite_path

PROGRAM = "rehydrate"
VERSION = 1


class DataDirError(Exception):
    """The data dir cannot be used; the message names the place and the remedy."""


class DataDir:
    """Paths in a data dir. `open` creates what is missing; `lock` makes this process its one supervisor.

    `database` is the URL that a command was given, empty for none: the data dir remembers the one that it was created with.
    """

    def __init__(self, root: Path, database: str = "") -> None:
        check_url(database)
        self.root = root
        self._given = database
        self.read_models = root / "read.db"
        self.effects = root / "effects"
        self.logs = root / "logs"
        self.chaos = root / "chaos"
        self._about = root / "rehydrate.json"
        self._lock: int | None = None

    @cached_property
    def database(self) -> str:
        """The URL of the event store; empty: SQLite in the data dir."""
        return self._given or self._remembered("database")

    @property
    def events(self) -> Path:
        """The event store where it is a file."""
        return sqlite_path(self.database) or self.root / "events.db"

    @property
    def read_models_url(self) -> str:
        """The database of the read models: beside the events on PostgreSQL, else a file of their own."""
        return self.database if is_postgres(self.database) else f"sqlite+aiosqlite:///{self.read_models}"

    @property
    def needs_quiet(self) -> bool:
        """Whether the event store gives room back only while no swarm uses it: a file does."""
        return not is_postgres(self.database)

    def has_read_models(self) -> bool:
        """Whether there may be read models: of a database only it can tell."""
        return is_postgres(self.database) or self.read_models.exists()

    def exists(self) -> bool:
        return self._about.exists()

    def open(self, *, create: bool = True) -> DataDir:
        """Check that the dir is ours and of this version; create it where allowed.

        Raises:
            DataDirError: no directory, not writable, full, of another version, or somebody else's.
        """
        if not create and not self.exists():
            if is_postgres(self._given):
                return self  # a database elsewhere may be looked at from anywhere
            raise DataDirError(f"{self.root}: no data of a swarm here; give --data-dir, or begin with `rehydrate run`")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self.exists():
                if any(self.root.iterdir()):
                    raise DataDirError(f"{self.root}: not empty and not a data dir of ours; give another --data-dir")
                self._write_about()
            self._check_version()
            self._check_database()
            self._check_events()
            for directory in (self.effects, self.logs, self.chaos):
                directory.mkdir(exist_ok=True)
            if create:
                self._probe_writable()
            elif not os.access(self.root, os.W_OK):
                raise DataDirError(f"{self.root}: not writable, which SQLite needs to read, too; look as its owner, or at a copy")
        except OSError as error:
            raise DataDirError(f"{self.root}: {error.strerror or error}; give another --data-dir") from error
        return self

    def recognise(self, identity: str) -> None:
        """The event store that was opened has this id: it is the one that belongs to this data dir, or the first.

        Raises:
            DataDirError: it is another one, so nothing else here fits to it.
        """
        known = self._remembered("store")
        if not known and self.exists():
            try:
                self._write_about(store=identity)
            except OSError:
                return  # who may only look need not remember
        elif known not in {"", identity}:
            place = shown(self.database) or self.events
            raise DataDirError(
                f"{place}: is not the event store of {self.root} (its id is {identity[:8]}…, not {known[:8]}…); "
                "put the right one back, or give another --data-dir"
            )

    def remember_url(self) -> None:
        """Remember the URL that was given and let us in: it may name the same database with another user or password."""
        if is_postgres(self._given) and self._given != self._remembered("database"):
            try:
                self._write_about(store=self._remembered("store"))
            except OSError:
                return  # as in `recognise`

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

    def unlock(self) -> None:
        """Be its supervisor no longer."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

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

    def _write_about(self, store: str = "") -> None:
        temporary = self._about.with_suffix(f".{os.getpid()}")
        # The URL may hold a password: nobody else may read it.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            about = {"program": PROGRAM, "version": VERSION, "database": _absolute(self.database), "store": store}
            file.write(json.dumps(about) + "\n")
        temporary.replace(self._about)

    def _remembered(self, name: str) -> str:
        try:
            return str(json.loads(self._about.read_text()).get(name, ""))
        except (OSError, ValueError, AttributeError):
            return ""  # `open` tells what is wrong

    def _check_database(self) -> None:
        remembered = self._remembered("database")
        if self._given and not same_database(self._given, remembered):
            where = shown(remembered) if remembered else str(self.root / "events.db")
            raise DataDirError(
                f"{self.root}: its events are in {where}, not in {shown(self._given)}; leave --database out, or give another --data-dir"
            )

    def _check_events(self) -> None:
        if self._remembered("store") and not is_postgres(self.database) and not self.events.exists():
            raise DataDirError(
                f"{self.events}: the events are gone, and all else follows from them; put the file back, or give another --data-dir"
            )

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


def shown(url: str) -> str:
    """A URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@", 1)))


def same_database(one: str, other: str) -> bool:
    """Whether two URLs name the same database, whoever asks for it."""
    if is_postgres(one) and is_postgres(other):
        a, b = urlsplit(one), urlsplit(other)
        return (a.hostname, a.port or 5432, a.path) == (b.hostname, b.port or 5432, b.path)
    return _absolute(one) == _absolute(other)


def _absolute(url: str) -> str:
    """The URL as it reads from any directory."""
    path = sqlite_path(url)
    return url if path is None else f"{SQLITE}{path.absolute()}"
