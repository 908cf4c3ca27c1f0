"""Objects of an archive kept in a smaller form, by rules, without loss; for `gantry compress` and the server.

An object in another transfer syntax is a new version of its instance, like any that arrives with other bytes.
Before it is stored, it is proven that it gives the earlier one back, octet for octet; only then, and only
where a rule says so in writing, are the bytes of the earlier one let go.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path

from gantry.archive.archive import Archive
from gantry.archive.index import VersionRow
from gantry.archive.let_go import Superseded
from gantry.archive.outcome import NewVersion, Unchanged
from gantry.archive.records import OTHER_FORM, Location, Origin
from gantry.errors import CallerError, Corrupt, DataSetError, NotFound, StorageError
from gantry.pixels.codecs.registry import is_lossy_encoder, syntax_named
from gantry.settings import CompressRule
from gantry.standard.transfer_syntaxes import JPEG_XL_JPEG_RECOMPRESSION
from gantry.toolkit.recompress import NotWorthIt, make_again, make_smaller, prove
from gantry.toolkit.workers import in_processes

MAX_COMPRESSED_BYTES = 1 << 30
"""Largest object that is worked on: its frames lie in a temporary file meanwhile."""

LET_GO_AT_ONCE = 200
"""Objects whose bytes go with one act: each costs its header in the act, and an act some syncs."""

LET_GO_BYTES_AT_ONCE = 4 << 20
"""Bytes beside the pixels that one act keeps: the next start reads the newest, `undo` one for each object."""

VIA = OTHER_FORM
"""The door that the versions made here came by, as their history tells."""

COMPRESSED, LET_GO, WOULD, KEPT, FAILED, BACK, CURRENT = (
    "compressed", "let go", "would be compressed", "kept as they are", "failed", "made again",
    "made current again",
)  # fmt: skip
_log = logging.getLogger(__name__)
_MODALITY = 0x00080060
_BLOCK = 1 << 20
_US = Origin(via=VIA)


@dataclass(frozen=True, slots=True)
class Task:
    """One object: its file, where the other form goes, and what is to be done. Sent to another process."""

    number: int
    source: str
    target: str
    syntax_uid: str
    dataset_sha256: bytes = b""
    made: str = ""
    head: bytes = b""
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one task; sizes in bytes."""

    what: str
    message: str = ""
    bytes_before: int = 0
    bytes_after: int = 0
    bytes_around: int = 0


@dataclass(slots=True)
class Saving:
    """What was done in all, in numbers of objects and in bytes."""

    counts: dict[str, int] = field(default_factory=dict)
    before: int = 0
    after: int = 0
    freed: int = 0
    added: int = 0

    def note(self, done: Done) -> None:
        """One more."""
        self.counts[done.what] = self.counts.get(done.what, 0) + 1
        if done.what in (COMPRESSED, LET_GO, WOULD):
            self.before += done.bytes_before
            self.after += done.bytes_after

    @property
    def text(self) -> str:
        """The saving in a line."""
        told = ", ".join(f"{n} {what}" for what, n in self.counts.items()) or "nothing that a rule is for"
        if self.before:
            share = 100 * (1 - self.after / self.before)
            told += f"; {self.before:,} bytes in {self.after:,}, {share:.0f} % less"
        return told


Rules = tuple[tuple[CompressRule, str], ...]


def checked_rules(rules: tuple[CompressRule, ...]) -> Rules:
    """Rules with the UID of their transfer syntax. Raises CallerError for one that would lose something."""
    checked = []
    for rule in rules:
        uid = syntax_named(rule.transfer_syntax)
        if is_lossy_encoder(uid) and uid != JPEG_XL_JPEG_RECOMPRESSION:
            raise CallerError(
                f"{rule.transfer_syntax} loses something, and what is kept here loses nothing: make derived "
                "images with gantry transcode, and import them"
            )
        checked.append((rule, uid))
    return tuple(checked)


