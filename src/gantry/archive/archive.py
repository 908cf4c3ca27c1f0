"""The archive as others see it: one object over disk, index and clock, thin, with a verb a method.

Each verb lives in a file of its own name. All methods may be called from any thread; those that write block
until what they did is durable.
"""

from __future__ import annotations

import itertools
import logging
import threading
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantry.archive.acts import ActEntry, last_count
from gantry.archive.backup.listing import Point, point
from gantry.archive.batch import Batch, in_threads
from gantry.archive.blobs.files import INCOMING, object_path, parse_object_path
from gantry.archive.blobs.read_cache import ReadCache
from gantry.archive.blobs.store_disk import StoreDisk
from gantry.archive.blobs.tier_disk import TierDisk
from gantry.archive.blocks import Blocks
from gantry.archive.bundle import BulkUri, Bundle, Bundles, Series
from gantry.archive.changes import ChangeSignal
from gantry.archive.clock import Clock, SystemClock
from gantry.archive.commit.committer import Committer
from gantry.archive.commit.rows import Committed
from gantry.archive.commitment.check import Checker
from gantry.archive.commitment.kept import Kept
from gantry.archive.commitment.requests import Asked, Requests
from gantry.archive.disk import Disk, OsDisk
from gantry.archive.drafts import Drafts
from gantry.archive.edits.editor import Editor
from gantry.archive.edits.following import Following
from gantry.archive.edits.guard import NO_REASON, Guard
from gantry.archive.edits.model import EditDone, EditKind, EditRequest, Preview, Target
from gantry.archive.frames import StoredFrames
from gantry.archive.incoming import Expectation, Incoming, storage_error
from gantry.archive.index import AddEdit, Change, Conflict, EditFilter, EditRow, Index, IndexStats, VersionRow
from gantry.archive.index.protocol import AddVersion, change_key
from gantry.archive.index_files import IndexFiles, Lead, SqlIndexFiles
from gantry.archive.let_go import (
    Superseded,
    bring_back,
    finish,
    let_go,
    let_go_entry,
    remove_rest,
    restore_version,
)
from gantry.archive.lock import FolderLock
from gantry.archive.log import SEGMENT_BYTES
from gantry.archive.open_object import OpenObject
from gantry.archive.orphan_acts import set_aside_orphan_acts
from gantry.archive.outcome import Outcome
from gantry.archive.query import FindResult, Query, TextQuery
from gantry.archive.records import InstanceKey, Location, Origin
from gantry.archive.reindex import Progress, Rebuilt, no_progress, reindex
from gantry.archive.retrieve import Retriever
from gantry.archive.scrub import Pace, Scrubber
from gantry.archive.space import Space
from gantry.archive.startup import start
from gantry.archive.store import Keeper
from gantry.archive.tiers import Tiers
from gantry.archive.verify import Report, Verifier
from gantry.dataset.scan import DataSet
from gantry.errors import Corrupt, StorageError
from gantry.settings import RetentionRule

_log = logging.getLogger(__name__)

DEFAULT_RESERVE_BYTES = 512 << 20
DEFAULT_OBJECT_LIMIT = 8 << 30
NOBODY = Origin()
EVERYTHING = EditFilter()
_CHANGES_AT_ONCE = 1000
_OURS_AT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """How an archive behaves: see the settings `same_uid`, `reserve_bytes` and `max_object_bytes`.

    `log_bytes` is the size of each of the log's two segments, 0 for none. Without `in_background` nothing is
    done but within calls, as simulations want it. `shared` is an archive that other nodes have open as well.
    Rules of `retention` keep studies from being deleted.
    """

    same_uid: str = "newest"
    reserve_bytes: int = DEFAULT_RESERVE_BYTES
    max_object_bytes: int = DEFAULT_OBJECT_LIMIT
    log_bytes: int = SEGMENT_BYTES
    in_background: bool = True
    shared: bool = False
    retention: tuple[RetentionRule, ...] = ()


DEFAULTS = Options()


