"""Take an object in: check it whole, describe it, make it durable, commit it.

Nothing a sender says is believed before the bytes were walked to their end. Bytes are never changed: an
object is kept as it came, File Meta Information included, or refused with tag and offset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gantry.archive.beside import beside
from gantry.archive.blobs.files import INCOMING, SyncFailed
from gantry.archive.blocks import MEMORY_LIMIT
from gantry.archive.commit.arrival import Arrival, outcome_of
from gantry.archive.commit.committer import Committer
from gantry.archive.describe import describe
from gantry.archive.disk import Buffer, Disk, read_through, unmap, write_all
from gantry.archive.incoming import Expectation, Incoming, refusal_for, refusal_of
from gantry.archive.outcome import Outcome, Reason, Refused
from gantry.archive.records import InstanceKey, ObjectRecord, Origin
from gantry.dataset.deflate import inflate
from gantry.dataset.part10 import FileMeta, read_file_meta
from gantry.dataset.scan import DataSet, scan
from gantry.errors import DataSetError, PeerError, StorageError
from gantry.standard.transfer_syntaxes import transfer_syntax
from gantry.standard.uids import is_tolerated_uid

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E

MAX_SHORT_TEXT_BYTES = 1 << 20
"""Bytes of one value of a VR that holds short text (B38): a name of a megabyte is an attack or a fault."""
_SHORT_TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI"})

_BLOCK = 1 << 20
_INFLATED_IN_MEMORY = 8 << 20
NOTHING_EXPECTED = Expectation()
_NOT_YET = datetime(1, 1, 1, tzinfo=UTC)


_digests = ThreadPoolExecutor(4, thread_name_prefix="gantry-digest")
"""Digests are computed beside everything else: they are half of what an object costs, and need no Python."""


class Unfit(PeerError):
    """Bytes that are no object to be kept; `refusal` says why."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Keeper:
    """What it takes to keep an object."""

    disk: Disk
    committer: Committer
    names: Iterator[int]

    def keep(self, incoming: Incoming) -> Outcome:
        """Check one arrival and keep it. Blocks until durable."""
        prepared = self.prepare(incoming)
        if not isinstance(prepared, Arrival):
            return prepared
        return self.committer.commit([prepared])[0]

    def replace(self, incoming: Incoming, number: int) -> Outcome:
        """Keep an arrival as the current version, which is version `number` in another form.

        Refused as a conflict where that is not current any more. Blocks until durable.
        """
        prepared = self.prepare(incoming, replaces=number)
        if not isinstance(prepared, Arrival):
            return prepared
        return self.committer.commit([prepared])[0]

    def keep_many(self, incoming: Sequence[Incoming]) -> list[Outcome]:
        """Check several arrivals and keep them in one commit. Blocks until durable."""
        try:
            prepared = [self.prepare(one) if one.refusal is None else one.refusal for one in incoming]
            self.committer.commit([one for one in prepared if isinstance(one, Arrival)])
            return [outcome_of(one) if isinstance(one, Arrival) else one for one in prepared]
        finally:
            for one in incoming:
                one.abort()

    def prepare(self, incoming: Incoming, *, replaces: int | None = None) -> Arrival | Outcome:
        """Check one arrival, ready to be committed; else what became of it.

        The bytes of a large one are durable then, and mostly where they belong; a small one's are still in
        memory. `replaces` as in `Arrival`.
        """
        try:
            content = incoming.content()
        except OSError as error:
            return refusal_for(error)
        try:
            return self._prepare(incoming, content, replaces)
        except Unfit as unfit:
            return unfit.refusal
        except SyncFailed as error:
            self.committer.stop_writing(str(error))
            return Refused(Reason.READ_ONLY, self.committer.read_only)
        except OSError as error:
            return refusal_for(error)
        except StorageError as error:
            return refusal_of(error)
        finally:
            unmap(content)

    def refer(self, path: str, origin: Origin) -> Outcome:
        """Keep an object where it lies, outside of the folder: only an act says that it is there."""
        try:
            record = examine_file(self.disk, path, f"{INCOMING}/referred-{next(self.names)}", origin)
        except Unfit as unfit:
            return unfit.refusal
        except OSError as error:
            return Refused(Reason.STORAGE, f"{Reason.STORAGE.value} ({error.strerror})")
        return self.committer.commit([Arrival(record.placed(path, record.received_at), None)])[0]

    def _prepare(self, incoming: Incoming, content: Buffer, replaces: int | None) -> Arrival | Outcome:
        with opened(self.disk, incoming.name, content, incoming.dataset_sha256) as found:
            found.check(incoming.expectation)
            if not incoming.is_spooled:
                unknown_at = self.committer.unknown_at(found.key)
                record = found.digested(found.describe(incoming.origin))
            elif self.committer.may_be_kept(found.key):
                record = found.digested(found.describe(incoming.origin))
                unchanged = self.committer.already_kept(record)
                if unchanged is not None:
                    return unchanged
                incoming.settle()
            else:
                # The disk writes while we describe, and the digest is waited for last.
                record = found.describe(incoming.origin)
                incoming.settle()
                record = found.digested(record)
        if incoming.is_spooled:
            self.committer.send_ahead(incoming.name, record, replaces=replaces is not None)
            return Arrival(record, incoming.name, replaces=replaces)
        return Arrival(record, None, incoming.take_block(), unknown_at, replaces=replaces)


