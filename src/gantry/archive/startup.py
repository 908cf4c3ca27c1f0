"""Begin where the last run ended, however it ended (N4, B80).

What was half received is wiped; what was acknowledged from the log gets its file and row, and so does what
was received whole but not committed any more (`settle`). The index is opened; one that is missing beside
objects, broken, or older than the folder is made anew, loudly. The journal is brought up to the index, and
an act that was written but never committed is set aside, because nobody was told that it was done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gantry.archive.acts import ActEntry, ActKind, act_number, last_count, read_whole_act
from gantry.archive.blobs.files import (
    ACTS,
    LOST_FOUND,
    OBJECTS,
    RESTORING,
    prepare_folders,
    sync_folders,
    wipe_incoming,
)
from gantry.archive.clock import Clock
from gantry.archive.damage import Damage
from gantry.archive.disk import Disk
from gantry.archive.edits.take_back import take_back
from gantry.archive.incoming import storage_error
from gantry.archive.index import Index
from gantry.archive.index_files import IndexFiles, closed_on_error
from gantry.archive.let_go import finish
from gantry.archive.log import forget
from gantry.archive.lost_found import set_aside
from gantry.archive.received import Journal, rows_after
from gantry.archive.reindex import reindex
from gantry.archive.renames import noted, wipe
from gantry.archive.settle import other_in_folder, other_in_index, place_logged, settle
from gantry.errors import Corrupt, StorageError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """What an archive runs on."""

    index: Index
    journal: Journal
    damage: Damage
    act_count: int
    last_change: int


def start(disk: Disk, index_files: IndexFiles, clock: Clock) -> Started:
    """Recover the folder and open its index. Raises StorageError."""
    try:
        if disk.exists(RESTORING):
            raise StorageError(
                "a restore into this folder was broken off; the same `gantry restore` again goes on with it"
            )
        prepare_folders(disk)
        wiped = wipe_incoming(disk)
        if wiped:
            _log.info("removed %d files that were being received when the last run ended", wiped)
        journal = Journal(disk)
        index = _open_index(disk, index_files, journal, clock)
        with closed_on_error(index):
            wipe(disk)
            forget(disk)
            _set_aside_orphan_acts(disk, index, clock)
            finish(disk, index)
            return Started(index, journal, Damage(disk), last_count(disk), index.stats().last_change)
    except OSError as error:
        raise storage_error(error) from error


def _open_index(disk: Disk, index_files: IndexFiles, journal: Journal, clock: Clock) -> Index:
    if not index_files.exists() and (journal.count or disk.walk(OBJECTS) or disk.walk(ACTS)):
        return _rebuild(disk, index_files, journal, clock, "the index is missing")
    try:
        index = index_files.open()
        with closed_on_error(index):
            versions = index.stats().versions
    except Corrupt as error:
        index_files.set_aside(clock.now())
        why = f"the index is broken and was set aside ({error})"
        return _rebuild(disk, index_files, journal, clock, why)
    if journal.count > versions:
        index.close()
        index_files.set_aside(clock.now())
        why = f"the index knows {versions} versions and the folder {journal.count}: it is an older one"
        return _rebuild(disk, index_files, journal, clock, why)
    with closed_on_error(index):
        logged = place_logged(disk, clock.now(), other_in_index(index))
        if logged:
            _log.info("the log of the last run held %d acknowledged objects", len(logged))
        settled = settle(disk, index, [*logged, *noted(disk)])
        if settled:
            _log.info("kept %d objects whose senders had no answer when the last run ended", settled)
        if journal.count < versions + settled:
            journal.add_rows(rows_after(index, journal.count))
            journal.sync()
    return index


def _rebuild(disk: Disk, index_files: IndexFiles, journal: Journal, clock: Clock, why: str) -> Index:
    _log.warning("%s; making it anew from the objects", why)
    told = list(journal.read())
    logged = place_logged(disk, clock.now(), other_in_folder(disk, told))
    known = {(receipt.key, receipt.number) for receipt in told}
    journal.add(receipt for receipt in logged if (receipt.key, receipt.number) not in known)
    rebuilt = reindex(disk, index_files, journal)
    _log.warning("the index is made anew: %d versions", rebuilt.versions)
    return rebuilt.index


def _set_aside_orphan_acts(disk: Disk, index: Index, clock: Clock) -> None:
    """Acts come one after the other, so only the newest can be without rows."""
    moved = False
    for path in reversed(disk.walk(ACTS)):
        if is_known_act(disk, index, path):
            break
        take_back(disk, index, path, clock.now())
        name = set_aside(disk, path, clock.now())
        _log.warning("an act that was never committed was set aside as %s", name)
        moved = True
    if moved:
        sync_folders(disk, [ACTS, LOST_FOUND])


def is_known_act(disk: Disk, index: Index, path: str) -> bool:
    """Whether the index was told of an act; of one that cannot be read, nobody knows. Raises OSError."""
    try:
        act = read_whole_act(disk, path)
    except Corrupt:
        return False
    entries = act.entries
    if any(entry.kind is ActKind.LET_GO for entry in entries):
        # Some of what it let go may be there again; it is known as long as it speaks of anything that is not
        return any(_is_gone(disk, index, entry, path) for entry in entries)
    # Not only the first: an object of it may be lost
    if act.head is not None:
        return any(row.act == path for row in (index.edit(act_number(path)),) if row)
    return any(row.number == e.number for e in entries for row in index.versions(e.key))


def _is_gone(disk: Disk, index: Index, entry: ActEntry, path: str) -> bool:
    rows = [row for row in index.versions(entry.key) if row.number == entry.number]
    return any(row.act == path for row in rows) or not disk.exists(entry.path)
