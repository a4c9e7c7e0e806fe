"""Messages that wait to be decided, by the stream that decides about them.

A mailbox is ready or in somebody's hand, never both: so two decisions about one stream never run side by side, and messages that
come meanwhile wait for the state that the first one leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from domain.ports.bus import Delivery

MAILBOX_BATCH = 64
"""So many messages of one mailbox are decided together at most."""


class Taken(NamedTuple):
    """Messages of one mailbox that somebody has in hand."""

    key: str
    deliveries: Sequence[Delivery]


class Mailboxes:
    """Mailboxes by key, and which of them are ready, in the order in which they became so."""

    def __init__(self) -> None:
        self._boxes: dict[str, list[Delivery]] = {}
        self._ready: deque[str] = deque()

    @property
    def ready(self) -> bool:
        """Whether there is something to take."""
        return bool(self._ready)

    def post(self, key: str, delivery: Delivery) -> None:
        box = self._boxes.get(key)
        if box is None:
            self._boxes[key] = [delivery]
            self._ready.append(key)
        else:
            box.append(delivery)

    def take(self) -> Taken:
        """What waits in the mailbox that has been ready longest. Only where one is ready."""
        key = self._ready.popleft()
        box = self._boxes[key]
        self._boxes[key] = box[MAILBOX_BATCH:]
        return Taken(key, box[:MAILBOX_BATCH])

    def put_back(self, key: str) -> None:
        """What was taken is done with: the mailbox is ready again if something came meanwhile, or else gone."""
        if self._boxes[key]:
            self._ready.append(key)
        else:
            del self._boxes[key]