@dataclass(frozen=True, slots=True)
class Found:
    """An object that was read to its end: its bytes, and what they are; their digest is being computed."""

    content: Buffer
    meta: FileMeta
    ds: DataSet
    key: InstanceKey
    sop_class_uid: str
    digesting: Future[bytes] | bytes

    def check(self, expectation: Expectation) -> None:
        """Hold it against what was announced, and against the limits. Raises Unfit."""
        try:
            _check_expectation(expectation, self.meta, self.key, self.sop_class_uid)
            _check_texts(self.ds)
        except Unfit as unfit:
            raise Unfit(replace(unfit.refusal, key=self.key, sop_class_uid=self.sop_class_uid)) from None

    def describe(self, origin: Origin) -> ObjectRecord:
        """The record of it without path and time, which the commit gives it, and not `digested` yet."""
        return describe(
            self.meta,
            self.ds,
            key=self.key,
            file_size=len(self.content),
            meta_sha256=hashlib.sha256(self.content[: self.meta.dataset_offset]).digest(),
            dataset_sha256=self.digesting if isinstance(self.digesting, bytes) else b"",
            origin=origin,
            received_at=_NOT_YET,
        )

    def digested(self, record: ObjectRecord) -> ObjectRecord:
        """The record with the digest of the Data Set, once there is one."""
        if isinstance(self.digesting, bytes):
            return record
        return replace(record, dataset_sha256=self.digesting.result())


@contextmanager
def opened(disk: Disk, name: str, content: Buffer, dataset_sha256: bytes | None = None) -> Iterator[Found]:
    """Read an object to its end; `name` is free for temporary files beside it. Raises Unfit, OSError.

    `dataset_sha256` is the digest of the Data Set where it is known already.
    """
    meta = _file_meta(content)
    digesting = dataset_sha256 or beside(_digests, _digest, content, meta.dataset_offset)
    inflated = _Inflated(disk, f"{name}.inflated", content, meta.dataset_offset)
    try:
        ds = _data_set(content, meta, inflated)
        yield Found(content, meta, ds, *_identify(ds), digesting)
    finally:
        inflated.close()
        if not isinstance(digesting, bytes):
            digesting.exception()  # nobody may let go of the content before


def _data_set(content: Buffer, meta: FileMeta, inflated: _Inflated) -> DataSet:
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    if syntax.deflated:
        return inflated.data_set(meta)
    try:
        return scan(content, syntax, offset=meta.dataset_offset)
    except DataSetError as error:
        raise _unreadable(error) from error


def examine_file(disk: Disk, path: str, name: str, origin: Origin) -> ObjectRecord:
    """Describe an object that lies at `path`; `name` is free for temporary files. Raises Unfit, OSError."""
    content = disk.map(path)
    try:
        with opened(disk, name, content) as found:
            found.check(NOTHING_EXPECTED)
            return found.digested(found.describe(origin))
    finally:
        unmap(content)
        # It may have no row, and then another process may put another object in its place
        disk.forget_copies(path)


def _file_meta(content: Buffer) -> FileMeta:
    try:
        meta = read_file_meta(content)
    except DataSetError as error:
        raise Unfit(Refused(Reason.NOT_PART10, str(error), error.tag, error.offset)) from error
    if not meta.transfer_syntax_uid:
        raise Unfit(
            Refused(Reason.NOT_PART10, "the File Meta Information names no Transfer Syntax", 0x00020010)
        )
    return meta


def _unreadable(error: DataSetError) -> Unfit:
    return Unfit(Refused(Reason.NOT_A_DATA_SET, str(error), error.tag, error.offset))


def _identify(ds: DataSet) -> tuple[InstanceKey, str]:
    """The UIDs that every composite object has (PS3.3 C.7.2.1, C.7.3.1, C.12.1)."""
    sop_class_uid = _uid(ds, SOP_CLASS_UID, "SOP Class UID")
    sop_uid = _uid(ds, SOP_INSTANCE_UID, "SOP Instance UID")
    study_uid = _uid(ds, STUDY_INSTANCE_UID, "Study Instance UID")
    series_uid = _uid(ds, SERIES_INSTANCE_UID, "Series Instance UID")
    return InstanceKey(study_uid, series_uid, sop_uid), sop_class_uid


