"""Dead letters: what is put back goes to its agent once more, what is discarded is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from operator import methodcaller
from pathlib import Path
from typing import TypeVar

import pytest

from domain.ports.store import NoContent, Parcel
from domain.role import CLIENT
from runtime.datadir import DataDir
from store.sqlite import SqliteStore
from tests.runtime.conftest import Rehydrate
from tests.runtime.filled import MESSAGE, NOISE, letter_id

T = TypeVar("T")
LETTER, NOT_A_MESSAGE = letter_id(MESSAGE), letter_id(NOISE)


def ask(data: Path, question: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """What the store of a data dir answers."""

    async def asked() -> T:
        store = SqliteStore(data / "events.db")
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(asked())


def sent(data: Path) -> list[Parcel]:
    """What the client has sent to lead/0 and is not applied."""
    return ask(data, lambda store: store.parcels(CLIENT, "lead/0"))


@pytest.mark.parametrize("running", [False, True])
def test_a_replayed_letter_is_sent_to_the_agent_that_refused_it(data: Path, rehydrate: Rehydrate, running: bool) -> None:
    """The bytes are those that were refused; the client numbers them, so its sender's numbers stay what they are."""
    if running:
        DataDir(data).lock()
    ended = rehydrate("deadletters", "replay", LETTER, "--json")
    assert ended.code == 0
    assert ended.document == [{"letter_id": LETTER, "status": "replayed", "agent": "lead/0", "changed": True}]
    assert [parcel.value for parcel in sent(data)] == [MESSAGE]
    assert rehydrate("replay", "verify").code == 0


def test_a_letter_is_put_back_once(data: Path, rehydrate: Rehydrate) -> None:
    """The same command again changes nothing."""
    rehydrate("deadletters", "replay", LETTER)
    assert rehydrate("deadletters", "replay", LETTER, "--json").document[0]["changed"] is False
    assert len(sent(data)) == 1


def test_what_holds_no_message_cannot_be_put_back(data: Path, rehydrate: Rehydrate) -> None:
    """And then nothing else that was named is, either."""
    ended = rehydrate("deadletters", "replay", LETTER, NOT_A_MESSAGE)
    assert ended.code == 2 and "holds no message that could be put back (undecodable)" in ended.error
    assert sent(data) == []


def test_all_puts_back_what_can_be(data: Path, rehydrate: Rehydrate) -> None:
    """What is left out is told."""
    ended = rehydrate("deadletters", "replay", "--all", "--json")
    assert [letter["letter_id"] for letter in ended.document] == [LETTER]
    assert ended.err.startswith("1 hold no message")
    assert rehydrate("deadletters", "replay", "--all").code == 0


def test_a_discarded_letter_is_erased(data: Path, rehydrate: Rehydrate) -> None:
    """Its event stays, its bytes go; it can be said twice."""
    for _ in range(2):
        assert rehydrate("deadletters", "discard", LETTER, NOT_A_MESSAGE).code == 0
    found = rehydrate("deadletters", "list", "--status", "discarded", "--json").document
    assert {letter["letter_id"] for letter in found} == {LETTER, NOT_A_MESSAGE}
    for letter in found:
        with pytest.raises(NoContent):
            ask(data, methodcaller("content", letter["raw"]))
    assert "discarded before" in rehydrate("deadletters", "replay", LETTER).error
    assert rehydrate("replay", "verify").code == 0


def test_a_replayed_letter_cannot_be_discarded(data: Path, rehydrate: Rehydrate) -> None:
    """It is on its way; if it is refused again it waits again."""
    rehydrate("deadletters", "replay", LETTER)
    assert rehydrate("deadletters", "discard", LETTER).code == 2


def test_letters_are_listed_and_shown(data: Path, rehydrate: Rehydrate) -> None:
    """With what they say, which must not steer a terminal."""
    assert len(rehydrate("deadletters", "list", "--json").document) == 2
    assert LETTER in rehydrate("deadletters", "list", "--status", "waiting").out
    assert rehydrate("deadletters", "show", LETTER, "--json").document["content"] == MESSAGE.decode()
    shown = rehydrate("deadletters", "show", NOT_A_MESSAGE).out
    assert "noise" in shown and "\x1b" not in shown
    assert "no such dead letter" in rehydrate("deadletters", "show", "deadletter-x").error


@pytest.mark.parametrize(
    "words",
    [["replay"], ["discard", "--all", LETTER], ["replay", "deadletter-x"], ["discard", "run-1"], ["list", "--status", "lost"]],
)
def test_bad_usage(data: Path, rehydrate: Rehydrate, words: list[str]) -> None:
    """Nothing named, too much named, or what is no letter: one line."""
    ended = rehydrate("deadletters", *words)
    assert ended.code == 2 and ended.error
