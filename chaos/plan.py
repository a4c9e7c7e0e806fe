"""The plan of a run: a JSON list of faults, read once at the start of each process.

    [{"id": "k1", "process": "pricing_optimizer/0", "point": "after_commit", "hit": 17},
     {"id": "d1", "kind": "drop", "share": 0.05, "seed": 1, "ttl_s": 30},
     {"id": "c1", "kind": "count"}]

`kind` says which fault: `crash` (the default, see `chaos.crash`), `drop` (`chaos.loss`), `count` (`chaos.census`), whose
entry injects nothing and counts how often each process passes each named point.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from chaos.census import Count
from chaos.crash import SIGNALS, Crash
from chaos.loss import Drop

Fault = Crash | Drop | Count
KINDS: Mapping[str, type[Fault]] = {"crash": Crash, "drop": Drop, "count": Count}


class BadPlan(ValueError):
    """The plan file cannot be read, or an entry of it makes no sense."""


class Plan(NamedTuple):
    """The faults of a run, by kind."""

    crashes: tuple[Crash, ...] = ()
    drops: tuple[Drop, ...] = ()
    counts: tuple[Count, ...] = ()


def read(path: Path) -> Plan:
    """Read a plan.

    Raises:
        BadPlan: with the place and the reason.
    """
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except (OSError, msgspec.DecodeError) as error:
        raise BadPlan(f"{path}: {error}") from error
    faults = [_fault(entry, path) for entry in entries]
    names = [fault.id for fault in faults]
    if len(set(names)) < len(names):
        raise BadPlan(f"{path}: two entries have the same id")
    return Plan(
        tuple(fault for fault in faults if isinstance(fault, Crash)),
        tuple(fault for fault in faults if isinstance(fault, Drop)),
        tuple(fault for fault in faults if isinstance(fault, Count)),
    )


def _fault(entry: dict[str, Any], path: Path) -> Fault:
    kind = KINDS.get(entry.get("kind", "crash"))
    if kind is None:
        raise BadPlan(f"{path}: {entry.get('id')}: no kind of fault is called {entry['kind']!r}; there is {', '.join(KINDS)}")
    try:
        fault = msgspec.convert({name: value for name, value in entry.items() if name != "kind"}, kind)
    except msgspec.ValidationError as error:
        raise BadPlan(f"{path}: {entry.get('id')}: {error}") from error
    if isinstance(fault, Crash) and ((fault.point is None) == (fault.position is None) or fault.signal not in SIGNALS):
        raise BadPlan(f"{path}: {fault.id}: needs either point or position, and a signal of {', '.join(SIGNALS)}")
    return fault
