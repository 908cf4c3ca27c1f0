"""Keeps the memory of freed buffers for the next ones: a server moves objects of half a megabyte all day.

Left alone, glibc gives each such buffer back to the system when it is freed and gets new pages, all of them
zeroed, for the next; measured, that was a third of what sending an object cost. Only glibc is tuned; other C
libraries have other habits, and nothing depends on this.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)

KEPT_BYTES = 64 << 20
"""Free memory at the top of the heap that is kept."""

OWN_MAPPING_BYTES = 8 << 20
"""Buffers from this size are mapped alone and go back to the system at once."""


FRAME_MAPPING_BYTES = 32 << 20
"""The same for processes that decode: a mammogram is a buffer, and glibc takes no more than this."""


def keep_buffers(own_mapping_bytes: int = OWN_MAPPING_BYTES) -> bool:
    """Tune the allocator of this process; whether there was one to tune.

    One heap for all threads: they allocate under the interpreter's lock anyway, and sixteen heaps would
    keep sixteen times as much.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((_ARENA_MAX, 1), (_TRIM_THRESHOLD, KEPT_BYTES), (_MMAP_THRESHOLD, own_mapping_bytes))
    taken = [mallopt(option, value) == 1 for option, value in wanted]
    return all(taken)
