"""Deciding about dead letters: put a message back, or discard it for good.

A replayed message is sent by the client, beside the numbering of its first sender: the stored bytes go to the agent that refused
them, with the event that says so in the same append. Both work while a swarm runs or is stopped.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agents.states import load
from domain import deadletter
from domain.decision import Decision
from domain.ports.store import Append, NoContent, Outgoing, StreamAppend, VersionConflict
from domain.role import CLIENT
from store.opening import Store

MAX_TRIES = 8


class Decided(msgspec.Struct, frozen=True):
    """What became of a letter. `changed` is false where the same had been decided before."""

    letter_id: str
    status: str
    agent: str
    changed: bool


class CannotDecide(Exception):
    """A letter cannot be replayed or discarded; the message says why, and nothing was done about any of them."""


async def waiting(store: Store) -> list[str]:
    """The letters that nobody has decided about."""
    letters = [info.stream for info in await store.streams(f"{deadletter.KIND.name}-")]
    return [letter for letter in letters if (await load(store, letter)).state.status is deadletter.Status.WAITING]


async def replayable(store: Store, letters: Sequence[str]) -> list[str]:
    """Those of the letters that hold a message which can be put back."""
    found = []
    for letter in letters:
        recorded = (await load(store, letter)).state.recorded
        if recorded is not None and recorded.message_id and await _content(store, recorded.raw) is not None:
            found.append(letter)
    return found


async def replay(store: Store, letters: Sequence[str], now_ms: int) -> list[Decided]:
    """Put messages back, all or none.

    Raises:
        CannotDecide: a letter is unknown, holds no message, was discarded, or its bytes are erased.
    """
    return await _decide(store, letters, now_ms, replaying=True)


async def discard(store: Store, letters: Sequence[str], now_ms: int) -> list[Decided]:
    """Discard letters, all or none, and erase what they held. The events keep reason and digest.

    Raises:
        CannotDecide: a letter is unknown, or was replayed.
    """
    decided = await _decide(store, letters, now_ms, replaying=False)
    for letter in letters:
        # Also where it had been discarded before: that command may have died in between.
        recorded = (await load(store, letter)).state.recorded
        if recorded is not None:
            await store.erase(recorded.raw)
    return decided


async def _decide(store: Store, letters: Sequence[str], now_ms: int, *, replaying: bool) -> list[Decided]:
    for _ in range(MAX_TRIES):
        request, decided = await _request(store, letters, now_ms, replaying)
        if not request.streams:
            return decided
        try:
            await store.append(request)
        except VersionConflict:
            continue  # somebody decided about one of them, or it was refused again
        return decided
    raise CannotDecide(f"the letters changed {MAX_TRIES} times meanwhile; try again")


async def _request(store: Store, letters: Sequence[str], now_ms: int, replaying: bool) -> tuple[Append, list[Decided]]:
    parts: list[StreamAppend] = []
    outgoing: list[Outgoing] = []
    decided: list[Decided] = []
    for letter in dict.fromkeys(letters):
        if not letter.startswith(f"{deadletter.KIND.name}-"):
            raise CannotDecide(f"{letter}: not the id of a dead letter; `rehydrate deadletters list` lists them")
        held = await load(store, letter)
        recorded = held.state.recorded
        if recorded is None:
            raise CannotDecide(f"{letter}: there is no such dead letter; `rehydrate deadletters list` lists them")
        decision = _replay(letter, held.state, now_ms) if replaying else deadletter.discard(held.state, now_ms)
        after = deadletter.KIND.fold(decision.events, held.state)
        wanted = deadletter.Status.REPLAYED if replaying else deadletter.Status.DISCARDED
        if after.status is not wanted:
            raise CannotDecide(f"{letter}: was {after.status} before")
        if decision.events:
            parts.append(StreamAppend(letter, held.version, decision.events))
            if replaying:
                raw = await _content(store, recorded.raw)
                if raw is None:
                    raise CannotDecide(f"{letter}: its bytes are erased, nothing is left to put back; discard it")
                outgoing.append(Outgoing(recorded.agent, raw, recorded.message_id))
        decided.append(Decided(letter, str(after.status), recorded.agent, bool(decision.events)))
    return Append(CLIENT, None, parts, outgoing=outgoing), decided


def _replay(letter: str, state: deadletter.DeadLetter, now_ms: int) -> Decision:
    try:
        return deadletter.replay(state, now_ms)
    except deadletter.NotReplayable as error:
        reason = state.recorded.reason if state.recorded else "unknown"
        raise CannotDecide(
            f"{letter}: holds no message that could be put back ({reason}); its sender repairs such by itself, so discard it"
        ) from error


async def _content(store: Store, digest: str) -> bytes | None:
    try:
        return await store.content(digest)
    except NoContent:
        return None
