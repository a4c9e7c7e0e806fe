"""The same swarm on PostgreSQL: shards, a database that goes away in the middle of a run, and kills."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.ports.probe import Point
from domain.role import Role
from tests.services.postgres import PostgresServer, database_of, server
from tests.system.conftest import Target, Undisturbed
from tests.system.feed import Feed
from tests.system.on_postgres import PostgresSwarm
from tests.system.swarm import until

pytestmark = pytest.mark.services

OUTAGE_S = 30.0
MARKETING = "marketing_outreach/0"
AGENTS = tuple(f"{role}/0" for role in Role)


@pytest.fixture(scope="module")
def peace(peace: Undisturbed) -> tuple[Feed, dict[str, bytes]]:
    """A feed, and what a run on SQLite gives for it."""
    return peace.feed, peace.outputs


@pytest.mark.parametrize("shards", [2, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_any_number_of_shards_gives_what_one_on_sqlite_gives(
    shards: int, tmp_path: Path, peace: tuple[Feed, dict[str, bytes]], postgres_url: str
) -> None:
    """Every file is byte for byte that of a run on SQLite with one shard of each role, and all of it follows from the events."""
    feed, outputs = peace
    with database_of(postgres_url) as url:
        given = [word for role in Role for word in ("--shards", f"{role}={shards}")]
        swarm = PostgresSwarm(tmp_path, feed, url, arguments=given)
        assert swarm.run().document["status"] == "completed"
        assert swarm.outputs() == outputs
        assert swarm.verify()["mismatches"] == []
        (asked,) = swarm.query("SELECT json_extract(state, '$.shards') FROM stored_events WHERE topic = 'run.Requested'")[0]
        assert str(shards) in asked
        owners = {stream for stream in swarm.done("agent.Claimed")}
        assert len(owners) == shards * len(Role)


@pytest.mark.slow
def test_a_run_that_is_resumed_keeps_its_shards(tmp_path: Path, peace: tuple[Feed, dict[str, bytes]], postgres_url: str) -> None:
    """The numbers are an event: who resumes without naming them gets those that the run began with."""
    feed, outputs = peace
    with database_of(postgres_url) as url:
        given = [word for role in Role for word in ("--shards", f"{role}=2")]
        swarm = PostgresSwarm(tmp_path, feed, url, arguments=given)
        running = swarm.start()
        until(lambda: swarm.done("workflow.StepCompleted"), "work has begun")
        running.process.send_signal(signal.SIGKILL)
        running.wait()
        until(lambda: not swarm.processes(), "the processes of the killed swarm are gone", 10.0)
        resumed = swarm.start("run", "product-launch-campaign", "--resume", "--out", str(swarm.out), "--json").wait()
        assert resumed.document["status"] == "completed"
        assert swarm.outputs() == outputs
        assert set(swarm.done("agent.Claimed").values()) == {2}, "both lives of all agents of both shards"
        assert len(swarm.done("agent.Claimed")) == 2 * len(Role)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test takes down."""
    with server() as made:
        yield made


@pytest.mark.slow
def test_a_database_that_stops_in_the_middle_of_a_run_is_waited_for(
    tmp_path: Path, peace: tuple[Feed, dict[str, bytes]], own_server: PostgresServer, target: Target
) -> None:
    """Stopped as by a crash and started again: nobody dies of it, each says so once, and outputs and effects are those of peace."""
    feed, outputs = peace
    with database_of(own_server.url) as url:
        swarm = PostgresSwarm(tmp_path, feed, url, effects_url=target.url("outage"), window=4)
        running = swarm.start()
        until(lambda: len(swarm.done("workflow.StepCompleted")) >= 4, "work is under way")
        before = {process.pid for process in swarm.processes()}
        own_server.stop(signal.SIGQUIT)
        time.sleep(OUTAGE_S)  # the outage itself, not a wait for something
        assert {process.pid for process in swarm.processes()} == before, running.said
        own_server.start()
        ended = running.wait()
        assert ended.document["status"] == "completed" and ended.document["recoveries"] == []
        assert swarm.outputs() == outputs
        assert swarm.verify()["mismatches"] == []
        assert set(swarm.done("task.Completed").values()) == {1}
        assert set(target.done("outage").values()) == {1}
        assert ended.err.count("waiting for it") == ended.err.count("the database is back") == 1
        for agent in AGENTS:
            assert swarm.log_lines(agent, "waiting") <= 2, f"{agent} says so again and again"


