"""`gantry compress`: objects of our archive kept in a smaller form, by rules, without loss.

An object in another transfer syntax is a new version of its instance, like any that arrives with other bytes.
Before it is stored, it is proven that it gives the earlier one back, octet for octet; only then, and only
where a rule says so in writing, are the bytes of the earlier one let go, and `--undo` makes them again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.local import open_archive
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import note, print_json, result
from gantry.cli.processes import in_processes
from gantry.cli.progress import Bar
from gantry.errors import CallerError, DataSetError, NotFound, StorageError
from gantry.settings import CompressRule

if TYPE_CHECKING:
    from gantry.archive.archive import Archive
    from gantry.archive.index.protocol import VersionRow
    from gantry.archive.let_go import Superseded
    from gantry.archive.records import Location

MAX_COMPRESSED_BYTES = 1 << 30
"""Largest object that is worked on: its frames lie in a temporary file meanwhile."""

LET_GO_AT_ONCE = 200
"""Objects whose bytes go with one act: each costs its header in the act, and an act some syncs."""

VIA = "compress"
"""The door that the versions made here came by, as their history tells."""

COMPRESSED, LET_GO, WOULD, KEPT, FAILED, BACK = (
    "compressed", "let go", "would be compressed", "kept as they are", "failed", "made again",
)  # fmt: skip
_MODALITY = 0x00080060


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
class Tally:
    """What was done in all."""

    as_json: bool
    counts: dict[str, int] = field(default_factory=dict)
    before: int = 0
    after: int = 0
    freed: int = 0
    added: int = 0

    def note(self, location: Location, done: Done) -> None:
        self.counts[done.what] = self.counts.get(done.what, 0) + 1
        if done.what in (COMPRESSED, LET_GO, WOULD):
            self.before += done.bytes_before
            self.after += done.bytes_after
        if self.as_json:
            print_json(
                {
                    "sopInstanceUid": location.key.sop_uid,
                    "result": done.what,
                    "message": done.message,
                    "bytesBefore": done.bytes_before,
                    "bytesAfter": done.bytes_after,
                }
            )
        elif done.what == FAILED:
            note(f"failed: {location.key.sop_uid}: {done.message}")

    def tell(self) -> None:
        if self.as_json:
            print_json(
                {
                    "objects": self.counts,
                    "bytesBefore": self.before,
                    "bytesAfter": self.after,
                    "bytesAdded": self.added,
                    "bytesFreed": self.freed,
                }
            )
            return
        told = ", ".join(f"{n} {what}" for what, n in self.counts.items()) or "nothing that a rule is for"
        if self.before:
            share = 100 * (1 - self.after / self.before)
            told += f"; {self.before:,} bytes in {self.after:,}, {share:.0f} % less"
        result(told)
        if self.added or self.freed:
            result(f"{self.added:,} bytes added, {self.freed:,} let go: {self.freed - self.added:,} saved")


@click.command("compress")
@click.option("--rule", "rules", multiple=True, metavar="TEXT", help="Instead of the rules of the settings.")
@click.option("--dry-run", is_flag=True, help="Only say what would be saved.")
@click.option("--undo", is_flag=True, help="Make all again that was let go, and be as before.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Objects at once.  [default: number of cores]")
@archive_options
def command(
    rules: tuple[str, ...],
    dry_run: bool,
    undo: bool,
    jobs: int | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Keep objects of the archive in a smaller form, without loss, as the rules of the settings say.

    A rule is a text: to=htj2k-lossless modality=CT|MR older=30d larger=100k originals=let-go. Age counts from
    when an object came; the first rule that fits counts. The other form is a new version, stored only where
    it is smaller and gives the earlier one back octet for octet. With originals=let-go the bytes of the
    earlier one are then removed; --undo makes them again, and current.

    The exit code is 1 when an object could not be read.
    """
    settings = settings_from(config_file, data=data).settings
    wanted = tuple(CompressRule.parse(text) for text in rules) or settings.compress
    if not wanted and not undo:
        raise CallerError("there are no rules: set compress = [...] in the settings, or give --rule")
    tally = Tally(as_json)
    with (
        open_archive(settings) as archive,
        tempfile.TemporaryDirectory(dir=settings.data / "cache", prefix="compress-") as folder,
        Bar("compressing", quiet=as_json) as bar,
    ):
        work = Work(archive, _checked(wanted), Path(folder), tally, dry_run)
        tasks, taken = (work.let_go, work.take_back) if undo else (work.fitting, work.take)
        for count, (task, done) in enumerate(
            in_processes(tasks(), run, _crashed, jobs or os.cpu_count() or 1), 1
        ):
            taken(task, done)
            bar.reached(count)
        work.release()
    tally.tell()
    return Exit.PROBLEMS if tally.counts.get(FAILED) else Exit.OK


