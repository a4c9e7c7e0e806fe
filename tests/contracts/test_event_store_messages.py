"""What the event store promises about messages: applied marks, numbers, the outbox."""

from __future__ import annotations

import asyncio

import pytest

from domain.marks import Marks
from domain.ports.store import AlreadyApplied, Appended, Fenced, Parcel, Received, VersionConflict
from tests.contracts.requests import ALICE, BOB, CAROL, ask, part
from tests.contracts.worlds import Store, World

# --- applied marks ------------------------------------------------------------------------------------------------------------


async def test_a_message_is_applied_once(store: Store, other: Store) -> None:
    """A message that was applied before is refused, with its events, and named."""
    await store.append(ask(part("task-1", 0), received=[(BOB, 1)]))
    with pytest.raises(AlreadyApplied) as caught:
        await other.append(ask(part("task-2", 0), received=[(BOB, 1), (BOB, 2)]))
    assert caught.value.received == (Received(BOB, 1),)
    assert await store.read("task-2") == []
    assert await store.marks(ALICE) == {BOB: Marks(1)}


async def test_messages_are_applied_in_any_order(store: Store) -> None:
    """Each once: the mark rises where there is no hole, and what is beyond a hole stands in the set above it."""
    for number, expected in [
        (3, Marks(0, frozenset({3}))),
        (1, Marks(1, frozenset({3}))),
        (5, Marks(1, frozenset({3, 5}))),
        (2, None),
    ]:
        await store.append(ask(received=[(BOB, number)]))
        assert expected is None or (await store.marks(ALICE))[BOB] == expected
    assert await store.marks(ALICE) == {BOB: Marks(3, frozenset({5}))}


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_a_message_above_the_mark_is_applied_once_too(store: Store, number: int) -> None:
    """Below the mark, at it, and in the set above it: seen before is refused."""
    await store.append(ask(received=[(BOB, 2), (BOB, 1), (BOB, 4)]))
    with pytest.raises(AlreadyApplied):
        await store.append(ask(received=[(BOB, number)]))
    await store.append(ask(received=[(BOB, 3)]))
    assert await store.marks(ALICE) == {BOB: Marks(4)}


async def test_one_append_answers_messages_of_several_senders(store: Store) -> None:
    """The marks of each are kept apart, and all are named that were applied before."""
    await store.append(ask(received=[(BOB, 1), (CAROL, 1), (CAROL, 2)]))
    with pytest.raises(AlreadyApplied) as caught:
        await store.append(ask(received=[(BOB, 1), (BOB, 2), (CAROL, 2), (CAROL, 3)]))
    assert set(caught.value.received) == {Received(BOB, 1), Received(CAROL, 2)}
    assert await store.marks(ALICE) == {BOB: Marks(1), CAROL: Marks(2)}


async def test_receivers_have_marks_of_their_own(store: Store) -> None:
    """Message 1 to one receiver is another message than message 1 to the next."""
    await store.append(ask(received=[(CAROL, 1)], writer=ALICE))
    await store.append(ask(received=[(CAROL, 1)], writer=BOB))
    assert await store.marks(ALICE) == await store.marks(BOB) == {CAROL: Marks(1)}
    assert await store.marks(CAROL) == {}


async def test_a_refused_append_applies_nothing(store: Store) -> None:
    """After a conflict the message is still to be handled."""
    with pytest.raises(VersionConflict):
        await store.append(ask(part("task-1", 4), received=[(BOB, 1)]))
    await store.append(ask(part("task-1", 0), received=[(BOB, 1)]))
    assert await store.marks(ALICE) == {BOB: Marks(1)}


async def test_the_same_message_twice_in_one_group_is_applied_once(store: Store) -> None:
    """A duplicate that is handled beside the first one is refused, its neighbours are not."""
    asked = [store.append(ask(part(f"task-{index}", 0), received=[(BOB, number)])) for index, number in enumerate([1, 2, 1, 3])]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Appended, Appended, AlreadyApplied, Appended]
    assert await store.marks(ALICE) == {BOB: Marks(3)}
    assert [info.stream for info in await store.streams()] == ["task-0", "task-1", "task-3"]


# --- numbers ------------------------------------------------------------------------------------------------------------------


async def test_numbers_rise_by_one_for_each_pair(store: Store, other: Store) -> None:
    """From 1, for each sender and receiver apart, in the order of the request, also across processes."""
    assert (await store.append(ask(to=[BOB, CAROL, BOB]))).numbers == [1, 1, 2]
    assert (await other.append(ask(to=[CAROL, BOB]))).numbers == [2, 3]
    assert (await store.append(ask(to=[ALICE, CAROL], writer=BOB))).numbers == [1, 1]


