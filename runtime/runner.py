"""`rehydrate run` from the request to the files: find or begin the run, keep a swarm up until it is over, write what it gave."""

from __future__ import annotations

import asyncio
import datetime
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agents.states import States, load
from agents.unit import Unit
from broker import codec
from domain import run
from domain.event import decode
from domain.ports.store import Recorded, Stored, StoreUnavailable
from domain.role import CLIENT
from projections.run_summary import Progress, RunSummary
from runtime import outputs, request, wiring
from runtime.clock import wall_clock_ms
from runtime.datadir import DataDir
from runtime.settings import Settings
from runtime.supervisor import Supervisor
from store.opening import Store

if TYPE_CHECKING:
    from store.postgres.lock import SwarmLock

FOLLOW_EVERY_S = (0.03, 0.2)
"""Between two looks at the log: the first wait, and the longest, to which it grows while nothing happens."""
FOLLOW_BATCH = 5000
STORE_RETRY_S = 0.5


class UnfinishedRun(Exception):
    """Another run of this data dir is not finished; the message names both ways out."""


class Interrupted(Exception):
    """The user stopped the command: the run stays as it is, and the same command goes on with it."""


class View(NamedTuple):
    """Where progress goes: `progress` about ten times a second, `say` for news."""

    progress: Callable[[Progress], None]
    say: Callable[[str], None]


Hook = Callable[[Supervisor, Progress], None]


class Found(NamedTuple):
    """A run of the store: its stream and its state."""

    stream: str
    run: run.Run


async def execute(
    wish: request.Wish, inputs: request.Inputs | None, settings: Settings, data: DataDir, view: View, hook: Hook | None = None
) -> dict[str, Any]:
    """Do what the user wishes; gives the document of COMMANDS ("Running"). The files are read and
    the data dir is open and locked.

    Raises:
        OutputRefused, UnfinishedRun: bad input, before anything starts.
        Interrupted: SIGINT or SIGTERM.
        SwarmFailed: a process cannot be kept alive.
    """
    begun = time.monotonic()
    store = await wiring.event_store(data, name="supervisor")
    lock = wiring.swarm_lock(data)
    try:
        data.recognise(await store.identity())
        data.remember_url()
        if lock is not None:
            await lock.take()
        found = await _find_or_begin(store, wish, inputs, view.say)
        outputs.check_target(wish.out, found.run.asked.key, wish.overwrite)
        if found.run.undelivered:
            view.say(f"{found.stream} was finished before, but its files were not written: writing them")
            summary = await _replayed(store, found.stream)
        else:
            if found.run.status is not run.Status.REQUESTED:
                view.say(f"going on with {found.stream}, which was interrupted")
            summary = await _drive(store, settings, data, found, view, hook, lock)
        written = await outputs.write(wish.out, found.run.asked.key, summary.outputs, store.content)
        await _append(store, found.stream, run.deliver)
    finally:
        if lock is not None:
            await lock.release()
        await store.close()
    document = summary.document()
    skipped = [msgspec.structs.asdict(problem) for problem in (inputs.skipped if inputs is not None else ())]
    return {**document, "outputs": written, "skipped_rows": skipped, "elapsed_s": round(time.monotonic() - begun, 3)}


# --- which run ------------------------------------------------------------------------------------------------------


async def _find_or_begin(store: Store, wish: request.Wish, inputs: request.Inputs | None, say: Callable[[str], None]) -> Found:
    known = await runs(store)
    unfinished = [found for found in known if found.run.status not in run.OVER]
    waiting = [*unfinished, *(found for found in known if found.run.undelivered)]
    if inputs is None:
        if not waiting:
            raise UnfinishedRun("--resume: every run of this data dir is finished; give --products to begin one")
        return waiting[0]
    for found in waiting:
        as_of = wish.options.as_of or datetime.date.fromisoformat(found.run.asked.as_of)
        if found.run.asked.key == request.key_of(inputs, wish.options, as_of):
            return found
    for found in unfinished:
        if not wish.abandon:
            raise UnfinishedRun(
                f"{found.stream} ({found.run.asked.workflow}, {found.run.ended} of {found.run.asked.products} products) is not finished; "
                "--resume finishes it, --abandon gives it up and begins this one"
            )
        say(f"giving {found.stream} up")
        await _append(store, found.stream, lambda state, now: run.abandon(state, "abandoned by --abandon", now))
    as_of = wish.options.as_of or datetime.date.today()  # noqa: DTZ011 the user's own day
    outputs.check_target(wish.out, request.key_of(inputs, wish.options, as_of), wish.overwrite)
    event, contents = request.requested(inputs, wish.options, as_of, wall_clock_ms())
    ordinal = 1 + sum(found.run.asked.key == event.key for found in known)
    stream = run.stream_of(event, ordinal)
    await _append(store, stream, lambda state, now: run.request(state, event), contents)
    return Found(stream, (await load(store, stream)).state)


