"""How a value from somebody's file is shown in a message: short, on one line, and harmless to a terminal."""

from __future__ import annotations

MAX_SHOWN = 40  # characters: enough to find the cell, few enough for one line


def shown(value: str) -> str:
    """The value in quotes, cut to `MAX_SHOWN` characters, with control characters written as escapes."""
    short = value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "…"
    return '"' + "".join(char if char.isprintable() else repr(char)[1:-1] for char in short) + '"'
