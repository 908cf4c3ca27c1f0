"""Memory for objects on their way in: blocks that begin on a page, used again and again.

A disk can take a block that begins on a page as it lies, without a copy through the page cache
(`OpenFile.write_block`). And memory that was used before costs nothing, while a page that is touched for the
first time has to be found and zeroed: on a virtual machine that is dearer than all else that a slice costs.
"""

from __future__ import annotations

import mmap
from collections import deque

from gantry.archive.disk import BLOCK_BYTES, padded

MEMORY_LIMIT = 1 << 20
"""Bytes of one arrival held in memory; more go to a file, so that 64 senders of 2 GB cost 64 MiB (N16)."""
KEPT_BLOCKS = 48
"""Blocks kept for the next object: as many slices as arrive and wait at once on a busy day."""

Block = mmap.mmap
"""`MEMORY_LIMIT` bytes, a multiple of `BLOCK_BYTES`."""


class Blocks:
    """Blocks to be taken and given back, by any thread. Who gives one back looks at it no more."""

    def __init__(self) -> None:
        self._free: deque[Block] = deque()

    def take(self) -> Block:
        """A block that holds anything."""
        try:
            return self._free.pop()
        except IndexError:
            return mmap.mmap(-1, MEMORY_LIMIT)

    def give(self, block: Block) -> None:
        """Take a block back."""
        if len(self._free) < KEPT_BLOCKS:
            self._free.append(block)


def zero_tail(block: Block, size: int) -> None:
    """Let nothing of an earlier object stand behind the first `size` bytes, up to where a disk reads."""
    end = padded(size)
    if end != size:
        block[size:end] = _ZEROS[: end - size]


_ZEROS = bytes(BLOCK_BYTES)
