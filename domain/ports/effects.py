"""Effects on the world: mails, posts, calls. Their intent is an event before they start."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Effect(NamedTuple):
    """What is to be done at a target. `key` is the idempotency key: the target does the same key once, however often it is asked.

    `kind` says which sort of effect ("post", "mail"), `target` where it goes (a channel, a list address); `agent` and
    `epoch` say who asks, so that a target can refuse an owner whose epoch is over.
    """

    key: str
    kind: str
    target: str
    payload: bytes
    media_type: str
    agent: str
    epoch: int


class EffectRefused(Exception):
    """The target will never do this: the request is wrong. Asking again does not help."""


class EffectUnavailable(Exception):
    """The target did not answer, or asked to come again later. Whether it acted is unknown; the key makes asking again safe."""


class StaleEpoch(Exception):
    """The target has seen a newer epoch of this agent: whoever asks is no longer its owner and must stop."""


class EffectAdapter(Protocol):
    async def perform(self, effect: Effect) -> str:
        """Have the effect done, and give the target's receipt. The same key gives the same receipt and is not done again.

        Raises:
            EffectRefused, EffectUnavailable, StaleEpoch.
        """

    async def close(self) -> None:
        """Let go of connections."""
