"""Whether what is hidden was deleted, or taken away by an edit that means more than that."""

from __future__ import annotations

from gantry.archive.edits.model import EditKind
from gantry.archive.index.protocol import CurrentVersion, Index


def was_deleted(index: Index, current: CurrentVersion) -> bool:
    """Whether a hidden instance was deleted, so that who sends it again, or restores it, shows it again.

    What was moved or rejected stays away until that is undone. Deletes were no edits once.
    """
    edit = index.edit(current.edit) if current.edit else None
    return edit is None or edit.kind == EditKind.DELETE.value