def _uid(ds: DataSet, tag: int, name: str) -> str:
    element = ds.elements.get(tag)
    offset = element[2] if element else None
    # Padded by NUL (PS3.5 9.1), by a space by many devices; nothing else is taken off.
    uid = ds.raw(tag).decode("latin-1").rstrip("\0 ") if element is not None else ""
    if not uid:
        raise Unfit(
            Refused(Reason.MISSING_UID, f"{name} is {'empty' if element else 'missing'}", tag, offset)
        )
    if not is_tolerated_uid(uid):
        message = f"{name} of {len(uid)} characters holds others than digits and dots, or more than 64"
        raise Unfit(Refused(Reason.BAD_UID, message, tag, offset))
    return uid


def _check_expectation(
    expectation: Expectation, meta: FileMeta, key: InstanceKey, sop_class_uid: str
) -> None:
    """What was announced, the File Meta Information and the Data Set must name one object (B29, B30, B64).

    A file that comes unannounced may contradict itself in its meta information, as many that were edited do:
    the Data Set says what it is, and the file is kept as it came.
    """
    meta_class, meta_instance = meta.media_storage_sop_class_uid, meta.media_storage_sop_instance_uid
    for expected, found, reason, tag in (
        (expectation.sop_class_uid, (sop_class_uid, meta_class), Reason.SOP_CLASS_MISMATCH, SOP_CLASS_UID),
        (
            expectation.sop_instance_uid,
            (key.sop_uid, meta_instance),
            Reason.SOP_INSTANCE_MISMATCH,
            SOP_INSTANCE_UID,
        ),
        (expectation.study_uid, (key.study_uid,), Reason.STUDY_MISMATCH, STUDY_INSTANCE_UID),
    ):
        if expected is not None and not {*found, expected} <= {expected, ""}:
            raise Unfit(Refused(reason, reason.value, tag))
    begin = expectation.dataset_offset
    if begin is not None and begin != meta.dataset_offset:
        message = f"{Reason.NOT_A_DATA_SET.value}: it begins with elements of group 0002"
        raise Unfit(Refused(Reason.NOT_A_DATA_SET, message, 0x00020000, begin))


def _check_texts(ds: DataSet) -> None:
    for tag, vr, offset, length, _ in ds.elements.values():
        if length > MAX_SHORT_TEXT_BYTES and vr in _SHORT_TEXT_VRS:
            message = f"a value of {length} bytes in an element of VR {vr}"
            raise Unfit(Refused(Reason.TOO_LARGE, message, tag, offset))


def _digest(content: Buffer, offset: int) -> bytes:
    """SHA-256 from `offset` to the end, in blocks: a mapped file is never in memory as a whole (N16)."""
    digest = hashlib.sha256()
    if len(content) - offset <= MEMORY_LIMIT:
        with memoryview(content) as view:
            digest.update(view[offset:])
        return digest.digest()
    for block in read_through(content, offset, _BLOCK):
        digest.update(block)
    return digest.digest()


class _Inflated:
    """A deflated Data Set (PS3.5 A.5) inflated for reading: in memory while small, else in a file."""

    def __init__(self, disk: Disk, name: str, content: Buffer, offset: int) -> None:
        self._disk = disk
        self._name = name
        self._content = content
        self._offset = offset
        self._mapped: Buffer | None = None

    def data_set(self, meta: FileMeta) -> DataSet:
        """The Data Set. Raises Unfit for one that is corrupt, or a bomb (B51, B52)."""
        try:
            buffer = self._buffer(inflate(read_through(self._content, self._offset, _BLOCK)))
            return scan(buffer, transfer_syntax(meta.transfer_syntax_uid))
        except DataSetError as error:
            raise _unreadable(error) from error

    def close(self) -> None:
        if self._mapped is not None:
            unmap(self._mapped)

    def _buffer(self, pieces: Iterator[bytes]) -> Buffer:
        held: list[bytes] = []
        size = 0
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > _INFLATED_IN_MEMORY:
                return self._spooled(held, pieces)
        return b"".join(held)

    def _spooled(self, held: list[bytes], pieces: Iterator[bytes]) -> Buffer:
        file = self._disk.create(self._name)
        try:
            write_all(file, held)
            for piece in pieces:
                write_all(file, [piece])
            self._mapped = self._disk.map(self._name)
        finally:
            file.close()
            self._disk.unlink(self._name)
        return self._mapped
