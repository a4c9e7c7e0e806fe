"""Processes come and go in order: nobody is orphaned, a stop is a stop, and who has nothing to do costs nothing."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.system.conftest import Target
from tests.system.feed import Feed
from tests.system.swarm import PATIENCE_S, Running, Swarm, until

AGENTS = ("lead/0", "product_listing/0", "pricing_optimizer/0", "inventory_sync/0", "marketing_outreach/0")
IDLE_SHARE = 0.05
WATCHED_S, LOOK_EVERY_S = 4.0, 0.25
"""What counts is the quietest four seconds in a row: on a machine that others keep busy the same work takes more of a core's time."""
SETTLE_WITHIN_S = 30.0


class Held(NamedTuple):
    """A swarm with one product, whose posts are held by their target until the test lets them go."""

    swarm: Swarm
    target: Target

    def waiting(self, asked: int = 1) -> Running:
        """A run that waits for the held effect, asked for so many times now, with everything else done."""
        running = self.swarm.start()
        until(lambda: self._asked() >= asked, "the effect is asked for")
        return running

    def _asked(self) -> int:
        return sum(entry.outcome == "begun" and "/posts" in entry.key for entry in self.target.entries(self.swarm.home.name))

    def release(self) -> None:
        self.target.release(self.swarm.home.name)


@pytest.fixture
def held(tmp_path: Path, target: Target, feed_of: Callable[[int], Feed]) -> Held:
    return Held(Swarm(tmp_path, feed_of(1), effects_url=target.url(tmp_path.name, "/posts", PATIENCE_S), silence_s=60), target)


def nobody_is_left(swarm: Swarm) -> None:
    until(lambda: not swarm.processes(), "all processes are gone", 10.0)


def fork_server(swarm: Swarm, supervisor: int) -> int:
    """The child of the supervisor that starts all others, be it a copy or a fresh process; 0 while there is none."""
    children = [Path(f"/proc/{process.pid}") for process in swarm.processes() if process.parent == supervisor]
    copies = [place for place in children if (place / "comm").read_text() == "fork-server\n"]
    fresh = [place for place in children if b"multiprocessing.forkserver" in (place / "cmdline").read_bytes()]
    return int([*copies, *fresh, Path("0")][0].name)


def test_nobody_outlives_a_supervisor_that_is_killed(held: Held) -> None:
    """SIGKILL for the supervisor: within seconds no process of the swarm is left, be it awake or frozen. (That all awake ones go, the
    campaign of kills sees, too.)"""
    running = held.waiting()
    os.kill(held.swarm.pid_of("lead/0"), signal.SIGSTOP)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait().code == -signal.SIGKILL
    nobody_is_left(held.swarm)


def test_a_killed_fork_server_takes_its_children_along_and_all_are_replaced(held: Held) -> None:
    """SIGKILL for the fork server, with a frozen child: no child of it is left, others take their places, the run completes."""
    swarm, running = held.swarm, held.waiting()
    server = fork_server(swarm, running.pid)
    children = {process.pid for process in swarm.processes() if process.parent == server}
    assert len(children) >= len(AGENTS)
    opened = {str(handle.readlink()) for handle in Path(f"/proc/{server}/fd").iterdir()}
    assert not [name for name in opened if name.startswith(str(swarm.data))], "the lock of the data dir is the supervisor's alone"
    os.kill(swarm.pid_of("lead/0"), signal.SIGSTOP)
    os.kill(server, signal.SIGKILL)
    until(lambda: not children & {process.pid for process in swarm.processes()}, "its children are gone", 10.0)
    held.release()
    assert running.wait().document["status"] == "completed"
    nobody_is_left(swarm)


def test_a_fork_server_that_is_killed_while_the_swarm_starts_costs_a_moment(held: Held) -> None:
    """SIGKILL before it has started anybody, and again when the first has claimed: the run completes."""
    held.release()
    swarm = held.swarm
    running = swarm.start()
    first = until(lambda: fork_server(swarm, running.pid), "there is a fork server")
    os.kill(first, signal.SIGKILL)
    until(lambda: swarm.done("agent.Claimed"), "somebody has claimed")
    os.kill(fork_server(swarm, running.pid), signal.SIGKILL)
    assert running.wait().document["status"] == "completed"
    nobody_is_left(swarm)


def test_a_stop_is_orderly_and_the_same_command_goes_on(held: Held) -> None:
    """SIGINT and SIGTERM in the middle of a run: exit 130, nobody left, no file half-written; the same command finishes the run."""
    swarm = held.swarm
    for times, number in enumerate((signal.SIGINT, signal.SIGTERM), 1):
        running = held.waiting(times)
        os.kill(running.pid, number)
        ended = running.wait()
        assert ended.code == 130, ended.err
        nobody_is_left(swarm)
        assert not swarm.out.exists()
        stopped = swarm.done("agent.Stopped")
        assert {name: stopped.get(f"agent-{name}") for name in AGENTS} == dict.fromkeys(AGENTS, times)
    held.release()
    assert swarm.run().document["status"] == "completed"
    assert swarm.outputs()


def test_an_idle_swarm_costs_next_to_nothing(held: Held, report: Callable[[str], None]) -> None:
    """While all wait for one slow effect, all processes of the swarm together use at most 5 % of one core."""
    swarm, running = held.swarm, held.waiting()
    looks = deque([_cpu(swarm)], maxlen=round(WATCHED_S / LOOK_EVERY_S) + 1)
    quietest, end = 1.0, time.monotonic() + SETTLE_WITHIN_S
    while quietest > IDLE_SHARE and time.monotonic() < end:
        time.sleep(LOOK_EVERY_S)  # what is measured here is time
        looks.append(_cpu(swarm))
        assert looks[0].used.keys() == looks[-1].used.keys()
        if len(looks) == looks.maxlen:
            quietest = min(quietest, looks[-1].share_since(looks[0]))
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait().code == 130
    report(f"idle: {len(looks[0].used)} processes use {quietest:.1%} of one core")
    assert quietest <= IDLE_SHARE


class _Look(NamedTuple):
    at_s: float
    used: Mapping[int, float]

    def share_since(self, before: _Look) -> float:
        return sum(used - before.used[pid] for pid, used in self.used.items()) / (self.at_s - before.at_s)


def _cpu(swarm: Swarm) -> _Look:
    return _Look(time.monotonic(), {process.pid: process.cpu_s for process in swarm.processes()})
