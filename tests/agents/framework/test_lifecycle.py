"""The lifecycle allows what its table lists and nothing else, remembers a bounded past, and tells its listeners."""

from __future__ import annotations

import itertools
import pickle

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.framework.lifecycle import NEXT, SEVERITY, IllegalTransition, Lifecycle, State, Transition

ROAD = {
    State.IDLE: (),
    State.RUNNING: (State.RUNNING,),
    State.COMPLETED: (State.RUNNING, State.COMPLETED),
    State.DEGRADED: (State.RUNNING, State.DEGRADED),
    State.FAILED: (State.RUNNING, State.FAILED),
}


def at(state: State) -> Lifecycle:
    """A lifecycle that has gone the legal way to a state."""
    lifecycle = Lifecycle()
    for step in ROAD[state]:
        lifecycle.move(step, 0)
    return lifecycle


@pytest.mark.parametrize(("old", "new"), list(itertools.product(State, State)))
def test_every_pair_of_states_is_allowed_or_refused_by_the_table(old: State, new: State) -> None:
    """A refused move names both states and changes nothing."""
    lifecycle = at(old)
    before = list(lifecycle.history)
    if new in NEXT[old]:
        lifecycle.move(new, 7)
        assert lifecycle.state is new
        assert lifecycle.history[-1] == Transition(old, new, 7)
    else:
        with pytest.raises(IllegalTransition, match=f"{old} cannot become {new}"):
            lifecycle.move(new, 7)
        assert lifecycle.state is old
        assert list(lifecycle.history) == before


def test_only_an_idle_agent_starts_to_run() -> None:
    """Every outcome leads back to IDLE, and only IDLE to RUNNING."""
    assert [state for state in State if State.RUNNING in NEXT[state]] == [State.IDLE]
    assert all(NEXT[outcome] == {State.IDLE} for outcome in SEVERITY)


def test_the_history_keeps_the_last_moves_only() -> None:
    """An agent that runs for a year does not grow."""
    lifecycle = Lifecycle(history=4)
    for at_ms in range(10):
        lifecycle.begin(at_ms)
        lifecycle.end(State.COMPLETED, at_ms)
    assert [(move.new, move.at_ms) for move in lifecycle.history] == [
        (State.IDLE, 8),
        (State.RUNNING, 9),
        (State.COMPLETED, 9),
        (State.IDLE, 9),
    ]


def test_listeners_hear_every_move_until_they_leave() -> None:
    """Old state, new state and time, in order; nothing after leaving."""
    heard: list[tuple[State, State, int]] = []
    lifecycle = Lifecycle()
    leave = lifecycle.listen(lambda old, new, at_ms: heard.append((old, new, at_ms)))
    lifecycle.begin(1)
    lifecycle.end(State.DEGRADED, 2)
    leave()
    lifecycle.begin(3)
    assert heard == [
        (State.IDLE, State.RUNNING, 1),
        (State.RUNNING, State.DEGRADED, 2),
        (State.DEGRADED, State.IDLE, 2),
    ]


def test_a_listener_that_fails_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The move holds, the next listener hears of it, and the log says what happened."""
    heard: list[State] = []

    def broken(old: State, new: State, at_ms: int) -> None:
        raise RuntimeError("no room for a metric")

    lifecycle = Lifecycle()
    lifecycle.listen(broken)
    lifecycle.listen(lambda old, new, at_ms: heard.append(new))
    lifecycle.begin(1)
    assert (lifecycle.state, heard) == (State.RUNNING, [State.RUNNING])
    assert "no room for a metric" in caplog.text


def test_executions_at_the_same_time_share_one_run_and_its_worst_outcome() -> None:
    """RUNNING from the first begin to the last end; one failure among them is not forgotten, and not carried on."""
    lifecycle = Lifecycle()
    lifecycle.begin(1)
    lifecycle.begin(2)
    lifecycle.end(State.FAILED, 3)
    assert (lifecycle.state, lifecycle.running) == (State.RUNNING, 1)
    lifecycle.end(State.COMPLETED, 4)
    lifecycle.begin(5)
    lifecycle.end(State.COMPLETED, 6)
    outcomes = [move.new for move in lifecycle.history if move.new in SEVERITY]
    assert outcomes == [State.FAILED, State.COMPLETED]


def test_an_end_without_a_beginning_is_refused() -> None:
    """Nor does an execution end in a state that is no outcome."""
    lifecycle = Lifecycle()
    with pytest.raises(IllegalTransition):
        lifecycle.end(State.COMPLETED, 1)
    lifecycle.begin(1)
    with pytest.raises(IllegalTransition):
        lifecycle.end(State.IDLE, 2)
    assert (lifecycle.state, lifecycle.running) == (State.RUNNING, 1)


def test_an_illegal_transition_crosses_process_borders() -> None:
    """It can be pickled, as errors of child processes are."""
    error = pickle.loads(pickle.dumps(IllegalTransition(State.IDLE, State.FAILED)))
    assert str(error) == "an agent that is idle cannot become failed, only running"


class LifecycleMachine(RuleBasedStateMachine):
    """Any overlap of executions: the history is a walk through the table, and RUNNING means that one runs."""

    def __init__(self) -> None:
        super().__init__()
        self.lifecycle = Lifecycle(history=10_000)
        self.now_ms = 0
        self.outcomes: list[State] = []

    @rule()
    def begin(self) -> None:
        self.now_ms += 1
        if not self.lifecycle.running:
            self.outcomes.clear()
        self.lifecycle.begin(self.now_ms)

    @precondition(lambda self: self.lifecycle.running)
    @rule(outcome=st.sampled_from(sorted(SEVERITY)))
    def end(self, outcome: State) -> None:
        self.now_ms += 1
        self.outcomes.append(outcome)
        self.lifecycle.end(outcome, self.now_ms)
        if not self.lifecycle.running:
            assert self.lifecycle.history[-2].new is max(self.outcomes, key=SEVERITY.__getitem__)

    @rule(new=st.sampled_from(State))
    def move_illegally(self, new: State) -> None:
        if new not in NEXT[self.lifecycle.state]:
            with pytest.raises(IllegalTransition):
                self.lifecycle.move(new, self.now_ms)

    @invariant()
    def running_means_that_one_runs(self) -> None:
        assert self.lifecycle.state is (State.RUNNING if self.lifecycle.running else State.IDLE)

    @invariant()
    def the_history_is_a_walk_through_the_table(self) -> None:
        moves = list(self.lifecycle.history)
        assert all(move.new in NEXT[move.old] for move in moves)
        assert all(one.new is two.old and one.at_ms <= two.at_ms for one, two in itertools.pairwise(moves))


TestLifecycleMachine = LifecycleMachine.TestCase
TestLifecycleMachine.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
