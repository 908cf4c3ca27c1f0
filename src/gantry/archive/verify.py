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
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from gantry.archive.acts import Act, ActEntry, ActKind, act_number, read_whole_act
from gantry.archive.blobs.files import ACTS, AWAY, LOST_FOUND, OBJECTS, parse_object_path, sync_folders
from gantry.archive.commit.committer import Committer
from gantry.archive.damage import Damage
from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.archive.index import EditFilter, Finding, Index, VersionKind, VersionRow
from gantry.archive.index_files import IndexFiles
from gantry.archive.lost_found import set_aside
from gantry.archive.received import Journal
from gantry.archive.records import Location
from gantry.archive.reindex import Progress, fill, no_progress, reindex, versions_in_folder
from gantry.archive.stored_digests import StoredDigests
from gantry.errors import Corrupt

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


@dataclass(slots=True)
class _Survey:
    """What has been seen so far."""

    findings: list[Finding] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    acts: set[str] = field(default_factory=set)
    objects: int = 0
    size_bytes: int = 0

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

    def verify(self, *, repair: bool = False, rows: bool = True, progress: Progress = no_progress) -> Report:
        """Look everything over. `rows` False leaves out the comparison that holds up commits.

        Raises StorageError where disk or index cannot be read at all, ReadOnly where a repair cannot write.
        """
        try:
            survey = self._survey(rows, progress)
            self._note_damage(survey)
            if repair and survey.findings:
                self._repair(survey)
        except OSError as error:
            raise storage_error(error) from error
        return Report(
            survey.objects, survey.size_bytes, tuple(survey.findings), repair and bool(survey.findings)
        )

    def _survey(self, rows: bool, progress: Progress) -> _Survey:
        survey = _Survey()
        index = self.committer.index
        total = index.stats().versions
        for done, row in enumerate(index.all_versions(), 1):
            self._check_row(row, survey)
            progress(done, max(total, done))
        survey.acts.update(_acts_of_edits(index))
        self._check_files(index, survey)
        self._check_acts(index, survey)
        survey.findings += index.check()
        if rows:
            with self.index_files.alone(), self.committer.paused():
                self._compare(self.committer.index, survey)
        return survey

    # --- rows to files -----------------------------------------------------------------------------

    def _check_row(self, row: VersionRow, survey: _Survey) -> None:
        if row.act:
            survey.acts.add(row.act)
        if row.location is not None and row.location.made_from:
            return  # only its act is there
        if row.kind == VersionKind.OBJECT and row.location is not None:
            survey.paths.add(row.location.path)
            survey.objects += 1
            survey.size_bytes += row.location.file_size
            self._check_object(row.location, survey)

    def _check_object(self, location: Location, survey: _Survey) -> None:
        path = location.path
        try:
            size = self.disk.stat(path).size
            if size != location.file_size:
                survey.note(WRONG_SIZE, path, str(size), str(location.file_size))
                return
            meta, body = _digests(self.disk, path, location.dataset_offset)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            survey.note(MISSING_FILE, path)
            return
        except OSError as error:
            if error.errno == AWAY:
                raise
            survey.note(WRONG_DIGEST, path, f"unreadable: {error.strerror}", location.dataset_sha256.hex())
            return
        if body != location.dataset_sha256:
            survey.note(WRONG_DIGEST, path, body.hex(), location.dataset_sha256.hex())
        elif meta != location.meta_sha256:
            survey.note(WRONG_DIGEST, path, meta.hex(), location.meta_sha256.hex())

    # --- files to rows -----------------------------------------------------------------------------

    def _check_files(self, index: Index, survey: _Survey) -> None:
        extra = [path for path in self.disk.walk(OBJECTS) if path not in survey.paths]
        if not extra:
            return
        # What was committed while we looked has its row by now.
        committed = {
            r.location.path
            for r in index.all_versions()
            if r.location is not None and not r.location.made_from
        }
        for path in extra:
            if path not in committed and self.disk.exists(path):
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

    def _compare(self, index: Index, survey: _Survey) -> None:
        self.journal.catch_up(index)
        # Files without a row are told already; here it is about the rows there are.
        known = {row.location.path if row.location else row.act for row in index.all_versions()}
        known.update(_acts_of_edits(index))
        fresh = self.index_files.open_fresh()
        try:
            for path, why in fill(fresh, versions_in_folder(self.disk, self.journal).only(known)):
                if path in survey.paths:
                    survey.note(WRONG_DIGEST, path, why)
            for kind, row in _difference(index, fresh):
                survey.note(kind, _where(row), msgspec.json.encode(row).decode())
        finally:
            self.index_files.drop_fresh(fresh)

    # --- what follows ------------------------------------------------------------------------------

    def _note_damage(self, survey: _Survey) -> None:
        damaged = {f.where: f"{f.kind}: {f.found}" for f in survey.findings if f.kind in _DAMAGE}
        self.damage.note(damaged)

    def _repair(self, survey: _Survey) -> None:
        with self.index_files.alone(), self.committer.alone():
            moved = False
            adoptable = self._adoptable(survey)
            for finding in survey.findings:
                if _has_no_place(finding, adoptable) and self.disk.exists(finding.where):
                    set_aside(self.disk, finding.where, self.committer.stamp())
                    moved = True
            if moved:
                sync_folders(self.disk, [LOST_FOUND])
            index = self.committer.index
            rebuilt = reindex(self.disk, self.index_files, self.journal, may_take=lambda: index.is_our_turn)
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

    def _adoptable(self, survey: _Survey) -> set[str]:
        """Files without a row that may become objects: those the journal knows, and the only ones of their
        instance.

        Any other was never acknowledged, and must not take the place of a version that was.
        """
        journaled = {receipt.path for receipt in self.journal.read()}
        known = {_instance(path) for path in survey.paths}
        extra = {finding.where for finding in survey.findings if finding.kind == EXTRA_FILE}
        return {
            path for path in extra if path in journaled or (_instance(path) and _instance(path) not in known)
        }


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


def _digests(disk: Disk, path: str, offset: int) -> tuple[bytes, bytes]:
    """SHA-256 of what stands before the Data Set, and of the Data Set."""
    digests = StoredDigests(offset)
    for piece in disk.read_stored(path):
        digests.update(piece)
    return digests.meta.digest(), digests.dataset.digest()


def _difference(index: Index, fresh: Index) -> Iterator[tuple[str, dict[str, object]]]:
    """Rows that only one of the two indexes has; of what is in both only a digest is held."""
    ours = {_row_digest(row) for row in index.canonical_dump()}
    theirs = {_row_digest(row) for row in fresh.canonical_dump()}
    for row in index.canonical_dump() if ours - theirs else ():
        if _row_digest(row) not in theirs:
            yield WRONG_ROW, row
    for row in fresh.canonical_dump() if theirs - ours else ():
        if _row_digest(row) not in ours:
            yield MISSING_ROW, row


def _row_digest(row: dict[str, object]) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(row), digest_size=16).digest()


def _where(row: dict[str, object]) -> str:
    names = ("table", "study_uid", "series_uid", "sop_uid", "number")
    return " ".join(str(row[name]) for name in names if name in row)
