"""Take a backup: what an archive lists is copied, and becomes a point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import chain, islice

from gantry.archive.acts import read_act
from gantry.archive.backup.manifest import (
    ELSEWHERE,
    Act,
    Content,
    File,
    Head,
    Line,
    Lost,
    Version,
    Writer,
    decoded,
    read_lines,
)
from gantry.archive.backup.store import Store
from gantry.archive.blobs.files import ACTS, DRAFTS
from gantry.archive.commitment import DONE, KEPT
from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.archive.reindex import Progress, no_progress
from gantry.errors import CallerError, Corrupt

Ask = Callable[[], Iterable[bytes]]
"""Asks an archive what it holds now, as `gantry.archive.backup.listing.listed` says it."""

_COPIERS = 4
_AT_ONCE = 64
_TRIES = 3
"""How often the archive is asked when a file that it listed is gone: it may have been let go meanwhile."""


@dataclass(slots=True)
class Taken:
    """What a backup did; sizes in bytes. `lost` could not be copied, and why; the point names it too.

    `elsewhere` is how many objects lie outside of the archive, where no backup of it reaches.
    """

    point: str = ""
    objects: int = 0
    size_bytes: int = 0
    copied: int = 0
    copied_bytes: int = 0
    elsewhere: int = 0
    lost: list[Lost] = field(default_factory=list)


def take(
    source: Disk, store: Store, ask: Ask, progress: Progress = no_progress, *, force: bool = False
) -> Taken:
    """Copy all that the archive in `source` lists and the store has not, and note it as a new point.

    `source` is only read; the archive may be in use. Raises CallerError, also where the points that there
    are must be of another archive, unless `force`; StorageError. Earlier points stay as they were, and what
    was copied by then need not be copied again.
    """
    try:
        store.prepare()
        known = _known_files(store)
        taken = Taken()
        before: list[str] = []
        for _ in range(_TRIES):
            run = _Run(source, store, known, taken, force=force)
            run.copy(ask(), progress)
            gone = [lost.path for lost in run.lost]
            if not gone or gone == before:
                break
            before = gone
        return run.finish()
    except OSError as error:
        raise storage_error(error) from error


def _known_files(store: Store) -> dict[str, File]:
    """Acts, drafts and commitments of the latest point, by path: none ever changes under its name."""
    names = store.names()
    try:
        return {line.path: line for line in store.lines(names[-1]) if isinstance(line, File)} if names else {}
    except Corrupt:
        return {}  # they are read once more; that the point is damaged is told by who restores or checks it


class _Run:
    """One pass over what an archive lists."""

    def __init__(
        self, source: Disk, store: Store, known: Mapping[str, File], taken: Taken, *, force: bool
    ) -> None:
        self._force = force
        self._source = source
        self._store = store
        self._known = known
        self._taken = taken
        self._list = store.temporary()
        self._folders: set[str] = set()
        self._files: list[File] = []
        self.lost: list[Lost] = []

    def copy(self, listed: Iterable[bytes], progress: Progress) -> None:
        """Copy what is missing. Raises Corrupt where the list is not whole, OSError."""
        head, acts = self._spool(listed)
        if not self._force:
            _require_same(self._store, next(_versions(read_lines(self._store.disk, self._list)), None))
        self._taken.objects = self._taken.size_bytes = self._taken.elsewhere = done = 0
        versions = _versions(read_lines(self._store.disk, self._list))
        with ThreadPoolExecutor(_COPIERS) as copiers:
            while some := list(islice(versions, _AT_ONCE)):
                for line, copied in zip(some, copiers.map(self._object, some), strict=True):
                    self._note(line, copied)
                done += len(some)
                progress(done, head.versions)
        for path in acts:
            self._act(path)
        for folder in (DRAFTS, DONE, KEPT):
            for path in self._walk(folder):
                self._small(path)

    def finish(self) -> Taken:
        """Make it a point. Raises OSError, Corrupt."""
        self._store.sync(self._folders)
        for head in self._lines():
            assert isinstance(head, Head)
            self._taken.point = self._store.add_point(head.at, self._lines())
            break
        self._taken.lost = self.lost
        self._store.disk.unlink(self._list)
        return self._taken

    def _spool(self, listed: Iterable[bytes]) -> tuple[Head, list[str]]:
        """Write the list down, and see that it is whole before anything is done by it."""
        acts: list[str] = []
        head: Head | None = None
        file = self._store.disk.create(self._list)
        try:
            writer = Writer(file)
            for line in decoded(listed, "the list of what the archive holds"):
                if isinstance(line, Head):
                    head = line
                elif isinstance(line, Act):
                    acts.append(line.path)
                writer.put(line)
            writer.end()
        finally:
            file.close()
        if head is None:
            raise Corrupt("the list of what the archive holds is empty")
        return head, acts

    def _lines(self) -> Iterator[Line]:
        """What the point says."""
        for line in read_lines(self._store.disk, self._list):
            if not isinstance(line, Act):
                yield line
        yield from self._files
        yield from self.lost

    def _note(self, line: Version, copied: int | Lost) -> None:
        self._taken.elsewhere += line.size == ELSEWHERE
        if line.content is not None:
            self._taken.objects += 1
            self._taken.size_bytes += line.size
        if isinstance(copied, Lost):
            self.lost.append(copied)
        else:
            self._count(copied)

    def _count(self, copied: int) -> None:
        if copied:
            self._taken.copied += 1
            self._taken.copied_bytes += copied

    def _object(self, line: Version) -> int | Lost:
        """How many bytes were copied."""
        content = line.content
        if content is None:
            return 0
        try:
            return self._copied(line.path, content)
        except Corrupt as error:
            return Lost(line.path, str(error))

    def _copied(self, path: str, content: Content) -> int:
        """Have the store hold a file; how many bytes that took. Raises Corrupt, OSError of the store."""
        is_there = self._store.has(content)
        if not is_there:
            self._store.copy(self._source, path, content)
        # Also where it was there: a process that was killed may have left its name to be made durable
        self._folders.add(content.name[:2])
        return 0 if is_there else content.size

    def _act(self, path: str) -> None:
        try:
            self._file(path)
        except Corrupt as error:
            self.lost.append(Lost(path, str(error)))

    def _small(self, path: str) -> None:
        try:
            self._file(path)
        except Corrupt as error:
            if self._source.exists(path):  # else a later version has taken its place
                self.lost.append(Lost(path, str(error)))

    def _walk(self, folder: str) -> list[str]:
        try:
            return list(self._source.walk(folder))
        except FileNotFoundError:  # nothing was ever committed
            return []

    def _file(self, path: str) -> None:
        """Copy an act, a draft or a commitment. Raises Corrupt, OSError of the store."""
        file = self._known.get(path)
        if file is None or file.size != self._size(path) or not self._store.has(file.content):
            file = self._read(path)
        self._count(self._copied(path, file.content))
        self._files.append(file)

    def _size(self, path: str) -> int:
        try:
            return self._source.stat(path).size
        except OSError as error:
            raise Corrupt(f"{path} cannot be read: {error.strerror}") from error

    def _read(self, path: str) -> File:
        try:
            if path.startswith(f"{ACTS}/"):
                read_act(self._source, path)
            data = self._source.read(path)
        except OSError as error:
            raise Corrupt(f"{path} cannot be read: {error.strerror}") from error
        return File(path, len(data), sha256(data).hexdigest())


def _versions(lines: Iterable[Line]) -> Iterator[Version]:
    return (line for line in lines if isinstance(line, Version))


def _require_same(store: Store, first: Version | None) -> None:
    """Raise CallerError where the archive's first version is in no point that is known to be one of it.

    Rows are never taken away, but for what was lost, so the first is of the same moment in all points: it is
    not where two archives are backed up into one folder, or where a folder is empty because its disk is not
    mounted, and `gantry restore` would take that for the latest state of the other.
    """
    for name in reversed(store.names()):
        try:
            known = _versions(store.lines(name))
            oldest = next(known, None)
            if oldest is None:
                continue
            if first is not None and any(_moment(first) == _moment(one) for one in chain([oldest], known)):
                return
        except Corrupt:
            continue  # told by who restores or checks it
        if first is None:
            raise CallerError(
                f"the archive is empty, and point {name} of this folder is not: is its disk mounted? --force "
                "takes a point of it all the same"
            )
        raise CallerError(
            f"point {name} of this folder is of another archive, and a folder serves one; --force takes a "
            "point of this one all the same"
        )


def _moment(version: Version) -> tuple[str, str, str, int, datetime]:
    """Which version it is, and when it came."""
    return version.study, version.series, version.sop, version.number, version.at
