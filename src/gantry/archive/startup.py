"""Begin where the last run ended, however it ended (N4, B80).

What was half received is wiped; what was acknowledged from the log gets its file and row, and so does what
was received whole but not committed any more (`settle`). The index is opened; one that is missing beside
objects, broken, or older than the folder is made anew, loudly. The journal is brought up to the index, and
an act that was written but never committed is set aside, because nobody was told that it was done.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from gantry.archive.acts import last_count
from gantry.archive.blobs.files import (
    ACTS,
    OBJECTS,
    RESTORING,
    prepare_folders,
    wipe_incoming,
)
from gantry.archive.clock import Clock
from gantry.archive.damage import Damage
from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.archive.index import Index
from gantry.archive.index_files import IndexFiles, closed_on_error
from gantry.archive.let_go import finish
from gantry.archive.log import forget, logged_objects
from gantry.archive.orphan_acts import set_aside_orphan_acts
from gantry.archive.received import Journal, Receipt, rows_after
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


def start(disk: Disk, index_files: IndexFiles, clock: Clock, *, shared: bool = False) -> Started:
    """Recover the folder and open its index. Raises StorageError.

    Where it is `shared`, other nodes may be at work: none of them starts meanwhile, and what is recovered is
    recovered in a turn of ours, so that nothing they are about to commit is taken for what a crash has left.
    """
    try:
        with index_files.alone():
            return _start(disk, index_files, clock, shared=shared)
    except OSError as error:
        raise storage_error(error) from error


def _start(disk: Disk, index_files: IndexFiles, clock: Clock, *, shared: bool) -> Started:
    if disk.exists(RESTORING):
        raise StorageError(
            "a restore into this folder was broken off; the same `gantry restore` again goes on with it"
        )
    prepare_folders(disk)
    wiped = wipe_incoming(disk)
    if wiped:
        _log.info("removed %d files that were being received when the last run ended", wiped)
    journal = Journal(disk, shared=shared)
    index = _open_index(disk, index_files, journal, clock, shared=shared)
    with closed_on_error(index), index.turn(None) if shared else nullcontext():
        wipe(disk)
        forget(disk)
        set_aside_orphan_acts(disk, index, clock)
        finish(disk, index)
        return Started(index, journal, Damage(disk), last_count(disk), index.stats().last_change)


def _open_index(
    disk: Disk, index_files: IndexFiles, journal: Journal, clock: Clock, *, shared: bool
) -> Index:
    told = journal.told() if shared else journal.count
    if not index_files.exists() and (told or any(disk.files_below(OBJECTS)) or disk.walk(ACTS)):
        return _rebuild(disk, index_files, journal, clock, "the index is missing")
    try:
        index = index_files.open()
        with closed_on_error(index):
            versions = index.stats().versions
    except Corrupt as error:
        index_files.set_aside(clock.now())
        why = f"the index is broken and was set aside ({error})"
        return _rebuild(disk, index_files, journal, clock, why)
    if told > versions:
        index.close()
        index_files.set_aside(clock.now())
        why = f"the index knows {versions} versions and the folder {told}: it is an older one"
        return _rebuild(disk, index_files, journal, clock, why)
    with closed_on_error(index), index.turn(None) if shared else nullcontext():
        logged = place_logged(disk, clock.now(), other_in_index(index))
        if logged:
            _log.info("the log of the last run held %d acknowledged objects", len(logged))
        settled = settle(disk, index, [*logged, *noted(disk)])
        if settled:
            _log.info("kept %d objects whose senders had no answer when the last run ended", settled)
        if not shared and journal.count < versions + settled:
            journal.add_rows(rows_after(index, journal.count))
            journal.sync()
    return index


def _rebuild(disk: Disk, index_files: IndexFiles, journal: Journal, clock: Clock, why: str) -> Index:
    _log.warning("%s; making it anew from the objects", why)
    journal.recover()
    told = _told(journal, [logged.receipt for logged in logged_objects(disk)])
    logged = place_logged(disk, clock.now(), other_in_folder(disk, told))
    known = {(receipt.key, receipt.number) for receipt in told}
    journal.add(receipt for receipt in logged if (receipt.key, receipt.number) not in known)
    rebuilt = reindex(disk, index_files, journal)
    _log.warning("the index is made anew: %d versions", rebuilt.versions)
    return rebuilt.index


def _told(journal: Journal, logged: Sequence[Receipt]) -> list[Receipt]:
    """What the journal tells of the objects in the log, or of their paths: of no more than those."""
    if not logged:
        return []
    versions = {(receipt.key, receipt.number) for receipt in logged}
    paths = {receipt.path for receipt in logged}
    return [one for one in journal.read() if (one.key, one.number) in versions or one.path in paths]
