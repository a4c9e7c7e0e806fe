"""What the event store promises about streams, the log, fences and groups. What it promises about messages: test_event_store_messages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from domain.decision import digest
from domain.event import decode
from domain.ports.store import (
    Append,
    Appended,
    Fenced,
    NoContent,
    Snapshot,
    StreamAppend,
    StreamInfo,
    VersionConflict,
)
from tests.contracts.requests import ALICE, BOB, ask, event, part
from tests.contracts.worlds import Store

# --- append and read --------------------------------------------------------------------------------------------------------


async def test_an_empty_store_has_nothing(store: Store) -> None:
    """Reads of what is not there are empty, not errors."""
    assert await store.read("task-none") == []
    assert await store.history("task-none") == []
    assert await store.head() == 0
    assert await store.log(0, 10) == []
    assert await store.streams() == []
    assert await store.snapshot("task-none") is None


async def test_events_come_back_as_they_were_with_versions_from_one(store: Store) -> None:
    """What is read equals what was appended, in order, numbered 1, 2, 3."""
    events = [event("a"), event("b"), event("ü – c")]
    await store.append(Append(ALICE, None, [StreamAppend("task-1", 0, events)]))
    recorded = await store.read("task-1")
    assert [item.event for item in recorded] == events
    assert [item.version for item in recorded] == [1, 2, 3]
    assert {item.stream for item in recorded} == {"task-1"}
    assert await store.history("task-1") == events


async def test_another_process_sees_an_append_as_soon_as_it_is_answered(store: Store, other: Store) -> None:
    """Reads see everything that was appended before them by anybody."""
    for expected in range(5):
        appended = await store.append(ask(part("task-1", expected)))
        assert [item.version for item in await other.read("task-1", after=expected)] == [expected + 1]
        assert await other.head() == appended.position


async def test_a_part_of_a_stream_is_read_by_its_versions(store: Store) -> None:
    """`after` is exclusive, `upto` inclusive, for events alone as well."""
    await store.append(ask(part("task-1", 0, count=5)))
    assert [item.version for item in await store.read("task-1", after=1, upto=4)] == [2, 3, 4]
    assert [item.version for item in await store.read("task-1", after=4)] == [5]
    assert await store.read("task-1", after=5) == []
    assert await store.history("task-1", after=1, upto=4) == [item.event for item in await store.read("task-1", 1, 4)]


async def test_what_a_caller_changes_afterwards_is_not_in_the_store(store: Store) -> None:
    """The store keeps bytes, not references."""
    events = [event("kept")]
    await store.append(Append(ALICE, None, [StreamAppend("task-1", 0, events)]))
    events.append(event("forgotten"))
    (await store.history("task-1")).clear()
    assert await store.history("task-1") == [event("kept")]


@pytest.mark.parametrize("expected", [0, 1, 3, 7], ids=["nothing", "lower", "higher", "far higher"])
async def test_another_version_than_the_expected_is_refused(store: Store, expected: int) -> None:
    """Who decided on an old or imagined state is told where the stream really is, and nothing is written."""
    await store.append(ask(part("task-1", 0, count=2)))
    with pytest.raises(VersionConflict) as caught:
        await store.append(ask(part("task-1", expected)))
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("task-1", expected, 2)
    assert len(await store.read("task-1")) == 2


async def test_the_same_append_again_is_refused(store: Store) -> None:
    """A request that was sent twice happens once."""
    await store.append(ask(part("task-1", 0)))
    with pytest.raises(VersionConflict):
        await store.append(ask(part("task-1", 0)))
    assert len(await store.read("task-1")) == 1


async def test_several_streams_are_appended_all_or_nothing(store: Store) -> None:
    """One conflict among the streams of a request leaves no trace of the others, nor of anything else that it brought."""
    await store.append(ask(part("task-2", 0)))
    request = ask(part("task-1", 0, open=True), part("task-2", 0), received=[(BOB, 1)], to=[BOB], contents=[b"document"])
    with pytest.raises(VersionConflict):
        await store.append(replace(request, snapshots=[Snapshot("task-1", 1, b"{}")]))
    assert await store.read("task-1") == []
    assert await store.open_streams(ALICE) == []
    assert await store.marks(ALICE) == {}
    assert await store.unapplied(ALICE) == {}
    assert await store.snapshots() == []
    with pytest.raises(NoContent):
        await store.content(digest(b"document"))


async def test_several_streams_of_one_request_stand_together_in_the_log(store: Store) -> None:
    """The log shows a request's events in the order in which it named them."""
    await store.append(ask(part("task-2", 0, count=2), part("task-1", 0)))
    assert [(row.stream, row.version) for row in await store.log(0, 10)] == [("task-2", 1), ("task-2", 2), ("task-1", 1)]


