"""The loop of an agent process: messages in, decisions, one append, messages out. It knows no role.

- A message goes to the mailbox of the stream that decides about it. Messages that wait in one mailbox are decided together in one append,
  each with its own applied mark; those of different mailboxes never wait for each other.
- What is ready is decided in one pass, and the appends of the pass go to the store as a group: tasks, commits and Kafka batches are
  paid for once a group, and while one group is being committed the next one gathers. A decision that has to wait for something leaves the
  pass to others and makes an append of its own group.
- An append that is refused because a stream moved is decided again on what is stored, alone and a bounded number of times.
- A message whose handling is refused (schema, unexpected, a mistake in our code) becomes a dead letter in the same append that marks it
  as applied. Nothing loops, nothing is skipped silently.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

from agents import dead
from agents.mailboxes import Mailboxes, Taken
from agents.states import States
from agents.unit import Encode, Unit
from domain import deadletter
from domain.decision import digest
from domain.marks import Marks
from domain.ports.bus import Arrived, Bus, Delivery, Undeliverable
from domain.ports.clock import NowMs
from domain.ports.outbox import Outbox
from domain.ports.store import (
    AlreadyApplied,
    Append,
    Appended,
    EventStore,
    Fenced,
    Parcel,
    Received,
    StoreUnavailable,
    VersionConflict,
)

log = logging.getLogger(__name__)

MAX_TRIES = 8
MAX_IN_FLIGHT = 1024
GROUP = 32
"""A pass ends after so many mailboxes: what it has decided goes out, and the receiver is at work on it while the rest is decided."""
GROUPS_AT_ONCE = 2
"""So many groups are being appended at a time: one is decided while another is written, and a third waits to grow."""
TURNS_TO_PUBLISH = 5
"""So many turns of the loop does a message need from the append to the socket: its receiver must not wait for the next group."""
STORE_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)

Build = Callable[[Unit], Awaitable[None]]


class Refusal(Exception):
    """A message that is authentic cannot be handled: it becomes a dead letter and fails its task."""


class TooManyConflicts(Exception):
    """A stream moved under every try: somebody else writes it all the time. The message stays unapplied and comes again."""


class _Decided(NamedTuple):
    """A decision that waits for its group."""

    taken: Taken
    unit: Unit
    request: Append


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
        self._mailboxes = Mailboxes()
        self._decided: list[_Decided] = []
        self._appending = 0
        self._pumping = False
        self._in_trouble = False
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
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

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
                self._in_flight.add(record.received)
                self._mailboxes.post(self.behaviour.mailbox(record), record)
        self._pump_soon()
        while len(self._in_flight) >= MAX_IN_FLIGHT:
            self._room.clear()
            await self._room.wait()

    def _known(self, received: Received) -> bool:
        marks = self._marks.get(received.sender)
        return received in self._in_flight or (marks is not None and marks.seen(received.number))

    # --- groups ------------------------------------------------------------------------------------------------------

    def _pump_soon(self, turns: int = 0) -> None:
        """Have the next group decided, after so many turns of the loop."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump, turns)

    def _pump(self, turns: int = 0) -> None:
        """Have the next group decided. Comes again behind the first step of that: if there is still something to decide then, the
        one who was at it waits for something, and another takes over."""
        self._pumping = False
        if turns:
            self._pump_soon(turns - 1)
            return
        if self._appending < GROUPS_AT_ONCE and (self._mailboxes.ready or self._decided):
            self.spawn(self._decide_group())
            self._pump_soon()

    async def _decide_group(self) -> None:
        while self._mailboxes.ready and len(self._decided) < GROUP:
            await self._decide(self._mailboxes.take())
        group, self._decided = self._decided, []
        if group:
            await self._append(group)

    async def _decide(self, taken: Taken) -> None:
        """Decide what one mailbox holds; goes on alone if that is refused or the store is in trouble."""
        unit = Unit(self.agent, self.epoch, self.states, self._encode, self.now_ms(), hopeful=True)
        try:
            await self._build(taken.deliveries, unit)
        except (Refusal, StoreUnavailable) as error:
            self._look_again(unit, error)
            self.spawn(self._alone(taken))
            return
        request = unit.request()
        if request.streams or request.received:
            self._decided.append(_Decided(taken, unit, request))
        else:
            self._done(taken.deliveries)
            self._put_back(taken.key)

    async def _append(self, group: Sequence[_Decided]) -> None:
        self._appending += 1
        try:
            answers = await self.store.append_all([decided.request for decided in group])
        finally:
            self._appending -= 1
            self._pump_soon(TURNS_TO_PUBLISH)
        parcels: list[Parcel] = []
        accepted: list[_Decided] = []
        for decided, answer in zip(group, answers, strict=True):
            if isinstance(answer, Appended):
                accepted.append(decided)
                parcels += _parcels(decided.request, answer)
            elif isinstance(answer, Fenced):
                self._fail(answer)
            else:
                self._look_again(decided.unit, answer)
                self.spawn(self._alone(decided.taken, refused=0 if isinstance(answer, StoreUnavailable) else 1))
        if parcels:
            self.outbox.publish(parcels)
        self._mark([received for decided in accepted for received in decided.request.received])
        for taken, unit, _ in accepted:
            self._accepted(unit)
            self._done(taken.deliveries)
            self._put_back(taken.key)

    def _put_back(self, key: str) -> None:
        self._mailboxes.put_back(key)
        self._pump_soon()

    def _done(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self.bus.done(delivery.place)
        self._in_flight.difference_update(delivery.received for delivery in deliveries)
        if len(self._in_flight) < MAX_IN_FLIGHT:
            self._room.set()

    # --- alone -------------------------------------------------------------------------------------------------------

    async def _alone(self, taken: Taken, refused: int = 0) -> None:
        """Handle what one mailbox holds in an append of its own, which was refused so many times."""
        await self._handle(taken.deliveries, refused)
        self._put_back(taken.key)

    async def _handle(self, batch: Sequence[Delivery], refused: int = 0) -> None:
        try:
            await self.commit(lambda unit: self._build(batch, unit), refused)
        except Refusal as refusal:
            if len(batch) > 1:  # find the one: its neighbours must not suffer
                for delivery in batch:
                    await self._handle([delivery])
                return
            await self._bury(dead.refused(batch[0], str(refusal)))
        except TooManyConflicts as error:
            # It comes again as a record of its own, so this one must not hold the offset back.
            log.warning("%s: %s; the message will come again", self.agent, error)
        self._done(batch)

    async def _build(self, batch: Sequence[Delivery], unit: Unit) -> None:
        for delivery in batch:
            if self._applied(delivery.received):
                continue
            header = delivery.message.header
            self.working_on = header.correlation_id
            unit.answers(delivery.received, header.message_id)
            await self._receive(delivery, unit)

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

    async def _bury(self, found: Undeliverable) -> None:
        stream = deadletter.stream_of(digest(found.raw))

        async def build(unit: Unit) -> None:
            if found.received is not None:
                if self._applied(found.received):
                    return
                unit.answers(found.received, found.message_id)
            letter = dead.letter(found, self.agent, unit.keep(found.raw), unit.now_ms)
            await unit.record(stream, deadletter.record(await unit.state(stream), letter))

        log.warning("%s: dead letter (%s): %s", self.agent, found.reason, found.detail[:200])
        await self.commit(build)
        self.bus.done(found.place)

    # --- the append --------------------------------------------------------------------------------------------------

    async def commit(self, build: Build, refused: int = 0) -> None:
        """Decide and append until it is accepted; it was refused so many times already. Waits for a store that is in trouble: an
        agent without its store can only wait.

        Raises:
            Fenced: this process no longer owns the agent and must stop.
            TooManyConflicts: refused `MAX_TRIES` times.
        """
        waited = 0
        while refused < MAX_TRIES:
            unit = Unit(self.agent, self.epoch, self.states, self._encode, self.now_ms(), hopeful=refused == 0)
            try:
                await build(unit)
                request = unit.request()
                if not request.streams and not request.received:
                    return
                appended = await self.store.append(request)
            except (VersionConflict, AlreadyApplied) as error:
                self._look_again(unit, error)
                refused += 1
                continue
            except StoreUnavailable as error:
                self._look_again(unit, error)
                await asyncio.sleep(STORE_RETRY_S[min(waited, len(STORE_RETRY_S) - 1)])
                waited += 1
                continue
            except Fenced as error:
                self._fail(error)
                raise
            if parcels := _parcels(request, appended):
                self.outbox.publish(parcels)
            self._mark(request.received)
            self._accepted(unit)
            return
        raise TooManyConflicts(f"refused {MAX_TRIES} times")

    def _accepted(self, unit: Unit) -> None:
        """What a unit says is durable."""
        if self._in_trouble:
            self._in_trouble = False
            log.warning("%s: the store is back", self.agent)
        unit.committed()

    def _look_again(self, unit: Unit, refusal: Exception) -> None:
        """A decision did not become true: what it rested on is not trusted any more. A store in trouble is told of once; one that lets
        us in no more ends the agent."""
        unit.forget()
        if isinstance(refusal, AlreadyApplied):
            self._mark(refusal.received)
        elif isinstance(refusal, StoreUnavailable) and refusal.final:
            self._fail(refusal)
        elif isinstance(refusal, StoreUnavailable) and not self._in_trouble:
            self._in_trouble = True
            log.error("%s: the store is in trouble, waiting for it: %s", self.agent, refusal)

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)

    def _mark(self, received: Sequence[Received]) -> None:
        numbers: dict[str, list[int]] = {}
        for sender, number in received:
            numbers.setdefault(sender, []).append(number)
        for sender, applied in numbers.items():
            self._marks[sender] = self._marks.get(sender, Marks()).add(applied)


def _parcels(request: Append, appended: Appended) -> list[Parcel]:
    """The messages of an append that is durable, with the numbers that it gave them: now they may be published."""
    return [Parcel(out.receiver, number, out.value) for out, number in zip(request.outgoing, appended.numbers, strict=True)]
