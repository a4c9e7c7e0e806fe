"""Who owns an agent, epoch by epoch.

    (nobody) ──claim──▶ CLAIMED(n) ──ready──▶ READY(n) ──stop──▶ STOPPED(n)
                             ▲───────────────claim n+1────────────────┘   (and from every other state)

A process owns an agent by appending `Claimed` with the next epoch; the store lets one win. From that append on, nothing that an older
epoch tries is accepted. Claims come from whoever will own, for itself: nobody hands an epoch to somebody else.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.decision import NOTHING, Decision
from domain.event import Event


class Status(StrEnum):
    UNKNOWN = "unknown"
    CLAIMED = "claimed"
    READY = "ready"
    STOPPED = "stopped"


class Claimed(Event, frozen=True):
    """A process owns the agent from here on.

    `detected_by` says how the end of the owner before was noticed ("exit", "silence", "start" when there was no fault),
    `detected_ms` how long after its last sign of life; `last_sign_ms` is that moment (milliseconds since the epoch).
    """

    TOPIC = "agent.Claimed"
    epoch: int
    pid: int
    host: str
    detected_by: str = "start"
    detected_ms: float | None = None
    last_sign_ms: int | None = None


class Ready(Event, frozen=True):
    """The owner has picked up what was open and reads messages. `resumed_ms` counts from the old owner's last sign of life."""

    TOPIC = "agent.Ready"
    epoch: int
    open_streams: int
    resumed_ms: float | None = None


class Stopped(Event, frozen=True):
    """The owner went in order; what it left open stays open for the next one."""

    TOPIC = "agent.Stopped"
    epoch: int


AgentEvent = Claimed | Ready | Stopped


class Agent(msgspec.Struct, frozen=True):
    status: Status = Status.UNKNOWN
    epoch: int = 0
    pid: int = 0
    host: str = ""
    last_sign_ms: int | None = None


def evolve(agent: Agent, event: AgentEvent) -> Agent:
    match event:
        case Claimed(epoch=epoch, pid=pid, host=host, last_sign_ms=last_sign_ms):
            return Agent(Status.CLAIMED, epoch, pid, host, last_sign_ms)
        case Ready():
            return replace(agent, status=Status.READY)
        case Stopped():
            return replace(agent, status=Status.STOPPED)


def claim(
    agent: Agent, *, pid: int, host: str, detected_by: str, detected_ms: float | None, last_sign_ms: int | None, now_ms: int
) -> Claimed:
    """The claim of the next epoch."""
    return Claimed(
        at_ms=now_ms,
        epoch=agent.epoch + 1,
        pid=pid,
        host=host,
        detected_by=detected_by if agent.epoch else "start",
        detected_ms=detected_ms,
        last_sign_ms=last_sign_ms,
    )


def ready(agent: Agent, open_streams: int, now_ms: int) -> Decision:
    resumed_ms = None if agent.last_sign_ms is None else float(now_ms - agent.last_sign_ms)
    return Decision([Ready(at_ms=now_ms, epoch=agent.epoch, open_streams=open_streams, resumed_ms=resumed_ms)])


def stop(agent: Agent, now_ms: int) -> Decision:
    if agent.status is Status.STOPPED:
        return NOTHING
    return Decision([Stopped(at_ms=now_ms, epoch=agent.epoch)])


KIND = streams.register(streams.Kind("agent", Agent(), evolve))
