"""What the event store promises about its end."""

from __future__ import annotations

import asyncio
import re

import pytest

from domain.ports.store import Appended, Received, StoreUnavailable
from store.memory import MemoryStore
from tests.contracts.requests import BOB, ask, part
from tests.contracts.worlds import Store, World


async def test_close_finishes_what_was_asked(world: World) -> None:
    """An append that was asked for before is answered, and durable."""
    store = await world.open()
    asked = [asyncio.ensure_future(store.append(ask(part(f"task-{index}", 0)))) for index in range(10)]
    await asyncio.sleep(0)
    await store.close()
    assert all(isinstance(answer, Appended) for answer in await asyncio.gather(*asked))
    again = await world.open()
    assert len(await again.streams()) == 10
    await again.close()


async def test_a_closed_store_says_so(world: World, other: Store) -> None:
    """Appends and reads after close are told that the store is unavailable; closing twice is allowed; others go on."""
    store = await world.open()
    await store.append(ask(part("task-1", 0)))
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.append(ask(part("task-1", 1)))
    with pytest.raises(StoreUnavailable):
        await store.read("task-1")
    await other.append(ask(part("task-1", 1), received=[Received(BOB, 1)]))
    assert len(await other.read("task-1")) == 2


async def test_a_store_has_an_id_that_is_its_own(world: World) -> None:
    """Every process that opens the database is told the same, whoever asks first; another database has another."""
    first, second = await world.open(), await world.open()
    identity = await first.identity()
    assert re.fullmatch("[0-9a-f]{32}", identity)
    assert await second.identity() == await first.identity() == identity
    elsewhere = MemoryStore()
    assert await elsewhere.identity() != identity
    for store in (first, second, elsewhere):
        await store.close()


async def test_a_store_that_never_appended_closes(world: World) -> None:
    """Closing needs no append before it, and a closed store takes none."""
    store = await world.open()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.append(ask(part("task-1", 0)))
