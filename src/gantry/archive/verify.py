"""Hold everything that is kept against everything that is known of it, both ways (N13).

1. Every row has its file: there, of its size, with its digests.
2. Every file has its row, and every act its rows, and every row its act.
3. The index agrees with itself: counts, parents, lists (`Index.check`).
4. The index says what the files say: a second index is made from the files and both are compared row by row.

Commits go on during the first three; only the comparison at the end holds them up. What is damaged is noted
and not served from then on (N14). `repair` is explicit: damaged files, and files that are no objects, go to
``lost-found/`` (nothing is deleted), and the index is made anew from what is left, so that rows without a
file are dropped, and whole files without a row are adopted unless they compete with a version that has one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from gantry.archive.acts import Act, ActEntry, ActKind, act_number, read_whole_act
from gantry.archive.batch import Batch, Lost, in_threads
from gantry.archive.blobs.files import ACTS, AWAY, LOST_FOUND, OBJECTS, parse_object_path, sync_folders
from gantry.archive.commit.committer import Committer
from gantry.archive.damage import Damage
from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.archive.index import EditFilter, Finding, Index, VersionKind
from gantry.archive.index_files import IndexFiles
from gantry.archive.lost_found import set_aside
from gantry.archive.mark import Mark
from gantry.archive.names import Names
from gantry.archive.received import Journal
from gantry.archive.records import Location
from gantry.archive.reindex import Progress, fill, no_progress, reindex, versions_in_folder
from gantry.archive.stored_digests import StoredDigests
from gantry.errors import Corrupt, StorageError

MISSING_FILE = "missing file"
EXTRA_FILE = "extra file"
WRONG_SIZE = "wrong size"
WRONG_DIGEST = "wrong digest"
MISSING_ACT = "missing act"
EXTRA_ACT = "extra act"
WRONG_ACT = "wrong act"
WRONG_ROW = "wrong row"
MISSING_ROW = "missing row"

_DAMAGE = (WRONG_SIZE, WRONG_DIGEST)


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found; `repaired` when it then put things right as far as they could be."""

    objects: int
    size_bytes: int
    findings: tuple[Finding, ...]
    repaired: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether everything is as it should be."""
        return not self.findings

    @property
    def lost(self) -> int:
        """How many objects were known and are not whole any more, or gone."""
        return len({one.where for one in self.findings if one.kind in (MISSING_FILE, *_DAMAGE)})


class _Read(msgspec.Struct, frozen=True):
    """Objects up to place `after` of index `epoch` were read, and something was found of `suspects`."""

    epoch: str
    after: int
    suspects: frozenset[str]


_NOTHING_READ = _Read("", 0, frozenset())
_SHARES_BETWEEN_MARKS = 16
"""At most a gigabyte, or two thousand objects, which are soon read again."""


class _Kept(NamedTuple):
    """What is checked of one object: where it lies, its size and where its Data Set begins, both digests."""

    path: str
    size: int
    offset: int
    dataset_sha256: bytes
    meta_sha256: bytes


_MOST_READ_WRONGLY = 20
"""More is no accident: workers see another folder than we do, or none."""
_log = logging.getLogger(__name__)

_Fault = tuple[str, str, str]
"""What is wrong with an object, what was found, and what was expected."""


@dataclass(slots=True)
class _Survey:
    """What has been seen so far."""

    findings: list[Finding] = field(default_factory=list)
    paths: Names = field(default_factory=Names)
    acts: set[str] = field(default_factory=set)
    seen: int = 0
    objects: int = 0
    size_bytes: int = 0
    read_wrongly: int = 0

    def note(self, kind: str, where: str, found: str = "", expected: str = "") -> None:
        self.findings.append(Finding(kind, where, found, expected))


@dataclass(frozen=True, slots=True)
class Verifier:
    """What `verify` works on."""

    disk: Disk
    index_files: IndexFiles
    committer: Committer
    journal: Journal
    damage: Damage

    def verify(
        self,
        *,
        repair: bool = False,
        rows: bool = True,
        progress: Progress = no_progress,
        batch: Batch[Disk] | None = None,
        resume: bool = False,
    ) -> Report:
        """Look everything over. `rows` False leaves out the comparison that holds up commits.

        `batch` does what takes long, threads of this process where it is None. With `resume`, objects that a
        former look had read before it was broken off are not read again, but for those it found something of.

        Raises StorageError where disk or index cannot be read at all, ReadOnly where a repair cannot write.
        """
        with nullcontext(batch) if batch is not None else in_threads(self.disk) as work:
            try:
                survey = self._survey(rows, progress, work, resume)
                self._note_damage(survey)
                if repair and survey.findings:
                    self._repair(survey, work)
            except OSError as error:
                raise storage_error(error) from error
        return Report(
            survey.objects, survey.size_bytes, tuple(survey.findings), repair and bool(survey.findings)
        )

    def _survey(self, rows: bool, progress: Progress, batch: Batch[Disk], resume: bool) -> _Survey:
        survey = _Survey()
        index = self.committer.index
        self._check_objects(index, survey, progress, batch, resume)
        survey.acts.update(_acts_of_edits(index))
        self._check_files(index, survey)
        self._check_acts(index, survey)
        survey.findings += index.check()
        if rows:
            with self.index_files.alone(), self.committer.paused():
                self._compare(self.committer.index, survey, batch)
        return survey

    # --- rows to files -----------------------------------------------------------------------------

    def _check_objects(
        self, index: Index, survey: _Survey, progress: Progress, batch: Batch[Disk], resume: bool
    ) -> None:
        total = index.stats().versions
        mark = Mark(self.disk, "verify", _Read)
        known = (resume and mark.read()) or _NOTHING_READ
        if known.epoch != index.epoch:
            known = _NOTHING_READ
        done = 0
        for number, share in enumerate(batch.run(_faults, self._to_read(index, survey, known), _size), 1):
            for (place, kept), fault in share:
                done = place
                if fault is not None and (confirmed := self._confirmed(kept, fault, survey)):
                    survey.note(confirmed[0], kept.path, *confirmed[1:])
            if done > known.after and number % _SHARES_BETWEEN_MARKS == 0:
                mark.write(_Read(index.epoch, done, frozenset(one.where for one in survey.findings)))
            progress(survey.seen, max(total, survey.seen))
        mark.remove()

    def _confirmed(self, kept: _Kept, fault: _Fault | Lost, survey: _Survey) -> _Fault | None:
        """What this process finds of it: a read may have gone wrong on its way, or where the work is done.

        That what read it has died says nothing of the object.
        """
        again = _fault(self.disk, kept)
        if again is None and not isinstance(fault, Lost):
            _log.warning("%s was read wrongly once (%s), and is whole", kept.path, " ".join(fault))
            survey.read_wrongly += 1
            if survey.read_wrongly > _MOST_READ_WRONGLY:
                raise StorageError(
                    f"{kept.path} and many others are whole here, but not where they were read"
                )
        return again

    def _to_read(self, index: Index, survey: _Survey, known: _Read) -> Iterator[tuple[int, _Kept]]:
        """Objects whose files are to be read, with the places of their rows; all else is noted of a row."""
        after = 0
        while some := index.versions_after(after):
            after = some[-1][0]
            for place, row in some:
                survey.seen += 1
                if row.act:
                    survey.acts.add(row.act)
                location = row.location
                if row.kind != VersionKind.OBJECT or location is None or location.made_from:
                    continue  # only its act is there
                survey.paths.add(location.path)
                survey.objects += 1
                survey.size_bytes += location.file_size
                if place > known.after or location.path in known.suspects:
                    yield place, _kept(location)

    # --- files to rows -----------------------------------------------------------------------------

    def _check_files(self, index: Index, survey: _Survey) -> None:
        extra = {path for path in self.disk.files_below(OBJECTS) if path not in survey.paths}
        # What was committed while we looked has its row by now.
        extra -= _among(index, extra)
        for path in sorted(extra):
            if self.disk.exists(path):
                survey.note(EXTRA_FILE, path)

    def _check_acts(self, index: Index, survey: _Survey) -> None:
        present = set(self.disk.walk(ACTS))
        for path in sorted(survey.acts - present):
            survey.note(MISSING_ACT, path)
        for path in sorted(present):
            self._check_act(index, path, survey)

    def _check_act(self, index: Index, path: str, survey: _Survey) -> None:
        try:
            act = read_whole_act(self.disk, path)
        except Corrupt as error:
            survey.note(WRONG_ACT, path, str(error))
            return
        entries = act.entries
        # Some of what it speaks of may be lost; the others need it as ever
        if not _is_known(index, act, path):
            for entry in entries[:1]:
                survey.note(EXTRA_ACT, path, f"version {entry.number} of {'/'.join(entry.key)}")

    # --- the index against one made from the files -------------------------------------------------

    def _compare(self, index: Index, survey: _Survey, batch: Batch[Disk]) -> None:
        self.journal.catch_up(index)
        survey.paths = Names()  # which nobody asks for any more: one of them at a time is in memory
        # Files without a row are told already; here it is about the rows there are.
        known = Names()
        known.update(row.location.path if row.location else row.act for row in index.all_versions())
        known.update(_acts_of_edits(index))
        fresh = self.index_files.open_fresh()
        try:
            with versions_in_folder(self.disk, self.journal, known) as folder:
                skipped = fill(fresh, folder, batch)
            of_rows = _among(index, {path for path, _ in skipped})
            for path, why in skipped:
                if path in of_rows:
                    survey.note(WRONG_DIGEST, path, why)
            for kind, row in _difference(index, fresh):
                survey.note(kind, _where(row), msgspec.json.encode(row).decode())
        finally:
            self.index_files.drop_fresh(fresh)

    # --- what follows ------------------------------------------------------------------------------

    def _note_damage(self, survey: _Survey) -> None:
        damaged = {f.where: f"{f.kind}: {f.found}" for f in survey.findings if f.kind in _DAMAGE}
        self.damage.note(damaged)

    def _repair(self, survey: _Survey, batch: Batch[Disk]) -> None:
        with self.index_files.alone(), self.committer.alone():
            moved = False
            adoptable = self._adoptable(self.committer.index, survey)
            for finding in survey.findings:
                if _has_no_place(finding, adoptable) and self.disk.exists(finding.where):
                    set_aside(self.disk, finding.where, self.committer.stamp())
                    moved = True
            if moved:
                sync_folders(self.disk, [LOST_FOUND])
            index = self.committer.index
            rebuilt = reindex(
                self.disk, self.index_files, self.journal, may_take=lambda: index.is_our_turn, batch=batch
            )
            for path in dict.fromkeys(path for path, _ in rebuilt.skipped):
                if self.disk.exists(path) and not self._is_needed(rebuilt.index, path):
                    set_aside(self.disk, path, self.committer.stamp())
            self.committer.take_index(rebuilt.index)
            self.damage.note({})

    def _is_needed(self, index: Index, path: str) -> bool:
        """Whether an act of which something could not be noted tells of anything else."""
        if not path.startswith(f"{ACTS}/"):
            return False
        try:
            return _is_known(index, read_whole_act(self.disk, path), path)
        except Corrupt:
            return False

    def _adoptable(self, index: Index, survey: _Survey) -> set[str]:
        """Files without a row that may become objects: those the journal knows, and the only ones of their
        instance.

        Any other was never acknowledged, and must not take the place of a version that was.
        """
        extra = {finding.where for finding in survey.findings if finding.kind == EXTRA_FILE}
        if not extra:
            return extra
        journaled = {receipt.path for receipt in self.journal.read() if receipt.path in extra}
        alone = {_instance(path) for path in extra} - {None}
        alone -= {instance for path in _paths(index) if (instance := _instance(path)) in alone}
        return journaled | {path for path in extra if _instance(path) in alone}


def _is_known(index: Index, act: Act, path: str) -> bool:
    """Whether the index knows of anything that an act says."""
    if act.head is not None:
        edit = index.edit(act_number(path))
        return edit is not None and edit.act == path
    return any(_is_told(index, entry, path) for entry in act.entries)


def _acts_of_edits(index: Index) -> Iterator[str]:
    before = 0
    while some := index.edits(EditFilter(), before):
        before = some[-1].number
        yield from (edit.act for edit in some)


def _is_told(index: Index, entry: ActEntry, path: str) -> bool:
    """Whether the index knows of what an entry says. What was let go may also be there again, or be lost."""
    if entry.kind is ActKind.LET_GO:
        return True
    return any(row.number == entry.number and row.act in (path, "") for row in index.versions(entry.key))


def _has_no_place(finding: Finding, adoptable: set[str]) -> bool:
    """Whether a file must not be taken for what it says it is again."""
    if finding.where.startswith("/"):
        return False
    if finding.kind == EXTRA_FILE:
        return finding.where not in adoptable
    return finding.kind in (*_DAMAGE, WRONG_ACT, EXTRA_ACT)


def _instance(path: str) -> tuple[str, str, str] | None:
    name = parse_object_path(path)
    return None if name is None else (name.study, name.series, name.sop)


def _kept(location: Location) -> _Kept:
    return _Kept(
        location.path,
        location.file_size,
        location.dataset_offset,
        location.dataset_sha256,
        location.meta_sha256,
    )


def _size(row: tuple[int, _Kept]) -> int:
    return row[1].size


def _faults(disk: Disk, rows: Sequence[tuple[int, _Kept]]) -> list[_Fault | None]:
    return [_fault(disk, kept) for _, kept in rows]


def _fault(disk: Disk, kept: _Kept) -> _Fault | None:
    """What is wrong with the file of an object. Raises OSError where the store is away."""
    try:
        size = disk.stat(kept.path).size
        if size != kept.size:
            return WRONG_SIZE, str(size), str(kept.size)
        digests = StoredDigests(kept.offset)
        for piece in disk.read_stored(kept.path):
            digests.update(piece)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return MISSING_FILE, "", ""
    except OSError as error:
        if error.errno == AWAY:
            raise
        return WRONG_DIGEST, f"unreadable: {error.strerror}", kept.dataset_sha256.hex()
    for part, expected in ((digests.dataset, kept.dataset_sha256), (digests.meta, kept.meta_sha256)):
        if part.digest() != expected:
            return WRONG_DIGEST, part.hexdigest(), expected.hex()
    return None


def _paths(index: Index) -> Iterator[str]:
    """Where the objects are that have a file."""
    for row in index.all_versions():
        if row.location is not None and not row.location.made_from:
            yield row.location.path


def _among(index: Index, paths: Set[str]) -> set[str]:
    """Those of the paths at which an object of the index is."""
    return {path for path in _paths(index) if path in paths} if paths else set()


_SUMS = 1 << 14


def _difference(index: Index, fresh: Index) -> Iterator[tuple[str, dict[str, object]]]:
    """Rows that only one of the two indexes has.

    Rows fall into heaps by their digests. Of a heap that has the same sum in both nothing else is held.
    """
    ours, theirs = _sums(index), _sums(fresh)
    other = {heap for heap in range(_SUMS) if ours[heap] != theirs[heap]}
    if not other:
        return
    in_ours = {digest for digest, _ in _rows_of(index, other)}
    in_theirs = {digest for digest, _ in _rows_of(fresh, other)}
    yield from ((WRONG_ROW, row) for digest, row in _rows_of(index, other) if digest not in in_theirs)
    yield from ((MISSING_ROW, row) for digest, row in _rows_of(fresh, other) if digest not in in_ours)


def _sums(index: Index) -> list[int]:
    sums = [0] * _SUMS
    for row in index.canonical_dump(in_order=False):
        digest = _row_digest(row)
        sums[_heap(digest)] += int.from_bytes(digest)
    return sums


def _rows_of(index: Index, heaps: Set[int]) -> Iterator[tuple[bytes, dict[str, object]]]:
    for row in index.canonical_dump(in_order=False):
        digest = _row_digest(row)
        if _heap(digest) in heaps:
            yield digest, row


def _heap(digest: bytes) -> int:
    return int.from_bytes(digest[:4]) % _SUMS


def _row_digest(row: dict[str, object]) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(row), digest_size=16).digest()


def _where(row: dict[str, object]) -> str:
    names = ("table", "study_uid", "series_uid", "sop_uid", "number")
    return " ".join(str(row[name]) for name in names if name in row)
