"""Many names in little memory: 8 bytes each, so that those of a hundred million objects fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

_UNSORTED = 1 << 16


class Names:
    """A set of texts that can only grow; `in` and `add` and nothing else.

    Each is kept as 64 bits of its digest. That a text which was never added is taken for one that was has
    a chance of one in 10¹⁰ among a billion.
    """

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._new: set[int] = set()

    def add(self, text: str) -> None:
        """Have this one too."""
        self._new.add(_short(text))
        if len(self._new) > max(_UNSORTED, len(self._sorted) // 32):
            self._settle()

    def update(self, texts: Iterable[str]) -> None:
        """Have all of these too."""
        for text in texts:
            self.add(text)

    def __contains__(self, text: object) -> bool:
        short = _short(str(text))
        if short in self._new:
            return True
        place = int(np.searchsorted(self._sorted, np.uint64(short)))
        return place < len(self._sorted) and int(self._sorted[place]) == short

    def _settle(self) -> None:
        more = np.sort(np.fromiter(self._new, np.uint64, len(self._new)))
        self._sorted = np.concatenate((self._sorted, more))
        self._sorted.sort(kind="stable")
        self._new.clear()


def _short(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
