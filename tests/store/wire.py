"""A wire between a client and PostgreSQL that a test may cut: before a request arrives, or before its answer comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from urllib.parse import urlsplit, urlunsplit


class Cut(Enum):
    """Where the next message with a given text in it is lost."""

    REQUEST = "the request does not arrive"
    ANSWER = "the answer does not come back"
    LATE = "the connection breaks, and the request arrives later"


class Wire:
    """Passes bytes on, until it is told to cut. `url` leads through it."""

    def __init__(self, server_url: str) -> None:
        self._server = urlsplit(server_url)
        self.url = ""
        self._cut: Cut | None = None
        self._marker = b""
        self.late: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when a request that was late has been answered by the server, or refused."""
        self.release = asyncio.Event()
        self.down = False

    def cut(self, how: Cut, marker: bytes) -> None:
        """Cut the next connection on which `marker` is sent."""
        self._cut, self._marker = how, marker

    async def handle(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.down:
            answers.transport.abort()
            return
        reader, writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        back = asyncio.ensure_future(_pass_on(reader, answers))
        try:
            while data := await client.read(1 << 20):
                if self._cut is not None and self._marker in data:
                    how, self._cut = self._cut, None
                    await self._lose(how, data, back, answers, reader, writer)
                    return
                writer.write(data)
        except OSError:
            pass  # the other side has gone
        finally:
            writer.close()
            answers.close()

    async def _lose(
        self, how: Cut, data: bytes, back: asyncio.Future[None], answers: asyncio.StreamWriter, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        if how is Cut.ANSWER:
            writer.write(data)
            await reader.read(1 << 20)  # the server has answered: it is done
        answers.transport.abort()
        if how is Cut.LATE:
            await self.release.wait()
            writer.write(data)
            await reader.read(1 << 20)
            self.late.set_result(None)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 20):
            writer.write(data)
    except OSError:
        pass  # the other side has gone
    writer.close()


@asynccontextmanager
async def wire(server_url: str) -> AsyncIterator[Wire]:
    """A wire to a server, on a port of loopback."""
    made = Wire(server_url)
    listening = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    parts = urlsplit(server_url)
    port = listening.sockets[0].getsockname()[1]
    made.url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
    try:
        yield made
    finally:
        listening.close()
