"""Messages vanish by hash and within bounds, and nobody but the journal can tell which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from broker import codec
from chaos import loss
from chaos.loss import Drop, LossyBus, lost
from domain.ports.store import Parcel
from tests.broker.letters import RECEIVER, SENDER, FakeBus, message, parcels

COUNT = 2000


def sent(rule: Drop, journal: Path, batches: Sequence[Sequence[Parcel]], now_s: float = 0.0) -> list[int]:
    """The numbers that reach the bus."""
    bus = FakeBus()
    lossy = LossyBus(bus, rule, SENDER, journal, lambda: now_s)
    for batch in batches:
        lossy.send(batch)
    return [parcel.number for parcel in bus.sent]


def test_a_share_is_lost_and_the_journal_says_how_many(tmp_path: Path) -> None:
    """About 5 % of many, and the entry counts exactly what is missing."""
    arrived = sent(Drop(id="d", share=0.05), tmp_path, [parcels(COUNT)])
    (entry,) = loss.read(tmp_path)
    assert (entry.process, entry.sent, entry.dropped) == (SENDER, COUNT, COUNT - len(arrived))
    assert 0.03 * COUNT < entry.dropped < 0.07 * COUNT


def test_batching_changes_nothing(tmp_path: Path) -> None:
    """One by one or all at once, in whatever order: the same messages are lost."""
    rule, all_of_them = Drop(id="d", share=0.2, seed=4), parcels(200)
    singly = sent(rule, tmp_path, [[parcel] for parcel in reversed(all_of_them)])
    assert sorted(singly) == sent(rule, tmp_path, [all_of_them])


def test_another_seed_loses_others(tmp_path: Path) -> None:
    """The seed is part of the decision."""
    first, second = (sent(Drop(id="d", share=0.2, seed=seed), tmp_path, [parcels(200)]) for seed in (1, 2))
    assert first != second


def test_a_repair_is_a_sending_of_its_own() -> None:
    """No message is lost for ever: among a few sendings one comes through."""
    rule = Drop(id="d", share=0.5)
    assert all(not all(lost(rule, message(number).header.message_id, sending) for sending in range(40)) for number in range(100))


def test_it_ends_by_itself(tmp_path: Path) -> None:
    """After its count, and after its time to live, everything comes through."""
    assert len(sent(Drop(id="few", share=1.0, count=3), tmp_path, [parcels(10)])) == 7
    bus, now = FakeBus(), [0.0]
    lossy = LossyBus(bus, Drop(id="short", share=1.0, ttl_s=5.0), SENDER, tmp_path, lambda: now[0])
    lossy.send(parcels(2))
    now[0] = 5.1
    lossy.send([Parcel(RECEIVER, 3, codec.encode(message(3)))])
    assert [parcel.number for parcel in bus.sent] == [3]
