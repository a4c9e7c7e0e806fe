"""The eventsourcing library reads our rows: its own Application, notification log and mapper, on the file that our store wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eventsourcing import persistence
from eventsourcing.application import Application
from eventsourcing.persistence import JSONTranscoder, StoredEvent
from eventsourcing.system import NotificationLogReader

from domain import task
from domain.event import decode, encode
from domain.ports.store import Append, StoreUnavailable, StreamAppend
from store.eventsourcing_bridge import FieldsOfEvent, Mapper, ReadOnlyStreams, RecordedEvent, register_topics
from store.schema import SchemaMismatch
from store.sqlite import SqliteStore
from tests.domain.golden.events import GOLDEN, Golden
from tests.domain.golden.versions import PRICED_V1, PRICED_V2, PRICED_V3

TASK = "task-1-1-0-SET_PRICE"
EVENTS = [
    task.Assigned(at_ms=1, task_type="SET_PRICE", reply_to="lead/0"),
    task.Resumed(at_ms=2, epoch=2),
    task.Completed(at_ms=3, output={"price": "1.00"}, attempts=2),
]


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    """A store with three task events, and thirty of other streams between and after them."""
    file = tmp_path / "events.db"
    store = SqliteStore(file)
    for index, happened in enumerate(EVENTS):
        await store.append(Append("lead/0", None, [StreamAppend(TASK, index, [happened])]))
        for other in range(10):
            cancelled = task.Cancelled(at_ms=4, reason=f"{index}-{other}")
            await store.append(Append("lead/0", None, [StreamAppend(f"task-1-1-{other}-X", index, [cancelled])]))
    yield file
    await store.close()


@pytest.fixture
def app(path: Path) -> Iterator[Application[str]]:
    """The library's application, as its documentation says to make one."""
    made: Application[str] = Application(env={"PERSISTENCE_MODULE": "store.eventsourcing_bridge", "SQLITE_DBNAME": str(path)})
    yield made
    made.close()


async def test_its_notification_log_is_our_log(app: Application[str], path: Path) -> None:
    """Every row once, in our order, under our positions, section by section."""
    store = SqliteStore(path)
    ours = await store.log(0, 1000)
    await store.close()
    theirs = list(NotificationLogReader(app.notification_log, section_size=7).read(start=1))
    assert [(row.id, row.originator_id, row.originator_version, row.topic, row.state) for row in theirs] == [
        tuple(row) for row in ours
    ]
    assert app.recorder.max_notification_id() == ours[-1].position


def test_its_notification_log_selects_by_position_and_topic(app: Application[str]) -> None:
    """Reading on from a position and filtering by our topics work as for its own events."""
    assert [row.id for row in app.notification_log.select(start=30, limit=10)] == [30, 31, 32, 33]
    found = app.notification_log.select(start=1, limit=10, topics=["task.Assigned", "task.Completed"])
    assert [row.topic for row in found] == ["task.Assigned", "task.Completed"]


def test_its_event_store_gives_our_events(app: Application[str]) -> None:
    """By stream and version, as our own classes, equal to what was appended."""
    recorded: list[Any] = list(app.events.get(TASK))
    assert recorded == [RecordedEvent(TASK, version, happened) for version, happened in enumerate(EVENTS, 1)]
    assert [item.event for item in app.events.get(TASK, gt=1)] == EVENTS[1:]  # type: ignore[attr-defined]  # the library's protocol knows no `event`
    assert recorded[2].timestamp.timestamp() == 0.003


def test_its_repository_folds_with_our_evolve(app: Application[str]) -> None:
    """The library's replay and ours come to the same state."""

    def fold(_: Any, recorded: Iterable[Any]) -> Any:
        return reduce(task.evolve, (item.event for item in recorded), task.TaskState())

    assert app.repository.get(TASK, projector_func=fold) == task.KIND.fold(EVENTS)


def test_it_may_not_write(app: Application[str], path: Path) -> None:
    """An insert through the library is refused with the reason, and SQLite itself would refuse it too."""
    row = Mapper(JSONTranscoder()).to_stored_event(RecordedEvent(TASK, 4, EVENTS[1]))
    with pytest.raises(ReadOnlyStreams, match=TASK):
        app.recorder.insert_events([row])
    recorder: Any = app.recorder
    with pytest.raises(persistence.OperationalError, match="readonly"), recorder.datastore.transaction(commit=True) as cursor:
        cursor.execute("DELETE FROM stored_events")
    assert len(list(app.events.get(TASK))) == 3


def test_it_is_told_what_it_cannot_have(app: Application[str]) -> None:
    """Snapshots, tracking and process recorders: each a clear error, no table is made in our file."""
    for ask in (lambda: app.factory.aggregate_recorder("snapshots"), app.factory.tracking_recorder, app.factory.process_recorder):
        with pytest.raises(persistence.NotSupportedError):
            ask()


def test_only_an_event_store_of_this_version_is_opened(tmp_path: Path) -> None:
    """A missing file is not made, and somebody else's database is not read."""
    missing, other = tmp_path / "missing.db", tmp_path / "other.db"
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE stored_events (a)")
    for file, error in [(missing, StoreUnavailable), (other, SchemaMismatch)]:
        with pytest.raises(error, match=file.name):
            Application[str](env={"PERSISTENCE_MODULE": "store.eventsourcing_bridge", "SQLITE_DBNAME": str(file)})
    assert not missing.exists()


# --- its own mapper, unchanged, on our bytes ------------------------------------------------------------------------------------------


def _by_its_own_mapper(topic: str, state: bytes) -> Any:
    register_topics()
    plain: persistence.Mapper[str] = persistence.Mapper(JSONTranscoder())
    found: Any = plain.to_domain_event(StoredEvent("stream-1", 7, topic, state))
    assert isinstance(found, FieldsOfEvent)
    fields = dict(vars(found))
    assert (fields.pop("originator_id"), fields.pop("originator_version")) == ("stream-1", 7)
    return msgspec.convert(fields, found.EVENT)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.topic)
def test_its_own_mapper_decodes_golden_bytes_as_we_do(golden: Golden) -> None:
    """Stored bytes follow the library's conventions: its unchanged mapper gives the same event."""
    assert _by_its_own_mapper(golden.topic, golden.state) == decode(golden.topic, golden.state)


@pytest.mark.parametrize("state", [PRICED_V1, PRICED_V2, PRICED_V3], ids=["v1", "v2", "v3"])
def test_its_own_mapper_upcasts_as_we_do(state: bytes) -> None:
    """`class_version` and `upcast_vN_vM` are the library's conventions, and both sides run them alike."""
    assert _by_its_own_mapper("test.Priced", state) == decode("test.Priced", state)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.topic)
def test_our_mapper_goes_there_and_back(golden: Golden) -> None:
    """A row through our mapper and back is the same row."""
    mapper = Mapper(JSONTranscoder())
    row = StoredEvent("stream-1", 7, golden.topic, encode(decode(golden.topic, golden.state)))
    assert mapper.to_stored_event(mapper.to_domain_event(row)) == row
