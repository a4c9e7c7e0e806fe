"""What goes into the log files."""

from __future__ import annotations

import logging

from runtime.logs import EPISODE_S, OncePerEpisode


def record(name: str, text: str, at_s: float) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": name, "msg": text, "levelno": logging.ERROR})
    made.created = at_s
    return made


def test_a_complaint_that_goes_on_is_logged_once() -> None:
    """Each kind of complaint once for as long as it is repeated, and again when it comes back later; our own lines always."""
    once = OncePerEpisode()
    during = [once.filter(record("aiokafka.client", "no connection to %s", at_s)) for at_s in range(0, 600, 7)]
    assert during == [True, *[False] * (len(during) - 1)]
    assert once.filter(record("aiokafka.client", "no metadata", 10.0))
    assert once.filter(record("aiokafka.client", "no connection to %s", 600 + EPISODE_S))
    assert all(once.filter(record("broker.channel", "again", at_s)) for at_s in range(3))
