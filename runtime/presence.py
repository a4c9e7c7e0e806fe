"""Who is there: the last heartbeat of each process, shown by `rehydrate agents list`.

Heartbeats are no events. The board keeps the last one of each process and writes them about once a second from a thread, so that neither
a slow disk nor a locked read database delays the detection of failures.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import DBAPIError

from projections.presence import Presence, PresenceWriter
from runtime.clock import wall_clock_ms
from runtime.processes import Beat

log = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0


class PresenceBoard:
    """Written by the supervisor only."""

    def __init__(self, url: str) -> None:
        self._rows: dict[str, Presence] = {}
        self._changed = False
        self._written_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="presence")
        self._writer: PresenceWriter | None = None
        self._url = url
        self._writing: asyncio.Future[None] | None = None

    def beaten(self, beat: Beat) -> None:
        """Take a heartbeat in; a change of status or owner is written with the next look, a mere beat within a second."""
        before = self._rows.get(beat.process)
        row = Presence(beat.process, beat.pid, beat.epoch, beat.status, wall_clock_ms(), beat.task, "", beat.note)
        self._rows[beat.process] = row
        if before is None or (before.pid, before.status) != (row.pid, row.status):
            self._changed = True

    async def flush(self) -> None:
        """Have the board written if it is due. Returns at once."""
        now = time.monotonic()
        if self._writing is not None and not self._writing.done():
            return
        if self._rows and (self._changed or now - self._written_at >= WRITE_EVERY_S):
            self._changed, self._written_at = False, now
            rows = list(self._rows.values())
            self._writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, rows)

    def _write(self, rows: list[Presence]) -> None:
        try:
            if self._writer is None:
                self._writer = PresenceWriter(self._url)
                self._writer.clear()  # who was here under an earlier supervisor is not here now
            self._writer.upsert(rows)
        except (DBAPIError, OSError) as error:
            log.warning("presence cannot be written, the next beat tries again: %s", getattr(error, "orig", None) or error)

    async def close(self) -> None:
        """Wait for the last write and let go of the database."""
        if self._writer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.close)
        self._thread.shutdown()
