"""Whether the archive may still write."""

from __future__ import annotations

from gantry.archive.outcome import Reason
from gantry.errors import ReadOnly


class Writable:
    """One archive's leave to write, which a failed fsync ends until the next start (N6)."""

    def __init__(self) -> None:
        self.ended = ""
        """Why nothing can be written, empty while all is well."""

    def require(self) -> None:
        """Raises ReadOnly after a failed fsync."""
        if self.ended:
            raise ReadOnly(self.ended)

    def end(self, why: str) -> None:
        """Be read-only from now on."""
        self.ended = self.ended or f"{Reason.READ_ONLY.value}: {why}"
