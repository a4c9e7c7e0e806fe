"""The projector: reads the log behind its position, folds it into the read models and moves the position in one transaction.

So a crash at any moment loses nothing and doubles nothing, and two projectors at once only waste work: the position is moved from
where the events were read, or the transaction is given up.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.ports.store import Stored, StoreUnavailable
from projections.database import is_passing, reading, writing
from projections.fold import CannotProject, fold
from projections.schema import check_schema, move_position, position_of
from projections.writer import write

logger = logging.getLogger(__name__)

BATCH = 2000
"""Events of one transaction: large enough that its fixed costs vanish, small enough that readers see news at once."""

IDLE_S = (0.2, 0.5)
"""The shortest and the longest wait while nothing happens; it doubles from one to the other."""

TROUBLE_S = 1.0
"""The longest wait between tries while a database is locked or away."""


class Log(Protocol):
    """What a projector needs of the event store."""

    async def log(self, after: int, limit: int) -> list[Stored]:
        """Events of all streams behind a position, in the order of their commits."""

    async def head(self) -> int:
        """The position of the last event, 0 when there is none."""


class _Moved(Exception):
    """Somebody else moved the position since the events were read."""


class Projector:
    """Keeps the read models of one database up with one log. The schema must be there (`create_schema`)."""

    def __init__(self, engine: AsyncEngine, log: Log) -> None:
        self._engine = engine
        self._log = log
        self._position: int | None = None

    @property
    def position(self) -> int:
        """Up to where this projector has folded the log, as far as it knows."""
        return self._position or 0

    async def project_once(self, limit: int = BATCH, upto: int | None = None) -> int:
        """Apply the next events, at most `limit`, none behind position `upto`. Gives their number: 0, there was nothing to do.

        Raises:
            CannotProject: the next event cannot be read, or the read models are ahead of the log.
            SchemaMismatch: the tables are of another version.
            sqlalchemy.exc.DBAPIError, StoreUnavailable: nothing was applied; locks and the like pass (`is_passing`).
        """
        while True:
            try:
                return await self._project(limit, upto)
            except _Moved:
                self._position = None
            except BaseException:
                # Whether a transaction that ended badly was committed, only the database knows.
                self._position = None
                raise

    async def _project(self, limit: int, upto: int | None) -> int:
        position = await self._read_position() if self._position is None else self._position
        stored = await self._log.log(position, limit)
        if upto is not None:
            stored = [event for event in stored if event.position <= upto]
        if stored:
            folded = fold(stored)
            async with writing(self._engine) as connection:
                if not await move_position(connection, position, folded.position):
                    raise _Moved
                await write(connection, folded.batch)
            self._position = folded.position
            return folded.events
        self._position = position
        return 0

    async def _read_position(self) -> int:
        async with reading(self._engine) as connection:
            await check_schema(connection)
            position = await position_of(connection)
        head = await self._log.head()
        if position > head:
            raise CannotProject(
                f"the read models are at position {position}, but the log ends at {head}: it is another log, or an older copy. "
                "Run `rehydrate projections rebuild`"
            )
        return position

    async def catch_up(self, upto: int | None = None) -> int:
        """Apply all that the log holds now, or all up to a position. Gives the number of events; raises as `project_once`."""
        end = await self._log.head() if upto is None else upto
        total = 0
        while applied := await self.project_once(upto=end):
            total += applied
        return total

    async def run(self, stop: asyncio.Event, idle_s: tuple[float, float] = IDLE_S) -> None:
        """Follow the log until `stop` is set. A locked database, a full disk, an absent store are waited for, and told once.

        Raises:
            CannotProject, SchemaMismatch, sqlalchemy.exc.DBAPIError: what waiting does not mend.
        """
        shortest, longest = idle_s
        wait_s = 0.0
        waits_for = ""
        while not stop.is_set():
            try:
                applied = await self.project_once()
                # A transaction costs about the same for one event as for hundreds: what trickles in is gathered for a moment.
                limit_s = 0.0 if applied == BATCH else shortest if applied else longest
                if waits_for:
                    logger.warning("the read models go on")
                    waits_for = ""
            except (DBAPIError, StoreUnavailable, ConnectionError) as error:
                if isinstance(error, DBAPIError) and not is_passing(error):
                    raise
                if (reason := str(getattr(error, "orig", None) or error)) != waits_for:
                    logger.warning("the read models wait: %s", reason)
                    waits_for = reason
                limit_s = TROUBLE_S
            wait_s = min(max(wait_s * 2, shortest), limit_s)
            if wait_s:
                await _wait(stop, wait_s)


async def _wait(stop: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await stop.wait()
    except TimeoutError:
        pass
