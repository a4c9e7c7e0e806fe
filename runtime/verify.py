"""Verifying a store as a whole: everything that is kept beside the events must be what the events say.

Anomalies, each a mismatch:
- version: the versions of a stream do not count 1, 2, 3 …
- event: a stored event cannot be decoded, or decodes to something else than what is stored.
- fold: no state follows from an event, in the state that it meets.
- epoch: an agent was claimed with another epoch than the next one.
- snapshot: a snapshot is not the state at its version.
- open index: a stream is listed as open and is not, or the other way round.
- fence: the fence of an agent is not the epoch that it was last claimed with.
- messages: a number was given and its message is neither applied nor in the outbox; or it is, and was never given.
- content: a content document does not have the digest that it is named by.
- read model: a row is not what a replay gives.
What is missing from the content store may have been erased on purpose: that is a note.

The log is read once, from its first event to its last; a stream that is found broken is reported once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from agents.states import codec_of
from domain import agent
from domain.event import CorruptEvent, Event, UnknownTopic, decode, encode
from domain.streams import Kind, UnknownKind, agent_stream, kind_of
from store.audit import Audit, EventRow, Sent

_DIGEST = re.compile(rb'"([0-9a-f]{64})"')
_NAMING = ("run", "workflow")
"""Kinds of streams whose events name content documents that nobody erases in the course of the work."""


class Mismatch(msgspec.Struct, frozen=True):
    """Something that is not as the events say: where, which of the anomalies, what they say and what was found."""

    where: str
    what: str
    expected: Any
    found: Any


class Note(msgspec.Struct, frozen=True):
    """Something worth knowing that is no mismatch."""

    where: str
    what: str
    detail: str


class Report(msgspec.Struct):
    """What a verification looked at (counts), and what it found."""

    streams: int = 0
    events: int = 0
    snapshots: int = 0
    read_models: int = 0
    mismatches: list[Mismatch] = []
    notes: list[Note] = []


class _Folded:
    """A stream on its way through the log. `whole` until something of it is broken: what follows from there says nothing new."""

    __slots__ = ("kind", "state", "version", "whole")

    def __init__(self, kind: Kind[Any]) -> None:
        self.kind = kind
        self.state: Any = kind.initial
        self.version = 0
        self.whole = True


class Verification:
    """Verifies one store; `report` grows with each step."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self.report = Report()
        self._streams: dict[str, _Folded | None] = {}
        self._snapshots: dict[str, dict[int, bytes]] = {}
        self._named: dict[bytes, str] = {}

    async def run(self) -> Report:
        """All steps that need the store alone."""
        for stream, version, state in await self._audit.snapshots():
            self._snapshots.setdefault(stream, {})[version] = state
            self.report.snapshots += 1
        async for rows in self._audit.events():
            self._fold(rows)
        self.report.streams = len(self._streams)
        for stream, left in self._snapshots.items():
            folded = self._streams.get(stream)
            if folded is None or folded.whole:
                for version in left:
                    self._add(f"{stream}@{version}", "snapshot", "no snapshot: the stream has no such version", "a snapshot")
        self._check_open_index(await self._audit.open_streams())
        self._check_fences(await self._audit.fences())
        for (sender, receiver), sent in (await self._audit.sent()).items():
            self._check_messages(f"{sender} → {receiver}", sent)
        await self._check_contents()
        return self.report

    def _add(self, where: str, what: str, expected: Any, found: Any) -> None:
        self.report.mismatches.append(Mismatch(where, what, expected, found))

    # --- the log -----------------------------------------------------------------------------------------------------

    def _fold(self, rows: Sequence[EventRow]) -> None:
        streams, snapshots, named = self._streams, self._snapshots, self._named
        self.report.events += len(rows)
        for position, stream, version, topic, stored in rows:
            folded = streams[stream] if stream in streams else self._begin(stream)
            if folded is None:
                continue
            if version != folded.version + 1:
                if folded.whole:
                    self._add(f"{stream} (position {position})", "version", folded.version + 1, version)
                folded.whole = False
            folded.version = version
            if not folded.whole:
                continue
            where = f"{stream}@{version} (position {position})"
            event = self._decode(where, topic, stored)
            if event is None or not self._evolve(where, folded, event):
                folded.whole = False
                continue
            if folded.kind.name in _NAMING:
                for digest in _DIGEST.findall(stored):
                    named.setdefault(digest, where)
            if stream in snapshots and (taken := snapshots[stream].pop(version, None)) is not None:
                self._check_snapshot(stream, version, folded, taken)

    def _begin(self, stream: str) -> _Folded | None:
        try:
            folded: _Folded | None = _Folded(kind_of(stream))
        except UnknownKind as error:
            self._add(stream, "fold", "a kind of stream that this version knows", str(error))
            folded = None
        self._streams[stream] = folded
        return folded

    def _decode(self, where: str, topic: str, stored: bytes) -> Event | None:
        try:
            event = decode(topic, stored)
        except (UnknownTopic, CorruptEvent) as error:
            self._add(where, "event", f"an event {topic}", str(error))
            return None
        again = encode(event)
        if again != stored:
            says, holds = msgspec.json.decode(again), msgspec.json.decode(stored)
            # An older class version is brought to today's: it does not read as it is stored.
            if says != holds and holds.get("class_version", 1) == event.class_version:
                self._add(where, "event", *_difference(says, holds))
                return None
        return event

    def _evolve(self, where: str, folded: _Folded, event: Event) -> bool:
        if isinstance(event, agent.Claimed) and event.epoch != folded.state.epoch + 1:
            self._add(where, "epoch", folded.state.epoch + 1, event.epoch)
        try:
            state = folded.kind.evolve(folded.state, event)
        except Exception as error:  # noqa: BLE001 - whatever a damaged log makes of evolve is what is to be reported
            self._add(where, "fold", f"a state of {folded.kind.name}", f"{type(error).__name__}: {error}")
            return False
        if state is None:
            self._add(where, "fold", f"an event of {folded.kind.name}", event.TOPIC)
            return False
        folded.state = state
        return True

    def _check_snapshot(self, stream: str, version: int, folded: _Folded, taken: bytes) -> None:
        write, read = codec_of(folded.kind)
        expected = write(folded.state)
        if expected == taken:
            return
        where = f"{stream}@{version}"
        try:
            if read(taken) == folded.state:
                return  # written by a version that orders fields otherwise
            found = msgspec.json.decode(taken)
        except (msgspec.DecodeError, TypeError, ValueError) as error:
            self._add(where, "snapshot", "a state", str(error))
            return
        self._add(where, "snapshot", *_difference(msgspec.json.decode(expected), found))

    # --- beside the log ----------------------------------------------------------------------------------------------

    def _check_open_index(self, found: Sequence[tuple[str, str]]) -> None:
        listed: dict[str, list[str]] = {}
        for owner, stream in found:
            listed.setdefault(stream, []).append(owner)
        for stream, owners in listed.items():
            folded = self._streams.get(stream)
            if stream not in self._streams:
                self._add(stream, "open index", "not open: it has no events", f"open for {', '.join(owners)}")
            elif folded is not None and folded.whole and not folded.kind.is_open(folded.state):
                self._add(stream, "open index", "not open", f"open for {', '.join(owners)}")
        for stream, folded in self._streams.items():
            if folded is not None and folded.whole and stream not in listed and folded.kind.is_open(folded.state):
                self._add(stream, "open index", "open", "not open")

    def _check_fences(self, fences: dict[str, int]) -> None:
        for stream, folded in self._streams.items():
            if folded is not None and folded.kind is agent.KIND and folded.whole:
                name = stream.removeprefix(agent_stream(""))
                found = fences.pop(name, None)
                if found != folded.state.epoch:
                    self._add(f"fence of {name}", "fence", folded.state.epoch, found)
            elif folded is not None and folded.kind is agent.KIND:
                fences.pop(stream.removeprefix(agent_stream("")), None)
        for name, epoch in fences.items():
            self._add(f"fence of {name}", "fence", None, epoch)

    def _check_messages(self, where: str, sent: Sent) -> None:
        last, applied, outbox = sent
        waiting = set(outbox)
        lost = [number for number in range(applied.mark + 1, last + 1) if number not in applied.above and number not in waiting]
        if lost:
            self._add(where, "messages", "each number is applied or in the outbox", {"neither": lost})
        beyond = sorted(number for number in waiting | applied.above | {applied.mark} if number > last)
        if beyond:
            self._add(where, "messages", f"no number beyond {last}", {"beyond": beyond})

    async def _check_contents(self) -> None:
        missing = dict(self._named)
        async for rows in self._audit.contents():
            for digest, data in rows:
                name = bytes(digest).hex()
                missing.pop(name.encode(), None)
                found = hashlib.sha256(data).hexdigest()
                if found != name:
                    self._add(f"content {name}", "content", name, found)
        self.report.notes += [
            Note(where, "content", f"{digest.decode()} is not in the content store: erased, or never stored")
            for digest, where in missing.items()
        ]


def _difference(expected: Any, found: Any) -> tuple[Any, Any]:
    """Two JSON documents reduced to what differs between them."""
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return expected, found
    names: Sequence[str] = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    return {name: expected.get(name) for name in names}, {name: found.get(name) for name in names}


async def verify_store(audit: Audit) -> Report:
    """Verify what an open audit holds."""
    return await Verification(audit).run()
