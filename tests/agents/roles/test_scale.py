"""The steps that concern all products stay quick when there are many."""

from __future__ import annotations

import logging

from domain.graph import CLOSE_LAUNCH
from tests.agents.roles import feeds
from tests.agents.roles.driver import Launch

PRODUCTS = 1_000
LIMIT_S = 15.0  # five is the aim on a laptop; a busy machine of somebody's CI gets three times as long


async def test_closing_a_thousand_products_takes_seconds() -> None:
    """Each document is read once and decoded once."""
    played = await Launch(feeds.synthetic(PRODUCTS)).play()
    assert (played.run.status, played.run.ended, played.run.failed) == ("completed", PRODUCTS, 0)
    closing = {step: round(played.seconds[step], 3) for step in CLOSE_LAUNCH.steps}
    logging.getLogger(__name__).info("closing %d products, seconds: %s, together %.2f", PRODUCTS, closing, sum(closing.values()))
    assert sum(closing.values()) < LIMIT_S
