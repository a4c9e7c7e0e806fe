"""A server that does not let the swarm in any more, in the middle of its work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.services.postgres import GUARDED, PostgresServer, database_of, execute, server
from tests.system.conftest import Undisturbed
from tests.system.on_postgres import PostgresSwarm
from tests.system.swarm import until

pytestmark = [pytest.mark.services, pytest.mark.slow]

USER, PASSWORD = GUARDED
OTHER = "close-sesame"
END_S = 15.0
"""So long may the end of a run take whose database lets nobody in."""
REFUSED = rf"error: postgresql://{USER}@\S+: the server refuses the password of {USER}; correct it in the URL"


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server with a user of the test's own."""
    with server() as made:
        yield made


@pytest.fixture
def guarded_swarm(tmp_path: Path, peace: Undisturbed, own_server: PostgresServer) -> Iterator[PostgresSwarm]:
    """A swarm that is asked for a password; the test itself looks as somebody else."""
    with database_of(own_server.url) as admin:
        asyncio.run(execute(admin, f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'"))
        asyncio.run(execute(admin, f"GRANT CREATE ON DATABASE {urlsplit(admin).path[1:]} TO {USER}"))
        swarm = PostgresSwarm(tmp_path, peace.feed, guarded(admin, PASSWORD), window=4)
        swarm.database = admin
        yield swarm


def lock_out(swarm: PostgresSwarm, which: str = "true") -> None:
    """Change the password of a swarm at work and end those of its sessions."""
    asyncio.run(execute(swarm.database, f"ALTER ROLE {USER} PASSWORD '{OTHER}'"))
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}' AND {which}"
    asyncio.run(execute(swarm.database, ended))


@pytest.mark.parametrize(
    "which", ["true", "application_name LIKE 'rehydrate lead/0%'"], ids=["all sessions", "the lead's sessions"]
)
def test_a_password_that_is_changed_in_the_middle_of_a_run_ends_it_in_one_line(
    guarded_swarm: PostgresSwarm, peace: Undisturbed, which: str
) -> None:
    """Who loses its sessions does not get in again, nor would another in its place: exit code 2, no process is left and none had to be
    killed. With the new password in the URL the same command finishes the run, and later ones need no URL."""
    swarm = guarded_swarm
    running = swarm.start()
    until(lambda: len(swarm.done("workflow.StepCompleted")) >= 4, "work is under way")
    lock_out(swarm, which)
    ended = running.wait(END_S)
    assert ended.code == 2
    assert re.fullmatch(REFUSED, ended.err.splitlines()[-1]) and ended.err.count("refuses the password") == 1
    until(lambda: not swarm.processes(), "nobody is left", 5.0)
    assert "did not stop" not in (swarm.data / "logs" / "supervisor.log").read_text()

    del swarm.environment["REHYDRATE_DATABASE"]
    refused = swarm.run()
    assert refused.code == 2
    assert re.fullmatch(REFUSED + "\n", refused.err)

    finished = swarm.start(*swarm.command, "--database", guarded(swarm.database, OTHER)).wait()
    assert finished.document["status"] == "completed"
    assert swarm.outputs() == peace.outputs
    assert set(swarm.done("task.Completed").values()) == {1}
    assert swarm.verify()["mismatches"] == []
    assert not any(secret in path.read_text() for path in (swarm.data / "logs").glob("*.log") for secret in (PASSWORD, OTHER))


def guarded(url: str, password: str) -> str:
    """The same database as the user who is asked for a password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{USER}:{password}@{parts.hostname}:{parts.port}"))
