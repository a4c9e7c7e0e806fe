"""A consumer that lives and reads nothing: seen from outside of it, and ended.

aiokafka's fetcher and coordinator are tasks of their own; when one is stuck or dead, nobody who reads notices. So the end of the log
is asked for by a request of its own. If the broker answers it, and records have been waiting for too long while nobody handles any,
then it is the reader that is broken, and a new process is the remedy. If the broker does not answer, there is nothing to do but
wait, and to say so once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka.errors import KafkaError

from broker.connection import Cluster
from broker.diagnosis import KafkaRefused, look

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
ANSWER_S = 5.0
DEAF_S = 15.0
"""Records that wait so long while nobody handles any mean that the reader is broken."""
RETRY_S = 0.5


class Deaf(Exception):
    """This process can no longer read its messages: another must take its place."""


class Watchdog:
    """Watches one consumer with one partition. Times are seconds."""

    def __init__(
        self, agent: str, fail: Callable[[Exception], None], every_s: float = LOOK_EVERY_S, deaf_s: float = DEAF_S
    ) -> None:
        self._agent = agent
        self._fail = fail
        self._every_s = every_s
        self._deaf_s = deaf_s
        self._handling = False
        self._stuck_at: int | None = None
        self._stuck_since: float | None = None
        self._away_since: float | None = None

    @contextmanager
    def handling(self) -> Iterator[None]:
        """While records are being handled nothing else is expected."""
        self._handling, self._stuck_since = True, None
        try:
            yield
        finally:
            self._handling, self._stuck_since = False, None

    async def run(self, consumer: Any) -> None:
        """Look until cancelled."""
        (place,) = consumer.assignment()
        while True:
            await asyncio.sleep(self._every_s)
            end = await self._end(consumer, place)
            if end is None:
                self._stuck_since = None
                continue
            try:
                position = await asyncio.wait_for(consumer.position(place), 1.0)
            except (KafkaError, TimeoutError):
                position = -1  # it does not know where to begin, although the broker could tell it
            if self._is_deaf(position, end):
                return

    def _is_deaf(self, position: int, end: int) -> bool:
        now = time.monotonic()
        if self._handling or 0 <= position >= end:
            self._stuck_since = None
        elif self._stuck_since is None or position != self._stuck_at:
            self._stuck_since, self._stuck_at = now, position
        elif now - self._stuck_since >= self._deaf_s:
            waiting = f"from offset {position} of {end}" if position >= 0 else f"of {end}, from wherever it would begin"
            self._fail(Deaf(f"{self._agent}: has read nothing {waiting} for {now - self._stuck_since:.0f} s, and Kafka answers"))
            return True
        return False

    async def _end(self, consumer: Any, place: Any) -> int | None:
        """The end of the log, None when Kafka does not tell."""
        try:
            end = int((await asyncio.wait_for(consumer.end_offsets([place]), ANSWER_S))[place])
        except (KafkaError, TimeoutError) as error:
            if self._away_since is None:
                self._away_since = time.monotonic()
                log.error("%s: Kafka does not answer, waiting for it: %s", self._agent, str(error) or type(error).__name__)
            return None
        if self._away_since is not None:
            log.warning("%s: Kafka is back after %.0f s", self._agent, time.monotonic() - self._away_since)
            self._away_since = None
        return end


async def until_reachable(cluster: Cluster, agent: str) -> None:
    """Wait for a broker that lets us in. The first reason why none does is logged, and that it is over."""
    refused = False
    while True:
        try:
            await look(cluster)
        except KafkaRefused as error:
            if not refused:
                log.error("%s: waiting for Kafka: %s", agent, error)
            refused = True
            await asyncio.sleep(RETRY_S)
        else:
            if refused:
                log.warning("%s: Kafka is back", agent)
            return
