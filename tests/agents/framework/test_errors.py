"""An error is classified by the table, by a custom classifier before it, and some are never classified."""

from __future__ import annotations

import asyncio
import errno
import pickle
import socket

import pytest

from agents.framework import schema
from agents.framework.breaker import CircuitOpen
from agents.framework.errors import (
    REASON_LENGTH,
    DegradableError,
    ErrorClass,
    TransientError,
    bounded,
    classify,
    failure,
    stop_in,
)
from domain.message import Failure
from domain.ports.effects import EffectRefused, EffectUnavailable, StaleEpoch
from domain.ports.store import Fenced, StoreUnavailable, VersionConflict

DEFAULTS = [
    (TimeoutError(), ErrorClass.TRANSIENT),
    (ConnectionRefusedError(), ErrorClass.TRANSIENT),
    (ConnectionResetError(), ErrorClass.TRANSIENT),
    (BrokenPipeError(), ErrorClass.TRANSIENT),
    (socket.gaierror(socket.EAI_AGAIN, "try again"), ErrorClass.TRANSIENT),
    (OSError(errno.EHOSTUNREACH, "no route"), ErrorClass.TRANSIENT),
    (EffectUnavailable("busy"), ErrorClass.TRANSIENT),
    (StoreUnavailable("disk full"), ErrorClass.TRANSIENT),
    (TransientError("come back later"), ErrorClass.TRANSIENT),
    (CircuitOpen(9.0, 3.0), ErrorClass.TRANSIENT),
    (DegradableError("no pictures today"), ErrorClass.DEGRADABLE),
    (EffectRefused("no such channel"), ErrorClass.FATAL),
    (VersionConflict("run/1", 1, 2), ErrorClass.FATAL),
    (schema.InvalidData("output", "/price", "too low"), ErrorClass.FATAL),
    (OSError(errno.ENOENT, "no file"), ErrorClass.FATAL),
    (TypeError("our own mistake"), ErrorClass.FATAL),
    (KeyError("sku"), ErrorClass.FATAL),
    (RuntimeError("unknown"), ErrorClass.FATAL),
]


@pytest.mark.parametrize(("error", "expected"), DEFAULTS, ids=lambda value: type(value).__name__)
def test_the_table_says_what_an_error_means(error: Exception, expected: ErrorClass) -> None:
    """Busy and away is TRANSIENT, wrong and unknown is FATAL, less is possible is DEGRADABLE."""
    assert classify(error) is expected


def test_a_custom_classifier_comes_first_and_may_pass() -> None:
    """It decides what it knows; the table decides the rest."""

    def rate_limit(error: Exception) -> ErrorClass | None:
        return ErrorClass.TRANSIENT if "429" in str(error) else None

    assert classify(RuntimeError("429"), rate_limit) is ErrorClass.TRANSIENT
    assert classify(RuntimeError("400"), rate_limit) is ErrorClass.FATAL
    assert classify(DegradableError("x"), rate_limit) is ErrorClass.DEGRADABLE


@pytest.mark.parametrize("stop", [asyncio.CancelledError(), KeyboardInterrupt(), StaleEpoch("7"), Fenced("8")])
def test_some_errors_are_never_classified(stop: BaseException) -> None:
    """Cancellation and the loss of ownership propagate, alone or in a group, and no custom classifier sees them."""

    def never(error: Exception) -> ErrorClass:
        raise AssertionError("must not be asked")

    with pytest.raises(type(stop)):
        classify(stop, never)
    assert stop_in(stop) is stop
    if isinstance(stop, Exception):
        group = ExceptionGroup("of a task group", [ValueError(), ExceptionGroup("nested", [stop])])
        assert stop_in(group) is stop
        with pytest.raises(type(stop)):
            failure(group, never)


def test_a_group_is_as_bad_as_its_worst_member() -> None:
    """One fatal error in a task group makes retrying pointless, one transient makes it worth while."""
    transient, degradable, fatal = TimeoutError(), DegradableError("x"), ValueError()
    assert classify(ExceptionGroup("g", [transient, degradable])) is ErrorClass.TRANSIENT
    assert classify(ExceptionGroup("g", [transient, ExceptionGroup("h", [fatal, degradable])])) is ErrorClass.FATAL
    assert classify(ExceptionGroup("g", [degradable])) is ErrorClass.DEGRADABLE


def test_a_failure_has_a_class_a_code_and_a_reason() -> None:
    """Errors of ours name their code, others are named after their type, and none is without a reason."""
    assert failure(EffectUnavailable("busy")) == Failure("transient", "effect_unavailable", "busy")
    assert failure(OSError(errno.ENOENT, "no file")).code == "file_not_found_error"
    assert failure(TimeoutError()) == Failure("transient", "timeout_error", "TimeoutError")
    assert failure(CircuitOpen(9.0, 3.0)) == Failure("transient", "circuit_open", "the circuit is open for another 3.0 s")
    assert failure(schema.InvalidData("input", "/a", "no")).code == "invalid_input"


def test_a_reason_is_bounded() -> None:
    """However much an error says, its event stays small."""
    assert failure(ValueError("x" * 10_000)).reason == "x" * (REASON_LENGTH - 1) + "…"
    assert bounded("abc", 3) == "abc"
    assert bounded("abcd", 3) == "ab…"


def test_broken_helpers_do_not_hide_an_error() -> None:
    """A classifier that raises makes the error FATAL and says so; an error that cannot be printed keeps its type."""

    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def broken(error: Exception) -> ErrorClass:
        raise LookupError

    told = failure(TimeoutError("x" * 10_000), broken)
    assert (told.error_class, told.code, len(told.reason)) == ("fatal", "timeout_error", REASON_LENGTH)
    assert told.reason.endswith("its classifier failed with LookupError")
    assert failure(Unprintable()) == Failure("fatal", "unprintable", "Unprintable")


@pytest.mark.parametrize("error", [TransientError("x", 2.0), CircuitOpen(9.0, 3.0), schema.InvalidData("output", "/a", "no")])
def test_errors_cross_process_borders(error: Exception) -> None:
    """Pickled and back they say the same."""
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))
