"""Events: what has happened, frozen, in the past tense, each with a stable topic.

Rules of this file, because stored events outlive code:
- A topic is written once (`TOPIC = "task.Completed"`) and never follows a class that is renamed or moved.
- A change of fields raises `class_version` and adds `upcast_vN_vM(state)`, a static method that mends the decoded dict.
- Stored bytes are the JSON object of the fields; a version above 1 stands in it as `class_version`. These are the conventions of
  the eventsourcing library, so its own mappers and tools read what we write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec

_encode = msgspec.json.Encoder(decimal_format="string").encode


class UnknownTopic(Exception):
    """A stored event names a topic that this version of the code does not know: it was written by a newer one."""


class CorruptEvent(Exception):
    """A stored event cannot be decoded into its class: the row was changed outside the store, an upcaster is missing, or a
    newer version wrote it: a field that this code does not know is never dropped silently."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of all events. `at_ms` is when it was decided: milliseconds since the epoch, UTC.

    Events hold values and no references back, so the garbage collector need not follow them (`gc=False`).
    """

    TOPIC: ClassVar[str] = ""
    class_version: ClassVar[int] = 1

    at_ms: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        topic = cls.__dict__.get("TOPIC", "")
        if topic:
            known = EVENTS.setdefault(topic, cls)
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(f"topic {topic!r} is taken by {known.__module__}.{known.__qualname__}")
            EVENTS[topic] = cls  # msgspec may build a class twice (slots): the last one is the real one
            _decoders.pop(topic, None)


EVENTS: dict[str, type[Event]] = {}
_decoders: dict[str, Callable[[bytes], Event]] = {}


def encode(event: Event) -> bytes:
    """The bytes that are stored for an event."""
    state = _encode(event)
    version = event.class_version
    if version > 1:
        return b'{"class_version":%d,' % version + state[1:]
    return state


def decode(topic: str, state: bytes) -> Event:
    """The event that stored bytes stand for, brought to today's class version.

    Raises:
        UnknownTopic: this code has no class for the topic.
        CorruptEvent: the bytes do not fit the class.
    """
    try:
        return decoder(topic)(state)
    except msgspec.DecodeError as error:
        raise CorruptEvent(f"{topic}: {error}") from error


def decode_all(rows: Iterable[tuple[str, bytes]]) -> list[Event]:
    """Many events at once, given as topic and bytes: the hot path of replay, so one dict look-up and one call an event.

    Raises:
        UnknownTopic, CorruptEvent: as for `decode`.
    """
    decoders = _decoders
    events: list[Event] = []
    add = events.append
    topic = ""
    try:
        for topic, state in rows:
            decode_one = decoders.get(topic)
            add((decode_one or decoder(topic))(state))
    except msgspec.DecodeError as error:
        raise CorruptEvent(f"{topic}: {error}") from error
    return events


def check_known(topic: str) -> None:
    """Raises `UnknownTopic` for a topic that this code has no class for."""
    decoder(topic)


def decoder(topic: str) -> Callable[[bytes], Event]:
    """The function that decodes events of one topic; raises what msgspec raises on bytes that do not fit."""
    found = _decoders.get(topic)
    if found is None:
        cls = EVENTS.get(topic)
        if cls is None:
            raise UnknownTopic(f"no event class has the topic {topic!r}; was this data written by a newer version?")
        found = _decoders[topic] = msgspec.json.Decoder(cls).decode if cls.class_version == 1 else _upcasting(cls)
    return found


def _upcasting(cls: type[Event]) -> Callable[[bytes], Event]:
    def decode_upcasting(state: bytes) -> Event:
        try:
            fields = msgspec.json.decode(state, type=dict[str, Any])
            version = fields.pop("class_version", 1)
            if version > cls.class_version:
                raise CorruptEvent(f"{cls.TOPIC}: stored by a newer version, as class_version {version}")
            while version < cls.class_version:
                getattr(cls, f"upcast_v{version}_v{version + 1}")(fields)
                version += 1
            return msgspec.convert(fields, cls)
        except (
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:  # what an upcaster raises on fields it did not expect
            raise CorruptEvent(f"{cls.TOPIC}: {error!r}") from error

    return decode_upcasting