class Archive:
    """Keeps objects for good and finds them again. Made by `Archive.open`; `close` it."""

    def __init__(
        self, disk: Disk, index_files: IndexFiles, clock: Clock, options: Options, lock: FolderLock | None
    ) -> None:
        self._disk = disk
        self._index_files = index_files
        self._options = options
        self._lock = lock
        self._names = itertools.count(1)
        started = start(disk, index_files, clock, shared=options.shared)
        self._clock = clock
        self._act_count = started.act_count
        self._journal = started.journal
        self._blocks = Blocks()
        self._committer = Committer(
            disk,
            started.index,
            clock,
            self._blocks,
            self._names,
            policy=options.same_uid,
            log_bytes=options.log_bytes,
            reserve_bytes=options.reserve_bytes,
            in_background=options.in_background,
            next_act=self._next_act,
            shared=options.shared,
            last_change=started.last_change,
            told=self._told,
            damage=started.damage,
        )
        self._signal = ChangeSignal(started.last_change)
        self._heard = started.last_change
        self._hearing = threading.Lock()
        self._space = Space(disk, options.reserve_bytes)
        self._keeper = Keeper(disk, self._committer, self._names)
        self.drafts = Drafts(
            disk,
            self._names,
            now=clock.now,
            require_room=self._require_room,
            stop_writing=self._committer.stop_writing,
            turn=self._committer.turn,
        )
        self._retriever = Retriever(disk, started.damage)
        kept = Kept(
            disk,
            self._names,
            require_room=self._require_room,
            stop_writing=self._committer.stop_writing,
        )
        guard = Guard(
            disk,
            self._committer,
            kept,
            options.retention,
            self._retriever.header,
            lambda: clock.now().astimezone().date(),
        )
        self._editor = Editor(disk, self._committer, self._names, self._retriever, self._require_room, guard)
        self._following = Following(self.drafts, self.edits, self._editor.done)
        self._damage = started.damage
        self._damage_heard = ""
        # Versions that we kept ourselves and have not heard of yet
        self._ours: set[tuple[InstanceKey, int]] = set()
        if options.shared:
            started.damage.share(self._tell_damage)
        self._bundles = Bundles(disk, clock, self._retriever, self.locate)
        self.damage_state = 0
        """A number that goes up when an object is found damaged, and before a healed one can be read."""
        self._scrubber = Scrubber(
            disk, self._committer, started.damage, self._names, self._require_room, self._turned
        )
        self.commitments = Requests(
            disk,
            self._names,
            clock=clock,
            require_room=self._require_room,
            stop_writing=self._committer.stop_writing,
            turn=self._committer.turn,
            shared=options.shared,
        )
        self._checker = Checker(self._committer, kept, self.look_at)
        self.tiers = Tiers(disk, self._committer) if isinstance(disk, TierDisk) else None
        """Moves objects to a second store and back, where there is one."""
        self._verifier = Verifier(disk, index_files, self._committer, self._journal, started.damage)
        self._following.catch_up()

    @classmethod
    def open(
        cls,
        folder: Path,
        options: Options = DEFAULTS,
        *,
        disk: Disk | None = None,
        index_files: IndexFiles | None = None,
        clock: Clock | None = None,
        lock: FolderLock | None = None,
    ) -> Archive:
        """Open the archive in a folder, making it where there is none, and recover from how it last ended.

        `disk`, `index_files` and `clock` are for places elsewhere (`gantry.archive.places`) and for the
        simulated twins; `lock` is let go of when the archive is closed. Raises StorageError, also where
        another process has the archive open.
        """
        if disk is None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FolderLock(folder)
            disk = OsDisk(folder)
        try:
            return cls(disk, index_files or SqlIndexFiles(folder), clock or SystemClock(), options, lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def close(self) -> None:
        """Let go of everything. What was answered is durable already."""
        self._committer.close()
        self._journal.shut()
        for index in (*self._committer.former, self._committer.index):
            try:
                index.close()
            except StorageError as error:
                # On a full disk the log cannot be carried over into the file; the next start does it.
                _log.warning("the index was not closed in order: %s", error)
        self._disk.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def index(self) -> Index:
        """The index, to be asked; only the archive tells it anything. It knows all that was acknowledged."""
        self._committer.catch_up()
        return self._committer.index

    @property
    def epoch(self) -> str:
        """See `Index.epoch`."""
        return self._committer.index.epoch

    @property
    def is_behind(self) -> bool:
        """Whether something that was acknowledged has no file or no row yet; whoever asks for it waits."""
        return self._committer.is_behind

    @property
    def read_cache(self) -> ReadCache | None:
        """What is kept of a bucket's objects on this machine; None where objects are files."""
        return self._disk.cache if isinstance(self._disk, StoreDisk | TierDisk) else None

    def settle(self) -> None:
        """Have what was acknowledged in files and rows, as far as disk and index let it. Blocks.

        Of an archive that is shared, also what other nodes acknowledged is known here from then on.
        """
        self._committer.catch_up()
        if self._options.shared:
            with suppress(StorageError):  # whoever asks the index is told
                self.follow()

    @property
    def acknowledged(self) -> int:
        """How many objects were acknowledged before they had a row; only ever grows."""
        return self._committer.acknowledged

    @property
    def read_only(self) -> str:
        """Why nothing can be written, empty while all is well (N6)."""
        return self._committer.read_only

    # --- store -----------------------------------------------------------------------------------

    def begin(
        self,
        origin: Origin = NOBODY,
        size_hint: int | None = None,
        *,
        expect_sop_class: str | None = None,
        expect_sop_instance: str | None = None,
        expect_study: str | None = None,
    ) -> Incoming:
        """Begin to take an object in: a Part 10 byte stream of about `size_hint` bytes.

        Raises OutOfSpace or ReadOnly before the first byte need be sent.
        """
        self._committer.require_writable()
        # A hint past the limit needs no room: the object is refused when its bytes pass the limit.
        size = min(size_hint or 0, self._options.max_object_bytes)
        self._space.claim(size)
        expectation = Expectation(expect_sop_class, expect_sop_instance, expect_study)
        return self._incoming(origin, expectation, size, self._keeper.keep)

    def _require_room(self, size: int) -> None:
        """Raises OutOfSpace, ReadOnly."""
        self._committer.require_writable()
        self._space.claim(size)
        self._space.release(size)

    def _incoming(
        self, origin: Origin, expectation: Expectation, size: int, finish: Callable[[Incoming], Outcome]
    ) -> Incoming:
        return Incoming(
            self._disk,
            self._blocks,
            f"{INCOMING}/{next(self._names)}",
            origin,
            expectation,
            limit=self._options.max_object_bytes,
            finish=finish,
            release=lambda: self._space.release(size),
        )

    def store(self, chunks: Iterable[bytes], origin: Origin = NOBODY) -> Outcome:
        """Keep one object, whose bytes come in pieces."""
        incoming = self.begin(origin)
        try:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.finish()
        finally:
            incoming.abort()

    def store_many(self, arrivals: Sequence[Incoming]) -> list[Outcome]:
        """Keep several objects in one commit; each has its own outcome."""
        return self._keeper.keep_many(arrivals)

    def reference(self, path: Path, origin: Origin = NOBODY) -> Outcome:
        """Keep an object where it lies, outside of the folder, without copying it.

        The archive then depends on a file that is not its own: `verify` tells when it has changed or is gone.
        Raises ReadOnly.
        """
        self._committer.require_writable()
        return self._keeper.refer(str(path.absolute()), origin)

    # --- retrieve --------------------------------------------------------------------------------

    def locate(
        self,
        study_uid: str | None = None,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        version: int | None = None,
    ) -> list[Location]:
        """Objects by UID: the current ones, or version `version` of each; empty where there are none."""
        return self._damage.told_apart(self.index.locate(study_uid, series_uid, sop_uid, version))

    def versions(self, key: InstanceKey) -> list[VersionRow]:
        """All versions of an instance, oldest first."""
        return self.index.versions(key)

    def read(self, location: Location, *, check: bool = False) -> bytes:
        """The whole file, bit for bit; `check` compares digests. Raises Corrupt, StorageError."""
        return self._retriever.read(location, check=check)

    def read_range(self, location: Location, offset: int, length: int) -> bytes:
        """Some bytes of the file, fewer at its end. Raises Corrupt, StorageError."""
        return self._retriever.read_range(location, offset, length)

    def blocks(self, location: Location) -> Iterator[bytes]:
        """The whole file, a megabyte at a time."""
        return self._retriever.blocks(location)

    def frames(self, location: Location) -> StoredFrames:
        """Where each frame lies in the file. Raises NotFound for an object without pixels."""
        return self._retriever.frames(location)

    def read_frame(self, location: Location, frame: int) -> bytes:
        """The stored bytes of frame number `frame`, from 1. Raises NotFound, Corrupt."""
        return self._retriever.read_frame(location, frame)

    def header(self, location: Location) -> dict[str, Any]:
        """All attributes but bulk data, in the DICOM JSON model. Raises Corrupt."""
        return self._retriever.header(location)

    def dataset(self, location: Location) -> AbstractContextManager[DataSet]:
        """The Data Set over its mapped file, to be used within the context. Raises Corrupt, StorageError."""
        return self._retriever.dataset(location)

    def refuse_damaged(self, location: Location) -> None:
        """Raise Corrupt for an object that `verify` found damaged; costs one look-up."""
        self._retriever.refuse_damaged(location)

    def real_path(self, location: Location) -> Path | None:
        """The file itself, only to be read; None on a simulated disk."""
        return self._retriever.real_path(location)

    def is_at_hand(self, location: Location) -> bool:
        """Whether the file need not be fetched from an object store first, which takes its time."""
        return self._retriever.is_at_hand(location)

    def open_object(self, location: Location) -> OpenObject | None:
        """The file of an object, opened and read into memory; None on a simulated disk.

        Raises Corrupt, StorageError.
        """
        path = self._retriever.real_path(location)
        if path is None:
            return None
        try:
            return OpenObject(path, location)
        except Corrupt:
            if self.tiers is None or not self.tiers.is_moved(location):
                raise
        # Another node has moved it in between
        path = self._retriever.real_path(location)
        return None if path is None else OpenObject(path, location)

    def series_metadata(self, study_uid: str, series_uid: str, bulk_uri: BulkUri, form: str = "") -> Bundle:
        """Metadata of a series, compressed as it is sent, with its entity tag; made once for each state.

        `bulk_uri(key, path)` gives the URI of bulk data; `form` names what it does, for the cache. Raises
        NotFound, StorageError.
        """
        self._committer.catch_up()
        return self._bundles.get(study_uid, series_uid, form, bulk_uri)

    def quiet_series(self, for_s: float) -> list[Series]:
        """Series that changed, but not in the last `for_s` seconds; each is told once.

        For a task in the background that then asks for their metadata, so that no viewer need wait.
        """
        self._committer.catch_up()
        return self._bundles.quiet(for_s)

    # --- find, changes ---------------------------------------------------------------------------

    def find(self, query: Query) -> FindResult:
        """Answer a query. Raises QueryError."""
        return self.index.find(query, self._retriever.header)

    def search_text(self, query: TextQuery) -> FindResult:
        """See `Index.search_text`."""
        return self.index.search_text(query)

    def changes(self, after: int = 0, limit: int = 1000, sop_class_uid: str = "") -> list[Change]:
        """What happened after number `after`, oldest first; see `Index.changes`."""
        return self.index.changes(after, limit, sop_class_uid)

    def wait_for_change(self, after: int, timeout_s: float) -> int:
        """Block until something happened after number `after`, or the time is over; the last number."""
        return self._signal.wait(after, timeout_s)

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call `listener(last number)` after each commit, in the committing thread; answers how to end it."""
        return self._signal.listen(listener)

    def conflicts(self, after: int = 0, limit: int = 1000) -> list[Conflict]:
        """Objects that contradict one another and are all kept."""
        return self.index.conflicts(after, limit)

    def reach_index(self) -> None:
        """Raises Unreachable where the database of the index does not answer."""
        self._committer.index.stats()

    def stats(self) -> IndexStats:
        """Counts, cheap at any size."""
        return self.index.stats()

    def free_bytes(self) -> int:
        """Room on the disk, of which `reserve_bytes` is kept free. Raises StorageError."""
        try:
            return self._disk.free_space()
        except OSError as error:
            raise storage_error(error) from error

    # --- delete ----------------------------------------------------------------------------------

    def delete(
        self,
        study_uid: str,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        origin: Origin = NOBODY,
        *,
        who: str = "",
        why: str = NO_REASON,
        force: bool = False,
    ) -> tuple[InstanceKey, ...]:
        """Hide a study, series or instance, as an edit; answers what was hidden.

        What was committed, or what a rule of retention keeps, only with `force`, and then with who and why.
        Raises as `edit`.
        """
        uids = study_uid, series_uid, sop_uid
        return self._hidden_or_shown(EditKind.DELETE, uids, origin, who, why, force=force)

    def restore(
        self,
        study_uid: str,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        origin: Origin = NOBODY,
        *,
        version: int = 0,
        who: str = "",
        why: str = NO_REASON,
    ) -> tuple[InstanceKey, ...]:
        """Show again what was deleted, or make object version `version` of an instance current, as an edit.

        Answers what is shown. Raises as `edit`.
        """
        uids = study_uid, series_uid, sop_uid
        return self._hidden_or_shown(EditKind.RESTORE, uids, origin, who, why, version)

    def _hidden_or_shown(
        self,
        kind: EditKind,
        uids: tuple[str, str | None, str | None],
        origin: Origin,
        who: str,
        why: str,
        version: int = 0,
        *,
        force: bool = False,
    ) -> tuple[InstanceKey, ...]:
        study, series, sop = uids
        target = Target(study=study, series=(series,) if series else (), instances=(sop,) if sop else ())
        done = self.edit(EditRequest(kind, target, why, who, version=version, force=force), origin)
        return tuple(entry.key for entry in done.act.entries)

    # --- edit ------------------------------------------------------------------------------------

    def edit(
        self, request: EditRequest, origin: Origin = NOBODY, progress: Progress = no_progress
    ) -> EditDone:
        """Do an edit, all or none of it; see `gantry.archive.edits`.

        Raises EditRefused, DataSetError for values that cannot be written, NotFound, Corrupt, ReadOnly,
        OutOfSpace, StorageError.
        """
        done = self._editor.edit(request, origin, progress)
        self._following.after(done)
        return done

    def reject_by(self, note: Location, codes: Container[str]) -> EditDone | None:
        """Hide what a note of rejection that came names; see `Editor.reject_by`."""
        return self._editor.reject_by(note, codes)

    def preview_edit(self, request: EditRequest, progress: Progress = no_progress) -> Preview:
        """What an edit would do. Raises as `edit`."""
        return self._editor.preview(request, progress)

    def revert_edit(
        self, number: int, *, who: str, why: str, origin: Origin = NOBODY, force: bool = False
    ) -> EditDone:
        """Undo an edit by another one; see `Editor.revert`. Raises as `edit`."""
        done = self._editor.revert(number, who, why, origin, force=force)
        self._following.after(done)
        return done

    def preview_revert(self, number: int, *, force: bool = False) -> Preview:
        """What undoing an edit would do. Raises as `edit`."""
        return self._editor.preview_revert(number, force=force)

    def edits(self, what: EditFilter = EVERYTHING, before: int = 0, limit: int = 100) -> list[EditRow]:
        """The history: edits with numbers below `before` (0: all), newest first."""
        return self.index.edits(what, before, limit)

    def edit_done(self, number: int) -> EditDone:
        """One edit with all that it did. Raises NotFound, Corrupt, StorageError."""
        self._committer.catch_up()
        return self._editor.done(number)

    # --- another form ----------------------------------------------------------------------------

    def replace(self, location: Location, chunks: Iterable[bytes], origin: Origin = NOBODY) -> Outcome:
        """Keep the same object in another form, as a new version that is current, whatever `same_uid` says.

        Refused as a conflict where `location` is not current any more. The earlier version stays.
        """
        self._committer.require_writable()
        self._space.claim(0)
        incoming = self._incoming(
            origin,
            Expectation(location.sop_class_uid, location.key.sop_uid),
            0,
            lambda one: self._keeper.replace(one, location.number),
        )
        try:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.finish()
        finally:
            incoming.abort()

    def let_go(self, gone: Sequence[Superseded], why: str, origin: Origin = NOBODY) -> int:
        """Remove the bytes of versions that can be made again; answers how many that freed.

        `why` is the written rule that says so. See `gantry.archive.let_go`.
        """
        return let_go(self._committer, self._disk, self._names, gone, why, origin)

    def let_go_entry(self, row: VersionRow) -> ActEntry:
        """What is needed to make a version again that was let go. Raises Corrupt, StorageError."""
        return let_go_entry(self._disk, row)

    def restore_version(self, key: InstanceKey, number: int, origin: Origin = NOBODY) -> None:
        """Make an earlier object version current again. Raises NotFound, ReadOnly, StorageError."""
        restore_version(self._committer, key, number, origin)

    def bring_back(self, key: InstanceKey, number: int, data: bytes) -> None:
        """Take back the bytes of a version that was let go. Raises NotFound, Corrupt, StorageError."""
        bring_back(self._committer, self._disk, key, number, data)

    # --- look over -------------------------------------------------------------------------------

    def verify(
        self,
        *,
        repair: bool = False,
        rows: bool = True,
        progress: Progress = no_progress,
        batch: Batch[Disk] | None = None,
        resume: bool = False,
    ) -> Report:
        """Hold all files and rows against each other; `repair` sets damage aside and makes the index anew.

        With `rows` False nothing holds commits up, and rows are not compared with what the files say. `batch`
        reads the objects, and with `resume` not those that were read before a former call was broken off.
        """
        self._committer.catch_up()
        return self._verifier.verify(repair=repair, rows=rows, progress=progress, batch=batch, resume=resume)

    def batch(self) -> AbstractContextManager[Batch[Disk]]:
        """Threads of this process, for work on many objects; see `gantry.archive.batch`."""
        return in_threads(self._disk)

    def versions_after(self, after: int) -> list[tuple[int, VersionRow]]:
        """See `Index.versions_after`."""
        return self.index.versions_after(after)

    def look_at(self, location: Location, pace: Pace) -> str | None:
        """Compare the file of an object with its digests, and refuse it to everybody if it is damaged.

        See `Scrubber.look`. Raises StorageError where that cannot be noted durably.
        """
        try:
            return self._scrubber.look(location, pace)
        except OSError as error:
            raise storage_error(error) from error

    def check_commitment(self, asked: Asked, pace: Pace) -> dict[int, int]:
        """Decide over a request for storage commitment; see `Checker.check`."""
        return self._checker.check(asked, pace)

    def damaged(self) -> Mapping[str, str]:
        """Paths of objects that are known to be damaged, and what is wrong with each."""
        return self._damage.all()

    def damaged_objects(self) -> list[Location]:
        """Those of them that can be healed. Raises StorageError."""
        return self._scrubber.damaged()

    def heal(self, location: Location, offer: Path) -> bool:
        """Take the file `offer` for a damaged object, if it has its bytes; see `Scrubber.heal`.

        Raises ReadOnly, OutOfSpace, StorageError.
        """
        return self._scrubber.heal(location, offer)

    def reindex(
        self, progress: Progress = no_progress, *, batch: Batch[Disk] | None = None, resume: bool = False
    ) -> Rebuilt:
        """Make the index anew from the folder alone; commits wait. Raises ReadOnly, StorageError.

        `batch` reads the objects; with `resume`, a former call that was broken off is gone on with.
        """
        with self._index_files.alone(), self._committer.alone():
            index = self._committer.index
            try:
                self._journal.catch_up(index)
                rebuilt = reindex(
                    self._disk,
                    self._index_files,
                    self._journal,
                    progress,
                    lambda: index.is_our_turn,
                    batch,
                    resume=resume,
                )
            except OSError as error:
                raise storage_error(error) from error
            self._committer.take_index(rebuilt.index)
        self._signal.committed(self._committer.last_change)
        return rebuilt

    def point(self) -> Point:
        """What there is at this moment, for a backup; see `gantry.archive.backup`. Raises StorageError."""
        return point(self._committer, self._disk)

    # --- among nodes -----------------------------------------------------------------------------

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may have the archive open as well."""
        return self._options.shared

    def lead(self) -> Lead | None:
        """Be the one node that does what one must do for all; None while another is. Raises StorageError."""
        return self._index_files.lead()

    def follow(self) -> int:
        """Hear of what other nodes did since this was called last; answers the number of the last change.

        Raises StorageError.
        """
        index = self._committer.index
        last, damage = index.heard()
        if damage != self._damage_heard:
            self.follow_damage()
            self._damage_heard = damage
        if last <= self._heard:
            return self._heard
        with self._hearing:
            while changes := index.changes(self._heard, _CHANGES_AT_ONCE):
                self._forget_copies(changes)
                self._bundles.changed(sorted({change.key for change in changes}), here=False)
                self._heard = changes[-1].seq
                self._signal.committed(self._heard)
            return self._heard

    def _forget_copies(self, changes: Sequence[Change]) -> None:
        """Have no copies of what was in the place of another node's objects before they were kept."""
        for change in changes:
            if (change.key, change.number) in self._ours:
                self._ours.discard((change.key, change.number))
                continue
            for aside in (False, True):
                self._disk.forget_copies(object_path(change.key, change.number, aside=aside))

    @property
    def is_current(self) -> bool:
        """Whether the index in use is the one, or another node has made it anew. Raises StorageError."""
        return self._index_files.is_current

    def follow_damage(self) -> None:
        """Hear of objects that other nodes found damaged, or healed. Raises StorageError."""
        try:
            turned = self._damage.reload()
        except OSError as error:
            raise storage_error(error) from error
        for path in turned:
            self.damage_state += 1
            name = parse_object_path(path)
            if name is not None:
                self._bundles.changed([InstanceKey(name.study, name.series, name.sop)])

    def write_journal(self) -> None:
        """Note when and from whom things came, for the one node that leads. Raises StorageError."""
        try:
            self._journal.follow_index(self._committer.index)
        except OSError as error:
            raise storage_error(error) from error

    # --- within ----------------------------------------------------------------------------------

    def _next_act(self) -> int:
        """The number of the next act, in an archive that is shared after those of all other nodes.

        Raises OSError where what the act before let go is still there: the next start looks no further.
        """
        remove_rest(self._committer, self._disk)
        if self._options.shared:
            index = self._committer.index
            index.take_acts()
            set_aside_orphan_acts(self._disk, index, self._clock)
            finish(self._disk, index)
            self._act_count = last_count(self._disk)
        self._act_count += 1
        return self._act_count

    def _turned(self, location: Location) -> None:
        self.damage_state += 1
        self._bundles.changed([location.key])

    def _tell_damage(self) -> None:
        try:
            self._committer.index.tell_damage(uuid.uuid4().hex)
        except StorageError as error:
            _log.warning("other nodes hear of damage a little later: %s", error)

    def _told(self, committed: Committed) -> None:
        self._journal.follow(self._committer.index, committed.changes, certain=committed.certain)
        if self._options.shared:
            if len(self._ours) > _OURS_AT_MOST:
                self._ours.clear()
            self._ours |= {(c.record.key, c.number) for c in committed.changes if isinstance(c, AddVersion)}
        keyed = [change for change in committed.changes if not isinstance(change, AddEdit)]
        self._bundles.changed([change_key(change) for change in keyed])
        self._signal.committed(committed.last_change)
