"""What keeps a store small takes nothing that anybody needs, and may be done at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from domain.decision import digest
from domain.ports.store import NoContent, Snapshot
from domain.streams import agent_stream
from domain.task import Cancelled
from store.keeping import BATCH, Erased, Trimmed
from tests.contracts.requests import ALICE, BOB, CAROL, ask, part
from tests.contracts.worlds import Store, World

NOTHING = Trimmed(0, 0, 0)


def naming(*documents: bytes) -> Cancelled:
    """An event that names documents."""
    return Cancelled(at_ms=1, reason=" ".join(digest(data) for data in documents))


async def rows(store: Store) -> dict[str, int]:
    """How many rows each table has."""
    return {table.name: table.rows for table in await store.keeping().tables()}


async def has(store: Store, data: bytes) -> bool:
    try:
        return await store.content(digest(data)) == data
    except NoContent:
        return False


# --- trim ------------------------------------------------------------------------------------------------------------------------


async def test_what_its_receiver_has_applied_leaves_the_outbox(store: Store, other: Store, world: World) -> None:
    """Also where the sender never appends again; what is above the mark stays, as the marks themselves do."""
    await store.append(ask(to=[BOB] * (BATCH + 7), writer=ALICE))
    await store.append(ask(to=[CAROL], writer=ALICE))
    await other.append(ask(writer=BOB, received=[(ALICE, number) for number in range(1, BATCH + 3)]))
    await other.append(ask(writer=BOB, received=[(ALICE, BATCH + 5)]))
    keeping = other.keeping()
    told = await keeping.trim(dry_run=True)
    assert told.outbox == BATCH + 2
    assert (await keeping.trim()).outbox == BATCH + 2
    assert await keeping.trim() == NOTHING
    left = [(BOB, number) for number in range(BATCH + 3, BATCH + 8)]
    assert sorted(await world.outbox(ALICE)) == sorted([*left, (CAROL, 1)])
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB)] == [BATCH + 3, BATCH + 4, BATCH + 6, BATCH + 7]


async def test_of_snapshots_the_last_of_each_stream_stays(store: Store) -> None:
    """A newer one makes the older ones go in its own append, so that there is nothing left to trim."""
    for version in (2, 5, 9):
        await store.append(replace(ask(), snapshots=[Snapshot("run-1", version, b"state"), Snapshot("run-2", 7, b"other")]))
    assert sorted(await store.snapshots()) == [Snapshot("run-1", 9, b"state"), Snapshot("run-2", 7, b"other")]
    assert await store.keeping().trim() == NOTHING


# --- documents -------------------------------------------------------------------------------------------------------------------


async def test_a_document_that_nobody_named_goes(store: Store, other: Store) -> None:
    """And only it; asked again, there is nothing left; what is not there is not missed."""
    await store.append(ask(part("task-1", 0), contents=[b"stray", b"kept", b"\x00\xff"]))
    keeping, names = store.keeping(), [digest(b"stray"), digest(b"\x00\xff"), digest(b"never there")]
    assert await keeping.collect(names, await store.head()) == Erased(2, 7)
    assert await keeping.collect(names, await store.head()) == Erased(0, 0)
    assert [await has(other, data) for data in (b"stray", b"kept", b"\x00\xff")] == [False, True, False]


async def test_a_document_that_an_event_behind_the_position_names_stays(store: Store, other: Store) -> None:
    """Whoever looked before that event was appended could not know."""
    await store.append(ask(part("task-1", 0), contents=[b"wanted", b"stray"]))
    seen = await store.head()
    event = replace(part("task-1", 1), events=[naming(b"wanted")])
    await other.append(ask(event, contents=[b"wanted"]))
    assert await store.keeping().collect([digest(b"wanted"), digest(b"stray")], seen) == Erased(1, 5)
    assert await has(other, b"wanted")


@pytest.mark.parametrize("around", [b"%s", b'{"a":"%s"}', b"\xc3\xa9%s\x00", b"\\%s\\303"], ids=repr)
async def test_a_document_is_named_through_documents_too(around: bytes, store: Store) -> None:
    """An event names a list, the list names what is in it; bytes around a name do not hide it."""
    leaf, other_leaf = b"leaf", b"other leaf"
    twig = around.replace(b"%s", digest(leaf).encode())
    branch = b"[" + digest(twig).encode() + b"]"
    await store.append(ask(part("task-1", 0), contents=[leaf, other_leaf]))
    seen = await store.head()
    await store.append(ask(replace(part("task-1", 1), events=[naming(branch)]), contents=[twig, branch]))
    assert (await store.keeping().collect([digest(leaf), digest(other_leaf)], seen)).documents == 1
    assert await has(store, leaf)
    assert not await has(store, other_leaf)


async def test_appends_and_collections_at_once_lose_no_document(store: Store, other: Store) -> None:
    """Whoever comes first: a document whose event is there is there, too."""
    documents = [b"document %d" % index for index in range(30)]
    await store.append(ask(part("task-0", 0), contents=documents))
    seen = await store.head()

    async def name(index: int) -> None:
        event = replace(part(f"task-{index + 1}", 0), events=[naming(documents[index])])
        await other.append(ask(event, contents=[documents[index]]))

    async def collect(index: int) -> None:
        await store.keeping().collect([digest(data) for data in documents[index::3]], seen)

    await asyncio.gather(*(work for index in range(10) for work in (collect(index % 3), name(3 * index), name(3 * index + 1))))
    await asyncio.gather(*(collect(index) for index in range(3)))
    assert [await has(store, data) for data in documents] == [index % 3 != 2 for index in range(30)]


# --- senders that are gone -------------------------------------------------------------------------------------------------------


async def _sent_and_applied(store: Store, last: int) -> int:
    """ALICE has sent three messages each to BOB and CAROL; BOB has applied all, CAROL as many as `last`. Gives ALICE's version."""
    await store.append(ask(part(agent_stream(ALICE), 0), writer=ALICE, epoch=1, claim=True))
    await store.append(ask(to=[BOB, CAROL] * 3, writer=ALICE))
    await store.append(ask(writer=BOB, received=[(ALICE, number) for number in (1, 2, 3)]))
    await store.append(ask(writer=CAROL, received=[(ALICE, number) for number in range(1, last + 1)]))
    return 1


