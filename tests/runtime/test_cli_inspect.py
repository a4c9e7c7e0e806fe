"""`status`, `workflows`, `agents`: what the commands show is what happened."""

from __future__ import annotations

from pathlib import Path

from runtime.datadir import DataDir
from tests.runtime.conftest import Rehydrate
from tests.runtime.filled import fill


def test_status_sums_up_the_data_dir(data: Path, rehydrate: Rehydrate) -> None:
    """Runs, agents, dead letters, read models; nothing runs."""
    found = rehydrate("status", "--json").document
    (run,) = found["runs"]
    assert (run["workflow"], run["status"], run["products"], run["ended"]) == ("product-launch-campaign", "completed", 3, 3)
    assert (found["running"], found["supervisor"], found["unfinished"], found["open_streams"]) == (False, None, [], {})
    assert found["agents"] == {"stopped": 14}
    assert found["dead_letters"] == {"waiting": 2}
    assert found["read_models"]["behind"] == 0 and found["read_models"]["position"] == found["read_models"]["head"]


def test_status_names_unfinished_work(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """And how to go on with it."""
    launch = fill(tmp_path / "data", finished=False, project=False)
    found = rehydrate("status", "--json").document
    assert found["unfinished"] == [launch.run_id]
    assert found["open_streams"]["run"] == 1
    assert found["read_models"] == {"position": 0, "head": found["read_models"]["head"], "behind": found["read_models"]["head"]}
    shown = rehydrate("status").out
    assert launch.run_id in shown and "again goes on with it" in shown


def test_an_empty_data_dir_says_what_to_do_next(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """Every list has an empty state; none is an error."""
    DataDir(tmp_path / "data").open()
    for words in (["status"], ["workflows", "list"], ["agents", "list"], ["replay", "list"]):
        ended = rehydrate(*words)
        assert ended.code == 0 and "`rehydrate run" in ended.out
        assert rehydrate(*words, "--json").code == 0
    assert "no dead letters" in rehydrate("deadletters", "list").out
    assert rehydrate("replay", "verify").code == 0


def test_the_supervisor_is_seen(data: Path, rehydrate: Rehydrate) -> None:
    """Whoever holds the lock is it, and agents are then shown as their events leave them."""
    DataDir(data).lock()
    found = rehydrate("status", "--json").document
    assert found["running"] and found["supervisor"] > 0 and found["agents"] == {"ready": 14}
    assert {agent["status"] for agent in rehydrate("agents", "list", "--json").document} == {"ready"}


def test_agents_have_the_promised_keys(data: Path, rehydrate: Rehydrate) -> None:
    """Without a supervisor all of them are stopped."""
    found = rehydrate("agents", "list", "--json").document
    assert len(found) == 14
    for agent in found:
        assert set(agent) >= {"agent", "role", "shard", "epoch", "pid", "status", "task_id", "last_heartbeat_at"}
        assert agent["agent"] == f"{agent['role']}/{agent['shard']}" and agent["status"] == "stopped"


def test_workflows_are_listed_and_filtered(data: Path, rehydrate: Rehydrate) -> None:
    """One for each product and one that closes."""
    found = rehydrate("workflows", "list", "--json").document
    run = found[0]["run_id"]
    assert len(found) == 4 and {row["status"] for row in found} == {"completed"}
    of_run = rehydrate("workflows", "list", "--run", run, "--json").document
    assert of_run[-1] == found[0], "the closing one is the newest, and the last of its run"
    assert {row["workflow_id"] for row in of_run} == {row["workflow_id"] for row in found}
    assert rehydrate("workflows", "list", "--status", "failed", "--json").document == []
    assert found[0]["workflow_id"] in rehydrate("workflows", "list").out


def test_a_filter_that_names_nothing_is_bad_usage(data: Path, rehydrate: Rehydrate) -> None:
    """A typing mistake must not look like an empty list."""
    for words in (["--run", "run-x-1"], ["--status", "done"]):
        assert rehydrate("workflows", "list", *words).code == 2


def test_a_workflow_is_shown_with_its_steps_and_messages(data: Path, rehydrate: Rehydrate) -> None:
    """Steps stand in the order of their graph."""
    name = rehydrate("workflows", "list", "--json").document[0]["workflow_id"].rpartition("-")[0] + "-0"
    found = rehydrate("workflows", "show", name, "--messages", "--json").document
    assert (found["workflow_id"], found["status"], len(found["steps"])) == (name, "completed", 6)
    assert set(found["steps"][0]) >= {"task_id", "task_type", "agent", "status", "attempts"}
    assert found["messages"][0]["type"] == "TASK_ASSIGN"
    shown = rehydrate("workflows", "show", name, "--messages").out
    assert all(step["task_type"] in shown for step in found["steps"])
    assert "no such workflow" in rehydrate("workflows", "show", "workflow-x-1-1").error


def test_a_stopped_swarm_s_read_models_are_brought_up_to_date(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """A crash may have left them behind, and no projector is there to see to it."""
    fill(tmp_path / "data", project=False)
    assert len(rehydrate("workflows", "list", "--json").document) == 4
    assert rehydrate("status", "--json").document["read_models"]["behind"] == 0


def test_a_running_swarm_s_lag_is_told(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """There the projector works, and a list says how old it is."""
    fill(tmp_path / "data", project=False)
    DataDir(tmp_path / "data").lock()
    ended = rehydrate("workflows", "list", "--json")
    assert ended.document == [] and "events behind the log" in ended.err
    assert rehydrate("workflows", "list", "--json", "-q").err == ""
