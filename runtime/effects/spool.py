"""The default target of effects: a directory on this machine. Nothing leaves it, so a first run can do no harm.

Each effect becomes one file, whole or not at all, under a name that follows from its idempotency key; the same key again finds the file and
is not done twice. The spool remembers the highest epoch of each agent that it has seen and refuses older ones, as a real gateway would.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import tempfile
from pathlib import Path

from domain.ports.effects import Effect, EffectRefused, EffectUnavailable, StaleEpoch

_SUFFIX = {"message/rfc822": ".eml", "application/json": ".json", "text/calendar": ".ics"}


class Spool:
    """The port `EffectAdapter` on a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._epochs = directory / ".epochs"
        self._ready = False

    async def perform(self, effect: Effect) -> str:
        return await asyncio.to_thread(self._perform, effect)

    async def close(self) -> None:
        """Nothing is held open."""

    def _perform(self, effect: Effect) -> str:
        if not effect.key:
            raise EffectRefused("an effect without an idempotency key")
        try:
            if not self._ready:
                self._epochs.mkdir(parents=True, exist_ok=True)
                self._ready = True
            lock = os.open(self._epochs / effect.agent.replace("/", "."), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                # Held over the write, so that an older owner cannot slip in between the check and the file.
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._check_epoch(lock, effect)
                return self._write(effect)
            finally:
                os.close(lock)
        except OSError as error:
            raise EffectUnavailable(f"{self._directory}: {error}") from error

    def _check_epoch(self, lock: int, effect: Effect) -> None:
        seen = int(os.pread(lock, 20, 0) or b"0")
        if effect.epoch < seen:
            raise StaleEpoch(f"{effect.agent} has epoch {seen}, {effect.epoch} is over")
        if effect.epoch > seen:
            os.pwrite(lock, b"%-20d" % effect.epoch, 0)

    def _write(self, effect: Effect) -> str:
        name = file_name(effect)
        path = self._directory / effect.kind / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(effect.payload)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, path)  # noqa: PTH104 two names in one directory
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        return f"spool:{effect.kind}/{name}"


def file_name(effect: Effect) -> str:
    """A readable name that is different for different keys."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", effect.key)[-80:].strip("-")
    return f"{readable}-{hashlib.sha256(effect.key.encode()).hexdigest()[:8]}{_SUFFIX.get(effect.media_type, '.bin')}"
