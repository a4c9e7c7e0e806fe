"""A swarm whose events are in PostgreSQL, as its user sees it."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from tests.system.feed import Feed
from tests.system.swarm import ROOT, Swarm, all_stopped, until


class PostgresSwarm(Swarm):
    """One data dir whose database is at a URL."""

    def __init__(
        self,
        home: Path,
        feed: Feed,
        database: str,
        *,
        plan: Sequence[Mapping[str, Any]] = (),
        arguments: Sequence[str] = (),
        **settings: object,
    ) -> None:
        super().__init__(home, feed, plan=plan, database=database, **settings)
        self.database = database
        self.command += arguments

    def query(self, sql: str, *parameters: object) -> list[Any]:
        """Ask the database itself, without any code of the program. Empty while there are no tables, or no server."""
        numbers = itertools.count(1)
        asked = re.sub(r"\?", lambda _: f"${next(numbers)}", sql)
        asked = re.sub(r"json_extract\(state, '\$\.(\w+)'\)", r"convert_from(state, 'UTF8')::json->>'\1'", asked)
        return asyncio.run(_ask(self.database, asked, parameters))

    def freeze(self, agent: str) -> None:
        """SIGSTOP for the owner of an agent: no lock of the store is ever held by a client."""
        pid = until(lambda: self.pid_of(agent), f"somebody owns {agent}")
        os.kill(pid, signal.SIGSTOP)
        until(lambda: all_stopped(pid), f"{agent} stands still")

    def start_beside(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A process of the test's own in the swarm's environment, the chaos plan left out."""
        environment = {name: value for name, value in self.environment.items() if name != "REHYDRATE_CHAOS_PLAN"}
        return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment)

    def log_lines(self, agent: str, text: str) -> int:
        """How often an agent's log says something."""
        path = self.data / "logs" / f"{agent.replace('/', '.')}.log"
        return sum(text in line for line in path.read_text().splitlines()) if path.exists() else 0


async def _ask(database: str, sql: str, parameters: Sequence[object]) -> list[Any]:
    try:
        connection = await asyncpg.connect(database, timeout=5, server_settings={"search_path": "rehydrate"})
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return []
    try:
        return [tuple(row) for row in await connection.fetch(sql, *parameters)]
    except asyncpg.UndefinedTableError:
        return []
    finally:
        await connection.close()
