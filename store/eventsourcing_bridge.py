"""The eventsourcing library on our database: its Application, notification log and tools read our events.

    Application(env={"PERSISTENCE_MODULE": "store.eventsourcing_bridge", "SQLITE_DBNAME": ".../events.db"})

It is for reading. Each of our streams has one writer, and an append carries fence, marks and messages that the library does not
know; so an insert through the library is refused. What is a projection there keeps its tracking in a database of its own.
Events come as `RecordedEvent`: ours, with the stream and version that the library asks of an event. Under each topic the library also
finds a class of its own kind, so that its unchanged `Mapper` decodes and upcasts our bytes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from uuid import UUID

from eventsourcing import persistence, sqlite
from eventsourcing.utils import Environment, EnvType, register_topic

from domain import all_streams, event
from domain.ports.store import StoreUnavailable
from store import schema


class ReadOnlyStreams(persistence.NotSupportedError):
    """The library was asked to write: streams of Rehydrate have one writer each, which appends through `store.sqlite`."""


class FieldsOfEvent:
    """An event as the library's own mapper makes it: whatever the stored object holds, as attributes. Base of one class a topic."""

    TOPIC: ClassVar[str]
    EVENT: ClassVar[type[event.Event]]
    originator_id: str
    originator_version: int


def register_topics() -> None:
    """Make the topics of all our events known to the library. Doing it again changes nothing."""
    for topic, cls in event.EVENTS.items():
        if topic not in _registered:
            upcasters = {name: staticmethod(getattr(cls, name)) for name in dir(cls) if name.startswith("upcast_v")}
            fields = {"TOPIC": topic, "EVENT": cls, "class_version": cls.class_version, **upcasters}
            _registered[topic] = type(topic, (FieldsOfEvent,), fields)
            register_topic(topic, _registered[topic])


_registered: dict[str, type[FieldsOfEvent]] = {}
assert all_streams.MODULES, "importing it is what registers the events"


@dataclass(frozen=True)
class RecordedEvent:
    """An event of ours, where it stands. `timestamp` is its time, as the library's events have it."""

    originator_id: str
    originator_version: int
    event: event.Event

    @property
    def timestamp(self) -> datetime:
        return datetime.fromtimestamp(self.event.at_ms / 1000, UTC)


class Mapper(persistence.Mapper[str]):
    """Between our stored bytes and `RecordedEvent`. Upcasting is `domain.event`'s."""

    def to_domain_event(self, stored_event: persistence.StoredEvent) -> Any:
        """Decode a stored event.

        Raises:
            UnknownTopic, CorruptEvent: as `domain.event.decode`.
        """
        decoded = event.decode(stored_event.topic, stored_event.state)
        return RecordedEvent(str(stored_event.originator_id), stored_event.originator_version, decoded)

    def to_stored_event(self, domain_event: Any) -> persistence.StoredEvent:
        """The row that a `RecordedEvent` came from."""
        recorded: RecordedEvent = domain_event
        state = event.encode(recorded.event)
        return persistence.StoredEvent(recorded.originator_id, recorded.originator_version, recorded.event.TOPIC, state)


_ROWS = "(SELECT notification_id AS rowid, originator_id, originator_version, topic, state FROM stored_events)"
"""Our table as the library asks for it. `rowid` names our primary key in a WHERE as well, but a result calls the column by its own name."""


class Recorder(sqlite.SQLiteApplicationRecorder):
    """The library's recorder on our `stored_events`."""

    def __init__(self, datastore: sqlite.SQLiteDatastore, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, _ROWS)

    def create_table(self) -> None:
        """The tables are there: the factory has looked."""

    def insert_events(self, stored_events: Sequence[persistence.StoredEvent], **kwargs: Any) -> NoReturn:
        streams = ", ".join(sorted({str(stored.originator_id) for stored in stored_events}))
        raise ReadOnlyStreams(
            f"{streams or 'nothing'} cannot be appended through the eventsourcing library: use SqliteStore.append"
        )

    def select_events(self, originator_id: UUID | str, **kwargs: Any) -> Sequence[persistence.StoredEvent]:
        return super().select_events(str(originator_id), **kwargs)


class Factory(sqlite.SQLiteFactory):
    """What `PERSISTENCE_MODULE` names. `SQLITE_DBNAME` is the path of an event store that exists.

    Raises:
        StoreUnavailable: there is no such file.
        SchemaMismatch: the file is something else or of another version.
    """

    aggregate_recorder_class = Recorder
    application_recorder_class = Recorder

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        path = Path(self.datastore.pool.db_name)
        if not schema.present(path):
            raise StoreUnavailable(f"{path}: there is no event store")
        register_topics()
        self.datastore.originator_id_type = "text"
        # The library opens URIs, so SQLite itself can keep it from writing.
        self.datastore.pool.db_name = f"{path.absolute().as_uri()}?mode=ro"

    def mapper(self, transcoder: persistence.Transcoder | None = None, mapper_class: Any = None) -> Any:
        """Ours, unless the caller or `MAPPER_TOPIC` names another."""
        wanted = mapper_class or (None if self.env.get(self.MAPPER_TOPIC) else Mapper)
        return super().mapper(transcoder, wanted)

    def aggregate_recorder(self, purpose: str = "events") -> persistence.AggregateRecorder:
        """Our events. Our snapshots are bytes of our own states, which no class of the library's stands for.

        Raises:
            NotSupportedError: asked for snapshots.
        """
        if purpose != "events":
            raise persistence.NotSupportedError(f"the library cannot read our {purpose}: leave IS_SNAPSHOTTING_ENABLED off")
        return super().aggregate_recorder(purpose)

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> NoReturn:
        raise ReadOnlyStreams("a projection keeps its tracking in a database of its own")

    def process_recorder(self) -> NoReturn:
        raise ReadOnlyStreams("a process application keeps its events and tracking in a database of its own")
