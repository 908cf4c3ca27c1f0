"""The digests that the index knows of an object's file, computed of its bytes as they come."""

from __future__ import annotations

import hashlib


class StoredDigests:
    """SHA-256 of what stands before the Data Set, which begins at byte `offset`, and of the Data Set."""

    def __init__(self, offset: int) -> None:
        self.meta = hashlib.sha256()
        self.dataset = hashlib.sha256()
        self.size = 0
        self._offset = offset

    def update(self, block: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        view = memoryview(block)
        cut = max(0, min(self._offset - self.size, len(view)))
        if cut:
            self.meta.update(view[:cut])
        self.dataset.update(view[cut:])
        self.size += len(view)
