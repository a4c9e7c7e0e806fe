"""Feeds that nobody here wrote go through a launch: Shopify's own samples, and the catalogue of a retail benchmark."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domain.trade import feed as trade
from domain.trade.feed import read_catalogue
from tests.system.feed import Feed
from tests.system.swarm import Swarm
from tests.tau2 import catalogue_csv

DATA = os.environ.get("REHYDRATE_TEST_DATA", "")
SAMPLES = ("apparel.csv", "home-and-garden.csv", "tau2")


AT_A_TIME = 2
"""No figure here depends on time, so two swarms share the machine."""


class Launched(NamedTuple):
    """A run that is over, and what its feed holds."""

    before: trade.Feed
    swarm: Swarm
    document: Any


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Launched]]]:
    """The launches of all samples, which go on while the first of them are looked at."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {sample: pool.submit(_launch, sample, tmp_path_factory.mktemp("real")) for sample in SAMPLES}


def _launch(sample: str, home: Path) -> Launched:
    given = home / "feed.csv"
    given.write_bytes(_sample(sample))
    before = read_catalogue(given.read_bytes())
    reviews = home / "reviews.csv"
    reviews.write_text(f"handle,rating,title,body\n{before.products[0].handle},4,Good,Does what it should.\n")
    swarm = Swarm(home / "swarm", Feed(given, given, reviews))  # a feed is a file of stock levels, too
    return Launched(before, swarm, swarm.run().document)


@pytest.mark.skipif(not DATA, reason="REHYDRATE_TEST_DATA names no directory with sample feeds")
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_real_feed_goes_through_the_launch_and_comes_back_whole(sample: str, launches: Mapping[str, Future[Launched]]) -> None:
    """Every product is completed, and what comes out is a feed that can be imported again: same products, same variants."""
    before, swarm, document = launches[sample].result()

    after = read_catalogue((swarm.out / "products.csv").read_bytes())
    assert document["status"] == "completed"
    assert len(document["workflows"]) == len(before.products) + 1
    assert not after.problems
    assert [[variant.key for variant in product.variants] for product in after.products] == [
        [variant.key for variant in product.variants] for product in before.products
    ]
    assert swarm.verify()["mismatches"] == []


def _sample(name: str) -> bytes:
    if name == "tau2":
        return catalogue_csv(Path(DATA) / "tau2_retail" / "db.json")
    return (Path(DATA) / "shopify_products" / name).read_bytes()
