"""The supervisor: starts the processes of a swarm, watches them, and replaces what dies or falls silent.

It owns no stream. It hosts the embedded broker, relays the messages of CLI and API, and holds the data dir, so that there is one of it.
A child is ended by its pidfd before another is started in its place; who is started claims for itself.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from broker.connection import Cluster
from broker.embedded import EmbeddedKafka
from broker.relay import Relay
from broker.topics import needed
from chaos import crash, plan
from domain.ports.store import StoreUnavailable
from domain.role import CLIENT
from runtime import kafka, wiring
from runtime.child import Order, agent_main, projector_main
from runtime.clock import wall_clock_ms
from runtime.datadir import DataDir
from runtime.presence import PresenceBoard
from runtime.processes import Child, ForkServer
from runtime.settings import Settings
from store.opening import Store

log = logging.getLogger(__name__)

PROJECTOR = "projector"
LOOK_EVERY_S = 0.1
LONGEST_BACKOFF_S = 5.0
SETTLED_S = 10.0
"""A process that lives this long has settled: its next death is answered at once."""
FULL_DISK_BYTES = 256 * 1024
MAX_FAILED_STARTS = 12
"""So many deaths before a process was ready even once mean that it cannot be started."""


class SwarmFailed(Exception):
    """A process cannot be kept alive; the message names its log."""


@dataclass(slots=True)
class _Post:
    """A place that must be filled: what runs there now, and how its starts went."""

    name: str
    child: Child | None = None
    deaths: int = 0
    failed_starts: int = 0
    killed_for: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Supervisor:
    """Runs a swarm. `agents` are the names to fill; `modules` further skill modules; `tell` is called with news for the user. Without
    `read_models` nothing follows the log: a benchmark may want that."""

    def __init__(
        self,
        settings: Settings,
        data: DataDir,
        store: Store,
        agents: Sequence[str],
        modules: Sequence[str] = (),
        tell: Callable[[str], None] = lambda line: None,
        *,
        read_models: bool = True,
    ) -> None:
        self._settings = settings
        self._data = data
        self._store = store
        self._modules = tuple(modules)
        self.tell = tell
        self._posts = {name: _Post(name) for name in ([PROJECTOR] if read_models else []) + list(agents)}
        self._server = ForkServer()
        self._embedded: EmbeddedKafka | None = None
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._presence = PresenceBoard(data.read_models_url)
        self._plan = plan.read(settings.chaos_plan).crashes if settings.chaos_plan else ()
        self.kafka = Cluster("")
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the broker where it is embedded, else make sure of its topics; then the fork server, and every process.

        Raises:
            KafkaRefused, BadSecurity: the Kafka of `--kafka` cannot be used. Nothing was started.
        """
        keeper = await self._begin_kafka()
        await asyncio.to_thread(self._server.ensure_running)
        await asyncio.gather(
            *(self._replace(post, Order(self._settings, self.kafka, modules=self._modules)) for post in self._posts.values())
        )
        self._channel = wiring.channel(self._settings, self.kafka, CLIENT)
        await self._channel.start(None)
        self.outbox: Relay = wiring.relay(self._settings, CLIENT, self._store, self._channel)
        await self.outbox.publish_all()
        self._tasks = [asyncio.create_task(self._look_after()), asyncio.create_task(self.outbox.run())]
        if keeper is not None:
            self._tasks.append(asyncio.create_task(keeper.run()))
        for task in self._tasks:
            task.add_done_callback(self._must_not_end)

    async def _begin_kafka(self) -> kafka.Keeper | None:
        agents = [CLIENT, *(name for name in self._posts if name != PROJECTOR)]
        memory = kafka.recall(self._data)
        if not self._settings.kafka:
            self._embedded = EmbeddedKafka(needed(agents))
            self.kafka = Cluster(self._embedded.bootstrap, embedded=True)
            kafka.remember(self._data, memory._replace(embedded=self._embedded.bootstrap))
            return None
        self.kafka = kafka.cluster(self._settings, await self._store.identity())
        keeper = kafka.Keeper(self.kafka, agents, self._settings.kafka_replication, self._data, self.tell)
        await keeper.prepare()
        return keeper

    def _must_not_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)  # a supervisor that no longer looks must not seem to

    async def stop(self) -> None:
        """Stop in order: agents first, so that the projector sees all; then what hosts them. Kills what does not obey."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        agents = [post for post in self._posts.values() if post.name != PROJECTOR]
        await self._end([post.child for post in agents if post.child is not None])
        projectors = [post for post in self._posts.values() if post.name == PROJECTOR]
        await self._end([post.child for post in projectors if post.child is not None])
        if hasattr(self, "_channel"):
            await self._channel.stop()
        await self._presence.close()
        await asyncio.to_thread(self._server.stop)
        if self._embedded is not None:
            self._embedded.stop()

    async def _end(self, children: Sequence[Child]) -> None:
        for child in children:
            child.kill(signal.SIGCONT)
            child.kill(signal.SIGTERM)
        until = time.monotonic() + self._settings.stop_timeout_s
        while any(not child.dead() for child in children) and time.monotonic() < until:  # noqa: ASYNC110 pidfds set no event
            await asyncio.sleep(0.01)
        for child in children:
            if not child.dead():
                log.warning("%s did not stop within %s s and is killed", child.name, self._settings.stop_timeout_s)
                child.kill()

    # --- children ----------------------------------------------------------------------------------------------------

    def pid_of(self, name: str) -> int | None:
        """The process that fills a place now."""
        child = self._posts[name].child
        return child.pid if child is not None and not child.dead() else None

    @property
    def server_pid(self) -> int | None:
        return self._server.pid()

    async def _fill(self, post: _Post, order: Order) -> None:
        main = projector_main if post.name == PROJECTOR else agent_main
        child = await asyncio.to_thread(self._server.start, post.name, main, order)
        if self._stopping:
            child.kill()
            return
        post.child, post.killed_for = child, ""
        loop = asyncio.get_running_loop()
        loop.add_reader(child.pidfd, self._died, post, child)
        loop.add_reader(child.beats.fileno(), self._beaten, post, child)

    def _beaten(self, post: _Post, child: Child) -> None:
        beats = child.read_beats()
        if not beats:
            asyncio.get_running_loop().remove_reader(child.beats.fileno())  # closed: the pidfd will say the rest
            return
        if beats[-1].status == "ready":
            post.failed_starts = 0  # whatever killed the ones before it, it can be started
        self._presence.beaten(beats[-1])

    def _died(self, post: _Post, child: Child) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(child.pidfd)
        loop.remove_reader(child.beats.fileno())
        noticed = time.monotonic()
        silent = post.killed_for == "silence"
        last_sign = child.last_sign if silent else noticed
        child.release()
        post.child = None
        if self._stopping:
            return
        post.deaths = post.deaths + 1 if noticed - child.started_at < SETTLED_S else 1
        post.failed_starts += 1
        if post.failed_starts > MAX_FAILED_STARTS:
            self._give_up(post)
            return
        order = Order(
            self._settings,
            self.kafka,
            detected_by="silence" if silent else "exit",
            detected_ms=round((noticed - last_sign) * 1000, 3),
            last_sign_ms=wall_clock_ms() - round((noticed - last_sign) * 1000),
            modules=self._modules,
        )
        fate = "fell silent and was killed" if silent else "died"
        self.tell(f"{post.name} (process {child.pid}) {fate}; starting another{self._full_disk()}")
        task = loop.create_task(self._replace(post, order))
        post.tasks.add(task)
        task.add_done_callback(post.tasks.discard)

    async def _replace(self, post: _Post, order: Order) -> None:
        if post.failed_starts > 1:
            try:
                await self._store.check_access()
            except StoreUnavailable as error:
                if error.final:
                    self._fail(error)  # each further one would die of it, too
                    return
        if post.deaths > 1:
            await asyncio.sleep(min(self._settings.restart_backoff_s * 2 ** min(post.deaths - 2, 16), LONGEST_BACKOFF_S))
        for _ in range(MAX_FAILED_STARTS):
            try:
                await self._fill(post, order)
            except (OSError, EOFError) as error:
                # The fork server went while it was asked: nothing is wrong with what was to be started.
                log.warning("%s could not be started (%s); trying again", post.name, error)
                await asyncio.sleep(self._settings.restart_backoff_s)
            else:
                return
        self._give_up(post)

    def _fail(self, error: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)

    def _give_up(self, post: _Post) -> None:
        path = self._data.logs / f"{post.name.replace('/', '.')}.log"
        self._fail(
            SwarmFailed(
                f"{post.name} died {post.failed_starts} times before it was ready; its log says why: {path}{self._full_disk()}"
            )
        )

    def _full_disk(self) -> str:
        """The most likely reason why processes die, where it is one: their own logs cannot say it."""
        free = shutil.disk_usage(self._data.root).free
        return f" (the disk of {self._data.root} is full: make room, and all goes on)" if free < FULL_DISK_BYTES else ""

    async def _look_after(self) -> None:
        """Kill what is silent, show who is there, and inject what a chaos plan says."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            own_pause = now - before - LOOK_EVERY_S
            before = now
            for post in self._posts.values():
                child = post.child
                if child is None:
                    continue
                child.last_sign += own_pause if own_pause > 1.0 else 0.0  # it was this process that slept
                limit = self._settings.silence_s if child.beaten else self._settings.start_timeout_s
                if now - child.last_sign > limit and not post.killed_for:
                    post.killed_for = "silence"
                    child.kill()
            await self._presence.flush()

    async def inject(self, position: int) -> None:
        """Do what the chaos plan says for this position of the log."""
        for fault in crash.due(self._plan, position, self._data.chaos) if self._plan else ():
            pid = self._target(fault.process)
            if pid is not None and crash.inject(fault, pid, self._data.chaos):
                self.tell(f"chaos: SIG{fault.signal} to {fault.process} (process {pid}) at position {position}")

    def _target(self, process: str) -> int | None:
        if process == "fork-server":
            return self.server_pid
        if process == "supervisor":
            import os

            return os.getpid()
        return self.pid_of(process) if process in self._posts else None
