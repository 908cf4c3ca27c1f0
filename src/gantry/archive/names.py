"""Many names in little memory: 8 bytes each, so that those of a hundred million objects fit."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable

import numpy as np


class Names:
    """A set of texts that can only grow; `in` and `add` and nothing else.

    It is filled first and asked then: who asks after something was added waits until all are in order.

    Each is kept as 64 bits of its digest. That a text which was never added is taken for one that was has
    a chance of one in 10¹⁰ among a billion.
    """

    def __init__(self) -> None:
        self._digests = array("Q")
        self._is_sorted = True

    def add(self, text: str) -> None:
        """Have this one too."""
        self._digests.append(_short(text))
        self._is_sorted = False

    def update(self, texts: Iterable[str]) -> None:
        """Have all of these too."""
        for text in texts:
            self.add(text)

    def __contains__(self, text: object) -> bool:
        if not self._is_sorted:
            np.frombuffer(self._digests, np.uint64).sort()  # where they are, without a copy
            self._is_sorted = True
        short = _short(str(text))
        place = bisect_left(self._digests, short)
        return place < len(self._digests) and self._digests[place] == short


def _short(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
