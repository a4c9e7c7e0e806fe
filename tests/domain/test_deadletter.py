"""Given these events of a dead letter, when somebody decides about it, then exactly these events follow."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from domain import deadletter
from domain.deadletter import KIND, DeadLetter, DeadLetterEvent, Discarded, NotReplayable, Recorded, Replayed
from domain.decision import NOTHING
from domain.message import MessageType, NotUnderstood, TaskRef
from domain.role import CLIENT

NOW = 1_000
STREAM = deadletter.stream_of("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b")
RECORDED = Recorded(
    at_ms=1,
    reason="schema",
    detail="body.task is missing",
    agent="pricing_optimizer/0",
    raw="9f86",
    message_id="6f1d0a3e-5b0e-5d2c-9d55-6a1f3f0e7b10",
    message_type=MessageType.TASK_ASSIGN,
    sender="lead/0",
    correlation_id="run-1-1",
    task_id="task-1-1-0-SET_PRICE",
    task_type="SET_PRICE",
)
GARBAGE = Recorded(at_ms=1, reason="undecodable", detail="no JSON", agent="lead/0", raw="9f86")


def given(*events: DeadLetterEvent) -> DeadLetter:
    return KIND.fold(events)


def told(letter: Recorded) -> list[Any]:
    return list(KIND.tells(STREAM, given(letter), letter))


def test_a_refused_message_is_recorded_once() -> None:
    """The same bytes refused again are the same letter."""
    assert deadletter.record(given(), RECORDED).events == [RECORDED]
    assert deadletter.record(given(RECORDED), RECORDED) == NOTHING


@pytest.mark.parametrize("decided", [Replayed(at_ms=2), Discarded(at_ms=2)])
def test_a_letter_that_was_decided_about_may_come_back(decided: DeadLetterEvent) -> None:
    """Replayed and refused again, or sent again after it was discarded: it waits again."""
    assert deadletter.record(given(RECORDED, decided), RECORDED).events == [RECORDED]


def test_a_waiting_letter_is_replayed_or_discarded_once() -> None:
    """What was decided is not decided again."""
    assert deadletter.replay(given(RECORDED), NOW).events == [Replayed(at_ms=NOW)]
    assert deadletter.discard(given(RECORDED), NOW).events == [Discarded(at_ms=NOW)]
    for decided in (Replayed(at_ms=2), Discarded(at_ms=2)):
        assert deadletter.replay(given(RECORDED, decided), NOW) == NOTHING
        assert deadletter.discard(given(RECORDED, decided), NOW) == NOTHING


def test_a_letter_that_is_not_there_is_not_discarded() -> None:
    """Nothing happens to nothing."""
    assert deadletter.discard(given(), NOW) == NOTHING


@pytest.mark.parametrize("state", [given(), given(GARBAGE)], ids=["unknown", "garbage"])
def test_what_never_was_a_message_cannot_be_replayed(state: DeadLetter) -> None:
    """There is nothing to put back."""
    with pytest.raises(NotReplayable):
        deadletter.replay(state, NOW)


def test_the_sender_learns_that_its_message_was_refused() -> None:
    """With the reason and the task that fails by it."""
    (tell,) = told(RECORDED)
    assert (tell.type, tell.receiver, tell.correlation_id) == (MessageType.NOT_UNDERSTOOD, "lead/0", "run-1-1")
    task = TaskRef("task-1-1-0-SET_PRICE", "SET_PRICE")
    assert tell.body == NotUnderstood(RECORDED.message_id, "schema: body.task is missing", task)


@pytest.mark.parametrize(
    "quiet",
    [
        GARBAGE,
        replace(RECORDED, reason="digest"),
        replace(RECORDED, sender=""),
        replace(RECORDED, sender=CLIENT),
        replace(RECORDED, message_type=MessageType.NOT_UNDERSTOOD),
    ],
    ids=["undecodable", "wrong digest", "nobody", "client", "a refusal"],
)
def test_nobody_is_answered_who_cannot_or_must_not_be(quiet: Recorded) -> None:
    """Bytes that may be forged name no sender, clients take no messages, and a refusal is never refused back."""
    assert told(quiet) == []


def test_decisions_about_a_letter_are_told_to_nobody() -> None:
    """They are a matter between the operator and the store."""
    for decided in (Replayed(at_ms=2), Discarded(at_ms=2)):
        assert list(KIND.tells(STREAM, given(RECORDED, decided), decided)) == []


def test_one_letter_for_one_sequence_of_bytes() -> None:
    """The stream is named by the digest, so a repeated message finds its letter."""
    assert STREAM == "deadletter-9f86d081884c7d659a2feaa0"
