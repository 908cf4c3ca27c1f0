"""Let go of the bytes of an object version that can be made again, bit for bit, from the current one.

What `gantry compress` does once an object is kept in a smaller form. The act holds all of the file but the
value of its Pixel Data, and what the index knows of it, and is durable before the file is removed; so the
version keeps its number, digests and place in the history, and `bring_back` takes its bytes again.

A crash in between leaves the file. What the newest act let go is then removed by the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gantry.archive.acts import ActEntry, ActKind, read_act
from gantry.archive.blobs.files import ACTS, INCOMING, replace_durably, sync_folders
from gantry.archive.commit.committer import Committer
from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.archive.index import Index
from gantry.archive.index.protocol import LetGo, VersionRow
from gantry.archive.records import InstanceKey, Location, ObjectRecord, Origin
from gantry.archive.retrieve import digests_agree
from gantry.archive.store import Unfit, examine_file
from gantry.errors import Corrupt, NotFound
from gantry.standard.transfer_syntaxes import transfer_syntax

MAX_KEPT_BYTES = 1 << 20
"""Most bytes beside the pixels that an act keeps of one object; headers of a hundred frames take 100 KiB."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Superseded:
    """Object version `number`, whose bytes the current version `made_from` gives again."""

    key: InstanceKey
    number: int
    made_from: int


def let_go(
    committer: Committer,
    disk: Disk,
    names: Iterator[int],
    gone: Sequence[Superseded],
    why: str,
    origin: Origin,
) -> int:
    """Remove the files of superseded versions, as one act; answers how many bytes that freed.

    The caller has seen that each can be made again. Raises NotFound where one is current, deleted, outside of
    the folder or gone already; Corrupt where its file is not what was acknowledged; ReadOnly, StorageError.
    """
    with committer.alone():
        at = committer.stamp()
        entries: list[ActEntry] = []
        freed = 0
        for one in gone:
            row, location = _superseded(committer.index, one)
            try:
                record = _described(disk, row, location, f"{INCOMING}/let-go-{next(names)}")
                head, tail = _around_pixels(disk, location)
            except OSError as error:
                raise storage_error(error) from error
            freed += location.file_size
            entries.append(
                ActEntry(
                    ActKind.LET_GO, one.key, one.number, at, origin, one.made_from, location.path,
                    location.aside, record, head, tail, why,
                )
            )  # fmt: skip
        if entries:
            committer.act(entries)
            try:
                _remove(disk, entries)
            except OSError as error:
                _log.warning("what was let go could not be removed yet: %s", error.strerror)
                committer.not_removed = entries
        return freed


def bring_back(committer: Committer, disk: Disk, key: InstanceKey, number: int, data: bytes) -> None:
    """Take back the bytes of a version that was let go; all is then as it was before.

    Raises NotFound where it was not let go, Corrupt where these are not its bytes, ReadOnly, StorageError.
    """
    with committer.alone():
        location = next((row.location for row in committer.index.versions(key) if row.number == number), None)
        if location is None or not location.made_from:
            raise NotFound(f"version {number} was not let go")
        if len(data) != location.file_size or not digests_agree(location, data):
            raise Corrupt(f"these are not the bytes of version {number}")
        committer.not_removed = [one for one in committer.not_removed if one.path != location.path]
        try:
            replace_durably(disk, f"{INCOMING}/back", location.path, [data])
            sync_folders(disk, [location.path.rpartition("/")[0]])
        except OSError as error:
            raise storage_error(error) from error
        committer.index.apply([LetGo(key, number, 0)])


def restore_version(committer: Committer, key: InstanceKey, number: int, origin: Origin) -> None:
    """Make object version `number` of an instance current again: another form, and no edit.

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


def let_go_entry(disk: Disk, row: VersionRow) -> ActEntry:
    """What an act says of a version that it let go. Raises Corrupt, StorageError."""
    try:
        entries = read_act(disk, row.act)
    except OSError as error:
        raise storage_error(error) from error
    for entry in entries:
        if entry.kind is ActKind.LET_GO and (entry.key, entry.number) == (row.key, row.number):
            return entry
    raise Corrupt(f"{row.act} does not say what was let go")


def remove_rest(committer: Committer, disk: Disk) -> None:
    """Remove what was let go last and could not be then, before another act follows. Raises OSError."""
    if committer.not_removed:
        _remove(disk, committer.not_removed)
        committer.not_removed = []


def finish(disk: Disk, index: Index) -> None:
    """Remove what the newest act let go and a crash has left. Raises OSError, StorageError.

    Only that: no act follows on one that is not finished (`remove_rest`).
    """
    newest = disk.walk(ACTS)[-1:]
    for path in newest:
        with suppress(Corrupt):  # `verify` tells of it
            entries = [entry for entry in read_act(disk, path) if entry.kind is ActKind.LET_GO]
            gone = [
                e
                for e in entries
                if any(r.act == path and r.number == e.number for r in index.versions(e.key))
            ]
            _remove(disk, gone)


def _superseded(index: Index, one: Superseded) -> tuple[VersionRow, Location]:
    rows = index.versions(one.key)
    row = next((row for row in rows if row.number == one.number), None)
    current = next((row.location for row in rows if row.location is not None and row.location.current), None)
    if row is None or row.location is None or row.location.made_from or row.location.path.startswith("/"):
        raise NotFound(f"version {one.number} of {one.key.sop_uid} has no file of ours to let go of")
    if current is None or current.number != one.made_from or one.number == one.made_from:
        raise NotFound(f"version {one.made_from} of {one.key.sop_uid} is not the current one any more")
    return row, row.location


def _around_pixels(disk: Disk, location: Location) -> tuple[bytes, bytes]:
    """What stands before and behind the value of Pixel Data. Raises NotFound, OSError."""
    if location.pixel is None or transfer_syntax(location.transfer_syntax_uid).deflated:
        raise NotFound(f"{location.path} has no pixels of its own that could be made again")
    behind = location.pixel.offset + location.pixel.length
    kept = location.file_size - location.pixel.length
    if kept > MAX_KEPT_BYTES:
        raise NotFound(f"{location.path} has {kept} bytes beside its pixels, too many for an act")
    return (
        disk.read_at(location.path, 0, location.pixel.offset),
        disk.read_at(location.path, behind, location.file_size - behind),
    )


def _described(disk: Disk, row: VersionRow, location: Location, name: str) -> ObjectRecord:
    try:
        record = examine_file(disk, location.path, name, row.origin).placed(location.path, row.at)
    except Unfit as unfit:
        raise Corrupt(f"{location.path}: {unfit}") from unfit
    if (record.dataset_sha256, record.meta_sha256) != (location.dataset_sha256, location.meta_sha256):
        raise Corrupt(f"{location.path} does not hold the bytes that were acknowledged")
    return record


def _remove(disk: Disk, entries: Sequence[ActEntry]) -> None:
    for entry in entries:
        with suppress(FileNotFoundError):
            disk.unlink(entry.path)
    # Also of what is gone already: a power cut brings back what was removed and not synced
    folders = {entry.path.rpartition("/")[0] for entry in entries}
    sync_folders(disk, {folder for folder in folders if disk.exists(folder)})
