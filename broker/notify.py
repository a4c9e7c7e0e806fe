"""Tells a receiver that there is something to fetch from the embedded broker, which answers an empty fetch only when its wait is over.

A fetch that waited there would be the latency of a hop, and fetches in vain cost half a millisecond of processor time each. So who
publishes notifies the receiver by datagrams, and a fetch leaves when it will bring something: one when a batch has left, since
the broker has it by the time that it is asked for, and one when the batch is acknowledged, up to where the partition then goes, which
holds also when the fetch was faster. (A real broker answers a waiting fetch when something comes: nothing of this is used there.)

A notification carries no message, so nothing rests on it: one that is lost costs up to `POLL_S`, in the middle of work `BUSY_POLL_S`, and
one that is wrong a fetch in vain. The sockets lie in Linux's abstract namespace: no files that a killed process leaves, and only who
can reach the broker's loopback is heard.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.produce import ProduceRequest

from broker.topics import Address

log = logging.getLogger(__name__)

POLL_S = 1.0
"""So long is waited for a notification. Each look in vain of each agent is a part of what an idle swarm uses."""
BUSY_POLL_S, BUSY_S = 0.1, 1.5
"""So long while the last one is not longer ago than that: if one is lost in the middle of work, next to nothing stands still."""
FETCH_WAIT_MS = 1
"""The wait of a fetch that leaves: it leaves to get something."""

_LEFT = b"left"
_LONGEST = 32


def _name(bootstrap: str, home: Address) -> str:
    return f"\0rehydrate/{bootstrap}/{home.topic}/{home.partition}"


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


class Notifier:
    """Notifies the receivers at one broker."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._socket = _datagrams()

    def follow(self, producer: Any) -> None:
        """Notify whenever a batch of this aiokafka producer leaves."""
        send, soon = producer.client.send, asyncio.get_running_loop().call_soon

        def sending(node: int, request: Any, **how: Any) -> Any:
            if isinstance(request, ProduceRequest):
                for topic, partitions in request._topics:
                    for partition, _ in partitions:
                        soon(self._tell, Address(topic, partition), _LEFT)  # `send` writes before it waits
            return send(node, request, **how)

        producer.client.send = sending

    def acknowledged(self, home: Address, end: int) -> None:
        """The partition goes up to this offset, which is not in it."""
        self._tell(home, b"%d" % end)

    def _tell(self, home: Address, what: bytes) -> None:
        try:
            self._socket.sendto(what, _name(self._bootstrap, home))
        except OSError as error:  # nobody is there, or who is there has many to read: it will look by itself
            log.debug("%s[%d] is not notified: %s", *home, error)

    def close(self) -> None:
        self._socket.close()


class Listener:
    """Knows when a fetch of one partition is worth it."""

    def __init__(self, bootstrap: str, home: Address, poll_s: float = POLL_S) -> None:
        self._name = _name(bootstrap, home)
        self._poll_s = poll_s
        self._last_heard_s = time.monotonic()
        self._end: float = math.inf  # until the broker has said: there may be something
        self._coming = False
        self._heard = asyncio.Event()
        self._socket = _datagrams()
        self._bound = False

    def start(self) -> None:
        """Listen. While the owner before still does (a frozen one, say), that one is notified on and this one looks by itself."""
        try:
            self._socket.bind(self._name)
        except OSError as error:
            log.debug("%s: %s", self._name, error)
            return
        self._bound = True
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _hear(self) -> None:
        while True:
            try:
                told = self._socket.recv(_LONGEST)
            except BlockingIOError:
                break
            if told.isdigit():
                self._end = max(self._end, int(told))
            else:
                self._coming = True
        self._last_heard_s = time.monotonic()
        self._heard.set()

    async def worth_it(self, position: int) -> float:
        """Wait until a fetch from this position is worth it, or due. Gives the end that was known then."""
        if not self._worth(position):
            try:
                async with asyncio.timeout(self._patience_s()):
                    while not self._worth(position):
                        self._heard.clear()
                        await self._heard.wait()
            except TimeoutError:
                if not self._bound:
                    self.start()
        self._coming = False
        return self._end

    def _patience_s(self) -> float:
        busy = time.monotonic() - self._last_heard_s < BUSY_S
        return min(BUSY_POLL_S, self._poll_s) if busy else self._poll_s

    def _worth(self, position: int) -> bool:
        return self._coming or position < self._end

    def fetched(self, known: float, end: int) -> None:
        """The broker says where the partition ends; so much was known before. What was told meanwhile is newer."""
        if self._end == known:
            self._end = end


class _NotifiedFetcher(Fetcher):  # type: ignore[misc] # aiokafka has no types
    listener: Listener

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        ((topic, ((partition, position, _),)),) = request.topics
        try:
            known = await self.listener.worth_it(position)
        except asyncio.CancelledError:
            return False  # as the fetch itself does
        came: bool = await super()._proc_fetch_request(assignment, node_id, request)
        self.listener.fetched(known, assignment.state_value(TopicPartition(topic, partition)).highwater or 0)
        return came


def heed(consumer: AIOKafkaConsumer, listener: Listener) -> None:
    """Have a consumer of one partition fetch when its listener says so. aiokafka makes its fetcher itself when it starts."""
    fetcher = consumer._fetcher
    fetcher.__class__ = _NotifiedFetcher
    fetcher.listener = listener
    fetcher._fetcher_timeout = POLL_S  # it would go through its partitions five times a second, whatever happens
