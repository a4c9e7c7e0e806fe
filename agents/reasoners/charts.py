"""Charts as inline SVG: no script, no font, no request; colours come from the page's CSS, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import msgspec
from markupsafe import Markup

_WIDTH = 520
_ROW = 30
_PLOT = 150  # height of the columns of a histogram


class Bar(msgspec.Struct, frozen=True):
    """One bar: what it counts, how many, and the CSS class that colours it."""

    label: str
    count: int
    tone: str = "accent"


class Column(msgspec.Struct, frozen=True):
    """One column of a stack; `counts` are in the order of the chart's series."""

    label: str
    counts: tuple[int, ...]


def bars(title: str, rows: Sequence[Bar]) -> Markup:
    """Horizontal bars with their counts, for names of any length."""
    most = max((row.count for row in rows), default=0) or 1
    left, right = 150, 52
    parts = []
    for position, row in enumerate(rows):
        y, width = position * _ROW, round(row.count * (_WIDTH - left - right) / most, 1)
        parts.append(
            f"<g><title>{escape(row.label)}: {row.count}</title>"
            f'<text class="label" x="{left - 10}" y="{y + 19}" text-anchor="end">{escape(row.label)}</text>'
            f'<rect class="track" x="{left}" y="{y + 6}" width="{_WIDTH - left - right}" height="18" rx="4"/>'
            f'<rect class="{escape(row.tone)}" x="{left}" y="{y + 6}" width="{width}" height="18" rx="4"/>'
            f'<text class="value" x="{_WIDTH - right + 10}" y="{y + 20}">{row.count}</text></g>'
        )
    return _svg(title, "".join(parts), len(rows) * _ROW)


def columns(title: str, rows: Sequence[Bar]) -> Markup:
    """A histogram: one column a class, count above, class below."""
    most = max((row.count for row in rows), default=0) or 1
    step = _WIDTH / max(len(rows), 1)
    parts = [f'<line class="axis" x1="0" y1="{_PLOT + 20.5}" x2="{_WIDTH}" y2="{_PLOT + 20.5}"/>']
    for position, row in enumerate(rows):
        height = round(row.count * _PLOT / most, 1)
        x, middle = round(position * step + step * 0.12, 1), round((position + 0.5) * step, 1)
        above = f'<text class="value" x="{middle}" y="{round(_PLOT + 14 - height, 1)}" text-anchor="middle">{row.count}</text>'
        count = above if row.count else ""
        parts.append(
            f'<g><title>{escape(row.label)}: {row.count}</title>{count}<rect class="{escape(row.tone)}" x="{x}" '
            f'y="{round(_PLOT + 20 - height, 1)}" width="{round(step * 0.76, 1)}" height="{height}" rx="3"/>'
            f'<text class="tick" x="{middle}" y="{_PLOT + 38}" text-anchor="middle">{escape(row.label)}</text></g>'
        )
    return _svg(title, "".join(parts), _PLOT + 46)


def stacks(title: str, series: Sequence[str], rows: Sequence[Column]) -> Markup:
    """Stacked columns over time, twice as wide as the others; labels are thinned where they would touch."""
    width = _WIDTH * 2 + 40
    most = max((sum(row.counts) for row in rows), default=0) or 1
    left, step = 36, (width - 36) / max(len(rows), 1)
    every = max(1, -(-len(rows) * 78 // (width - left)))
    parts = [
        f'<line class="grid" x1="{left}" y1="{y}" x2="{width}" y2="{y}"/><text class="tick" x="{left - 8}" y="{y + 4}" '
        f'text-anchor="end">{value}</text>'
        for value, y in ((0, _PLOT + 10.5), (most, 10.5))
    ]
    for position, row in enumerate(rows):
        x, y = round(left + position * step + step * 0.14, 1), _PLOT + 10.0
        column = []
        for number, count in enumerate(row.counts):
            height = count * _PLOT / most
            y -= height
            if count:
                column.append(
                    f'<rect class="series{number}" x="{x}" y="{y:.1f}" width="{min(step * 0.72, 44):.1f}" '
                    f'height="{max(height - 1.5, 0.5):.1f}" rx="2"/>'
                )
        said = ", ".join(f"{name} {count}" for name, count in zip(series, row.counts, strict=True))
        tick = f'<text class="tick" x="{x}" y="{_PLOT + 30}">{escape(row.label)}</text>' if position % every == 0 else ""
        parts.append(f"<g><title>{escape(row.label)}: {escape(said)}</title>{''.join(column)}{tick}</g>")
    return _svg(title, "".join(parts), _PLOT + 38, width)


def _svg(title: str, inside: str, height: int, width: int = _WIDTH) -> Markup:
    # Everything that came from outside was escaped above.
    return Markup(f'<svg viewBox="0 0 {width} {max(height, 1)}" role="img" aria-label="{escape(title)}">{inside}</svg>')
