"""What the documentation says is so: the reference is what the code gives, links lead somewhere, commands exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GENERATE = ROOT / "docs" / "generate.py"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LONGEST_LINE = 140

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`((?:\.venv/bin/)?rehydrate [^`]+|make [^`]+)`")
TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)
SHELLS = {"sh", "bash", "console"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_reference_is_what_the_code_gives() -> None:
    """`docs/generate.py` in a process of its own, so that what tests have registered is no part of it."""
    done = subprocess.run([sys.executable, GENERATE, "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}run: .venv/bin/python docs/generate.py"


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    dead = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            dead.append(target)
    assert not dead, f"{_name(page)}: {', '.join(dead)}"


@cache
def _anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_lines_of_prose_fit_into_an_editor(page: Path) -> None:
    """Rows of tables cannot be broken; everything else can."""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    long = [number for number, line in lines if len(line) > LONGEST_LINE and not line.startswith("|")]
    assert not long, f"{_name(page)}: lines {long}"


# --- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    """Its name and each of its options, for `rehydrate` and for `make`; in blocks and in running text."""
    wrong = [f"{line}: {why}" for line in _shown(page) if (why := _fault(line))]
    assert not wrong, f"{_name(page)}:\n" + "\n".join(wrong)


def _shown(page: Path) -> Iterator[str]:
    """Command lines of a page, without prompt, comment and what is piped behind them."""
    text = page.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in SHELLS:
            for line in block.replace("\\\n", " ").splitlines():
                yield from _commands(line.removeprefix("$ "))
    for line in INLINE.findall(FENCE.sub("", text)):
        yield from _commands(line)


def _commands(line: str) -> Iterator[str]:
    for part in re.split(r"&&|\|\||[;|&](?=\s|$)", line.partition(" # ")[0]):
        words = part.split()
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words and (words[0] == "make" or words[0].rpartition("/")[2] == "rehydrate"):
            # `rehydrate replay list|show` is two commands.
            for choice in words[2].split("|") if len(words) > 2 and "|" in words[2] else (None,):
                yield " ".join(words if choice is None else [*words[:2], choice, *words[3:]])


def _fault(line: str) -> str:
    words = [word for word in shlex.split(line) if word not in {"…", "..."}]
    if words[0] == "make":
        targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
        unknown = [word for word in words[1:] if "=" not in word and word not in targets]
        return f"no target {', '.join(unknown)}" if unknown else ""
    known = _commands_of_the_code()
    path, rest = "rehydrate", words[1:]
    while rest and f"{path} {rest[0]}" in known:
        path, rest = f"{path} {rest[0]}", rest[1:]
    if rest and not rest[0].startswith("-") and hasattr(known[path], "list_commands"):
        return f"{path!r} has no command {rest[0]!r}"
    options = {option for parameter in known[path].params for option in (*parameter.opts, *parameter.secondary_opts)}
    missing = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in options | {"--help", "-h"}]
    return f"{path!r} has no option {', '.join(missing)}" if missing else ""


@cache
def _commands_of_the_code() -> Mapping[str, Any]:
    spec = importlib.util.spec_from_file_location("docs_generate", GENERATE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.commands())


def test_the_readme_shows_the_two_commands_that_begin_everything() -> None:
    """Without an option, in a block of their own."""
    shown = list(_shown(ROOT / "README.md"))
    assert {"make demo", "make test"} <= set(shown)
    assert any(line.startswith(".venv/bin/rehydrate run product-launch-campaign") for line in shown)


# --- benchmarks -----------------------------------------------------------------------------------------------------


def test_the_page_of_benchmarks_shows_what_was_measured() -> None:
    """Table and picture are those that `docs/benchmarks.py` makes of the document beside them."""
    command = [sys.executable, str(ROOT / "docs" / "benchmarks.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}run: .venv/bin/python docs/benchmarks.py"
