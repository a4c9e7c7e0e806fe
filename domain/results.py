"""The results of a run's products, by index: a persistent collection that is cheap to grow, to fold and to snapshot.

A run of ten thousand products folds ten thousand of these, so adding one must not copy the rest. What came since the last snapshot is
a linked list that shares its tail; what the snapshot held stays packed as it was read, and is unpacked once, at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpds import List

if TYPE_CHECKING:
    Recent = List[tuple[int, str]]
else:
    Recent = List  # the class cannot be subscripted at run time

_DIGEST_BYTES = 32
_RECORD_BYTES = 4 + _DIGEST_BYTES


class Results:
    """Which products ended, and the digest of what each gave. Immutable: `add` gives a new one."""

    __slots__ = ("_mask", "_packed", "_recent")

    def __init__(self, mask: int = 0, packed: bytes = b"", recent: Recent = List()) -> None:  # noqa: B008 persistent, so it may be shared
        self._mask = mask
        self._packed = packed
        self._recent = recent

    def add(self, index: int, digest: str) -> Results:
        """These results and one more."""
        return Results(self._mask | 1 << index, self._packed, self._recent.push_front((index, digest)))

    def __contains__(self, index: int) -> bool:
        return bool(self._mask >> index & 1)

    def in_order(self) -> list[str]:
        """The digests by index, whatever the order in which they came."""
        return [digest for _, digest in self._sorted()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Results) and (self._mask, self._sorted()) == (other._mask, other._sorted())

    def __hash__(self) -> int:
        return hash(self._mask)

    def __repr__(self) -> str:
        return f"Results({self._sorted()!r})"

    def _sorted(self) -> list[tuple[int, str]]:
        packed = self._packed
        old = [
            (int.from_bytes(packed[at : at + 4], "big"), packed[at + 4 : at + _RECORD_BYTES].hex())
            for at in range(0, len(packed), _RECORD_BYTES)
        ]
        return sorted([*old, *self._recent])

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """One form for equal results: the mask with its length, then index and digest of each in order."""
        mask = self._mask.to_bytes((self._mask.bit_length() + 7) // 8, "big")
        records = (index.to_bytes(4, "big") + bytes.fromhex(digest) for index, digest in self._sorted())
        return len(mask).to_bytes(4, "big") + mask + b"".join(records)

    @classmethod
    def from_bytes(cls, data: bytes) -> Results:
        length = int.from_bytes(data[:4], "big")
        return cls(int.from_bytes(data[4 : 4 + length], "big"), data[4 + length :])


NONE = Results()
