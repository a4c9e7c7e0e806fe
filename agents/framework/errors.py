"""What an error means for the work that met it.

    FATAL        trying again cannot help: the request or the program is wrong
    TRANSIENT    trying again may help: the other side was busy, away or slow
    DEGRADABLE   the work as asked for cannot be done, less of it can

The table is by type, first match. What it does not know is FATAL: it is most likely our own mistake, which stays one. Two kinds
are never classified, never retried and always propagate: what is no `Exception` (asyncio.CancelledError among them), and the news
that this process no longer owns its agent, after which it must stop.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from domain.message import Failure
from domain.ports.effects import EffectRefused, EffectUnavailable, StaleEpoch
from domain.ports.store import Fenced, StoreUnavailable

REASON_LENGTH = 500  # characters of a reason: it is stored in events and shown in tables


class ErrorClass(StrEnum):
    """What an error means for the work, from bad to good: the order counts where several come together."""

    FATAL = "fatal"
    TRANSIENT = "transient"
    DEGRADABLE = "degradable"


class AgentError(Exception):
    """An error that work raises on purpose: `code` is for programs, the text for people."""

    code = "agent_error"


class TransientError(AgentError):
    """Trying again may help, not before `retry_after_s` seconds have passed (HTTP's Retry-After)."""

    code = "transient"

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason, retry_after_s)
        self.reason, self.retry_after_s = reason, retry_after_s

    def __str__(self) -> str:
        return self.reason


class DegradableError(AgentError):
    """The work as asked for cannot be done, but less of it can."""

    code = "degradable"


Classifier = Callable[[Exception], ErrorClass | None]
"""Says what an error means, or None where it does not know."""

STOPS = (StaleEpoch, Fenced)
TABLE: tuple[tuple[type[Exception], ErrorClass], ...] = (
    (DegradableError, ErrorClass.DEGRADABLE),
    (TransientError, ErrorClass.TRANSIENT),
    (EffectRefused, ErrorClass.FATAL),
    (EffectUnavailable, ErrorClass.TRANSIENT),
    (StoreUnavailable, ErrorClass.TRANSIENT),
    (TimeoutError, ErrorClass.TRANSIENT),
    (ConnectionError, ErrorClass.TRANSIENT),
    (socket.gaierror, ErrorClass.TRANSIENT),  # the name server is part of connecting
)
# Failed connects for which Python has no class of their own.
UNREACHABLE = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH})


def classify(error: BaseException, custom: Classifier | None = None) -> ErrorClass:
    """What an error means: what `custom` says, and where that says None, the table.

    A group of errors (asyncio.TaskGroup raises them) is as bad as its worst member: FATAL, then TRANSIENT, then DEGRADABLE.

    Raises:
        the error itself: it is one of those that are never classified.
    """
    if (stop := stop_in(error)) is not None:
        raise stop
    assert isinstance(error, Exception)  # what is none is a stop
    if custom is not None and (said := custom(error)) is not None:
        return said
    if isinstance(error, ExceptionGroup):
        members = {classify(member, custom) for member in error.exceptions}
        return next(worst for worst in ErrorClass if worst in members)
    for kind, error_class in TABLE:
        if isinstance(error, kind):
            return error_class
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return ErrorClass.TRANSIENT
    return ErrorClass.FATAL


def stop_in(error: BaseException) -> BaseException | None:
    """The error that must propagate: this one, or one inside a group, or None."""
    if not isinstance(error, Exception) or isinstance(error, STOPS):
        return error
    if isinstance(error, ExceptionGroup):
        return next((stop for member in error.exceptions if (stop := stop_in(member)) is not None), None)
    return None


def failure(error: Exception, custom: Classifier | None = None) -> Failure:
    """What is told and stored of an error. Raises nothing but what `classify` lets propagate: errors come from anybody's code."""
    try:
        error_class, remark = classify(error, custom), ""
    except Exception as broken:  # a custom classifier is anybody's code; a broken one must not hide the error
        if stop_in(error) is not None:
            raise
        error_class, remark = ErrorClass.FATAL, f"; its classifier failed with {type(broken).__name__}"
    code = error.code if isinstance(error, AgentError) else _snake(type(error).__name__)
    try:
        text = str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 - an exception's own __str__ may be broken, and its type still says something
        text = type(error).__name__
    return Failure(error_class.value, code, bounded(text, REASON_LENGTH - len(remark)) + remark)


def bounded(text: str, length: int) -> str:
    """At most so many characters of a text; the ellipsis shows that some are missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


@lru_cache(maxsize=256)
def _snake(name: str) -> str:
    """EffectRefused → effect_refused, OSError → os_error."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
