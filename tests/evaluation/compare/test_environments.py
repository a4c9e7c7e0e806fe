"""Environments of peers: made once for a lock, made again where the making was interrupted, told where it cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluation.compare import environments
from evaluation.compare.child import CannotMeasure, run
from evaluation.compare.environments import python_of


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of locks; the one of `nothing` asks for no package, so that no index is needed."""
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "nothing.lock").write_text("# no package\n")
    monkeypatch.setattr(environments, "PEERS", folder)
    return folder


async def test_an_environment_is_made_once_and_has_nothing_of_ours(locks: Path, tmp_path: Path) -> None:
    said: list[str] = []
    python = await python_of("nothing", tmp_path / "cache", said.append)
    assert await python_of("nothing", tmp_path / "cache", said.append) == python
    assert len(said) == 1 and str(python.parent.parent) in said[0]
    with pytest.raises(CannotMeasure, match="No module named 'msgspec'"):
        await run([str(python), "-s", "-E", "-P", "-c", "import msgspec"], within_s=30)


async def test_an_interrupted_making_is_begun_anew_and_another_lock_is_another_environment(locks: Path, tmp_path: Path) -> None:
    said: list[str] = []
    python = await python_of("nothing", tmp_path / "cache", said.append)
    (python.parent.parent / environments.READY).unlink()
    assert await python_of("nothing", tmp_path / "cache", said.append) == python
    assert len(said) == 2
    (locks / "nothing.lock").write_text("# no package, changed\n")
    assert await python_of("nothing", tmp_path / "cache", said.append) != python


async def test_what_cannot_be_installed_says_why(locks: Path, tmp_path: Path) -> None:
    """A package without a hash is refused before any index is asked, by uv and by pip."""
    (locks / "loose.lock").write_text("typing-extensions==4.16.0\n")
    with pytest.raises(CannotMeasure, match=r"^cannot be installed: .*(hash|requirements)"):
        await python_of("loose", tmp_path / "cache", lambda line: None)
    assert not list((tmp_path / "cache").glob("*/.ready"))


@pytest.fixture
def npm_lock(locks: Path) -> Path:
    """A lock of npm beside the one of `nothing`, which asks for no package either."""
    folder = locks / "nothing.npm"
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    lock = folder / "package-lock.json"
    lock.write_text('{"lockfileVersion": 3, "packages": {"": {}}}')
    return lock


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm is installed here (Debian, Ubuntu: apt install npm)")
async def test_what_comes_from_npm_lies_in_the_same_environment(npm_lock: Path, tmp_path: Path) -> None:
    python = await python_of("nothing", tmp_path / "cache", lambda line: None)
    lock, changed = npm_lock.read_bytes(), '{"lockfileVersion": 3, "packages": {"": {"name": "changed"}}}'  # noqa: ASYNC240 nothing else runs
    assert (python.parent.parent / npm_lock.name).read_bytes() == lock
    npm_lock.write_text(changed)  # noqa: ASYNC240 nothing else runs
    assert await python_of("nothing", tmp_path / "cache", lambda line: None) != python


async def test_without_npm_the_peer_cannot_be_measured(npm_lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CannotMeasure, match="npm, which is not here"):
        await python_of("nothing", tmp_path / "cache", lambda line: None)
    assert not list((tmp_path / "cache").glob("*/.ready"))


async def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(locks: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotMeasure, match=r"file.*name another folder with --environments"):
        await python_of("nothing", tmp_path / "file", lambda line: None)