async def runs(store: Store) -> list[Found]:
    """All runs of a store with their states."""
    return [Found(info.stream, (await load(store, info.stream)).state) for info in await store.streams("run-")]


async def _append(store: Store, stream: str, decide: Callable[[run.Run, int], Any], contents: Sequence[bytes] = ()) -> None:
    """An unfenced append of the client: the lead decides what becomes of it."""
    unit = Unit(CLIENT, None, States(store), codec.encode, wall_clock_ms())
    for data in contents:
        _ = unit.keep(data)
    await unit.record(stream, decide(await unit.state(stream), unit.now_ms))
    request_made = unit.request()
    if request_made.streams:
        await store.append(request_made)


# --- until it is over -----------------------------------------------------------------------------------------------


async def _drive(
    store: Store, settings: Settings, data: DataDir, found: Found, view: View, hook: Hook | None, lock: SwarmLock | None
) -> RunSummary:
    summary = RunSummary(found.stream)
    supervisor = Supervisor(settings, data, store, request.agents_of(found.run.asked.shards), tell=view.say)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        await supervisor.start()
        follower = loop.create_task(_follow(store, summary, supervisor, view, hook))
        stopped = loop.create_task(stopping.wait())
        keeping = loop.create_task(_keep(lock))
        ends: set[asyncio.Future[Any]] = {follower, stopped, keeping, supervisor.failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (follower, stopped, keeping):
            if not task.done():
                task.cancel()
        for end in (supervisor.failed, keeping):
            if end.done() and not end.cancelled():
                end.result()
        if follower.done() and not follower.cancelled():
            follower.result()
        elif stopping.is_set():
            raise Interrupted
    finally:
        await supervisor.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return summary


async def _keep(lock: SwarmLock | None) -> None:
    """Remain the one supervisor; raises `InUse` when another one has become it."""
    if lock is not None:
        await lock.keep()
    await asyncio.Event().wait()


async def _replayed(store: Store, stream: str) -> RunSummary:
    """The summary of a run that is over, from the log alone."""
    summary = RunSummary(stream)
    position = 0
    while stored := await store.log(position, FOLLOW_BATCH):
        position = stored[-1].position
        _feed(summary, stored)
    return summary


def _feed(summary: RunSummary, stored: Sequence[Stored]) -> None:
    for item in stored:
        summary.feed(Recorded(item.position, item.stream, item.version, decode(item.topic, item.state)))


async def _follow(store: Store, summary: RunSummary, supervisor: Supervisor, view: View, hook: Hook | None) -> None:
    """Feed the log to the summary until the run is over. A store that is away is waited for."""
    position, wait_s = 0, FOLLOW_EVERY_S[0]
    away = False
    while not summary.over:
        try:
            stored = await store.log(position, FOLLOW_BATCH)
        except StoreUnavailable as error:
            if not error.passes:
                raise
            if not away:
                view.say(f"{error}; waiting for it")
            away = True
            await asyncio.sleep(STORE_RETRY_S)
            continue
        if away:
            away = False
            view.say("the database is back")
        _feed(summary, stored)
        if stored:
            position = stored[-1].position
            await supervisor.inject(position)
            progress = summary.progress()
            view.progress(progress)
            if hook is not None:
                hook(supervisor, progress)
        if len(stored) < FOLLOW_BATCH and not summary.over:
            wait_s = FOLLOW_EVERY_S[0] if stored else min(wait_s * 1.5, FOLLOW_EVERY_S[1])
            await asyncio.sleep(wait_s)


def exit_code(document: Mapping[str, Any], strict: bool) -> int:
    """0 for completed, and for degraded unless strict; 1 otherwise."""
    good = {"completed"} if strict else {"completed", "degraded"}
    return 0 if document["status"] in good else 1
