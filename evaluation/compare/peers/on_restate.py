"""A handler of six steps on Restate, each in its journal before the next begins.

As its documentation says for Python: a service of `restate-sdk` on Hypercorn with HTTP/2, and the server as it comes, one node with its own
log on this machine. The server is a process of its own, and calls the handler; who starts workflows is in one process with the handler, as
with the other peers, and speaks plain HTTP/1.1 over connections that stay open: a client library would take the handler's time.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypercorn
import hypercorn.asyncio
import restate

if TYPE_CHECKING:
    from evaluation.compare.peers.run import Load

PACKAGES = ("restate-sdk", "hypercorn")
HOME = Path(sys.prefix)
"""The peer's environment, where its server was installed and where it keeps its log: a disk, as a temporary folder may not be."""
READY_S = 30.0
WITHOUT_LIMIT = 2**31 - 1
_PR_SET_PDEATHSIG = 1


def settings(load: Load) -> dict[str, Any]:
    """What is set, as a reader would set it again."""
    return {
        "server": f"restate-server {_server_version()}, one node, defaults (its own log, with fsync)",
        "handler": "Hypercorn, HTTP/2, in the caller's process",
        "connections": "one a workflow under way",
    }


def _installed() -> Path:
    return next(HOME.glob("node_modules/@restatedev/restate-server-*"))


def _server_version() -> str:
    return str(json.loads((_installed() / "package.json").read_text())["version"])


async def measure(load: Load) -> dict[str, Any]:
    """One run of the workload."""
    ingress, admin, node, service = _free_ports(4)
    address = f"http://127.0.0.1:{admin}"
    async with _serving(_service(load), service):
        with _server({"INGRESS__BIND_PORT": ingress, "ADMIN__BIND_PORT": admin, "BIND_PORT": node}):
            await asyncio.to_thread(_register, address, f"http://127.0.0.1:{service}")
            free: list[_Connection] = []

            async def workflow(number: int) -> None:
                connection = free.pop() if free else await _Connection.open(ingress)
                done = json.loads(await connection.post("/Bench/six_steps", b"%d" % number))
                free.append(connection)
                if done != load.steps:
                    raise RuntimeError(f"workflow {number} did {done} of {load.steps} steps")

            measured = await load.drive(workflow)
    return {**measured, "store": "its own log"}


def _service(load: Load) -> Any:
    bench = restate.Service("Bench")

    async def give() -> str:
        return load.payload

    async def six_steps(ctx: restate.Context, number: int) -> int:
        return len([await ctx.run_typed(f"step {each}", give) for each in range(load.steps)])

    bench.handler()(six_steps)
    return restate.app([bench])


@asynccontextmanager
async def _serving(app: Any, port: int) -> AsyncIterator[None]:
    config = hypercorn.Config()
    config.bind, config.loglevel = [f"127.0.0.1:{port}"], "CRITICAL"
    # As Restate's documentation says: the server keeps its connections, and one stream of HTTP/2 is one invocation.
    config.h2_max_concurrent_streams = config.keep_alive_max_requests = config.keep_alive_timeout = WITHOUT_LIMIT
    over = asyncio.Event()
    serving = asyncio.create_task(hypercorn.asyncio.serve(app, config, shutdown_trigger=over.wait))
    try:
        yield
    finally:
        over.set()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@contextmanager
def _server(ports: dict[str, int]) -> Iterator[None]:
    folder = _folder()
    told = {f"RESTATE_{name}": str(port) for name, port in ports.items()}
    told |= {"RESTATE_BASE_DIR": str(folder), "RESTATE_DISABLE_TELEMETRY": "true", "RESTATE_LOG_FILTER": "error"}
    told |= {"RESTATE_BIND_IP": "127.0.0.1", "RESTATE_LISTEN_MODE": "tcp", "RESTATE_ADVERTISED_HOST": "127.0.0.1"}
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen(
            [_installed() / "bin" / "restate-server", "--no-logo"],
            env={**os.environ, **told},
            stdout=output,
            stderr=output,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 no thread is running yet
        )
    try:
        yield
    except OSError as error:
        said = (folder / "output").read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"the server does not answer ({error}): {said[-1] if said else 'it says nothing'}") from error
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """A new folder for one server; those that killed runs have left are removed."""
    for old in HOME.glob("run-*"):
        if not Path("/proc", old.name.removeprefix("run-")).exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = HOME / f"run-{os.getpid()}"
    folder.mkdir()
    return folder


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _register(admin: str, service: str) -> None:
    """Tell the server where the handler is, as soon as it answers."""
    body = json.dumps({"uri": service}).encode()
    until = time.monotonic() + READY_S
    while True:
        try:
            request = urllib.request.Request(f"{admin}/deployments", body, {"content-type": "application/json"})
            urllib.request.urlopen(request, timeout=READY_S).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class _Connection:
    """One connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer. Raises RuntimeError where the server refuses."""
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        length = next(int(field.removeprefix("content-length:")) for field in fields if field.startswith("content-length:"))
        answer = await self._reader.readexactly(length)
        if status.split()[1] != "200":
            raise RuntimeError(f"{status}: {answer.decode(errors='replace')}")
        return answer