@dataclass(slots=True)
class Work:
    """An archive being gone through; `folder` is for files that are under way.

    `told` hears of each object. With `let_go_after` nothing is let go that was replaced more recently, so
    that who has just found it can still read it. `stopped` is asked before each object.
    """

    archive: Archive
    rules: Rules
    folder: Path
    told: Callable[[Location, Done], None]
    dry_run: bool = False
    let_go_after: timedelta = timedelta(0)
    stopped: Callable[[], bool] = lambda: False
    niceness: int = 0
    saving: Saving = field(default_factory=Saving)
    under_way: dict[int, tuple[Location, Location, CompressRule | None]] = field(default_factory=dict)
    waiting: dict[str, list[tuple[Superseded, int]]] = field(default_factory=dict)
    waiting_around: int = 0
    number: int = 0

    def compress(self, jobs: int, rows: Iterable[VersionRow] | None = None) -> Saving:
        """Go through the archive, or through these versions. Raises StorageError."""
        for task, done in in_processes(
            self._fitting(rows), run, _failed, jobs, partial(os.nice, self.niceness)
        ):
            self._take(task, done)
        self._release()
        return self.saving

    def undo(self, jobs: int) -> Saving:
        """Make all again that was let go, and current what was compressed where nothing else came.

        Raises StorageError.
        """
        for task, done in in_processes(chain(self._gone(), self._superseded()), run, _failed, jobs):
            self._take_back(task, done)
        return self.saving

    def _fitting(self, rows: Iterable[VersionRow] | None) -> Iterator[Task]:
        """A task for each object that a rule is for."""
        now = datetime.now(UTC)
        for row in self.archive.index.all_versions() if rows is None else rows:
            if self.stopped():
                return
            location = row.location
            if location is None or not location.current or location.path.startswith("/") or row.at >= now:
                continue
            found = next((one for one in self.rules if _fits(*one, location, now, self.archive)), None)
            if found is None:
                continue
            rule, uid = found
            if location.transfer_syntax_uid != uid:
                yield self._task(location, location, rule, uid)
            elif rule.lets_go and row.origin.via == VIA:
                yield from self._still_there(location, rule, now)

    def _superseded(self) -> Iterator[Task]:
        """A task for each original that is still there, or there again, and not current."""
        now = datetime.now(UTC)
        for row in self.archive.index.all_versions():
            if row.location is not None and row.location.current and row.origin.via == VIA:
                yield from self._still_there(row.location, None, now)

    def _still_there(self, current: Location, rule: CompressRule | None, now: datetime) -> Iterator[Task]:
        """The original of an object that was compressed before, where its bytes are still kept."""
        rows = self.archive.versions(current.key)
        if now - rows[-1].at < self.let_go_after:
            return
        earlier = [r.location for r in rows if r.location is not None and r.number < current.number]
        if earlier and not earlier[-1].made_from and not earlier[-1].path.startswith("/"):
            yield self._task(earlier[-1], current, rule, "", made=self._path(current))

    def _gone(self) -> Iterator[Task]:
        """A task for each version that was let go."""
        for row in self.archive.index.all_versions():
            if row.location is not None and row.location.made_from:
                task = self._again(row, row.location)
                if task is not None:
                    yield task

    def _again(self, row: VersionRow, gone: Location) -> Task | None:
        rows = self.archive.versions(row.key)
        made = next((r.location for r in rows if r.number == gone.made_from), None)
        if made is None or made.made_from:
            self._note(gone, Done(FAILED, f"version {gone.made_from} of it is not there"))
            return None
        entry = self.archive.let_go_entry(row)
        return self._task(
            gone, made, None, gone.transfer_syntax_uid, self._path(made), entry.head, entry.tail
        )

    def _task(
        self,
        location: Location,
        current: Location,
        rule: CompressRule | None,
        uid: str,
        made: str = "",
        head: bytes = b"",
        tail: bytes = b"",
    ) -> Task:
        self.number += 1
        self.under_way[self.number] = (location, current, rule)
        source = "" if location.made_from else self._path(location)
        target = str(self.folder / str(self.number))
        return Task(self.number, source, target, uid, location.dataset_sha256, made, head, tail)

    def _note(self, location: Location, done: Done) -> None:
        self.saving.note(done)
        self.told(location, done)

    def _path(self, location: Location) -> str:
        path = self.archive.real_path(location)
        assert path is not None, "this archive lies on a real disk"
        return str(path)

    def _take(self, task: Task, done: Done) -> None:
        """Store what was made, and let go of what that replaces."""

        location, current, rule = self.under_way.pop(task.number)
        assert rule is not None
        number = current.number
        if done.what == COMPRESSED and self.dry_run:
            done = Done(WOULD, "", done.bytes_before, done.bytes_after)
        elif done.what == COMPRESSED:
            with Path(task.target).open("rb") as file:
                outcome = self.archive.replace(location, iter(partial(file.read, _BLOCK), b""), _US)
            if isinstance(outcome, NewVersion):
                number = outcome.number
                self.saving.added += done.bytes_after
            elif isinstance(outcome, Unchanged):  # this form was kept before
                number = outcome.number
            else:
                done = Done(FAILED, getattr(outcome, "message", "it was not taken"))
        elif done.what == LET_GO and self.dry_run:
            done = Done(WOULD, "", done.bytes_before, done.bytes_after)
        Path(task.target).unlink(missing_ok=True)
        if done.what == LET_GO or (done.what == COMPRESSED and rule.lets_go and not self.let_go_after):
            one = Superseded(location.key, location.number, number)
            self.waiting.setdefault(str(rule), []).append((one, done.bytes_before - done.bytes_around))
            self.waiting_around += done.bytes_around
            count = sum(map(len, self.waiting.values()))
            if count >= LET_GO_AT_ONCE or self.waiting_around >= LET_GO_BYTES_AT_ONCE:
                self._release()
        self._note(location, done)

    def _release(self) -> None:
        """Let go of what waits for it."""

        waiting, self.waiting, self.waiting_around = self.waiting, {}, 0
        for why, gone in waiting.items():
            try:
                self.archive.let_go([one for one, _ in gone], why, _US)
                self.saving.freed += sum(freed for _, freed in gone)
            except (NotFound, Corrupt):
                for one, freed in gone:  # one that is not what it was must not keep the others
                    self._let_go(one, freed, why)

    def _let_go(self, one: Superseded, freed: int, why: str) -> None:
        try:
            self.archive.let_go([one], why, _US)
            self.saving.freed += freed
        except NotFound as error:
            _log.info("version %d of %s stays: %s", one.number, one.key.sop_uid, error)
        except Corrupt as error:
            _log.warning("version %d of %s stays: %s", one.number, one.key.sop_uid, error)
            self.saving.note(Done(FAILED))

    def _take_back(self, task: Task, done: Done) -> None:
        """Give a version its bytes again, and its place where what was made of it has that."""

        location, current, _ = self.under_way.pop(task.number)
        if done.what == LET_GO:  # proven to be what the current version was made of
            done = Done(CURRENT)
            if not self.dry_run:
                self.archive.restore_version(location.key, location.number, _US)
        elif done.what == BACK and not self.dry_run:
            try:
                self.archive.bring_back(location.key, location.number, Path(task.target).read_bytes())
                if current.current:
                    self.archive.restore_version(location.key, location.number, _US)
                self.saving.added += location.file_size
            except StorageError as error:
                done = Done(FAILED, str(error))
        Path(task.target).unlink(missing_ok=True)
        self._note(location, done)


