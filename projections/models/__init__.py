"""The read models, one a file. A new one is a file and a line here; `rehydrate projections rebuild` fills it.

The order matters in one way: a model may refer (`Ref`) to rows of those before it.
"""

from __future__ import annotations

from projections.model import METADATA, Model
from projections.models import agents, dead_letters, messages, recoveries, runs, tasks, workflows

MODELS: tuple[Model, ...] = (
    runs.MODEL,
    workflows.MODEL,
    tasks.MODEL,
    agents.MODEL,
    recoveries.MODEL,
    dead_letters.MODEL,
    messages.MODEL,
)

__all__ = ["METADATA", "MODELS"]
