"""Whether the archive may still write."""

from __future__ import annotations

from collections.abc import Callable

from gantry.archive.outcome import Reason
from gantry.errors import ReadOnly


class Writable:
    """One archive's leave to write, which a failed fsync ends until the next start (N6)."""

    def __init__(self) -> None:
        self.ended = ""
        """Why nothing can be written, empty while all is well."""

        self._open: list[Callable[[], object]] = []

    def require(self) -> None:
        """Raises ReadOnly after a failed fsync."""
        if self.ended:
            raise ReadOnly(self.ended)

    def settle(self) -> None:
        """Find out what is open since an index gave no answer. Raises StorageError while it gives none."""
        while self._open:
            self._open[0]()
            self._open.pop(0)

    @property
    def is_open(self) -> bool:
        """Whether something is to be found out."""
        return bool(self._open)

    def leave_open(self, ask: Callable[[], object]) -> None:
        """Have a question answered before anything else is written; it raises StorageError until it is."""
        self._open.append(ask)

    def end(self, why: str) -> None:
        """Be read-only from now on."""
        self.ended = self.ended or f"{Reason.READ_ONLY.value}: {why}"
