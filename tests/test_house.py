"""The rules of the house that no linter checks: names of packages, lengths, reasons for suppressions, what the wheel holds.

Who may import whom is import-linter's part (`make check`).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tokenize
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("domain", "agents", "broker", "store", "projections", "chaos", "evaluation", "runtime")
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60

# A suppression names its rule, then says why in at least two words: "noqa: BLE001 - a plug-in may raise anything".
SUPPRESSION = re.compile(r"#\s*(?:noqa\b|type:\s*ignore\b)")
EXPLAINED = re.compile(r"#\s*(?:noqa:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w, -]+\])\W+\w+\W+\w+")

SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LOCKS = [ROOT / "requirements.lock", *sorted((ROOT / "evaluation").rglob("*.lock"))]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", [*ROOMS, "tests"])
def test_no_other_distribution_ships_a_package_of_our_name(package: str) -> None:
    """`import agents` is our room, whatever else is installed."""
    owners = {owner.lower() for owner in packages_distributions().get(package, [])}
    assert owners <= {"rehydrate"}, f"{package} is also installed by {owners - {'rehydrate'}}: give that one its own environment"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_and_functions_of_a_room_stay_short(path: Path) -> None:
    """A file is read in one sitting, a function on one screen."""
    source = path.read_text(encoding="utf-8")
    too_long = [
        f"{_name(path)}:{node.lineno} {node.name} has {length} lines, at most {LINES_OF_A_FUNCTION}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LINES_OF_A_FUNCTION
    ]
    if (lines := len(source.splitlines())) > LINES_OF_A_FILE:
        too_long.append(f"{_name(path)} has {lines} lines, at most {LINES_OF_A_FILE}")
    assert not too_long, "\n".join(too_long)


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=_name)
def test_every_suppression_says_why(path: Path) -> None:
    """A reader never has to guess why a rule does not hold somewhere."""
    with tokenize.open(path) as file:
        comments = [token for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
    bare = [
        f"{_name(path)}:{token.start[0]} {token.string}"
        for token in comments
        if SUPPRESSION.search(token.string) and not EXPLAINED.search(token.string)
    ]
    assert not bare, "\n".join(bare)


def test_the_configuration_names_each_room_everywhere() -> None:
    """A new room is built, typed and held to the import rules, or this fails."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert set(config["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(ROOMS)
    assert set(config["mypy"]["files"]) == {*ROOMS, "tests"}
    assert set(config["importlinter"]["root_packages"]) == set(ROOMS)
    layered = {room.strip() for layer in config["importlinter"]["contracts"][0]["layers"] for room in layer.split("|")}
    assert layered == set(ROOMS)


def test_the_wheel_holds_the_rooms_and_nothing_else(tmp_path: Path) -> None:
    """Neither tests nor data of a developer's checkout reach an installation."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("rehydrate-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(ROOMS)


@pytest.mark.parametrize("lock", LOCKS, ids=_name)
def test_the_lock_is_for_every_machine(lock: Path) -> None:
    """A lock names no index, no folder of this machine and no address; every package in it has its hashes."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    foreign = [line for line in lines if re.search(r"://|--(?!hash=sha256:)|\s@\s|^-|file:", line)]
    assert not foreign, "\n".join(foreign)
    pins = [index for index, line in enumerate(lines) if re.match(r"[a-z0-9-]+==", line)]
    assert pins
    assert all(lines[index + 1].lstrip().startswith("--hash=sha256:") for index in pins)
