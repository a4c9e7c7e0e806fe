"""Wiring: settings become parts. Nothing happens at import, and no other room knows which adapter it talks to."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import domain.all_streams  # noqa: F401 every kind of stream must be known before anything is read
from agents.skill import Skill
from broker.channel import KafkaChannel
from broker.connection import Cluster
from broker.relay import Relay
from domain.ports.bus import Bus
from domain.ports.effects import EffectAdapter
from domain.ports.probe import Point, Probe, nobody
from domain.ports.store import EventStore
from runtime.clock import wall_clock_ms
from runtime.datadir import DataDir
from runtime.effects.spool import Spool
from runtime.settings import Settings
from store.opening import Store, is_postgres, open_store

if TYPE_CHECKING:
    from store.postgres.lock import SwarmLock

SKILL_MODULES = (
    "agents.roles.product_listing",
    "agents.roles.pricing_optimizer",
    "agents.roles.inventory_sync",
    "agents.roles.marketing_outreach",
    "agents.roles.feedback_listener",
    "agents.roles.analytics_reporter",
)
"""Each offers `SKILLS`, the skills of one role. Plugins name further modules of this shape."""


def import_adapters(settings: Settings, data: DataDir) -> None:
    """Import the adapters that these settings name, which nobody else needs: before processes are forked that would each do so."""
    modules = ["store.sqlite"]
    if is_postgres(data.database):
        modules = ["store.postgres.store", "sqlalchemy.dialects.postgresql.asyncpg"]
    if settings.effects_url:
        modules.append("runtime.effects.gateway")
    for name in modules:
        importlib.import_module(name)


async def event_store(data: DataDir, probe: Probe = nobody, name: str = "client") -> Store:
    """The event store of a data dir; `name` says whose connection it is."""
    return await open_store(data.database, data.events, probe, name)


def swarm_lock(data: DataDir) -> SwarmLock | None:
    """What makes this process the one supervisor of its database; of one that is a file, the data dir's own lock does."""
    if not is_postgres(data.database):
        return None
    from store.postgres.connection import place_of
    from store.postgres.lock import SwarmLock

    return SwarmLock(place_of(data.database))


def effects(settings: Settings, data: DataDir) -> EffectAdapter:
    """Where effects go: the gateway, or the spool in the data dir."""
    if settings.effects_url:
        from runtime.effects.gateway import Gateway

        return Gateway(settings.effects_url, settings.effect_timeout_s)
    return Spool(data.effects)


def channel(settings: Settings, kafka: Cluster, agent: str, fail: Callable[[Exception], None] = lambda error: None) -> Bus:
    """An agent's connection to Kafka; with a chaos plan that says so, one that loses messages. `fail` hears of one that cannot go on."""
    bus: Bus = KafkaChannel(kafka, agent, settings.hmac_bytes, fail)
    if settings.chaos_plan is None:
        return bus
    from chaos import loss, plan

    for rule in plan.read(settings.chaos_plan).drops:
        if rule.process in {"", agent}:
            bus = loss.LossyBus(bus, rule, agent, DataDir(settings.data_dir).chaos)
    return bus


def skills(role: str, modules: Sequence[str] = ()) -> Mapping[str, Skill]:
    """The skills of a role, by task type."""
    found: dict[str, Skill] = {}
    for name in (*SKILL_MODULES, *modules):
        for skill in importlib.import_module(name).SKILLS:
            if skill.role == role:
                found[skill.task_type] = skill
    return found


def relay(settings: Settings, agent: str, store: EventStore, bus: Bus) -> Relay:
    """What publishes an agent's messages and repairs their loss."""
    return Relay(agent, store, bus, wall_clock_ms, settings.dead_after_s)


def chaos_probe(settings: Settings, data: DataDir, process: str) -> Probe:
    """The probe that a process carries: what the chaos plan says of it, or nothing."""
    if settings.chaos_plan is None:
        return nobody
    from chaos import census, crash, plan

    faults = plan.read(settings.chaos_plan)
    strike = crash.probe(faults.crashes, process, data.chaos)
    if not faults.counts:
        return strike
    count = census.probe(process, data.chaos)

    def stand(point: Point) -> None:
        count(point)
        strike(point)

    return stand
