"""A request for a run: the user's files and options become content documents and one event.

A run is known by a key over its inputs and the options that change outputs. The same request again finds the run that was
interrupted; that is how a second call with the same arguments finishes what a crash left.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from domain import run
from domain.decision import digest
from domain.graph import TEMPLATES
from domain.role import Role
from domain.trade.catalogue import Dossier, Problem, Review
from domain.trade.feed import Feed, read_catalogue
from domain.trade.review_file import read_reviews
from domain.trade.stock_file import read_stock
from runtime import inputs

KEY_LENGTH = 12


class Files(NamedTuple):
    """The user's input files."""

    products: Path
    stock: Path | None = None
    reviews: Path | None = None


class Options(NamedTuple):
    """What else of the command changes outputs, or how the run is done. `as_of` None: today, or the day an interrupted run began."""

    workflow: str
    seed: int = 0
    as_of: datetime.date | None = None
    currency: str = "USD"
    skip_invalid: bool = False
    window: int = 64
    shards: Mapping[str, int] = {}


class Wish(NamedTuple):
    """What the user asked for. `abandon` says what to do with another run that is not finished; no `files`: finish that one."""

    files: Files | None
    options: Options
    out: Path
    overwrite: bool = False
    abandon: bool = False


class Inputs(NamedTuple):
    """The files, read and checked. `key_of` depends on their bytes and on the options."""

    feed: Feed
    skipped: Sequence[Problem]
    contents: Sequence[bytes]
    items: Sequence[run.Item]
    parameters: Mapping[str, str]
    fingerprint: str


def read(files: Files, options: Options) -> Inputs:
    """Read and check all files before anything starts.

    Raises:
        InputError: a file is missing or wrong; lists every bad row.
    """
    data = inputs.load_file(files.products)
    feed = read_catalogue(data)
    if not options.skip_invalid or not feed.products:
        inputs.check(files.products, feed.problems)
    # Each file is read once: a pipe gives its bytes once only, and a file may change between two looks.
    stock, reviewed = (inputs.load_file(path) if path else b"" for path in (files.stock, files.reviews))
    levels = _levels(files.stock, stock)
    reviews = _reviews(files.reviews, reviewed, [product.handle for product in feed.products])
    contents, items = _dossiers(feed, levels, reviews)
    omit = msgspec.json.encode(sorted(feed.left_out))
    parameters = {"feed": digest(data), "omit": digest(omit)}
    fingerprint = digest(b"\x1f".join(digest(part).encode() for part in (data, stock, reviewed)))
    return Inputs(feed, feed.problems, [data, omit, *contents], items, parameters, fingerprint)


def key_of(inputs_read: Inputs, options: Options, as_of: datetime.date) -> str:
    """The key of the run: what its outputs depend on, and nothing else."""
    told = [inputs_read.fingerprint, options.workflow, options.seed, as_of.isoformat(), options.currency, options.skip_invalid]
    return digest(msgspec.json.encode(told))[:KEY_LENGTH]


def requested(inputs_read: Inputs, options: Options, as_of: datetime.date, now_ms: int) -> tuple[run.Requested, Sequence[bytes]]:
    """The event that asks for the run, and the content documents that it names."""
    manifest = msgspec.json.encode(inputs_read.items)
    event = run.Requested(
        at_ms=now_ms,
        workflow=options.workflow,
        key=key_of(inputs_read, options, as_of),
        seed=options.seed,
        as_of=as_of.isoformat(),
        currency=options.currency,
        products=len(inputs_read.items),
        manifest=digest(manifest),
        shards={role: options.shards.get(role, 1) for role in roles_of(options.workflow)},
        parameters=dict(inputs_read.parameters),
        window=options.window,
    )
    return event, [*inputs_read.contents, manifest]


def roles_of(workflow: str) -> list[str]:
    """The roles that a workflow needs, the lead first."""
    template = TEMPLATES[workflow]
    steps = [*template.each.steps.values(), *template.close.steps.values()]
    return [str(Role.LEAD), *dict.fromkeys(str(step.role) for step in steps)]


def agents_of(shards: Mapping[str, int]) -> list[str]:
    """The agents that these roles and shards make."""
    return [f"{role}/{shard}" for role, count in shards.items() for shard in range(count)]


def _levels(path: Path | None, data: bytes) -> Mapping[str, int] | None:
    if path is None:
        return None
    levels, problems = read_stock(data)
    inputs.check(path, problems)
    return levels


def _reviews(path: Path | None, data: bytes, handles: Sequence[str]) -> Mapping[str, Sequence[Review]]:
    if path is None:
        return {}
    reviews, problems = read_reviews(data, handles=frozenset(handles))
    inputs.check(path, problems)
    by_handle: dict[str, list[Review]] = {}
    for review in reviews:
        by_handle.setdefault(review.handle, []).append(review)
    return by_handle


def _dossiers(
    feed: Feed, levels: Mapping[str, int] | None, reviews: Mapping[str, Sequence[Review]]
) -> tuple[list[bytes], list[run.Item]]:
    contents, items = [], []
    for product in feed.products:
        known = None
        if levels is not None:
            known = {variant.key: levels[variant.key] for variant in product.variants if variant.key in levels}
        data = msgspec.json.encode(Dossier(product, known, tuple(reviews.get(product.handle, ()))))
        contents.append(data)
        items.append(run.Item(product.index, product.handle, digest(data)))
    return contents, items