@pytest.mark.slow
def test_no_kill_leaves_a_trace_on_postgres(
    tmp_path: Path, peace: tuple[Feed, dict[str, bytes]], postgres_url: str, target: Target
) -> None:
    """SIGKILL at the points that hurt most, the projector and the supervisor among them: outputs, steps and effects as in peace."""
    feed, outputs = peace
    kills = [
        {"id": "k0", "process": "lead/0", "point": "before_commit", "hit": 5},
        {"id": "k1", "process": "marketing_outreach/0", "point": "between_intent_and_effect", "hit": 2},
        {"id": "k2", "process": "pricing_optimizer/0", "point": "after_commit", "hit": 3},
        {"id": "k3", "process": "projector", "position": 60},
        {"id": "k4", "process": "supervisor", "position": 200},
    ]
    with database_of(postgres_url) as url:
        swarm = PostgresSwarm(tmp_path, feed, url, plan=kills, effects_url=target.url("postgres-kills"), window=4)
        assert swarm.finish().document["status"] == "completed"
        hit = Counter(entry.id for entry in swarm.injected())
        assert set(hit) == {kill["id"] for kill in kills}
        assert swarm.outputs() == outputs
        assert set(swarm.done("task.Completed").values()) == {1}
        intended = swarm.query("SELECT json_extract(state, '$.key') FROM stored_events WHERE topic = 'task.EffectIntended'")
        assert Counter(key for key, _ in target.done("postgres-kills").elements()) == Counter(key for (key,) in intended)
        assert swarm.verify()["mismatches"] == []


@pytest.mark.slow
def test_a_zombie_commits_nothing_and_ends_by_itself(
    tmp_path: Path, peace: tuple[Feed, dict[str, bytes]], postgres_url: str, target: Target
) -> None:
    """Frozen between the intent of an effect and the effect, replaced on what might be another machine, woken: its epoch is over."""
    feed, outputs = peace
    frozen = {"id": "frozen", "process": MARKETING, "point": Point.BETWEEN_INTENT_AND_EFFECT, "hit": 2, "signal": "STOP"}

    def effects_of(epoch: int) -> list[str]:
        return [
            entry.key
            for entry in target.entries("zombie")
            if entry.epoch == epoch and entry.agent == MARKETING and entry.outcome == "done"
        ]

    with database_of(postgres_url) as url:
        # No supervisor takes the silence for a death: with the frozen process and its owner's end, nothing but the fence is left.
        swarm = PostgresSwarm(tmp_path, feed, url, plan=[frozen], effects_url=target.url("zombie"), silence_s=600, window=6)
        running = swarm.start()
        until(swarm.injected, "the agent stands still")
        zombie = swarm.pid_of(MARKETING)
        with swarm.start_beside("tests.system.substitute", MARKETING) as substitute:
            until(lambda: swarm.done("agent.Claimed").get(f"agent-{MARKETING}") == 2, "the agent has another owner")
            until(lambda: effects_of(2), "the other owner acts on the world")
            before = effects_of(1)
            os.kill(zombie, signal.SIGCONT)
            until(lambda: zombie not in {process.pid for process in swarm.processes()}, "the zombie has ended", 20.0)
            assert swarm.log_lines(MARKETING, f"{zombie} runtime.child: stopping:") == 1, "it says why it ends"
            ended = running.wait()
            substitute.terminate()
        assert ended.document["status"] == "completed"
        assert swarm.outputs() == outputs
        assert effects_of(1) == before, "the zombie did what its successor had taken over"
        intended = swarm.query("SELECT json_extract(state, '$.key') FROM stored_events WHERE topic = 'task.EffectIntended'")
        assert Counter(key for key, _ in target.done("zombie").elements()) == Counter(key for (key,) in intended)
        assert set(swarm.done("task.Completed").values()) == {1}
        assert swarm.verify()["mismatches"] == []
