"""The log files of a swarm: what libraries write into them, and how often."""

from __future__ import annotations

import logging
from collections.abc import Sequence

NOISY: Sequence[str] = ("aiokafka", "faststream", "httpx", "httpcore", "aiosqlite")
REPEATING = ("aiokafka", "faststream")
EPISODE_S = 60.0
"""A complaint that was silent for so long is a new one."""


class OncePerEpisode(logging.Filter):
    """Lets each complaint of the Kafka libraries through once while it goes on: without its broker aiokafka makes 160 lines a second,
    which would bury the one that says what is the matter."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record goes into the log."""
        if record.name.partition(".")[0] not in REPEATING:
            return True
        kind = (record.name, str(record.msg))
        before, self._last[kind] = self._last.get(kind), record.created
        return before is None or record.created - before >= EPISODE_S


def quieten() -> None:
    """Have the log hold what matters. To be called when its handlers are set."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    once = OncePerEpisode()
    for handler in logging.getLogger().handlers:
        handler.addFilter(once)
