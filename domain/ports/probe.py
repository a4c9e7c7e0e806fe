"""Named points in the road of a message, where chaos may stand. In production nobody does, and a probe costs one call."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    """Moments at which a crash would hurt most if the design were wrong."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    BETWEEN_INTENT_AND_EFFECT = "between_intent_and_effect"
    AFTER_EFFECT = "after_effect"
    BEFORE_COMPLETION = "before_completion"


Probe = Callable[[Point], None]


def nobody(point: Point) -> None:
    """The probe of a swarm that is left in peace."""