async def test_a_sender_that_is_gone_is_forgotten(store: Store, world: World) -> None:
    """Its numbers begin anew on both sides, so nothing new is taken for known; its epoch stays, or an old owner could come back."""
    version = await _sent_and_applied(store, 3)
    keeping = store.keeping()
    assert await keeping.forget(ALICE, version, dry_run=True) == 2
    assert await keeping.forget(ALICE, version) == 2
    assert await keeping.forget(ALICE, version) == 0
    assert await store.marks(BOB) == {} and await store.unapplied(ALICE) == {} and await world.outbox(ALICE) == []
    assert await store.epochs() == {ALICE: 1}
    assert (await store.append(ask(to=[BOB], writer=ALICE, epoch=1))).numbers == [1]
    assert [parcel.number for parcel in await store.parcels(ALICE, BOB)] == [1]


async def test_a_sender_is_not_forgotten_while_one_message_is_not_applied(store: Store) -> None:
    """The marks of all its receivers stay, for it will be sent again."""
    version = await _sent_and_applied(store, 2)
    assert await store.keeping().forget(ALICE, version) == 0
    assert (await store.marks(BOB))[ALICE].mark == 3


async def test_a_sender_that_came_back_meanwhile_is_not_forgotten(store: Store, other: Store) -> None:
    """Its stream has moved since somebody found it gone."""
    version = await _sent_and_applied(store, 3)
    await other.append(ask(part(agent_stream(ALICE), version), writer=ALICE, epoch=2, claim=True))
    assert await store.keeping().forget(ALICE, version) == 0
    assert (await store.marks(CAROL))[ALICE].mark == 3


# --- all of it -------------------------------------------------------------------------------------------------------------------


async def _work(world: World, workflows: range) -> None:
    """A lead and a worker take workflows of six steps to their ends. Their processes end and begin again on the way."""
    for first in workflows[::10]:
        lead, worker = await world.open(), await world.open()
        for agent, store in ((ALICE, lead), (BOB, worker)):
            version = len(await store.read(agent_stream(agent)))
            epoch = (await store.epochs()).get(agent, 0) + 1
            await store.append(ask(part(agent_stream(agent), version), writer=agent, epoch=epoch, claim=True))
        for flow in range(first, first + 10):
            for step in range(6):
                (given,) = (await lead.append(ask(part(f"workflow-{flow}", step, open=step < 5), to=[BOB], writer=ALICE))).numbers
                taken = ask(
                    part(f"task-{flow}-{step}", 0), writer=BOB, received=[(ALICE, given)], to=[ALICE], contents=[b"the same"]
                )
                (answer,) = (await worker.append(taken)).numbers
                result = ask(part("run-1", flow * 6 + step), writer=ALICE, received=[(BOB, answer)])
                await lead.append(replace(result, snapshots=[Snapshot("run-1", flow * 6 + step + 1, b"state")]))
        await lead.close()
        await worker.close()


async def test_a_long_run_grows_with_its_events_alone(world: World, store: Store) -> None:
    """Twice the workflows, in twice as many lives of their processes: every other table is as it was."""
    await _work(world, range(20))
    before = await rows(store)
    await _work(world, range(20, 40))
    after = await rows(store)
    assert after["stored_events"] == 2 * before["stored_events"]
    assert {name: count for name, count in after.items() if name not in {"stored_events", "outbox"}} == {
        name: count for name, count in before.items() if name not in {"stored_events", "outbox"}
    }
    await store.keeping().trim()
    assert (await rows(store))["outbox"] == 0


async def test_tables_say_how_large_they_are(store: Store) -> None:
    """Rows of each; bytes where the database can tell, with the indexes."""
    await store.append(ask(part("task-1", 0, 3), to=[BOB], contents=[bytes(10_000)]))
    found: Mapping[str, tuple[int, int | None]] = {table.name: table[1:] for table in await store.keeping().tables()}
    assert (found["stored_events"][0], found["outbox"][0], found["contents"][0]) == (3, 1, 1)
    assert all(size is None or size >= 0 for _, size in found.values())


async def test_a_store_can_be_compacted(store: Store) -> None:
    """Nothing is lost, and it is gone on with."""
    await store.append(ask(part("task-1", 0), contents=[b"document"]))
    await store.keeping().compact()
    assert await has(store, b"document")
    await store.append(ask(part("task-1", 1)))
