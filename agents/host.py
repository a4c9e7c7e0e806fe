"""The loop of an agent process: messages in, decisions, one append, messages out. It knows no role.

- A message goes to the mailbox of the stream that decides about it. Mailboxes of different streams run side by side; messages that
  wait in one mailbox are decided together in one append, each with its own applied mark.
- An append that is refused because a stream moved is decided again on what is stored, a bounded number of times.
- A message whose handling is refused (schema, unexpected, a mistake in our code) becomes a dead letter in the same append that marks it
  as applied. Nothing loops, nothing is skipped silently.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from agents.states import States
from agents.unit import Encode, Unit
from domain import deadletter
from domain.decision import digest
from domain.marks import Marks
from domain.message import TaskAssign
from domain.ports.bus import Arrived, Bus, Delivery, Undeliverable
from domain.ports.clock import NowMs
from domain.ports.outbox import Outbox
from domain.ports.store import AlreadyApplied, EventStore, Fenced, Parcel, Received, StoreUnavailable, VersionConflict

log = logging.getLogger(__name__)

MAX_TRIES = 8
MAILBOX_BATCH = 64
MAX_IN_FLIGHT = 1024
STORE_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)

Build = Callable[[Unit], Awaitable[None]]


class Refusal(Exception):
    """A message that is authentic cannot be handled: it becomes a dead letter and fails its task."""


class TooManyConflicts(Exception):
    """A stream moved under every try: somebody else writes it all the time. The message stays unapplied and comes again."""


class Behaviour(Protocol):
    """What a role makes of messages."""

    def mailbox(self, delivery: Delivery) -> str:
        """The stream that decides about a message: those of one stream are handled in order."""

    async def receive(self, delivery: Delivery, unit: Unit) -> None:
        """Decide about a message. Raises `Refusal` before anything is recorded when it cannot be handled."""

    async def resume(self, streams: Sequence[str]) -> None:
        """Pick up the open streams of the owner before."""

    async def stop(self) -> None:
        """End what waits; it stays open in the store."""


class Host:
    """One agent at work. `epoch` is the one it has claimed."""

    def __init__(
        self, agent: str, epoch: int, store: EventStore, bus: Bus, outbox: Outbox, encode: Encode, now_ms: NowMs
    ) -> None:
        self.agent = agent
        self.epoch = epoch
        self.store = store
        self.bus = bus
        self.outbox = outbox
        self.now_ms = now_ms
        self.states = States(store)
        self.behaviour: Behaviour
        self.working_on = ""
        self._encode = encode
        self._marks: dict[str, Marks] = {}
        self._in_flight: set[Received] = set()
        self._mailboxes: dict[str, list[Delivery]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, behaviour: Behaviour) -> int:
        """Pick up what is open and begin to read. Gives the number of open streams found."""
        self.behaviour = behaviour
        self._marks = await self.store.marks(self.agent)
        streams = await self.store.open_streams(self.agent)
        await self.bus.start(self.arrived)
        await self.outbox.publish_all()
        self.spawn(self.outbox.run())
        await behaviour.resume(streams)
        return len(streams)

    async def stop(self, patience_s: float = 5.0) -> None:
        """Finish what is being decided, give up what waits, disconnect."""
        self._room.clear()
        await self.behaviour.stop()
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while self._in_flight and loop.time() < until and not self.failed.done():
            await asyncio.wait(list(self._tasks), timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bus.stop()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the mailboxes; if it fails, the agent fails."""
        _ = self.begin(work)

    def begin(self, work: Coroutine[Any, Any, None]) -> Callable[[], object]:
        """Like `spawn`; gives what cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task.cancel

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)

    @property
    def busy(self) -> bool:
        """Whether a message is being decided."""
        return bool(self._in_flight)

    # --- messages in -------------------------------------------------------------------------------------------------

    async def arrived(self, records: Sequence[Arrived]) -> None:
        """Sort a batch of records into mailboxes; returns when there is room for the next."""
        for record in records:
            if record.received is not None and self._known(record.received):
                self.bus.done(record.place)
            elif isinstance(record, Undeliverable):
                self.spawn(self._bury(record))
            else:
                self._post(record)
        while len(self._in_flight) >= MAX_IN_FLIGHT:
            self._room.clear()
            await self._room.wait()

    def _known(self, received: Received) -> bool:
        marks = self._marks.get(received.sender)
        return received in self._in_flight or (marks is not None and marks.seen(received.number))

    def _post(self, delivery: Delivery) -> None:
        self._in_flight.add(delivery.received)
        key = self.behaviour.mailbox(delivery)
        box = self._mailboxes.get(key)
        if box is None:
            self._mailboxes[key] = [delivery]
            self.spawn(self._drain(key))
        else:
            box.append(delivery)

    async def _drain(self, key: str) -> None:
        box = self._mailboxes[key]
        while box:
            batch = box[:MAILBOX_BATCH]
            del box[: len(batch)]
            await self._handle(batch)
        del self._mailboxes[key]

    async def _handle(self, batch: Sequence[Delivery]) -> None:
        try:
            await self._decide(batch)
        except Refusal as refusal:
            if len(batch) > 1:  # find the one: its neighbours must not suffer
                for delivery in batch:
                    await self._handle([delivery])
                return
            await self._bury(_refused(batch[0], str(refusal)))
        except TooManyConflicts as error:
            log.warning("%s: %s; the message will come again", self.agent, error)
            for delivery in batch:
                self.bus.done(delivery.place)  # it comes again as a record of its own, so this one must not hold the offset back
        finally:
            self._in_flight.difference_update(delivery.received for delivery in batch)
            if len(self._in_flight) < MAX_IN_FLIGHT:
                self._room.set()

    async def _decide(self, batch: Sequence[Delivery]) -> None:
        async def build(unit: Unit) -> None:
            for delivery in batch:
                if self._applied(delivery.received):
                    continue
                self.working_on = delivery.message.header.correlation_id
                unit.answers(delivery.received, delivery.message.header.message_id)
                await self._receive(delivery, unit)

        await self.commit(build)
        for delivery in batch:
            self.bus.done(delivery.place)

    async def _receive(self, delivery: Delivery, unit: Unit) -> None:
        try:
            await self.behaviour.receive(delivery, unit)
        except (Refusal, StoreUnavailable):
            raise
        except Exception as error:
            # A mistake in our code must not stop the agent or come again for ever: it is kept as a dead letter with its reason.
            log.exception("%s: handling %s failed", self.agent, delivery.message.header.message_id)
            raise Refusal(f"{type(error).__name__}: {error}") from error

    def _applied(self, received: Received) -> bool:
        marks = self._marks.get(received.sender)
        return marks is not None and marks.seen(received.number)

    async def _bury(self, dead: Undeliverable) -> None:
        stream = deadletter.stream_of(digest(dead.raw))
        task = dead.task

        async def build(unit: Unit) -> None:
            if dead.received is not None:
                if self._applied(dead.received):
                    return
                unit.answers(dead.received, dead.message_id)
            letter = deadletter.Recorded(
                at_ms=unit.now_ms,
                reason=dead.reason,
                detail=dead.detail[:500],
                agent=self.agent,
                raw=unit.keep(dead.raw),
                message_id=dead.message_id,
                message_type=dead.message_type,
                sender=dead.sender,
                correlation_id=dead.correlation_id,
                task_id=task.task_id if task else "",
                task_type=task.task_type if task else "",
                topic=dead.place.topic,
                partition=dead.place.partition,
                offset=dead.place.offset,
            )
            await unit.record(stream, deadletter.record(await unit.state(stream), letter))

        log.warning("%s: dead letter (%s): %s", self.agent, dead.reason, dead.detail[:200])
        await self.commit(build)
        self.bus.done(dead.place)

    # --- the append --------------------------------------------------------------------------------------------------

    async def commit(self, build: Build) -> None:
        """Decide and append until it is accepted. Waits for a store that is in trouble: an agent without its store can only wait.

        Raises:
            Fenced: this process no longer owns the agent and must stop.
            TooManyConflicts: refused `MAX_TRIES` times.
        """
        refused = waited = 0
        while refused < MAX_TRIES:
            unit = Unit(self.agent, self.epoch, self.states, self._encode, self.now_ms(), hopeful=refused == 0)
            try:
                await build(unit)
                request = unit.request()
                if not request.streams and not request.received:
                    return
                appended = await self.store.append(request)
            except VersionConflict:
                unit.forget()
                refused += 1
                continue
            except AlreadyApplied as known:
                unit.forget()
                self._mark(known.received)
                refused += 1
                continue
            except StoreUnavailable as error:
                unit.forget()
                if waited == 0:
                    log.error("%s: the store is in trouble, waiting for it: %s", self.agent, error)
                await asyncio.sleep(STORE_RETRY_S[min(waited, len(STORE_RETRY_S) - 1)])
                waited += 1
                continue
            except Fenced as error:
                if not self.failed.done():
                    self.failed.set_exception(error)
                raise
            if waited:
                log.warning("%s: the store is back", self.agent)
            self._mark(request.received)
            unit.committed()
            if request.outgoing:
                self.outbox.publish(
                    [
                        Parcel(out.receiver, number, out.value)
                        for out, number in zip(request.outgoing, appended.numbers, strict=True)
                    ]
                )
            return
        raise TooManyConflicts(f"refused {MAX_TRIES} times")

    def _mark(self, received: Sequence[Received]) -> None:
        for sender, number in received:
            self._marks[sender] = self._marks.get(sender, Marks()).add((number,))


def _refused(delivery: Delivery, why: str) -> Undeliverable:
    header = delivery.message.header
    task = delivery.message.body.task if isinstance(delivery.message.body, TaskAssign) else None
    return Undeliverable(
        "refused",
        why,
        delivery.raw,
        delivery.place,
        delivery.received,
        header.message_id,
        header.message_type,
        header.sender,
        header.correlation_id,
        task,
    )
