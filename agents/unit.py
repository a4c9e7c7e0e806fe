"""A unit of work: what one append will say. Decisions go in, one `Append` comes out.

It evolves states as decisions are recorded, so that a second decision in the same unit sees the first, and derives the messages
that the events are told in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.states import Held, States, codec_of
from domain.decision import Decision, digest
from domain.event import Event
from domain.message import Message, envelope
from domain.ports.store import Append, Outgoing, Received, Snapshot, StreamAppend
from domain.streams import kind_of

Encode = Callable[[Message], bytes]


class Unit:
    """Collects the decisions of one append. `now_ms` is the time of all of them.

    With `hopeful`, a stream said to be new is not looked up: the append at version 0 will tell. A second try must look.
    """

    def __init__(
        self, agent: str, epoch: int | None, states: States, encode: Encode, now_ms: int, *, hopeful: bool = False
    ) -> None:
        self.agent = agent
        self.epoch = epoch
        self.now_ms = now_ms
        self._states = states
        self._hopeful = hopeful
        self._encode = encode
        self._before: dict[str, Held] = {}
        self._after: dict[str, Held] = {}
        self._events: dict[str, list[Event]] = {}
        self._outgoing: list[Outgoing] = []
        self._contents: list[bytes] = []
        self._received: list[Received] = []
        self._callbacks: list[Callable[[], None]] = []
        self._cause: str | None = None

    async def state(self, stream: str, *, new: bool = False, refine: Callable[[Any], Any] | None = None) -> Any:
        """The state of a stream, with what this unit has already decided about it. `new`: it will hardly exist yet.

        `refine` gives an equal state in which something is worked out that a fold leaves out; it is kept from then on.
        Who says `new` must record events of the stream whenever it finds it so, or a wrong guess would go unnoticed.
        """
        held = self._after.get(stream)
        if held is None:
            states = self._states
            held = await (states.get_or_assume_new(stream) if new and self._hopeful else states.get(stream))
            if refine is not None:
                held = Held(refine(held.state), held.version)
            self._before[stream] = self._after[stream] = held
        return held.state

    def answers(self, received: Received, message_id: str) -> None:
        """This unit handles that message: it counts as applied with the append."""
        self._received.append(received)
        self._cause = message_id

    async def record(self, stream: str, decision: Decision | Sequence[Event], *, new: bool = False) -> None:
        """Take a decision about a stream into the unit. `new` as for `state`."""
        if isinstance(decision, Decision):
            events = decision.events
            self._contents += decision.contents
        else:
            events = decision
        if not events:
            return
        state = await self.state(stream, new=new)
        version = self._after[stream].version
        kind = kind_of(stream)
        for event in events:
            state = kind.evolve(state, event)
            version += 1
            for index, tell in enumerate(kind.tells(stream, state, event)):
                message = envelope(
                    tell,
                    sender=self.agent,
                    stream=stream,
                    version=version,
                    index=index,
                    at_ms=event.at_ms,
                    causation_id=self._cause,
                )
                self._outgoing.append(Outgoing(tell.receiver, self._encode(message), message.header.message_id))
        self._events.setdefault(stream, []).extend(events)
        self._after[stream] = Held(state, version)

    def keep(self, data: bytes) -> str:
        """Keep a content document with this append; gives its digest."""
        self._contents.append(data)
        return digest(data)

    def after(self, callback: Callable[[], None]) -> None:
        """Have something done once the append is durable, and only then."""
        self._callbacks.append(callback)

    # --- for who commits it ------------------------------------------------------------------------------------------

    def request(self) -> Append:
        """The append that this unit asks for."""
        parts, snapshots = [], []
        for stream, events in self._events.items():
            kind = kind_of(stream)
            before, after = self._before[stream], self._after[stream]
            was_open, is_open = kind.is_open(before.state), kind.is_open(after.state)
            parts.append(StreamAppend(stream, before.version, events, is_open if was_open != is_open else None))
            if kind.snapshot_every and before.version // kind.snapshot_every != after.version // kind.snapshot_every:
                snapshots.append(Snapshot(stream, after.version, codec_of(kind)[0](after.state)))
        return Append(self.agent, self.epoch, parts, self._received, self._outgoing, self._contents, snapshots)

    def committed(self) -> None:
        """The append is durable: remember the new states and do what was asked for afterwards."""
        for stream in self._events:
            self._states.put(stream, self._after[stream])
        for callback in self._callbacks:
            callback()

    def forget(self) -> None:
        """The append was refused: nothing that this unit has seen may be trusted any more."""
        for stream in self._after:
            self._states.drop(stream)
