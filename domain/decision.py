"""What a decision gives: events, and the documents that its events name by digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from domain.event import Event


class Decision(NamedTuple):
    """Events in order, and content documents to be kept with them in the same append. No events: the command changes nothing."""

    events: Sequence[Event] = ()
    contents: Sequence[bytes] = ()


NOTHING = Decision()


def digest(data: bytes) -> str:
    """The name of a content document: SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


_NAME = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def named(data: bytes) -> set[str]:
    """The names of content documents that occur in an encoded event or in a document. Rather one too many than one too few: whatever
    could be a name counts as one."""
    return {name.decode() for name in _NAME.findall(data)}
