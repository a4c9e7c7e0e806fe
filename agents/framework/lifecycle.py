"""The lifecycle of an agent: whether it works, and how its last work ended.

    IDLE ──▶ RUNNING ──▶ COMPLETED ──▶ IDLE
                ├──────▶ DEGRADED  ──▶ IDLE
                └──────▶ FAILED    ──▶ IDLE

The table below is all there is; what it does not list is refused. Outcomes are passed through: an agent without work is IDLE, and
how the last work ended stands in the history. Time is an argument, so a move reads no clock. For one event loop: not thread-safe.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

_LOG = logging.getLogger(__name__)
HISTORY = 256  # moves kept: the last 85 executions


class State(StrEnum):
    """Where an agent stands."""

    IDLE = "idle"
    RUNNING = "running"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    FAILED = "failed"


NEXT: dict[State, frozenset[State]] = {
    State.IDLE: frozenset({State.RUNNING}),
    State.RUNNING: frozenset({State.COMPLETED, State.DEGRADED, State.FAILED}),
    State.COMPLETED: frozenset({State.IDLE}),
    State.DEGRADED: frozenset({State.IDLE}),
    State.FAILED: frozenset({State.IDLE}),
}
SEVERITY: dict[State, int] = {State.COMPLETED: 0, State.DEGRADED: 1, State.FAILED: 2}

Listener = Callable[[State, State, int], None]
"""Called as listener(old, new, at_ms) after each move."""


class Transition(NamedTuple):
    """One move of the history."""

    old: State
    new: State
    at_ms: int


class IllegalTransition(Exception):
    """The table does not list this move: the caller is wrong, and nothing changed."""

    def __init__(self, old: State, new: State) -> None:
        super().__init__(old, new)
        self.old, self.new = old, new

    def __str__(self) -> str:
        legal = ", ".join(sorted(NEXT[self.old]))
        return f"an agent that is {self.old} cannot become {self.new}, only {legal}"


class Lifecycle:
    """Where an agent stands, and its last moves: as many as `history` says."""

    __slots__ = ("_history", "_listeners", "_running", "_state", "_worst")

    def __init__(self, history: int = HISTORY) -> None:
        self._history: deque[tuple[State, State, int]] = deque(maxlen=history)  # plain: naming a tuple costs twice a move
        self._state = State.IDLE
        self._running = 0
        self._worst = State.COMPLETED
        self._listeners: list[Listener] = []

    @property
    def state(self) -> State:
        return self._state

    @property
    def history(self) -> list[Transition]:
        """The last moves, oldest first."""
        return [Transition(*move) for move in self._history]

    @property
    def running(self) -> int:
        """How many executions have begun and not ended."""
        return self._running

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have a listener told of every move from now on, in the order of registration. Returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def move(self, new: State, at_ms: int) -> None:
        """Go to a state.

        Raises:
            IllegalTransition: the table does not list it.
        """
        old = self._state
        if new not in NEXT[old]:
            raise IllegalTransition(old, new)
        self._state = new
        self._history.append((old, new, at_ms))
        if self._listeners:
            self._tell(old, new, at_ms)

    def begin(self, at_ms: int) -> None:
        """An execution begins. The first of several that run at a time moves the agent to RUNNING."""
        if not self._running:
            self.move(State.RUNNING, at_ms)
            self._worst = State.COMPLETED
        self._running += 1

    def end(self, outcome: State, at_ms: int) -> None:
        """An execution ends. The last of several moves the agent through the worst outcome among them back to IDLE.

        Raises:
            IllegalTransition: no execution runs, or the state is no outcome.
        """
        if not self._running or outcome not in SEVERITY:
            raise IllegalTransition(self._state, outcome)
        if SEVERITY[outcome] > SEVERITY[self._worst]:
            self._worst = outcome
        self._running -= 1
        if not self._running:
            self.move(self._worst, at_ms)
            self.move(State.IDLE, at_ms)

    def _tell(self, old: State, new: State, at_ms: int) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(old, new, at_ms)
            except Exception:  # noqa: BLE001 - a listener only watches: what it raises must not stop the work
                _LOG.exception("a lifecycle listener failed on %s to %s", old, new)