def _checked(rules: tuple[CompressRule, ...]) -> tuple[tuple[CompressRule, str], ...]:
    """Rules with the UID of their transfer syntax. Raises CallerError for one that would lose something."""
    from gantry.pixels.codecs.registry import is_lossy_encoder, syntax_named
    from gantry.standard.transfer_syntaxes import JPEG_XL_JPEG_RECOMPRESSION

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
    """An archive being gone through; `under_way` remembers what each task is about."""

    archive: Archive
    rules: tuple[tuple[CompressRule, str], ...]
    folder: Path
    tally: Tally
    dry_run: bool
    under_way: dict[int, tuple[Location, Location, CompressRule | None]] = field(default_factory=dict)
    waiting: dict[str, list[Superseded]] = field(default_factory=dict)
    number: int = 0

    def fitting(self) -> Iterator[Task]:
        """A task for each object that a rule is for."""
        now = datetime.now(UTC)
        for row in self.archive.index.all_versions():
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
                yield from self._still_there(location, rule)

    def _still_there(self, current: Location, rule: CompressRule) -> Iterator[Task]:
        """The original of an object that was compressed before, where its bytes are still kept."""
        rows = self.archive.versions(current.key)
        earlier = [r.location for r in rows if r.location is not None and r.number < current.number]
        if earlier and not earlier[-1].made_from and not earlier[-1].path.startswith("/"):
            yield self._task(earlier[-1], current, rule, "", made=self._path(current))

    def let_go(self) -> Iterator[Task]:
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
            self.tally.note(gone, Done(FAILED, f"version {gone.made_from} of it is not there"))
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

    def _path(self, location: Location) -> str:
        path = self.archive.real_path(location)
        assert path is not None, "this archive lies on a real disk"
        return str(path)

    def take(self, task: Task, done: Done) -> None:
        """Store what was made, and let go of what that replaces."""
        from gantry.archive.let_go import Superseded
        from gantry.archive.outcome import NewVersion
        from gantry.archive.records import Origin

        location, current, rule = self.under_way.pop(task.number)
        assert rule is not None
        number = current.number
        if done.what == COMPRESSED and self.dry_run:
            done = Done(WOULD, "", done.bytes_before, done.bytes_after)
        elif done.what == COMPRESSED:
            with Path(task.target).open("rb") as file:
                outcome = self.archive.replace(
                    location, iter(partial(file.read, 1 << 20), b""), Origin(via=VIA)
                )
            if isinstance(outcome, NewVersion):
                number = outcome.number
                self.tally.added += done.bytes_after
            else:
                done = Done(FAILED, getattr(outcome, "message", "it was not taken"))
        elif done.what == LET_GO and self.dry_run:
            done = Done(WOULD, "", done.bytes_before, done.bytes_after)
        Path(task.target).unlink(missing_ok=True)
        if done.what in (COMPRESSED, LET_GO) and rule.lets_go:
            self.waiting.setdefault(str(rule), []).append(Superseded(location.key, location.number, number))
            self.tally.freed += done.bytes_before - done.bytes_around
            if sum(map(len, self.waiting.values())) >= LET_GO_AT_ONCE:
                self.release()
        self.tally.note(location, done)

    def release(self) -> None:
        """Let go of what waits for it."""
        from gantry.archive.records import Origin

        waiting, self.waiting = self.waiting, {}
        for why, gone in waiting.items():
            try:
                self.archive.let_go(gone, why, Origin(via=VIA))
            except NotFound:
                for one in gone:  # one that is not what it was must not keep the others
                    with suppress(NotFound):
                        self.archive.let_go([one], why, Origin(via=VIA))

    def take_back(self, task: Task, done: Done) -> None:
        """Give a version its bytes again, and its place where what was made of it has that."""
        from gantry.archive.records import Origin

        location, current, _ = self.under_way.pop(task.number)
        if done.what == BACK and not self.dry_run:
            try:
                self.archive.bring_back(location.key, location.number, Path(task.target).read_bytes())
                if current.current:
                    self.archive.restore_version(location.key, location.number, Origin(via=VIA))
                self.tally.added += location.file_size
            except StorageError as error:
                done = Done(FAILED, str(error))
        Path(task.target).unlink(missing_ok=True)
        self.tally.note(location, done)


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
        note(f"passed over: {location.key.sop_uid}: {error}")
        return False


def run(task: Task) -> Done:
    """Do one task, in this process."""
    from gantry.toolkit.recompress import NotWorthIt, make_again, make_smaller, prove

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


def _crashed(task: Task) -> Done:
    return Done(FAILED, "the codec crashed on it")
