"""The results of a run's products, by index: a persistent collection that is cheap to grow, to fold and to snapshot.

A run of ten thousand products folds ten thousand of these, so adding one must not copy the rest. What came since the last snapshot is
a linked list that shares its tail; what the snapshot held stays packed as it was read, and is unpacked once, at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rpds import List

if TYPE_CHECKING:
    Recent = List[tuple[int, str]]
else:
    Recent = List  # the class cannot be subscripted at run time

_DIGEST_BYTES = 32
_RECORD_BYTES = 4 + _DIGEST_BYTES


class Results(msgspec.Struct, frozen=True, gc=False):
    """The digest of what each ended product gave. Immutable: `add` gives a new one.

    `packed` are records of index (four bytes, big-endian) and digest (32 bytes) in order; `recent` came since.
    """

    packed: bytes = b""
    recent: Recent = List()

    def add(self, index: int, digest: str) -> Results:
        """These results and one more."""
        return Results(self.packed, self.recent.push_front((index, digest)))

    def indices(self) -> list[int]:
        """Which products ended."""
        return [index for index, _ in self._sorted()]

    def in_order(self) -> list[str]:
        """The digests by index, whatever the order in which they came."""
        return [digest for _, digest in self._sorted()]

    def pack(self) -> Results:
        """The same results in their one canonical form: everything packed."""
        if not self.recent:
            return self
        return Results(b"".join(index.to_bytes(4, "big") + bytes.fromhex(digest) for index, digest in self._sorted()))

    def _sorted(self) -> list[tuple[int, str]]:
        packed = self.packed
        old = [
            (int.from_bytes(packed[at : at + 4], "big"), packed[at + 4 : at + _RECORD_BYTES].hex())
            for at in range(0, len(packed), _RECORD_BYTES)
        ]
        return sorted([*old, *self.recent])


NONE = Results()