async def test_an_append_without_events_is_possible(store: Store) -> None:
    """A message that changes nothing is still marked as applied."""
    await store.append(ask(part("task-1", 0)))
    appended = await store.append(ask(received=[(BOB, 1)]))
    assert appended == Appended(await store.head(), [])
    assert (await store.marks(ALICE))[BOB].mark == 1


@pytest.mark.parametrize(
    "request_",
    [
        ask(part("task-1", 0), part("task-1", 0)),
        ask(part("task-1", 0), part("task-1", 1)),
        ask(part("task-1", 0), received=[(BOB, 1), (BOB, 1)]),
        ask(part("task-1", 0), claim=True),
    ],
    ids=["same stream", "stream continued", "same message", "claim without epoch"],
)
async def test_a_request_that_contradicts_itself_is_a_mistake_of_its_own(store: Store, request_: Append) -> None:
    """It is refused alone: its neighbours in the group are appended."""
    answers = await asyncio.gather(
        store.append(ask(part("task-before", 0))),
        store.append(request_),
        store.append(ask(part("task-after", 0))),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Appended, ValueError, Appended]
    assert await store.streams() == [StreamInfo("task-after", 1, 1), StreamInfo("task-before", 1, 1)]


# --- the log ----------------------------------------------------------------------------------------------------------------


