"""Feeds of any size: the catalogue that ships with the project, cut or multiplied."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

EXAMPLES = Path(__file__).parents[2] / "examples"
HANDLE, TITLE, SKU = "Handle", "Title", "Variant SKU"


class Feed(NamedTuple):
    """The three files of a launch."""

    products: Path
    stock: Path
    reviews: Path


def feed(directory: Path, products: int) -> Feed:
    """A feed of so many products, equal for equal sizes."""
    rows = _read("catalogue.csv")
    handles = list(dict.fromkeys(row[HANDLE] for row in rows))
    chosen = {
        (handle, copy) for copy in range(-(-products // len(handles))) for handle in handles[: products - copy * len(handles)]
    }
    copies = range(1 + max(copy for _, copy in chosen))
    made = Feed(directory / "catalogue.csv", directory / "stock.csv", directory / "reviews.csv")
    directory.mkdir(parents=True, exist_ok=True)
    _write(made.products, [_copied(row, copy) for copy in copies for row in rows if (row[HANDLE], copy) in chosen])
    _write(made.stock, [_copied(row, copy) for copy in copies for row in _read("stock.csv") if (row[HANDLE], copy) in chosen])
    _write(made.reviews, [row for row in _read("reviews.csv") if (row["product_handle"], 0) in chosen])
    return made


def _copied(row: dict[str, str], copy: int) -> dict[str, str]:
    if copy == 0:
        return row
    mark = f" {copy + 1}"
    changed = {name: row[name] + mark.replace(" ", "-") for name in (HANDLE, SKU, "SKU") if row.get(name)}
    return {**row, **changed, **({TITLE: row[TITLE] + mark} if row.get(TITLE) else {})}


def _read(name: str) -> list[dict[str, str]]:
    with (EXAMPLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
