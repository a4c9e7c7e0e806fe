"""What runs in a child process: an agent, or the projector."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn, TypeVar

import uvloop

from agents.host import Host
from agents.lead import Lead
from agents.states import Held, load
from agents.worker import Worker
from broker import codec
from broker.connection import Cluster
from domain import agent as agents
from domain.decision import Decision
from domain.ports.effects import StaleEpoch
from domain.ports.probe import Probe, nobody
from domain.ports.store import Append, EventStore, Fenced, StoreUnavailable, StreamAppend, VersionConflict
from domain.role import Role, agent_id
from domain.streams import agent_stream
from runtime import logs, wiring
from runtime.clock import wall_clock_ms
from runtime.datadir import DataDir
from runtime.processes import Beat, Heart
from runtime.settings import Settings
from store.opening import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

STORE_RETRY_S = 0.2
STOP_S = 2.0
"""How long an agent that stops tries to say so in the store, which may be away."""

FENCED_EXIT = 3
"""Exit code of a process that found its epoch over: nothing is wrong, somebody else owns the agent."""


class Order(NamedTuple):
    """What the supervisor tells a new process: its settings, where Kafka is, and how the end of the one before was noticed."""

    settings: Settings
    kafka: Cluster
    detected_by: str = "start"
    detected_ms: float | None = None
    last_sign_ms: int | None = None
    modules: tuple[str, ...] = ()


def agent_main(name: str, lifeline: Connection, beats: Connection, order: Order) -> None:
    """The main function of an agent process."""
    _prepare(name, order)
    _run(_agent(name, lifeline, beats, order))


def projector_main(name: str, lifeline: Connection, beats: Connection, order: Order) -> None:
    """The main function of the projector process."""
    _prepare(name, order)
    _run(_projector(name, lifeline, beats, order))


def _run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run the process to its end. What ends it goes to its log, which the user is pointed to; stderr is the supervisor's."""
    try:
        sys.exit(uvloop.run(work))
    except Exception:
        log.exception("the process ends")
        sys.exit(1)


def _prepare(name: str, order: Order) -> None:
    data = DataDir(order.settings.data_dir, order.settings.database)
    path = data.logs / f"{name.replace('/', '.')}.log"
    logging.basicConfig(
        filename=path,
        level=order.settings.log_level,
        format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s",
        force=True,
    )
    logs.quieten()
    for module in order.modules:
        importlib.import_module(module)  # plugins declare their graphs where they are imported
    logging.raiseExceptions = False  # a log that cannot be written (disk full) must not fill the user's terminal
    spare_the_collector()


