"""Writes what docs/benchmarks.md shows of a comparison from the measurement itself: the table, the notes, and the picture.

    .venv/bin/rehydrate bench compare --database postgresql://… --json > docs/measured/compare.json
    .venv/bin/python docs/benchmarks.py            write them
    .venv/bin/python docs/benchmarks.py --check    write nothing; exit 1 and name what is out of date

The measurement is committed with the page, so that every figure on it can be traced.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.compare.picture import draw
from evaluation.compare.table import notes, table
from runtime.cli.output import cell

DOCS = Path(__file__).parent
MEASURED = DOCS / "measured" / "compare.json"
PAGE = DOCS / "benchmarks.md"
PICTURE = DOCS / "pictures" / "compare.svg"
BEGIN, END = "<!-- compare: written by docs/benchmarks.py -->\n", "<!-- compare: end -->\n"


def main(arguments: Sequence[str]) -> int:
    """Write or check; gives the exit code."""
    document = json.loads(MEASURED.read_text(encoding="utf-8"))
    shown = table(document).trimmed()
    heads = [head.removeprefix(">") for head in shown.columns]
    rules = ["---:" if head.startswith(">") else "---" for head in shown.columns]
    lines = [heads, rules, *([cell(value) for value in row] for row in shown.rows)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"
    text += "\n".join(f"| {line} |" for line in ("measured with", "---", *notes(document))) + "\n"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    page = f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}"
    stale = [path for path, new in ((PAGE, page), (PICTURE, draw(document))) if _is_stale(path, new, "--check" in arguments)]
    for path in stale:
        sys.stderr.write(f"{path.relative_to(DOCS.parent)} {'is out of date' if '--check' in arguments else 'written'}\n")
    return 1 if stale and "--check" in arguments else 0


def _is_stale(path: Path, new: str, only_look: bool) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == new:
        return False
    if not only_look:
        path.write_text(new, encoding="utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
