"""A data dir as a swarm leaves it: a launch of the domain's own decisions, appended through the real store."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from agents.states import codec_of
from broker import codec
from domain import agent, deadletter, run, streams
from domain.decision import Decision
from domain.ports.store import Append, Outgoing, Received, Snapshot, StreamAppend
from domain.role import CLIENT
from projections.database import open_engine
from projections.projector import Projector
from projections.schema import create_schema
from runtime.datadir import DataDir
from store.opening import open_store
from tests.projections.launch_events import Launch, MemoryLog

SNAPSHOT_AT = 3
"""The run gets a snapshot at this version: small runs of tests are shorter than `snapshot_every`."""

MESSAGE = b'{"header":{"message_id":"m-1","message_type":"TASK_ASSIGN","sender":"lead/0"},"body":{}}'
NOISE = b"\x00\x1b[31mnoise"


class StoredLaunch(Launch):
    """A launch that remembers which appends it is made of. Every message waits in the outbox; the first of them is applied."""

    def __init__(self, log: MemoryLog, products: int, *, seed: int, trouble: bool) -> None:
        super().__init__(log, products, seed=seed, trouble=trouble)
        self.appends: list[Append] = []

    def apply(self, writer: str, stream: str, decision: Decision) -> None:
        if not decision.events:
            return
        kind = streams.kind_of(stream)
        before, version, told = self.state(stream), self.versions.get(stream, 0), len(self.inbox)
        super().apply(writer, stream, decision)
        outgoing = [
            Outgoing(message.header.receiver, codec.encode(message), message.header.message_id)
            for _, message in self.inbox[told:]
        ]
        was_open = kind.is_open(before) and self.listed(stream)
        is_open = kind.is_open(self.state(stream)) and writer != CLIENT  # the client owns no stream
        part = StreamAppend(stream, version, decision.events, is_open if is_open != was_open else None)
        claims = any(isinstance(event, agent.Claimed) for event in decision.events)
        epoch = self.state(stream).epoch if claims else None
        snapshots = []
        if kind is run.KIND and version < SNAPSHOT_AT <= self.versions[stream]:
            snapshots = [Snapshot(stream, self.versions[stream], codec_of(run.KIND)[0](self.state(stream)))]
        self.appends.append(Append(writer, epoch, [part], (), outgoing, decision.contents, snapshots, claims))

    def listed(self, stream: str) -> bool:
        """Whether somebody has said that the stream is open."""
        said = [
            part.open for request in self.appends for part in request.streams if part.stream == stream and part.open is not None
        ]
        return bool(said) and said[-1]


def letter(raw: bytes, reason: str, message_id: str) -> Append:
    """The append by which lead/0 records a dead letter."""
    name = hashlib.sha256(raw).hexdigest()
    recorded = deadletter.Recorded(
        at_ms=1_795_262_400_000, reason=reason, detail="no such field", agent="lead/0", raw=name, message_id=message_id
    )
    return Append("lead/0", None, [StreamAppend(deadletter.stream_of(name), 0, [recorded])], contents=[raw])


def letter_id(raw: bytes) -> str:
    """The id of the letter that holds these bytes."""
    return deadletter.stream_of(hashlib.sha256(raw).hexdigest())


def fill(
    root: Path, products: int = 3, *, seed: int = 1, finished: bool = True, project: bool = True, database: str = ""
) -> Launch:
    """Make a data dir with one launch in it, two dead letters (a message and noise), and read models."""
    launch = StoredLaunch(MemoryLog(), products, seed=seed, trouble=False)
    launch.begin()
    while launch.step():
        if not finished and launch.state(launch.run_id).ended:
            break
    first = Append("lead/0", None, received=[Received(CLIENT, 1)])
    appends = [*launch.appends, first, letter(MESSAGE, "schema", "m-1"), letter(NOISE, "undecodable", "")]
    asyncio.run(_append(DataDir(root, database).open(), appends, project))
    return launch


async def _append(data: DataDir, appends: Sequence[Append], project: bool) -> None:
    store = await open_store(data.database, data.events)
    await asyncio.gather(*(store.append(request) for request in appends))
    if project:
        engine = open_engine(data.read_models_url)
        await create_schema(engine)
        await Projector(engine, store).catch_up()
        await engine.dispose()
    await store.close()