def spare_the_collector() -> None:
    """Have the garbage collector leave alone what the fork server imported (it is shared: a look would copy it), and come seldom: next
    to nothing here is a cycle, and looking for one after every 700 objects took a fifth of the time of a step."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 10)


# --- an agent -------------------------------------------------------------------------------------------------------


async def _agent(name: str, lifeline: Connection, beats: Connection, order: Order) -> int:
    settings, data = order.settings, DataDir(order.settings.data_dir, order.settings.database)
    probe = wiring.chaos_probe(settings, data, name)
    epoch, status = 0, "starting"
    host: Host | None = None

    def beat() -> Beat:
        task = host.working_on if host is not None and host.busy else ""
        return Beat(process=name, pid=os.getpid(), epoch=epoch, status=status, task=task)

    def fail(error: Exception) -> None:
        if host is not None and not host.failed.done():
            host.failed.set_exception(error)

    Heart(lifeline, beats, settings.heartbeat_s, beat).start()
    stopping = _on_signal()
    store = await open_patiently(data, probe, name)
    try:
        claimed = await patiently(lambda: claim(store, name, order), name)
        epoch = claimed.state.epoch
        bus = wiring.channel(settings, order.kafka, name, fail)
        host = Host(name, epoch, store, bus, wiring.relay(settings, name, store, bus), codec.encode, wall_clock_ms)
        opened = await host.start(_behaviour(host, settings, data, probe, order))
        held = await _append(store, name, claimed, agents.ready(claimed.state, opened, wall_clock_ms()))
        status = "ready"
        log.info("epoch %d ready, %d open streams", held.state.epoch, opened)
        await _until(stopping, host.failed)
        status = "stopping"
        await host.stop()
        await _say_stopped(store, name, held)
    except (Fenced, StaleEpoch) as error:
        log.warning("stopping: %s", error)
        return FENCED_EXIT
    except StoreUnavailable as error:
        log.error("stopping: %s", error)
        return 1
    finally:
        await store.close()
    return 0


def _behaviour(host: Host, settings: Settings, data: DataDir, probe: Probe, order: Order) -> Lead | Worker:
    role = agent_id(host.agent).role
    if role == Role.LEAD:
        return Lead(host)
    return Worker(host, wiring.skills(role, order.modules), wiring.effects(settings, data), probe)


async def open_patiently(data: DataDir, probe: Probe, name: str) -> Store:
    """The store of this process; a server that is away is waited for: to die of it would only bring another who finds it away."""
    return await patiently(lambda: wiring.event_store(data, probe, name), name)


async def patiently(ask: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
    """What a database on a server answers, as soon as it does.

    Raises:
        StoreUnavailable: it is a file, or a server that will not have us: waiting does not help.
    """
    waited = 0.0
    while True:
        try:
            found = await ask()
        except StoreUnavailable as error:
            if not error.passes:
                raise
            if not waited:
                log.error("%s: waiting for the database: %s", name, error)
            await asyncio.sleep(STORE_RETRY_S)
            waited += STORE_RETRY_S
        else:
            if waited:
                log.warning("%s: the database is back", name)
            return found


async def claim(store: EventStore, name: str, order: Order) -> Held:
    """Append the claim of the next epoch: the first act of every owner.

    Raises:
        Fenced: another process claimed at the same moment and won.
    """
    stream = agent_stream(name)
    held = await load(store, stream)
    event = agents.claim(
        held.state,
        pid=os.getpid(),
        host=socket.gethostname(),
        detected_by=order.detected_by,
        detected_ms=order.detected_ms,
        last_sign_ms=order.last_sign_ms,
        now_ms=wall_clock_ms(),
    )
    part = StreamAppend(stream, held.version, [event])
    try:
        await store.append(Append(name, event.epoch, [part], claim=True))
    except VersionConflict as error:
        raise Fenced(f"{name}: another process claimed epoch {event.epoch} first") from error
    return Held(agents.evolve(held.state, event), held.version + 1)


async def _append(store: EventStore, name: str, held: Held, decision: Decision) -> Held:
    if not decision.events:
        return held
    await store.append(Append(name, held.state.epoch, [StreamAppend(agent_stream(name), held.version, decision.events)]))
    return Held(agents.KIND.fold(decision.events, held.state), held.version + len(decision.events))


async def _say_stopped(store: EventStore, name: str, held: Held) -> None:
    """That nobody hears it is no harm: a process that was killed does not say so either."""
    try:
        async with asyncio.timeout(STOP_S):
            await _append(store, name, held, agents.stop(held.state, wall_clock_ms()))
    except (StoreUnavailable, TimeoutError) as error:
        log.warning("stopped without a word in the store: %s", str(error) or "no answer")


# --- the projector --------------------------------------------------------------------------------------------------


async def _projector(name: str, lifeline: Connection, beats: Connection, order: Order) -> int:
    from projections.database import open_engine
    from projections.projector import Projector
    from projections.schema import create_schema

    Heart(lifeline, beats, order.settings.heartbeat_s, lambda: Beat(process=name, pid=os.getpid(), status="ready")).start()
    data = DataDir(order.settings.data_dir, order.settings.database)
    stopping = _on_signal()
    store = await open_patiently(data, nobody, name)
    engine = open_engine(data.read_models_url)
    try:
        await create_schema(engine)
        projector = Projector(engine, store)
        await projector.run(stopping)
        while await projector.project_once():
            pass  # what was appended until the stop is projected before it
    finally:
        await engine.dispose()
        await store.close()
    return 0


# --- helpers --------------------------------------------------------------------------------------------------------


def _on_signal() -> asyncio.Event:
    """An event that SIGTERM sets."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    return stopping


async def _until(stopping: asyncio.Event, failed: asyncio.Future[None]) -> None:
    """Wait for the stop, or raise what made the host fail."""
    waiter = asyncio.get_running_loop().create_task(stopping.wait())
    ends: set[asyncio.Future[Any]] = {waiter, failed}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
    finally:
        waiter.cancel()
