"""The embedded broker comes and goes at once: whoever starts a swarm waits for it."""

from __future__ import annotations

import time

from broker.embedded import EmbeddedKafka
from broker.topics import needed
from domain.role import CLIENT, Role

TIMES = 30
AT_MOST_S = 0.5
"""Many times what it takes; where one command is forgotten, it is a second."""


def test_no_command_is_forgotten_for_a_second() -> None:
    """Each topic is a command of its own. Without a nudge, one start of four took a second or two."""
    topics = needed([CLIENT, *(f"{role}/0" for role in Role)])
    took_s = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        EmbeddedKafka(topics).stop()
        took_s.append(time.perf_counter() - begun)
    assert sorted(took_s)[-2] < AT_MOST_S, "more than the one that a busy machine may have held up"
