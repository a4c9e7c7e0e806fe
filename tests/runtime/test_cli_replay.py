"""Replay: any stream at any time, and a proof that finds whatever is not as the events say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.conftest import Rehydrate, change
from tests.runtime.filled import SNAPSHOT_AT, fill

RUN = "run-00000001-1"
FLOW = "workflow-00000001-1-0"


def test_streams_are_listed(data: Path, rehydrate: Rehydrate) -> None:
    """All, or those of a kind."""
    found = rehydrate("replay", "list", "--json").document
    assert set(found[0]) == {"stream", "kind", "version", "events"}
    assert {row["kind"] for row in found} >= {"run", "workflow", "task", "agent", "deadletter", "price"}
    (run,) = rehydrate("replay", "list", "--kind", "run", "--json").document
    assert run == next(row for row in found if row["stream"] == RUN) and run["version"] == run["events"]
    assert "there are agent, campaign" in rehydrate("replay", "list", "--kind", "runs").error


def test_a_stream_is_shown_as_it_was(data: Path, rehydrate: Rehydrate) -> None:
    """At any version, version 0 included: its events and the state that follows."""
    last = rehydrate("replay", "show", RUN, "--json").document
    assert list(last) == ["stream", "kind", "version", "state", "events"]
    assert set(last["events"][0]) == {"version", "topic", "at", "event"}
    assert (last["kind"], last["state"]["status"], last["version"]) == ("run", "completed", len(last["events"]))
    first = rehydrate("replay", "show", RUN, "--at-version", "1", "--json").document
    assert (first["version"], first["state"]["status"], first["events"]) == (1, "requested", last["events"][:1])
    none = rehydrate("replay", "show", RUN, "--at-version", "0", "--json").document
    assert (none["version"], none["state"]["status"], none["events"]) == (0, "unknown", [])
    shown = rehydrate("replay", "show", RUN).out
    assert "run.Requested" in shown and '"status": "completed"' in shown


def test_a_stream_is_shown_as_of_a_time(data: Path, rehydrate: Rehydrate) -> None:
    """Up to the first event that was decided later."""
    events = rehydrate("replay", "show", FLOW, "--json").document["events"]
    at = events[3]["at"]
    shown = rehydrate("replay", "show", FLOW, "--at", at, "--json").document
    assert [event["at"] for event in shown["events"]] == [event["at"] for event in events if event["at"] <= at]
    assert rehydrate("replay", "show", FLOW, "--at", "2000-01-01T00:00:00Z", "--json").document["version"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run-none-1"], "there is no such stream"),
        (["walk-1"], "is no stream name"),
        ([RUN, "--at-version", "99"], "there is no version 99"),
        ([RUN, "--at", "noon"], "not a time with its offset"),
        ([RUN, "--at", "2026-11-21T12:00:00"], "not a time with its offset"),
        ([RUN, "--at", "2026-11-21T12:00:00Z", "--at-version", "1"], "not both"),
    ],
)
def test_what_cannot_be_shown(data: Path, rehydrate: Rehydrate, words: list[str], said: str) -> None:
    """One line says why."""
    ended = rehydrate("replay", "show", *words)
    assert ended.code == 2 and said in ended.error


# --- verify -----------------------------------------------------------------------------------------------------------------


def mismatches(rehydrate: Rehydrate) -> list[dict[str, Any]]:
    """What `replay verify` finds; it ends with 3."""
    ended = rehydrate("replay", "verify", "--json")
    assert ended.code == 3
    found: list[dict[str, Any]] = ended.document["mismatches"]
    assert found and all(set(one) == {"where", "what", "expected", "found"} for one in found)
    return found


@pytest.mark.parametrize("finished", [True, False])
def test_a_good_data_dir_verifies(rehydrate: Rehydrate, tmp_path: Path, finished: bool) -> None:
    """In the middle of a run and after it; the counts say what was looked at."""
    launch = fill(tmp_path / "data", 5, finished=finished)
    ended = rehydrate("replay", "verify", "--json")
    found = ended.document
    assert ended.code == 0 and found["mismatches"] == []
    assert found["events"] == len(launch.log.stored) + 2  # the dead letters
    assert found["streams"] == len(rehydrate("replay", "list", "--json").document)
    assert found["snapshots"] == 1 and found["read_models"] > 0
    # The products of this launch were never stored as documents: that may be so, and is said.
    assert found["notes"] and all(note["what"] == "content" for note in found["notes"])


STATE = '{"at_ms":1795262400000,"step":"SET_PRICE","output":{},"attempts":2}'


@pytest.mark.parametrize(
    ("topic", "state", "what"),
    [
        ("workflow.StepCompleted", STATE.replace('"step"', '"stop"'), "event"),
        ("workflow.StepCompleted", STATE.replace("{", "["), "event"),
        ("workflow.StepCompleted", STATE.replace("attempts", "attempted"), "event"),
        ("workflow.Teleported", STATE, "event"),
        ("task.Cancelled", '{"at_ms":1,"reason":"x"}', "fold"),
        ("workflow.StepCompleted", STATE.replace("SET_PRICE", "SET_PRIZE"), "fold"),
    ],
)
def test_verify_finds_a_changed_event(data: Path, rehydrate: Rehydrate, topic: str, state: str, what: str) -> None:
    """Bytes that no longer decode, a field that would be ignored, a topic of nobody or of another kind, a step of nobody."""
    sql = "UPDATE stored_events SET topic = ?, state = CAST(? AS BLOB) WHERE originator_id = ? AND originator_version = 5"
    change(data / "events.db", sql, topic, state, FLOW)
    found = mismatches(rehydrate)
    assert [one["what"] for one in found if one["where"].startswith(f"{FLOW}@5 ")] == [what]


def test_a_changed_value_that_still_decodes_is_seen_in_the_read_models(data: Path, rehydrate: Rehydrate) -> None:
    """They were folded before the change."""
    sql = "UPDATE stored_events SET state = CAST(replace(state, '\"pid\":', '\"pid\":1') AS BLOB) WHERE originator_id = 'agent-lead/0'"
    change(data / "events.db", sql)
    assert {one["what"] for one in mismatches(rehydrate)} == {"read model"}


def test_verify_finds_a_hole_in_the_versions(data: Path, rehydrate: Rehydrate) -> None:
    """It is reported once, at the event behind it."""
    change(data / "events.db", "DELETE FROM stored_events WHERE originator_id = ? AND originator_version = 3", FLOW)
    (one,) = [one for one in mismatches(rehydrate) if one["what"] == "version"]
    assert one["where"].startswith(FLOW) and (one["expected"], one["found"]) == (3, 4)


def test_verify_finds_a_changed_snapshot(data: Path, rehydrate: Rehydrate) -> None:
    """And names what is different in it."""
    change(data / "events.db", "UPDATE snapshots SET state = CAST(replace(state, '\"started\":3', '\"started\":4') AS BLOB)")
    (one,) = mismatches(rehydrate)
    assert one == {"where": f"{RUN}@{SNAPSHOT_AT}", "what": "snapshot", "expected": {"started": 3}, "found": {"started": 4}}


@pytest.mark.parametrize("state", ["{", "[]", '{"status":"walking"}'])
def test_verify_finds_a_snapshot_that_is_no_state(data: Path, rehydrate: Rehydrate, state: str) -> None:
    """Whatever stands there instead."""
    change(data / "events.db", "UPDATE snapshots SET state = CAST(? AS BLOB)", state)
    assert [one["what"] for one in mismatches(rehydrate)] == ["snapshot"]


def test_verify_finds_a_snapshot_beyond_the_end(data: Path, rehydrate: Rehydrate) -> None:
    """A snapshot of events that are not there."""
    change(data / "events.db", "UPDATE snapshots SET originator_version = 1000")
    assert [(one["what"], one["where"]) for one in mismatches(rehydrate)] == [("snapshot", f"{RUN}@1000")]


def test_verify_finds_a_changed_read_model(data: Path, rehydrate: Rehydrate) -> None:
    """Row and column are named; a rebuild mends it."""
    change(data / "read.db", "UPDATE agents SET epoch = 7 WHERE agent = 'lead/0'")
    (one,) = mismatches(rehydrate)
    assert one == {"where": "agents: agent lead/0: epoch", "what": "read model", "expected": 1, "found": 7}
    assert rehydrate("projections", "verify").code == 3
    assert rehydrate("projections", "rebuild").code == 0
    assert rehydrate("replay", "verify").code == 0


@pytest.mark.parametrize(
    ("sql", "expected", "found"),
    [
        ("UPDATE fences SET epoch = 9 WHERE agent = 'lead/0'", 1, 9),
        ("DELETE FROM fences WHERE agent = 'lead/0'", 1, None),
        ("UPDATE fences SET agent = 'leed/0' WHERE agent = 'lead/0'", None, 1),
    ],
)
def test_verify_finds_a_wrong_fence(data: Path, rehydrate: Rehydrate, sql: str, expected: int | None, found: int | None) -> None:
    """Changed, lost, or of nobody."""
    change(data / "events.db", sql)
    assert (expected, found) in [(one["expected"], one["found"]) for one in mismatches(rehydrate) if one["what"] == "fence"]


def test_verify_finds_a_claim_that_left_an_epoch_out(data: Path, rehydrate: Rehydrate) -> None:
    """Epochs count, too."""
    sql = "UPDATE stored_events SET state = CAST(replace(state, '\"epoch\":1', '\"epoch\":4') AS BLOB) WHERE originator_id = ?"
    change(data / "events.db", sql, "agent-lead/0")
    assert {"epoch", "fence"} <= {one["what"] for one in mismatches(rehydrate)}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("INSERT INTO open_streams (owner, stream) VALUES ('lead/0', 'run-00000001-1')", "open for lead/0"),
        ("INSERT INTO open_streams (owner, stream) VALUES ('lead/0', 'run-none-1')", "open for lead/0"),
    ],
)
def test_verify_finds_a_stream_that_is_listed_as_open_and_is_not(data: Path, rehydrate: Rehydrate, sql: str, found: str) -> None:
    """Its owner would look at it for ever."""
    change(data / "events.db", sql)
    assert [(one["what"], one["found"]) for one in mismatches(rehydrate)] == [("open index", found)]


def test_verify_finds_an_open_stream_that_is_not_listed(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """No new owner would ever pick it up."""
    fill(tmp_path / "data", finished=False)
    change(tmp_path / "data" / "events.db", "DELETE FROM open_streams WHERE stream = ?", RUN)
    assert [(one["what"], one["expected"]) for one in mismatches(rehydrate)] == [("open index", "open")]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DELETE FROM applied WHERE sender = 'client/0'", {"neither": [1]}),
        ("DELETE FROM outbox WHERE sender = 'lead/0' AND receiver = 'lead/1'", {"neither": [1]}),
        ("UPDATE applied SET mark = 5 WHERE sender = 'client/0'", {"beyond": [5]}),
        ("UPDATE outbox SET n = 900 WHERE sender = 'lead/0' AND receiver = 'lead/1' AND n = 1", {"neither": [1]}),
    ],
)
def test_verify_finds_messages_that_are_lost_or_from_nowhere(data: Path, rehydrate: Rehydrate, sql: str, found: object) -> None:
    """Applied or in the outbox is fine, neither is not."""
    with closing(sqlite3.connect(data / "events.db")) as connection, connection:
        connection.execute(
            "DELETE FROM outbox WHERE sender = 'client/0'"
        )  # it is applied, and trimmed unless it was too soon for that
    change(data / "events.db", sql)
    assert found in [one["found"] for one in mismatches(rehydrate) if one["what"] == "messages"]


def test_verify_finds_a_changed_document(data: Path, rehydrate: Rehydrate) -> None:
    """Its name is the digest of what it should hold."""
    change(data / "events.db", "UPDATE contents SET data = x'00' WHERE digest = (SELECT min(digest) FROM contents)")
    (one,) = mismatches(rehydrate)
    assert one["what"] == "content" and one["expected"] != one["found"]


def test_an_erased_document_is_a_note(data: Path, rehydrate: Rehydrate) -> None:
    """It may have been erased on purpose."""
    before = len(rehydrate("replay", "verify", "--json").document["notes"])
    change(data / "events.db", "DELETE FROM contents")
    ended = rehydrate("replay", "verify", "--json")
    assert ended.code == 0 and len(ended.document["notes"]) > before


def test_read_models_that_were_never_built_are_a_note(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """The events are all there is to be right about."""
    fill(tmp_path / "data", project=False)
    ended = rehydrate("replay", "verify", "--json")
    assert (ended.code, ended.document["read_models"]) == (0, 0)
    assert ended.document["notes"][-1]["where"] == "read models"


def test_read_models_that_are_ahead_of_the_log(data: Path, rehydrate: Rehydrate) -> None:
    """They are of another log, or the log was cut."""
    change(data / "read.db", "UPDATE position SET position = 100000")
    assert "read model" in {one["what"] for one in mismatches(rehydrate)}


def test_verifying_changes_nothing(data: Path, rehydrate: Rehydrate) -> None:
    """What is looked at stays as it is."""
    before = _dump(data)
    rehydrate("replay", "verify")
    assert _dump(data) == before


def _dump(data: Path) -> list[str]:
    connection = sqlite3.connect(data / "events.db")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()
