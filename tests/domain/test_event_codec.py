"""Stored events outlive code: bytes that a release has written are read by every later one."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain import run, task
from domain.event import EVENTS, CorruptEvent, Event, UnknownTopic, decode, decode_all, encode
from tests.domain.golden.events import EXPECTED, GOLDEN, TOPICS, Golden
from tests.domain.golden.versions import PRICED, PRICED_V1, PRICED_V2, PRICED_V3, Priced

# --- golden bytes -----------------------------------------------------------------------------------------------------------------


def test_every_event_has_golden_bytes_of_its_version() -> None:
    """Who adds an event or raises its version adds a line of bytes, so that no later change can make them unreadable."""
    have = {(golden.topic, golden.version) for golden in GOLDEN}
    missing = sorted((topic, EVENTS[topic].class_version) for topic in TOPICS if (topic, EVENTS[topic].class_version) not in have)
    assert not missing, f"add to tests/domain/golden: an event in EXPECTED, and its bytes in stored.txt, for {missing}"
    twice = [key for key, count in Counter((golden.topic, golden.version) for golden in GOLDEN).items() if count > 1]
    assert not twice, f"stored.txt has more than one line for {twice}"


def test_no_golden_topic_has_gone() -> None:
    """A topic that was ever stored stays known, whatever becomes of its class."""
    gone = sorted({golden.topic for golden in GOLDEN} - TOPICS)
    assert not gone, f"stored events of {gone} can no longer be read: keep a class with that TOPIC"


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: f"{golden.topic} v{golden.version}")
def test_golden_bytes_decode_to_the_event_they_were(golden: Golden) -> None:
    """Also bytes of an old version: they are upcast to today's event."""
    expected = EXPECTED.get((golden.topic, golden.version))
    assert expected is not None, f"say in EXPECTED what the bytes of {golden.topic} version {golden.version} are today"
    assert decode(golden.topic, golden.state) == expected, (
        f"bytes of {golden.topic} version {golden.version} read differently now: raise class_version and add an upcaster"
    )


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: f"{golden.topic} v{golden.version}")
def test_an_event_of_the_current_version_is_stored_as_its_golden_bytes(golden: Golden) -> None:
    """Other bytes for the same event are a change of format: they need a new class_version."""
    if golden.version == EVENTS[golden.topic].class_version:
        assert encode(EXPECTED[golden.topic, golden.version]) == golden.state


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.topic)
def test_golden_events_leave_no_field_at_its_default(golden: Golden) -> None:
    """A field that golden bytes omit would not be held to its name."""
    stored = msgspec.json.decode(golden.state, type=dict[str, Any])
    if golden.version == EVENTS[golden.topic].class_version:
        assert stored.keys() - {"class_version"} == {field.name for field in msgspec.structs.fields(EVENTS[golden.topic])}


def test_many_events_are_decoded_as_one_by_one() -> None:
    """The fast way of replay gives what the plain way gives."""
    assert decode_all((golden.topic, golden.state) for golden in GOLDEN) == [
        decode(golden.topic, golden.state) for golden in GOLDEN
    ]


def test_fields_at_their_defaults_are_not_stored() -> None:
    """The log stays small, and what is omitted comes back."""
    happened = task.Assigned(at_ms=1, task_type="SET_PRICE", reply_to="lead/0")
    assert encode(happened) == b'{"task_type":"SET_PRICE","reply_to":"lead/0","at_ms":1}'
    assert decode("task.Assigned", encode(happened)) == happened


_json = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**53), 2**53)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)


@given(output=some.dictionaries(some.text(), _json, max_size=4), attempts=some.integers(1, 2**40), at_ms=some.integers(0, 2**50))
def test_any_output_goes_there_and_back(output: dict[str, Any], attempts: int, at_ms: int) -> None:
    """What JSON can hold is stored without loss."""
    happened = task.Completed(at_ms=at_ms, output=output, attempts=attempts)
    assert decode("task.Completed", encode(happened)) == happened


# --- upcasting --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [PRICED_V1, PRICED_V2, PRICED_V3], ids=["v1", "v2", "v3"])
def test_old_versions_are_brought_to_today(state: bytes) -> None:
    """Through every upcaster between, and bytes of today through none."""
    assert decode("test.Priced", state) == PRICED
    assert decode_all([("test.Priced", state)]) == [PRICED]


def test_a_version_above_one_stands_in_the_bytes() -> None:
    """As the eventsourcing library has it: in `class_version`, beside the fields."""
    assert encode(PRICED) == PRICED_V3
    assert b"class_version" not in encode(EXPECTED["task.Resumed", 1])


def test_an_upcaster_that_is_missing_is_named() -> None:
    """A version that nothing leads on from is corrupt, not guessed."""

    class Halfway(Event, frozen=True):
        TOPIC = "test.Halfway"
        class_version: ClassVar[int] = 2

    with pytest.raises(CorruptEvent, match="upcast_v1_v2"):
        decode("test.Halfway", b'{"at_ms":1}')


# --- bytes that cannot be read ------------------------------------------------------------------------------------------------------


def test_an_unknown_topic_is_named() -> None:
    """It was written by a newer version, or by somebody else: never skipped."""
    with pytest.raises(UnknownTopic, match=r"task\.Teleported"):
        decode("task.Teleported", b"{}")
    with pytest.raises(UnknownTopic, match=r"task\.Teleported"):
        decode_all([("task.Resumed", b'{"epoch":1,"at_ms":1}'), ("task.Teleported", b"{}")])


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b'"x"',
        b"\xff\xfe",
        b"{}",
        b'{"epoch":"four","at_ms":1}',
        b'{"epoch":4}',
        b'{"epoch":4,"at_ms":1}x',
    ],
)
@pytest.mark.parametrize("topic", ["task.Resumed", "test.Priced"])
def test_bytes_that_do_not_fit_are_corrupt(topic: str, state: bytes) -> None:
    """Whatever was done to a row, the error names the topic."""
    with pytest.raises(CorruptEvent, match=topic):
        decode(topic, state)
    with pytest.raises(CorruptEvent, match=topic):
        decode_all([(topic, state)])


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("task.Resumed", b'{"class_version":2,"epoch":4,"at_ms":1}'),
        ("task.Resumed", b'{"epoch":4,"at_ms":1,"node":"b"}'),
        ("test.Priced", b'{"class_version":4,"amount":"1","currency":"EUR","at_ms":1}'),
    ],
    ids=["newer than version 1", "a field that is not known", "newer than version 3"],
)
def test_what_a_newer_version_wrote_is_never_read_in_part(topic: str, state: bytes) -> None:
    """An old program on a new database stops, instead of leaving out what it does not know."""
    with pytest.raises(CorruptEvent, match=topic):
        decode(topic, state)


# --- topics ---------------------------------------------------------------------------------------------------------------------------


def test_a_topic_belongs_to_one_class() -> None:
    """A second class under the same topic is a mistake of the programmer, also where both have the same name."""
    with pytest.raises(TypeError, match=r"test\.Priced"):

        class Other(Event, frozen=True):
            TOPIC = "test.Priced"

    with pytest.raises(TypeError, match=r"run\.Completed"):

        class Completed(Event, frozen=True):
            __qualname__ = "Completed"  # as at the top of another module
            TOPIC = "run.Completed"

    assert EVENTS["test.Priced"] is Priced
    assert EVENTS["run.Completed"] is run.Completed
