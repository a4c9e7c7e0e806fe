"""The comparison as a picture: bars of steps a second, one group a concurrency, as SVG that follows the reader's light or dark theme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from evaluation.compare.systems import OURS, RAW, ROAD

WIDTH, LEFT, RIGHT = 900, 270, 130
"""Of the picture, left of the bars, right of the longest one, in pixels."""
BAR, GAP, GROUP_GAP, TOP, BOTTOM = 24, 6, 22, 70, 52

STYLE = """
    svg { --paper: #ffffff; --edge: #c9d1d9; --ink: #1f2933; --soft: #52606d;
          --ours: #2f7d5b; --road: #7fb79d; --peer: #9aa5b1; --raw: #a8670b; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #14181d; --edge: #3d4752; --ink: #e6edf3; --soft: #a4b1bd;
            --ours: #56b98a; --road: #2f6d50; --peer: #5f6b77; --raw: #e0a84a; }
    }
    text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink); font-size: 14px; }
    .head { font-weight: 600; font-size: 16px; }
    .soft { fill: var(--soft); font-size: 13px; }
    .end { text-anchor: end; }
    .figure { stroke: var(--paper); stroke-width: 5px; paint-order: stroke; }
"""


def draw(document: Mapping[str, Any]) -> str:
    """The SVG of a document that `bench compare --json` gave."""
    shown = [system for system in document["systems"] if system["status"] == "measured" and system["system"] != RAW]
    raws = _by_concurrency(next((system for system in document["systems"] if system["system"] == RAW), None))
    groups = {
        at_once: _bars(shown, at_once) for at_once in dict.fromkeys(at for system in shown for at in _by_concurrency(system))
    }
    most = max([1, *raws.values(), *(speed for bars in groups.values() for _, speed, _ in bars)])
    parts, y = [], TOP
    for at_once, bars in groups.items():
        parts.append(_group(at_once, bars, raws.get(at_once), most, y))
        y += len(bars) * (BAR + GAP) + GROUP_GAP
    return _page(document, "".join(parts), y + BOTTOM - GROUP_GAP)


def _by_concurrency(system: Mapping[str, Any] | None) -> dict[int, float]:
    return {each["concurrency"]: each["steps_per_second"] for each in (system or {}).get("results", ())}


def _bars(systems: list[Mapping[str, Any]], at_once: int) -> list[tuple[str, float, str]]:
    """Name, steps a second, and what is written behind the bar."""
    bars = []
    for system in systems:
        for result in system["results"]:
            if result["concurrency"] == at_once:
                times = result.get("rehydrate_is_times")
                behind = f"{result['steps_per_second']:,}" + (f"  (1 : {times:.1f})" if times else "")
                bars.append((system["system"], result["steps_per_second"], behind))
    return bars


def _group(at_once: int, bars: list[tuple[str, float, str]], raw: float | None, most: float, top: int) -> str:
    scale = (WIDTH - LEFT - RIGHT) / most
    height = len(bars) * (BAR + GAP) - GAP
    lines = [f'<text class="soft" x="20" y="{top + height / 2 + 5:.0f}">{at_once} at a time</text>']
    if raw:  # below the figures, which may lie on it
        x, style = f"{LEFT + raw * scale:.1f}", "stroke: var(--raw); stroke-width: 2; stroke-dasharray: 4 3"
        lines.append(f'<line x1="{x}" x2="{x}" y1="{top - 5}" y2="{top + height + 5}" style="{style}"/>')
    for index, (name, speed, behind) in enumerate(bars):
        y = top + index * (BAR + GAP)
        colour = {OURS: "ours", ROAD: "road"}.get(name, "peer")
        lines += [
            f'<text class="end" x="{LEFT - 10}" y="{y + 17}">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{speed * scale:.1f}" height="{BAR}" rx="3" style="fill: var(--{colour})"/>',
            f'<text class="figure" x="{LEFT + speed * scale + 8:.1f}" y="{y + 17}">{escape(behind)}</text>',
        ]
    return "".join(f"  {line}\n" for line in lines)


def _page(document: Mapping[str, Any], body: str, height: int) -> str:
    about = f"{document['steps_per_workflow']} steps of {document['payload_bytes']} B a workflow, on PostgreSQL"
    measured = [system for system in document["systems"] if system["status"] == "measured"]
    about += "".join(f"; {each['system']} on {each['store']}" for each in measured if each["store"] != "postgresql")
    legend = "Dashed: raw single-row inserts, 16 connections, in the same rounds. In brackets: peer to rehydrate."
    frame = f'width="{WIDTH - 2}" height="{height - 2}" rx="12" style="fill: var(--paper); stroke: var(--edge)"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            'aria-labelledby="title desc">',
            '  <title id="title">Durable steps a second</title>',
            f'  <desc id="desc">{escape(about)}; the table beside it has all figures.</desc>',
            f"  <style>{STYLE}  </style>",
            f'  <rect x="1" y="1" {frame}/>',
            '  <text class="head" x="20" y="30">Durable steps a second</text>',
            f'  <text class="soft" x="20" y="50">{escape(about)}</text>',
            body.rstrip("\n"),
            f'  <text class="soft" x="20" y="{height - 16}">{escape(legend)}</text>',
            "</svg>\n",
        )
    )
