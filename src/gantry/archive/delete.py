"""Delete and restore: acts that hide and show, and never touch a byte.

A delete is durable as an act file before the index hides anything; the files stay where they are, and every
version can still be read by its number or be brought back (promise 2).
"""

from __future__ import annotations

from gantry.archive.acts import ActEntry, ActKind
from gantry.archive.commit.committer import Committer
from gantry.archive.edits.model import EditKind
from gantry.archive.index import CurrentVersion, Index
from gantry.archive.records import InstanceKey, Origin
from gantry.errors import NotFound

FIRST_VERSION = 1


def delete(
    committer: Committer, study_uid: str, series_uid: str | None, sop_uid: str | None, origin: Origin
) -> tuple[InstanceKey, ...]:
    """Hide all that is visible of a study, a series or an instance, as one act; answers what was hidden.

    Raises NotFound where nothing is visible, ReadOnly, StorageError.
    """
    with committer.alone():
        found = committer.index.locate(study_uid, series_uid, sop_uid)
        if not found:
            raise NotFound("there is nothing visible to delete")
        known = committer.index.lookup([location.key for location in found])
        at = committer.stamp()
        committer.act(
            [
                ActEntry(ActKind.DELETE, key, current.last_number + 1, at, origin)
                for key, current in known.items()
                if not current.deleted
            ]
        )
        return tuple(known)


def restore(
    committer: Committer, study_uid: str, series_uid: str | None, sop_uid: str | None, origin: Origin
) -> tuple[InstanceKey, ...]:
    """Show again all that was deleted of a study, a series or an instance; answers what was shown.

    Raises NotFound where nothing is deleted, ReadOnly, StorageError.
    """
    with committer.alone():
        # The first version of an instance is always an object, so these are all there ever were.
        ever = committer.index.locate(study_uid, series_uid, sop_uid, version=FIRST_VERSION)
        known = committer.index.lookup([location.key for location in ever])
        hidden = {key: current for key, current in known.items() if current.deleted}
        deleted = {key: current for key, current in hidden.items() if was_deleted(committer.index, current)}
        if not deleted and hidden:
            edit = next(iter(hidden.values())).edit
            raise NotFound(f"there is nothing deleted to restore: edit {edit} took it away, revert that")
        if not deleted:
            raise NotFound("there is nothing deleted to restore")
        at = committer.stamp()
        committer.act(
            [
                ActEntry(
                    ActKind.RESTORE, key, current.last_number + 1, at, origin, restores=current.object_number
                )
                for key, current in deleted.items()
            ]
        )
        return tuple(deleted)


def was_deleted(index: Index, current: CurrentVersion) -> bool:
    """Whether a hidden instance was deleted, and not moved or rejected: that is undone as it was done."""
    edit = index.edit(current.edit) if current.edit else None
    return edit is None or edit.kind == EditKind.DELETE.value


def restore_version(committer: Committer, key: InstanceKey, number: int, origin: Origin) -> None:
    """Make object version `number` of an instance current again, whatever came after it.

    Raises NotFound where there is no such object version, ReadOnly, StorageError.
    """
    with committer.alone():
        versions = committer.index.versions(key)
        found = next((r.location for r in versions if r.number == number and r.location is not None), None)
        if found is None:
            raise NotFound(f"the instance has no object as version {number}")
        if found.made_from:
            raise NotFound(
                f"version {number} was let go, and must be made again from {found.made_from} first"
            )
        entry = ActEntry(
            ActKind.RESTORE, key, versions[-1].number + 1, committer.stamp(), origin, restores=number
        )
        committer.act([entry])
