"""Objects as plain Part 10 files in a folder, at paths made of their UIDs.

::

    objects/<2 hex of sha256(study)>/<study>/<series>/<sop>.dcm             version 1
    objects/<2 hex>/<study>/<series>/<sop>.v2.dcm                           version 2
    objects/<2 hex>/<study>/<series>/<sop>.v3.aside.dcm                     version 3, kept but not current
    incoming/                                                               being received; wiped at start
    acts/<time>.json                                                        deletions, restorations
    received/<n>.jsonl                                                      when and from whom, in order
    lost-found/                                                             files set aside, never deleted
    log/0, log/1                                                            new objects, on their way here
    drafts/                                                                 what people work on; no objects
    commitments/                                                            requests of Storage Commitment
    index.sqlite, cache/                                                    derived; can be made again

Promise 3: nothing that a Data Set says reaches a path, except a UID that follows the grammar of
PS3.5 9.1 to the letter. Any other UID that is tolerated at all is replaced by a digest. The two
digits spread studies over 256 folders, so that no folder grows past what file systems like. The `v`
keeps version 2 of 1.2.3 apart from version 1 of 1.2.3.2.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gantry.archive.disk import Buffer, Disk, LogFile, OpenFile, write_all
from gantry.archive.records import InstanceKey
from gantry.standard.uids import uid_name

OBJECTS = "objects"
INCOMING = "incoming"
ACTS = "acts"
RECEIVED = "received"
LOST_FOUND = "lost-found"
CACHE = "cache"
LOG = "log"
DRAFTS = "drafts"
COMMITMENTS = "commitments"
RESTORING = "restoring.json"
"""There while a backup is being restored into the folder, which is no archive yet."""
FOLDERS = (OBJECTS, INCOMING, ACTS, RECEIVED, LOST_FOUND, CACHE, LOG, DRAFTS, COMMITMENTS)

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
AWAY = errno.EHOSTUNREACH
"""Of an object store that does not answer; no file system gives it for a file of its own."""

_OBJECT_NAME = re.compile(
    r"(?P<uid>x-[0-9a-f]{40}|[0-9]+(?:\.[0-9]+)*)(?:\.v(?P<version>[1-9][0-9]*))?(?P<aside>\.aside)?\.dcm",
    re.ASCII,
)


_HERE = frozenset({INCOMING, CACHE, LOG})


def is_here(name: str) -> bool:
    """Whether a name is of what one process has for itself, where others share the rest with it."""
    return name.startswith("/") or name.partition("/")[0] in _HERE


class SyncFailed(OSError):
    """An fsync failed: what the disk holds is not known, and asking again would not tell (N6)."""


def series_folder(study_uid: str, series_uid: str) -> str:
    """The folder that holds a series."""
    spread = hashlib.sha256(study_uid.encode("utf-8", "surrogateescape")).hexdigest()[:2]
    return f"{OBJECTS}/{spread}/{uid_name(study_uid)}/{uid_name(series_uid)}"


def object_path(key: InstanceKey, version: int, *, aside: bool = False) -> str:
    """Where a version of an instance lies; `aside` where it was kept without becoming current."""
    number = f".v{version}" if version > 1 else ""
    kept = ".aside" if aside else ""
    return f"{series_folder(key.study_uid, key.series_uid)}/{uid_name(key.sop_uid)}{number}{kept}.dcm"


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What an object's path says by itself: the folder and file names, version and standing."""

    study: str
    series: str
    sop: str
    version: int
    aside: bool


def parse_object_path(path: str) -> ObjectName | None:
    """The parts of an object's path; None for a path that no object has."""
    parts = path.split("/")
    if len(parts) != 5 or parts[0] != OBJECTS:
        return None
    match = _OBJECT_NAME.fullmatch(parts[4])
    if match is None:
        return None
    version = int(match["version"] or 1)
    return ObjectName(parts[2], parts[3], match["uid"], version, match["aside"] is not None)


def prepare_folders(disk: Disk) -> None:
    """Make the archive's folders, durably."""
    missing = [name for name in FOLDERS if not disk.exists(name)]
    for name in missing:
        disk.make_folder(name)
    if missing:
        disk.sync_folder("")


def wipe_incoming(disk: Disk) -> int:
    """Remove what was being received when the last run ended; answers the number of files (N4)."""
    names = disk.walk(INCOMING)
    for name in names:
        disk.unlink(name)
    return len(names)


def write_durably(disk: Disk, name: str, buffers: Sequence[Buffer]) -> None:
    """A new file whose bytes, though not yet its name, survive a power cut."""
    file = disk.create(name)
    try:
        write_all(file, buffers)
        sync_file(file)
    finally:
        file.close()


def write_again(disk: Disk, name: str, buffers: Sequence[Buffer]) -> None:
    """The same where one writer at a time uses a name, and may have failed there before."""
    if disk.exists(name):
        disk.unlink(name)
    write_durably(disk, name, buffers)


def replace_durably(disk: Disk, staged: str, name: str, buffers: Sequence[Buffer]) -> None:
    """Put these bytes, which survive a power cut, in the place of what `name` was, though not yet durably.

    They are written as `staged`, as by `write_again`.
    """
    write_again(disk, staged, buffers)
    disk.replace(staged, name)


def sync_folders(disk: Disk, names: Iterable[str]) -> None:
    """Make the names in each of the folders durable, each folder once, lower ones first.

    Lower first, so that a name never becomes durable before what it leads to. Raises SyncFailed.
    """
    for name in sorted(set(names), key=lambda n: (-n.count("/"), n)):
        try:
            disk.sync_folder(name)
        except OSError as error:
            raise _sync_failure(error) from error


def sync_file(file: OpenFile | LogFile) -> None:
    """Make a file's bytes durable. Raises SyncFailed."""
    try:
        file.sync()
    except OSError as error:
        raise _sync_failure(error) from error


def _sync_failure(error: OSError) -> OSError:
    # A file system that allocates late may find only now that it is full; the caller gives the file
    # up, so nothing doubtful stays and the write path may go on.
    if error.errno in NO_ROOM:
        return error
    return SyncFailed(error.errno, f"fsync failed: {error.strerror}")
