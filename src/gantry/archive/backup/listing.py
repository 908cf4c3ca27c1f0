"""What an archive holds at one moment, listed for a backup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from gantry.archive.acts import read_act
from gantry.archive.backup.manifest import ELSEWHERE, FORMAT, NO_BYTES, Act, Encoder, Head, Version
from gantry.archive.blobs.files import ACTS
from gantry.archive.commit.committer import Committer
from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.archive.index import Index, VersionRow
from gantry.archive.orphan_acts import is_known_act
from gantry.errors import Corrupt, StorageError

_LINES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Point:
    """The first `versions` rows of an index, and the acts that were there at that moment."""

    index: Index
    versions: int
    acts: tuple[str, ...]
    at: datetime


def point(committer: Committer, disk: Disk) -> Point:
    """This moment: nothing is committed meanwhile, and all that was acknowledged has its file and row.

    Raises StorageError where disk or index refuse what was acknowledged.
    """
    with committer.paused():
        if committer.is_behind:
            raise StorageError("objects that were acknowledged still wait for disk or index")
        index = committer.index
        try:
            acts = _committed_acts(disk, index)
        except OSError as error:
            raise storage_error(error) from error
        return Point(index, index.stats().versions, tuple(acts), committer.stamp())


def listed(at: Point) -> Iterator[bytes]:
    """The list of a point, in pieces; the archive may go on meanwhile. Raises StorageError."""
    lines = Encoder()
    yield lines.line(Head(FORMAT, at.at, at.versions))
    rows = islice(at.index.all_versions(), at.versions)
    while some := list(islice(rows, _LINES_AT_ONCE)):
        yield b"".join(lines.line(_version(row)) for row in some)
    yield b"".join([*(lines.line(Act(path)) for path in at.acts), lines.end()])


def _version(row: VersionRow) -> Version:
    origin, where = row.origin, row.location
    told = (*row.key, row.number, row.at, origin.source_aet, origin.peer, origin.via)
    if where is None:
        return Version(*told, row.act)
    if where.made_from:
        return Version(*told, where.path, NO_BYTES)
    if where.path.startswith("/"):
        return Version(*told, where.path, ELSEWHERE)
    digests = where.meta_sha256.hex(), where.dataset_sha256.hex()
    return Version(*told, where.path, where.file_size, where.dataset_offset, *digests)


def _committed_acts(disk: Disk, index: Index) -> list[str]:
    """All acts but one that failed and could not be removed, which only the newest can be."""
    acts = disk.walk(ACTS)
    while acts and not _counts(disk, index, acts[-1]):
        acts.pop()
    return acts


def _counts(disk: Disk, index: Index, path: str) -> bool:
    try:
        read_act(disk, path)
    except Corrupt:
        return True  # that it cannot be read is told when it is copied
    return is_known_act(disk, index, path)
