"""What a store holds beside its events is told, and taken away where nobody needs it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from domain import agent
from domain.decision import digest
from domain.ports.store import Append, Received, StreamAppend
from domain.streams import agent_stream
from runtime.clock import wall_clock_ms
from runtime.datadir import DataDir
from runtime.retention import DAY_MS
from tests.runtime.conftest import Rehydrate
from tests.runtime.filled import MESSAGE, NOISE
from tests.runtime.test_cli_deadletters import ask

STRAY = b"a document that nobody names"
ALL_ZERO = ("outbox", "snapshots", "commits", "marks", "dead_letters", "documents", "document_bytes")


def has(data: Path, content: bytes) -> bool:
    with closing(sqlite3.connect(data / "events.db")) as sql:
        return bool(
            sql.execute("SELECT count(*) FROM contents WHERE digest = ?", (bytes.fromhex(digest(content)),)).fetchone()[0]
        )


def stray(data: Path) -> None:
    """Leave a document that nobody names, as an append would that is wrong."""
    ask(data, lambda store: store.append(Append("lead/0", None, contents=[STRAY])))


def test_stats_say_what_is_there(data: Path, rehydrate: Rehydrate) -> None:
    """Events, tables with their rows and bytes, documents with and without a name, and what would be freed."""
    stray(data)
    found = rehydrate("store", "stats", "--json").document
    tables = {table["name"]: table for table in found["tables"]}
    assert found["events"] == tables["stored_events"]["rows"] > 100
    assert found["unreferenced"] == {"documents": 1, "bytes": len(STRAY)}
    assert found["referenced"]["documents"] + 1 == tables["contents"]["rows"]
    assert found["vacuum"]["documents"] == 1
    assert "1 that none does" in rehydrate("store", "stats").out


def test_a_dry_run_says_what_a_vacuum_does_and_touches_nothing(data: Path, rehydrate: Rehydrate) -> None:
    """The vacuum then does just that; a second one finds nothing, and all is as the events say."""
    stray(data)
    would = rehydrate("store", "vacuum", "--dry-run", "--older-than", "0s", "--json").document
    assert would == {"dry_run": True, "compacted": False, "freed": would["freed"]}
    assert (would["freed"]["documents"], would["freed"]["dead_letters"], has(data, STRAY)) == (3, 2, True)
    done = rehydrate("store", "vacuum", "--older-than", "0s", "--json").document
    assert done == {"dry_run": False, "compacted": True, "freed": would["freed"]}
    assert not any(has(data, content) for content in (STRAY, MESSAGE, NOISE))
    again = rehydrate("store", "vacuum", "--older-than", "0s", "--json").document["freed"]
    assert again == dict.fromkeys(ALL_ZERO, 0)
    assert rehydrate("replay", "verify").code == 0


def test_a_dead_letter_of_age_is_discarded_and_its_event_stays(data: Path, rehydrate: Rehydrate) -> None:
    """The log says that it was, and why; what it held is erased. One that is younger is left alone."""
    assert rehydrate("store", "vacuum", "--json").document["freed"]["dead_letters"] == 0
    rehydrate("store", "vacuum", "--older-than", "0s")
    letters = rehydrate("deadletters", "list", "--json").document
    assert [letter["status"] for letter in letters] == ["discarded"] * 2
    shown = rehydrate("deadletters", "show", letters[0]["letter_id"], "--json").document
    assert shown["content"] is None and shown["reason"]


def test_what_a_replayed_letter_holds_goes_with_its_age(data: Path, rehydrate: Rehydrate) -> None:
    """It was put back, and is no longer needed here; its status stays."""
    assert rehydrate("deadletters", "replay", "--all").code == 0
    rehydrate("store", "vacuum")
    assert has(data, MESSAGE)
    rehydrate("store", "vacuum", "--older-than", "0s")
    assert not has(data, MESSAGE)
    assert {letter["status"] for letter in rehydrate("deadletters", "list", "--json").document} == {"replayed", "discarded"}


def test_a_sender_that_stopped_long_ago_is_forgotten(data: Path, rehydrate: Rehydrate) -> None:
    """Once all that it sent is applied; one that stopped yesterday is not, for Kafka may still hold what it sent."""
    now_ms = wall_clock_ms()
    for name, days in (("lead/7", 31), ("lead/8", 1)):
        events = [
            agent.Claimed(at_ms=now_ms - 40 * DAY_MS, epoch=1, pid=1, host="there"),
            agent.Stopped(at_ms=now_ms - days * DAY_MS, epoch=1),
        ]
        ask(data, lambda store, n=name, e=events: store.append(Append(n, 1, [StreamAppend(agent_stream(n), 0, e)], claim=True)))  # type: ignore[misc]  # defaults bind the loop's values
        for receiver in ("lead/0", "pricing_optimizer/0"):
            send(data, name, receiver)
    assert rehydrate("store", "vacuum", "--json").document["freed"]["marks"] == 2
    with closing(sqlite3.connect(data / "events.db")) as sql:
        senders = {sender for (sender,) in sql.execute("SELECT DISTINCT sender FROM applied UNION SELECT sender FROM counters")}
    assert "lead/8" in senders and "lead/7" not in senders
    assert rehydrate("replay", "verify").code == 0


def send(data: Path, sender: str, receiver: str) -> None:
    """A message that is sent and applied."""
    from domain.ports.store import Outgoing

    (number,) = ask(data, lambda store: store.append(Append(sender, 1, outgoing=[Outgoing(receiver, b"{}", "m")]))).numbers
    ask(data, lambda store: store.append(Append(receiver, None, received=[Received(sender, number)])))


def test_a_vacuum_beside_a_swarm_leaves_the_size_of_the_file(data: Path, rehydrate: Rehydrate) -> None:
    """It frees the same, and says why the file does not shrink."""
    stray(data)
    holder = DataDir(data)
    holder.lock()
    ended = rehydrate("store", "vacuum", "--json")
    assert ended.document["compacted"] is False and ended.document["freed"]["documents"] == 1
    assert "a swarm is using it" in ended.err


def test_an_age_that_is_none(data: Path, rehydrate: Rehydrate) -> None:
    """One line names the forms that are."""
    ended = rehydrate("store", "vacuum", "--older-than", "soon")
    assert ended.code == 2 and "90d, 12h, 30m or 0s" in ended.error
