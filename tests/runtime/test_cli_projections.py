"""`projections rebuild|verify`: what the commands print, and how they end."""

from __future__ import annotations

from pathlib import Path

from tests.runtime.conftest import Rehydrate, change


def test_a_rebuild_brings_lost_read_models_back(data: Path, rehydrate: Rehydrate) -> None:
    """Also where the whole file is gone."""
    before = rehydrate("workflows", "list", "--json").document
    for file in data.glob("read.db*"):
        file.unlink()
    made = rehydrate("projections", "rebuild", "--json").document
    assert made["events"] > 0 and made["position"] == rehydrate("status", "--json").document["read_models"]["head"]
    assert rehydrate("workflows", "list", "--json").document == before
    assert rehydrate("projections", "verify").code == 0


def test_a_verification_names_what_is_different(data: Path, rehydrate: Rehydrate) -> None:
    """Exit code 3, the value and what the events say; the remedy is told."""
    change(data / "read.db", "UPDATE runs SET status = 'lost'")
    ended = rehydrate("projections", "verify", "--json")
    assert (ended.code, ended.document["total"]) == (3, 1)
    assert ended.document["mismatches"][0]["read_model"] == "lost"
    assert "rehydrate projections rebuild" in rehydrate("projections", "verify").out


def test_an_event_that_cannot_be_read_stops_a_rebuild(data: Path, rehydrate: Rehydrate) -> None:
    """The work failed, in one line; the old rows stay."""
    change(data / "events.db", "UPDATE stored_events SET topic = 'agent.Teleported' WHERE topic = 'agent.Ready'")
    ended = rehydrate("projections", "rebuild")
    assert ended.code == 1 and "agent.Teleported" in ended.error
