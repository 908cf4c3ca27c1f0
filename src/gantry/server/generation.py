"""Which state of the archive answers kept in memory belong to.

The archive numbers its changes. `Generation` knows the number of the last one without asking the index,
and which instances changed since an earlier one, so that what is kept of others stays good.
"""

from __future__ import annotations

from gantry.archive.archive import Archive
from gantry.archive.records import InstanceKey

MOST_CHANGES = 1000
"""After more changes than this it is cheaper to forget everything."""


class Generation:
    """The number of the archive's last change, kept up as commits happen; `close` ends that."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.current = 0
        self.close = archive.listen(self._committed)
        # Asked for after listening began: a commit in between is in one of the two.
        self.current = max(self.current, archive.stats().last_change)

    def _committed(self, last: int) -> None:
        # In the committing thread, or one that heard of another node's commit
        self.current = max(last, self.current)

    @property
    def state(self) -> tuple[int, int]:
        """Changes with everything that a search would find: also with what has no row yet."""
        return self.current, self._archive.acknowledged

    def changed_since(self, number: int) -> set[InstanceKey] | None:
        """Instances that changed after `number`; None when they are too many. Asks the index: blocks."""
        changes = self._archive.changes(number, MOST_CHANGES)
        if len(changes) == MOST_CHANGES:
            return None
        return {change.key for change in changes}
