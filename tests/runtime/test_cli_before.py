"""What `rehydrate run` refuses before anything begins: one line, exit code 2, and nothing is left behind."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from broker.diagnosis import KafkaRefused
from broker.embedded import EmbeddedKafka
from runtime import request
from runtime.cli import before
from runtime.settings import Settings
from tests.runtime.conftest import Rehydrate, change

ROOT = Path(__file__).parents[2]
FEED = "Handle,Title,Variant SKU,Variant Price\ncup,Cup,s1,3.00\n"


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """A feed of one product."""
    path = tmp_path / "products.csv"
    path.write_text(FEED)
    return path


def refused(rehydrate: Rehydrate, feed: Path, *words: str) -> str:
    """Why a run is refused."""
    ended = rehydrate("run", "product-launch-campaign", "--products", str(feed), *words)
    assert ended.code == 2
    return ended.error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "{here}/products.csv"], "products.csv: is a file; give a folder with --out"),
        (["--out", "{here}/products.csv/deep/er"], "products.csv: is a file; give a folder with --out"),
        (["--out", "/proc/none"], "/proc: not writable"),
        (["--out", "{here}/data"], "is in the data dir"),
        (["--out", "{here}/data/effects/mine"], "is in the data dir"),
        (["--out", "{here}", "--overwrite"], "would replace the input"),
        (["--out", "{here}/out", "--as-of", "9999-12-31"], "--as-of 9999-12-31: is not in the years 1970 to 2199"),
        (["--out", "{here}/out", "--as-of", "0001-01-01"], "--as-of 0001-01-01: is not in the years 1970 to 2199"),
        (["--out", "{here}/out", "--kafka", "nonsense"], "--kafka nonsense: is no HOST:PORT"),
        (["--out", "{here}/out", "--kafka", "127.0.0.1:1"], "--kafka 127.0.0.1:1: nobody answers (Connection refused)"),
    ],
)
def test_what_cannot_be_is_refused_at_once(rehydrate: Rehydrate, feed: Path, words: list[str], said: str) -> None:
    """Neither a data dir nor a folder nor half a file is there afterwards."""
    here = feed.parent
    assert said in refused(rehydrate, feed, *(word.format(here=here) for word in words))
    assert [path.name for path in here.iterdir()] == ["products.csv"]
    assert feed.read_text() == FEED


def test_one_kafka_address_that_answers_will_do() -> None:
    """A cluster may be there in part; where nobody answers, each address is told with its reason."""
    kafka = EmbeddedKafka({})
    try:
        assert before.kafka_answers(Settings(kafka=f"127.0.0.1:1,{kafka.bootstrap}"))
    finally:
        kafka.stop()
    with pytest.raises(KafkaRefused, match=re.escape("127.0.0.1:1: nobody answers (Connection refused)")):
        before.kafka_answers(Settings(kafka="127.0.0.1:1"))


def test_an_event_store_that_lost_its_events_is_not_gone_on_with(
    rehydrate: Rehydrate, data: Path, feed: Path, tmp_path: Path
) -> None:
    """New events would hide the loss, and mix with the read models of the old ones; `status` tells it, too."""
    (data / "events.db").unlink()
    said = refused(rehydrate, feed, "--out", str(tmp_path / "out"))
    assert "events.db: ends at event 0, but the read models know of" in said and "rehydrate projections rebuild" in said
    assert "but the events end at 0" in rehydrate("status").out
    assert not (tmp_path / "out").exists()


def test_read_models_of_another_version_are_told_before_the_swarm_starts(
    rehydrate: Rehydrate, data: Path, feed: Path, tmp_path: Path
) -> None:
    """Else the projector would die of them nine times."""
    change(data / "read.db", "UPDATE read_schema SET version = '0-old'")
    assert "rehydrate projections rebuild" in refused(rehydrate, feed, "--out", str(tmp_path / "out"))


@pytest.mark.parametrize("noise", [os.urandom(50_000), b""])
def test_damaged_read_models_are_built_again(data: Path, rehydrate: Rehydrate, noise: bytes) -> None:
    """They are nothing but what the events say."""
    for ending in ("-wal", "-shm"):
        (data / f"read.db{ending}").unlink(missing_ok=True)
    (data / "read.db").write_bytes(noise or (data / "read.db").read_bytes()[:20_000])
    assert "rehydrate projections rebuild" in rehydrate("workflows", "list").err
    assert rehydrate("projections", "rebuild").code == 0
    assert rehydrate("replay", "verify").code == 0


def test_damaged_events_leave_the_read_models_alone(data: Path, rehydrate: Rehydrate) -> None:
    """They are then all that is left. The line says what can be done."""
    (data / "events.db").write_bytes(os.urandom(50_000))
    (data / "read.db").write_bytes(b"x" * 5000)
    ended = rehydrate("projections", "rebuild")
    assert ended.code == 1 and "put back a copy of this file" in ended.error
    assert (data / "read.db").read_bytes() == b"x" * 5000


def test_a_data_dir_of_another_program(data: Path, rehydrate: Rehydrate) -> None:
    """And one whose label cannot be read."""
    for label, said in (
        ('{"program": "other", "version": 1}', "a data dir of other"),
        ("[]", "rehydrate.json: damaged; restore it"),
    ):
        (data / "rehydrate.json").write_text(label)
        ended = rehydrate("status")
        assert ended.code == 2 and said in ended.error


def test_a_file_is_read_once(feed: Path) -> None:
    """A pipe gives its bytes only once; the run is the same as that of a file of the same bytes."""
    stock = feed.with_name("stock.csv")
    stock.write_text("SKU,Available\ns1,4\n")
    reading, writing = os.pipe()
    os.write(writing, stock.read_bytes())
    os.close(writing)
    options = request.Options("product-launch-campaign")
    piped = request.read(request.Files(feed, Path(f"/dev/fd/{reading}")), options)
    os.close(reading)
    assert piped == request.read(request.Files(feed, stock), options)


def test_a_full_disk_is_told_with_its_remedy(data: Path, rehydrate: Rehydrate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it was that failed for it."""
    (data / "events.db").unlink()
    (data / "events.db").mkdir()
    full = shutil.disk_usage(data)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    assert "make room on that disk" in rehydrate("replay", "list").error


def test_the_version_is_told(rehydrate: Rehydrate) -> None:
    """For who reports a fault."""
    ended = rehydrate("--version")
    assert ended.code == 0 and ended.out.startswith("rehydrate ")
