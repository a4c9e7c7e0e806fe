"""The relay over a real store: what was committed goes out, what is lost goes out again, what waits is left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from broker.relay import Relay
from domain.marks import Marks
from domain.ports.store import Append, Parcel, Received, StoreUnavailable
from store.sqlite import SqliteStore
from tests.broker.letters import AT_MS, RECEIVER, SENDER, FakeBus, append_of

QUEUE = 1000
HANDFUL = 5


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "events.db")
    yield store
    await store.close()


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 the relay tells nobody what it does
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited in vain until {what}") from None


def relay(store: SqliteStore, bus: FakeBus) -> Relay:
    return Relay(SENDER, store, bus, lambda: AT_MS)


async def test_a_queue_that_waits_is_not_published_again(store: SqliteStore) -> None:
    """1,000 committed messages for a receiver that reads nothing for seconds: a handful of probes, all for the last one."""
    bus = FakeBus()
    numbers = (await store.append(append_of(QUEUE))).numbers
    relaying = relay(store, bus)
    running = asyncio.create_task(relaying.run())
    await until(lambda: len(bus.sent) >= 3, "it has probed for the third time, after nearly two seconds")
    running.cancel()
    assert relaying.republished == len(bus.sent) <= HANDFUL
    assert {parcel.number for parcel in bus.sent} == {numbers[-1]}


async def test_a_store_that_is_away_is_told_of_once(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the relay looks meanwhile; the next time that it is away is another one."""
    looks: list[bool] = []
    there = iter([False, False, True, False, False])

    async def unapplied(sender: str) -> dict[str, tuple[Marks, int]]:
        looks.append(next(there, True))
        if not looks[-1]:
            raise StoreUnavailable("the server went away")
        return {RECEIVER: (Marks(), 1)}

    await store.append(append_of(1))
    monkeypatch.setattr(store, "unapplied", unapplied)
    running = asyncio.create_task(relay(store, FakeBus()).run())
    await until(lambda: len(looks) > 5, "it has looked six times")
    running.cancel()
    assert [record.getMessage() for record in caplog.records if "cannot look" in record.getMessage()] == [
        f"{SENDER}: cannot look for lost messages: the server went away"
    ] * 2


async def test_a_store_that_lets_nobody_in_any_more_ends_the_relay(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs it hears of it."""

    async def unapplied(sender: str) -> dict[str, tuple[Marks, int]]:
        error = StoreUnavailable("wrong password")
        error.final = True
        raise error

    monkeypatch.setattr(store, "unapplied", unapplied)
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable, match="wrong password"):
            await relay(store, FakeBus()).run()


async def test_a_lost_tail_comes_back_whole(store: SqliteStore) -> None:
    """All messages vanish with a broker. The probe arrives, shows the holes, and they are filled."""
    bus = FakeBus()
    last = (await store.append(append_of(50))).numbers[-1]
    relaying = relay(store, bus)
    running = asyncio.create_task(relaying.run())
    applied: set[int] = set()

    def new() -> set[int]:
        return {parcel.number for parcel in bus.sent} - applied

    while len(applied) < last:
        await until(lambda: bool(new()), "something new is sent")
        arrived = new()
        await store.append(Append(RECEIVER, None, received=[Received(SENDER, number) for number in sorted(arrived)]))
        applied |= arrived
    running.cancel()
    assert len(bus.sent) <= last + HANDFUL


async def test_a_new_owner_publishes_all_that_is_unapplied_once(store: SqliteStore) -> None:
    """Nobody knows what the owner before has published: what was applied meanwhile is left out."""
    bus = FakeBus()
    await store.append(append_of(5))
    await store.append(Append(RECEIVER, None, received=[Received(SENDER, 2), Received(SENDER, 4)]))
    assert await relay(store, bus).publish_all() == 3
    assert [(parcel.receiver, parcel.number) for parcel in bus.sent] == [(RECEIVER, 1), (RECEIVER, 3), (RECEIVER, 5)]
    assert all(isinstance(parcel, Parcel) for parcel in bus.sent)