async def test_a_refused_append_uses_no_number(store: Store) -> None:
    """Versions, marks and fences refuse in one group with those that are accepted: numbers have no hole."""
    await store.append(ask(received=[(CAROL, 1)]))
    requests = [
        ask(part("task-1", 0), to=[BOB]),
        ask(part("task-1", 9), to=[BOB, BOB]),
        ask(received=[(CAROL, 1)], to=[BOB]),
        ask(epoch=7, to=[BOB]),
        ask(part("task-2", 0), to=[BOB]),
    ]
    answers = await asyncio.gather(*(store.append(request) for request in requests), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Appended, VersionConflict, AlreadyApplied, Fenced, Appended]
    assert [answer.numbers for answer in answers if isinstance(answer, Appended)] == [[1], [2]]
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB)] == [1, 2]


async def test_one_sender_in_two_processes_gives_each_number_once(store: Store, other: Store) -> None:
    """An old owner that is not fenced yet and a client at the same time: no number is given twice or left out."""
    asked = [(store if index % 2 else other).append(ask(to=[BOB])) for index in range(40)]
    answers = await asyncio.gather(*asked)
    assert sorted(number for answer in answers for number in answer.numbers) == list(range(1, 41))


# --- the outbox ---------------------------------------------------------------------------------------------------------------


async def test_a_message_waits_in_the_outbox_until_it_is_applied(store: Store, other: Store) -> None:
    """It is there for whoever publishes; once the receiver has applied it, it is no longer shown."""
    await store.append(ask(to=[BOB, BOB, CAROL]))
    value = f"{ALICE}→{BOB}".encode()
    assert await other.parcels(ALICE, BOB) == [Parcel(BOB, 1, value), Parcel(BOB, 2, value)]
    await other.append(ask(received=[(ALICE, 1)], writer=BOB))
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB)] == [2]
    assert [parcel.number for parcel in await store.parcels(ALICE, CAROL)] == [1]


async def test_applied_messages_are_trimmed_by_later_appends_of_their_sender(world: World, store: Store, other: Store) -> None:
    """Rows below the receiver's mark vanish from the database as the sender goes on; what is not applied stays."""
    await store.append(ask(to=[BOB] * 5))
    await other.append(ask(received=[(ALICE, number) for number in (1, 2, 3, 5)], writer=BOB))
    assert len(await world.outbox(ALICE)) == 5, "only the sender trims"
    async with asyncio.timeout(10):
        while (BOB, 3) in await world.outbox(ALICE):
            await store.append(ask(part("task-1", len(await store.read("task-1")))))
    assert (BOB, 4) in await world.outbox(ALICE)
    assert not {(BOB, number) for number in (1, 2, 3)} & set(await world.outbox(ALICE))
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB)] == [4]


async def test_numbers_go_on_after_the_outbox_is_empty(world: World, store: Store) -> None:
    """A trimmed message's number is not given again."""
    await store.append(ask(to=[BOB]))
    await store.append(ask(received=[(ALICE, 1)], writer=BOB))
    async with asyncio.timeout(10):
        while await world.outbox(ALICE):
            await store.append(ask(part("task-1", len(await store.read("task-1")))))
    assert (await store.append(ask(to=[BOB]))).numbers == [2]


async def test_unapplied_names_who_has_not_applied_everything(store: Store) -> None:
    """With the receiver's marks, holes included, and the last number sent; who has applied all is left out."""
    await store.append(ask(to=[BOB] * 4 + [CAROL] * 2))
    assert await store.unapplied(ALICE) == {BOB: (Marks(), 4), CAROL: (Marks(), 2)}
    await store.append(ask(received=[(ALICE, 1), (ALICE, 4)], writer=BOB))
    await store.append(ask(received=[(ALICE, 2), (ALICE, 1)], writer=CAROL))
    assert await store.unapplied(ALICE) == {BOB: (Marks(1, frozenset({4})), 4)}
    assert await store.unapplied(BOB) == {}


async def test_parcels_leave_out_what_is_applied_beyond_a_hole(store: Store) -> None:
    """Only the holes and the tail are shown: what lies between was applied."""
    await store.append(ask(to=[BOB] * 6))
    await store.append(ask(received=[(ALICE, 1), (ALICE, 3), (ALICE, 5)], writer=BOB))
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB)] == [2, 4, 6]


async def test_parcels_are_given_by_their_numbers(store: Store) -> None:
    """Those asked for, in order and once, without those that are applied or were never sent."""
    await store.append(ask(to=[BOB] * 6))
    await store.append(ask(received=[(ALICE, 2)], writer=BOB))
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB, [5, 3, 2, 3, 99])] == [3, 5]
    assert await store.parcels(ALICE, BOB, []) == []


async def test_parcels_are_limited_to_the_first(store: Store) -> None:
    """A long queue is published from its beginning, so much at a time."""
    await store.append(ask(to=[BOB] * 6))
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB, limit=4)] == [1, 2, 3, 4]
