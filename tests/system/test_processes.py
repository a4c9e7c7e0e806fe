"""Processes come and go in order: nobody is orphaned, a stop is a stop, and who has nothing to do costs nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import Target
from tests.system.feed import Feed
from tests.system.swarm import Running, Swarm, until

AGENTS = ("lead/0", "product_listing/0", "pricing_optimizer/0", "inventory_sync/0", "marketing_outreach/0")
SETTLED_S = 8.0
"""Longer than the last of the waits that grow while nothing comes (broker/channel.py)."""
WATCHED_S = 8.0
IDLE_SHARE = 0.05
WINDOWS = 3
"""On a machine that others keep busy the same work takes more of a core's time: the quietest of a few windows counts."""
LONG_S = 60.0


def waiting(swarm: Swarm) -> Running:
    """A run that waits for a slow effect, with everything else done."""
    running = swarm.start()
    until(lambda: swarm.done("task.EffectIntended"), "the effect is intended")
    return running


def slow_swarm(home: Path, target: Target, feed_of: Callable[[int], Feed], slow_s: float) -> Swarm:
    return Swarm(home, feed_of(1), effects_url=target.url(home.name, "/posts", slow_s), silence_s=60)


def nobody_is_left(swarm: Swarm) -> None:
    until(lambda: not swarm.processes(), "all processes are gone", 10.0)


def fork_server(swarm: Swarm, supervisor: int) -> int:
    """The child of the supervisor that starts all others; 0 while there is none."""
    children = [process.pid for process in swarm.processes() if process.parent == supervisor]
    servers = [pid for pid in children if b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return servers[0] if servers else 0


@pytest.mark.parametrize("frozen", [False, True], ids=["all awake", "one frozen"])
def test_nobody_outlives_a_supervisor_that_is_killed(
    frozen: bool, tmp_path: Path, target: Target, feed_of: Callable[[int], Feed]
) -> None:
    """SIGKILL for the supervisor: within seconds no process of the swarm is left, a frozen child included."""
    swarm = slow_swarm(tmp_path, target, feed_of, LONG_S)
    running = waiting(swarm)
    if frozen:
        os.kill(swarm.pid_of("lead/0"), signal.SIGSTOP)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait().code == -signal.SIGKILL
    nobody_is_left(swarm)


def test_a_killed_fork_server_takes_its_children_along_and_all_are_replaced(
    tmp_path: Path, target: Target, feed_of: Callable[[int], Feed]
) -> None:
    """SIGKILL for the fork server, with a frozen child: no child of it is left, others take their places, the run completes."""
    swarm = slow_swarm(tmp_path, target, feed_of, 1.0)
    running = waiting(swarm)
    server = fork_server(swarm, running.pid)
    children = {process.pid for process in swarm.processes() if process.parent == server}
    assert len(children) >= len(AGENTS)
    os.kill(swarm.pid_of("lead/0"), signal.SIGSTOP)
    os.kill(server, signal.SIGKILL)
    until(lambda: not children & {process.pid for process in swarm.processes()}, "its children are gone", 10.0)
    assert running.wait().document["status"] == "completed"
    nobody_is_left(swarm)


def test_a_fork_server_that_is_killed_while_the_swarm_starts_costs_a_moment(
    tmp_path: Path, target: Target, feed_of: Callable[[int], Feed]
) -> None:
    """SIGKILL before it has started anybody, and again when the first has claimed: the run completes."""
    swarm = slow_swarm(tmp_path, target, feed_of, 0.0)
    running = swarm.start()
    first = until(lambda: fork_server(swarm, running.pid), "there is a fork server")
    os.kill(first, signal.SIGKILL)
    until(lambda: swarm.done("agent.Claimed"), "somebody has claimed")
    os.kill(fork_server(swarm, running.pid), signal.SIGKILL)
    assert running.wait().document["status"] == "completed"
    nobody_is_left(swarm)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_stop_is_orderly_and_the_same_command_goes_on(
    number: signal.Signals, tmp_path: Path, target: Target, feed_of: Callable[[int], Feed]
) -> None:
    """SIGINT or SIGTERM in the middle of a run: exit 130, nobody left, no file half-written; the same command finishes the run."""
    swarm = slow_swarm(tmp_path, target, feed_of, 2.0)
    running = waiting(swarm)
    os.kill(running.pid, number)
    ended = running.wait()
    assert ended.code == 130, ended.err
    nobody_is_left(swarm)
    assert not swarm.out.exists()
    assert swarm.done("agent.Stopped").keys() >= {f"agent-{name}" for name in AGENTS}
    document = swarm.run().document
    assert document["status"] == "completed"
    assert swarm.outputs()


def test_an_idle_swarm_costs_next_to_nothing(
    tmp_path: Path, target: Target, feed_of: Callable[[int], Feed], report: Callable[[str], None]
) -> None:
    """While all wait for one slow effect, all processes of the swarm together use at most 5 % of one core."""
    swarm = slow_swarm(tmp_path, target, feed_of, LONG_S)
    running = waiting(swarm)
    time.sleep(SETTLED_S)  # what is measured here is time
    shares: list[float] = []
    before: dict[int, float] = {}
    while len(shares) < WINDOWS and min(shares, default=1.0) > IDLE_SHARE:
        before, begun = _cpu(swarm), time.monotonic()
        time.sleep(WATCHED_S)
        after, elapsed = _cpu(swarm), time.monotonic() - begun
        assert before.keys() == after.keys()
        shares.append(sum(after[pid] - before[pid] for pid in after) / elapsed)
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait().code == 130
    report(f"idle: {len(before)} processes use {min(shares):.1%} of one core")
    assert min(shares) <= IDLE_SHARE, shares


def _cpu(swarm: Swarm) -> dict[int, float]:
    return {process.pid: process.cpu_s for process in swarm.processes()}
