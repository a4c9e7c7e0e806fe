"""Given these events of an agent, when a process claims, is ready or stops, then exactly these events follow."""

from __future__ import annotations

from domain import agent
from domain.agent import KIND, Agent, AgentEvent, Claimed, Ready, Status, Stopped
from domain.decision import NOTHING

NOW = 5_000


def given(*events: AgentEvent) -> Agent:
    return KIND.fold(events)


def claim(
    state: Agent, *, detected_by: str = "start", detected_ms: float | None = None, last_sign_ms: int | None = None
) -> Claimed:
    return agent.claim(
        state, pid=7, host="host-1", detected_by=detected_by, detected_ms=detected_ms, last_sign_ms=last_sign_ms, now_ms=NOW
    )


CLAIMED = Claimed(at_ms=1, epoch=1, pid=3, host="host-0", last_sign_ms=4_000)


def test_the_first_claim_is_epoch_one() -> None:
    """And no fault was detected, whatever the claimer says: there was nobody before."""
    assert claim(given(), detected_by="silence") == Claimed(at_ms=NOW, epoch=1, pid=7, host="host-1")


def test_every_claim_is_the_next_epoch() -> None:
    """From any state; with how the end of the owner before was noticed."""
    for state in (
        given(CLAIMED),
        given(CLAIMED, Ready(at_ms=2, epoch=1, open_streams=0)),
        given(CLAIMED, Stopped(at_ms=2, epoch=1)),
    ):
        claimed = claim(state, detected_by="silence", detected_ms=400.5, last_sign_ms=4_600)
        assert claimed == Claimed(
            at_ms=NOW, epoch=2, pid=7, host="host-1", detected_by="silence", detected_ms=400.5, last_sign_ms=4_600
        )


def test_readiness_says_how_long_nobody_was_there() -> None:
    """From the old owner's last sign of life; unknown where there was no fault."""
    assert agent.ready(given(CLAIMED), 3, NOW).events == [Ready(at_ms=NOW, epoch=1, open_streams=3, resumed_ms=1_000.0)]
    fresh = Claimed(at_ms=1, epoch=1, pid=3, host="host-0")
    assert agent.ready(given(fresh), 0, NOW).events == [Ready(at_ms=NOW, epoch=1, open_streams=0)]


def test_an_owner_stops_once() -> None:
    """Stopping again changes nothing."""
    assert agent.stop(given(CLAIMED), NOW).events == [Stopped(at_ms=NOW, epoch=1)]
    assert agent.stop(given(CLAIMED, Stopped(at_ms=2, epoch=1)), NOW) == NOTHING


def test_the_state_is_that_of_the_last_owner() -> None:
    """A claim replaces what was known of the owner before."""
    again = Claimed(at_ms=3, epoch=2, pid=9, host="host-2")
    assert given(CLAIMED, Ready(at_ms=2, epoch=1, open_streams=0), again) == Agent(Status.CLAIMED, 2, 9, "host-2", None)
    assert given(CLAIMED, Ready(at_ms=2, epoch=1, open_streams=0)).status is Status.READY


def test_an_agent_tells_nobody() -> None:
    """Who owns what is read from the store, not from messages."""
    assert list(KIND.tells("agent-lead/0", given(CLAIMED), CLAIMED)) == []
    assert not KIND.is_open(given(CLAIMED))