async def test_the_log_is_in_the_order_of_the_appends(store: Store, other: Store) -> None:
    """Positions rise with each append, whoever makes it; who reads on from the last position misses nothing."""
    positions = []
    for index in range(6):
        appended = await (store if index % 2 else other).append(ask(part(f"task-{index % 3}", index // 3)))
        positions.append(appended.position)
    log = await store.log(0, 100)
    assert positions == sorted(set(positions)) == [row.position for row in log]
    assert [(row.stream, row.version) for row in log] == [(f"task-{index % 3}", index // 3 + 1) for index in range(6)]


async def test_the_log_is_read_in_pages(store: Store) -> None:
    """Reading behind the last position seen, a few at a time, gives the whole log once."""
    for index in range(3):
        await store.append(ask(part(f"task-{index}", 0, count=3)))
    pages, after = [], 0
    while page := await store.log(after, 2):
        pages += page
        after = page[-1].position
    assert pages == await store.log(0, 100)
    assert len(pages) == 9


async def test_the_log_holds_the_bytes_that_decode_to_the_event(store: Store) -> None:
    """Topic and state of a stored row are what the event codec reads."""
    await store.append(ask(part("task-1", 0)))
    (row,) = await store.log(0, 10)
    assert decode(row.topic, row.state) == (await store.read("task-1"))[0].event


async def test_the_head_is_the_position_of_the_last_event(store: Store) -> None:
    """A refused append does not move it."""
    appended = await store.append(ask(part("task-1", 0, count=3)))
    with pytest.raises(VersionConflict):
        await store.append(ask(part("task-1", 0)))
    assert await store.head() == appended.position == (await store.log(0, 10))[-1].position


async def test_streams_are_listed_by_prefix(store: Store) -> None:
    """By name, each with its last version and the number of its events."""
    for name, count in [("task-b", 2), ("task-a", 1), ("taskforce-x", 1), ("run-1", 3)]:
        await store.append(ask(part(name, 0, count=count)))
    assert await store.streams("task-") == [StreamInfo("task-a", 1, 1), StreamInfo("task-b", 2, 2)]
    assert [info.stream for info in await store.streams()] == ["run-1", "task-a", "task-b", "taskforce-x"]


# --- the fence --------------------------------------------------------------------------------------------------------------


async def _claim(store: Store, epoch: int, agent: str = ALICE) -> Appended:
    return await store.append(ask(part(f"agent-{agent}", epoch - 1), writer=agent, epoch=epoch, claim=True))


async def test_the_owner_writes_with_its_epoch(store: Store) -> None:
    """A claim is one more than the epoch before, and from then on its epoch is the one that is accepted."""
    for epoch in (1, 2, 3):
        await _claim(store, epoch)
        await store.append(ask(part("task-1", epoch - 1), epoch=epoch))
    assert await store.epochs() == {ALICE: 3}


@pytest.mark.parametrize("epoch", [0, 1, 3, 4])
async def test_any_other_epoch_is_fenced(store: Store, epoch: int) -> None:
    """An older epoch is a zombie, a newer one was never claimed: neither writes."""
    await _claim(store, 1)
    await _claim(store, 2)
    with pytest.raises(Fenced):
        await store.append(ask(part("task-1", 0), epoch=epoch))
    assert await store.read("task-1") == []


@pytest.mark.parametrize("epoch", [1, 2, 4, 9])
async def test_only_the_next_epoch_can_be_claimed(store: Store, epoch: int) -> None:
    """No epoch is claimed twice, and none is left out."""
    await _claim(store, 1)
    await _claim(store, 2)
    with pytest.raises(Fenced):
        await store.append(ask(part(f"agent-{ALICE}", 2), epoch=epoch, claim=True))
    assert await store.epochs() == {ALICE: 2}


async def test_of_two_claims_one_wins(store: Store, other: Store) -> None:
    """Two processes that claim the same epoch at once: the loser is fenced, and learns it from the store."""
    claims = [ask(writer=ALICE, epoch=1, claim=True) for _ in range(8)]
    asked = [(store if index % 2 else other).append(claim) for index, claim in enumerate(claims)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Appended"] + ["Fenced"] * 7
    assert await store.epochs() == {ALICE: 1}


async def test_the_epoch_before_is_fenced_within_the_same_group(store: Store) -> None:
    """A claim ends the old epoch for the very next request, also where both are committed together."""
    await _claim(store, 1)
    before, claim, after = await asyncio.gather(
        store.append(ask(part("task-1", 0), epoch=1)),
        store.append(ask(epoch=2, claim=True)),
        store.append(ask(part("task-1", 1), epoch=1)),
        return_exceptions=True,
    )
    assert (type(before), type(claim), type(after)) == (Appended, Appended, Fenced)


async def test_a_refused_claim_leaves_the_fence(store: Store) -> None:
    """A claim whose stream is at another version changes nothing."""
    with pytest.raises(VersionConflict):
        await store.append(ask(part(f"agent-{ALICE}", 5), epoch=1, claim=True))
    assert await store.epochs() == {}


async def test_agents_are_fenced_apart(store: Store) -> None:
    """The epoch of one agent says nothing about another."""
    await _claim(store, 1, ALICE)
    await _claim(store, 2, ALICE)
    await _claim(store, 1, BOB)
    await store.append(ask(part("task-1", 0), writer=BOB, epoch=1))
    assert await store.epochs() == {ALICE: 2, BOB: 1}


async def test_a_client_appends_without_an_epoch(store: Store) -> None:
    """Requests from outside are not fenced, whoever owns what."""
    await _claim(store, 1, "client/0")
    await store.append(ask(part("run-1", 0), writer="client/0"))
    assert len(await store.read("run-1")) == 1


# --- groups -----------------------------------------------------------------------------------------------------------------


async def test_a_conflict_never_fails_its_neighbours(store: Store) -> None:
    """Many appends at once, every third one wrong: exactly those are refused."""
    requests = [ask(part(f"task-{index}", 7 if index % 3 == 1 else 0)) for index in range(60)]
    answers = await asyncio.gather(*(store.append(request) for request in requests), return_exceptions=True)
    for index, answer in enumerate(answers):
        assert type(answer) is (VersionConflict if index % 3 == 1 else Appended), index
    assert len(await store.streams()) == 40


async def test_appends_asked_for_together_are_each_answered(store: Store) -> None:
    """In their order, each by itself: a refusal among them is an answer and not an error."""
    requests = [ask(part("task-1", 0, count=2)), ask(part("task-2", 7)), ask(part("task-1", 2)), ask(part("task-3", 0))]
    answers = await store.append_all(requests)
    assert [type(answer) for answer in answers] == [Appended, VersionConflict, Appended, Appended]
    assert await store.append_all([]) == []
    assert [(info.stream, info.version) for info in await store.streams("task-")] == [("task-1", 3), ("task-3", 1)]


async def test_appends_to_one_stream_follow_each_other_in_one_group(store: Store) -> None:
    """A request sees the accepted ones before it, and not the refused."""
    versions = [0, 0, 1, 5, 2, 1]
    answers = await asyncio.gather(*(store.append(ask(part("task-1", at))) for at in versions), return_exceptions=True)
    assert _kinds(answers) == "ok conflict ok conflict ok conflict"
    assert [item.version for item in await store.read("task-1")] == [1, 2, 3]


async def test_of_many_writers_of_one_version_one_wins(store: Store, other: Store) -> None:
    """However many try from however many processes, a version is given once."""
    asked = [(store if index % 2 else other).append(ask(part("task-1", 0), writer=f"lead/{index}")) for index in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(_kinds(answers).split()) == ["conflict"] * 19 + ["ok"]
    assert len(await store.read("task-1")) == 1


async def test_a_cancelled_caller_harms_nobody(store: Store) -> None:
    """Its own append happened as a whole or not at all; those around it are answered."""
    asked = [asyncio.ensure_future(store.append(ask(part(f"task-{index}", 0, count=2)))) for index in range(5)]
    await asyncio.sleep(0)
    asked[2].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, Appended) for index, answer in enumerate(answers) if index != 2)
    await store.append(ask(part("task-later", 0)))
    assert len(await store.read("task-2")) in {0, 2}


def _kinds(answers: Sequence[object]) -> str:
    return " ".join({Appended: "ok", VersionConflict: "conflict"}.get(type(answer), repr(answer)) for answer in answers)


# --- what is kept beside events -----------------------------------------------------------------------------------------------


async def test_open_streams_are_those_not_closed(store: Store, other: Store) -> None:
    """A stream is open for its owner from the append that opens it to the one that closes it; None leaves it as it is."""
    await store.append(ask(part("task-1", 0, open=True), part("task-2", 0, open=True), part("task-3", 0)))
    await store.append(ask(part("task-1", 1), part("task-2", 1, open=False)))
    assert await other.open_streams(ALICE) == ["task-1"]
    assert await other.open_streams(BOB) == []


async def test_who_closes_a_stream_need_not_be_who_opened_it(store: Store) -> None:
    """A stream is open for one owner: the last who opened it. Whoever closes it closes it."""
    await store.append(ask(part("run-1", 0, open=True), part("run-2", 0, open=True), writer="client/0"))
    await store.append(ask(part("run-1", 1, open=False), part("run-2", 1, open=True)))
    assert await store.open_streams("client/0") == []
    assert await store.open_streams(ALICE) == ["run-2"]
    await store.append(ask(part("run-2", 2, open=False), writer=BOB))
    assert await store.open_streams(ALICE) == []


async def test_the_last_word_about_a_stream_counts_also_within_a_group(store: Store) -> None:
    """Opened, closed, opened again in one group: it is open. And the other way round."""
    words = [
        ("task-1", [True, False, True]),
        ("task-2", [False, True, False]),
        ("task-3", [True, False]),
        ("task-4", [False, True]),
    ]
    asked = [store.append(ask(part(name, at, open=word))) for name, said in words for at, word in enumerate(said)]
    await asyncio.gather(*asked)
    assert await store.open_streams(ALICE) == ["task-1", "task-4"]


async def test_a_document_is_stored_once_by_its_digest(store: Store) -> None:
    """The same bytes again, by anybody, in the same group or later, are the same document."""
    await asyncio.gather(*(store.append(ask(part(f"task-{index}", 0), contents=[b"same", b"same"])) for index in range(3)))
    await store.append(ask(contents=[b"same", b"\x00\xff"]))
    assert await store.content(digest(b"same")) == b"same"
    assert await store.content(digest(b"\x00\xff")) == b"\x00\xff"


async def test_an_erased_document_is_gone(store: Store, other: Store) -> None:
    """Nobody reads it any more; the events that name it stay; it may be stored anew."""
    await store.append(ask(part("task-1", 0), contents=[b"personal"]))
    await store.erase(digest(b"personal"))
    for reader in (store, other):
        with pytest.raises(NoContent):
            await reader.content(digest(b"personal"))
    assert len(await store.read("task-1")) == 1
    await store.append(ask(contents=[b"personal"]))
    assert await other.content(digest(b"personal")) == b"personal"


async def test_the_last_snapshot_is_found_unless_it_lies_beyond_the_version(store: Store) -> None:
    """One that comes late is older; the same version again replaces it."""
    for version in (5, 2, 9, 5):
        await store.append(replace(ask(), snapshots=[Snapshot("run-1", version, b"state-%d" % version)]))
    await store.append(replace(ask(), snapshots=[Snapshot("run-10", 7, b"other")]))
    assert await store.snapshot("run-1") == await store.snapshot("run-1", upto=9) == Snapshot("run-1", 9, b"state-9")
    assert await store.snapshot("run-1", upto=8) is None
    await store.append(replace(ask(), snapshots=[Snapshot("run-1", 9, b"newer")]))
    assert await store.snapshot("run-1") == Snapshot("run-1", 9, b"newer")
    assert len(await store.snapshots()) == 2