def _fits(rule: CompressRule, uid: str, location: Location, now: datetime, archive: Archive) -> bool:
    if location.pixel is None or location.file_size > MAX_COMPRESSED_BYTES:
        return False
    if location.file_size < rule.larger_than_bytes and location.transfer_syntax_uid != uid:
        return False
    if now - location.received_at < timedelta(days=rule.older_than_days):
        return False
    if not rule.modalities:
        return True
    try:
        with archive.dataset(location) as ds:
            return (ds.text(_MODALITY) or "").upper() in rule.modalities
    except StorageError as error:
        _log.warning("passed over while compressing: %s", error)
        return False


def run(task: Task) -> Done:
    """Do one task, in this process."""
    try:
        if not task.source:
            make_again(Path(task.made), task.syntax_uid, task.head, task.tail, Path(task.target))
            return Done(BACK)
        if task.made:
            found, what = prove(Path(task.source), Path(task.made), task.dataset_sha256), LET_GO
        else:
            found = make_smaller(Path(task.source), Path(task.target), task.syntax_uid, task.dataset_sha256)
            what = COMPRESSED
        return Done(what, "", found.bytes_before, found.bytes_after, found.bytes_around)
    except NotWorthIt as error:
        return Done(KEPT, str(error))
    except (CallerError, DataSetError) as error:
        return Done(FAILED, str(error))
    except MemoryError:
        return Done(FAILED, "it takes more memory than there is")
    except OSError as error:
        return Done(FAILED, f"{error.filename or 'a file'}: {error.strerror}")


def _failed(task: Task, why: str) -> Done:
    return Done(FAILED, why)
