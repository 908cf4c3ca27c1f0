"""The log of arrivals: new objects become durable here first, several with one write and one flush.

An object that is small enough is written into the log whole, with all that it takes to keep it, and may be
acknowledged as soon as the flush returns. Its file and its row are made behind the acknowledgement
(`gantry.archive.commit`), and until both are durable the log holds it; a start that finds objects in the log
gives them their files and rows before anything else (`gantry.archive.settle`).

**Segments.** Two files are used in turn, each from its beginning again once all that stands in it is kept
elsewhere. A file that has been written through once is only ever overwritten, so that making a batch durable
is one flush, and no change of the file system's own books.

**Records.** A page of header, then the object's bytes, padded to a page. The header names the run that wrote
it and a number that goes up by one with each record, and holds a digest of itself; the object's own digests
prove its bytes. Reading ends at the first record that does not follow from the one before: what a crash
tore, and what is left of earlier rounds.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from gantry.archive.blobs.files import LOG, sync_file, sync_folders
from gantry.archive.blocks import Block
from gantry.archive.disk import BLOCK_BYTES, Buffer, Disk, LogFile, padded
from gantry.archive.received import Receipt, decode_receipt, encode_receipt
from gantry.archive.records import ObjectRecord
from gantry.errors import StorageError

SEGMENTS = (f"{LOG}/0", f"{LOG}/1")
SEGMENT_BYTES = 32 << 20
"""One segment: sixty slices, so that neither waits for the other while files are made behind."""

MOST_ENTRIES = 64
"""Objects written at once."""

_MAGIC = b"GantryL1"
# Magic, run, number, length of the object, where its Data Set begins, length of the facts, its two digests
_HEAD = struct.Struct("<8s16sQQQI32s32s")
_DIGEST_BYTES = 32
_PAGE_OF_ZEROS = mmap.mmap(-1, BLOCK_BYTES)


class LogFull(StorageError):
    """Both segments hold objects that are not kept elsewhere yet, or the batch is larger than a segment."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object to be logged: what is to be known of it again, and its bytes, padded with zeros in `block`.

    `receipt` says under which path, number, time and origin it is to be kept.
    """

    receipt: Receipt
    record: ObjectRecord
    block: Block


@dataclass(frozen=True, slots=True)
class Logged:
    """An object that was found in the log, whole."""

    receipt: Receipt
    content: bytes
    dataset_sha256: bytes


class ArrivalLog:
    """The log of one archive folder. One thread at a time; `release` may be called from any.

    It begins empty: what an earlier run left has been read by `logged_objects`, and is passed over by
    `forget`.
    """

    def __init__(self, disk: Disk, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.segment_bytes = segment_bytes
        self._disk = disk
        self._run = uuid.uuid4().bytes
        self._pages = memoryview(mmap.mmap(-1, MOST_ENTRIES * BLOCK_BYTES))
        self._number = 0
        self._files: list[LogFile | None] = [None, None]
        self._current = 0
        self._end = 0
        self._lock = threading.Lock()
        # Objects of each segment that are kept nowhere else
        self._held = [0, 0]

    def append(self, entries: Sequence[Entry]) -> int:
        """Make the objects durable; answers the segment, to be named to `release` once for each.

        Raises LogFull, OSError, SyncFailed; then nothing of it counts, and what was written is written over.
        """
        buffers: list[Buffer] = []
        size = 0
        # A view of a block keeps it from being given back, so each is let go of here
        views: list[memoryview] = []
        try:
            for place, entry in enumerate(entries):
                page = self._pages[place * BLOCK_BYTES : (place + 1) * BLOCK_BYTES]
                page[:] = _header(self._run, self._number + 1 + place, entry)
                length = padded(entry.record.file_size)
                views.append(memoryview(entry.block)[:length])
                buffers += (page, views[-1])
                size += BLOCK_BYTES + length
            segment = self._room_for(size)
            file = self._file(segment)
            file.write_at(self._end, buffers)
            sync_file(file)
        finally:
            for view in views:
                view.release()
        self._end += size
        self._number += len(entries)
        with self._lock:
            self._held[segment] += len(entries)
        return segment

    def release(self, segment: int) -> None:
        """One object of a segment is kept elsewhere, durably."""
        with self._lock:
            self._held[segment] -= 1

    def close(self) -> None:
        """Let go of the files; what they hold is passed over from now on where all of it is kept."""
        for segment, file in enumerate(self._files):
            if file is not None:
                if not any(self._held):
                    # Otherwise the next start only looks at what is kept anyway.
                    with suppress(OSError):
                        _forget(file)
                file.close()
                self._files[segment] = None

    def _room_for(self, size: int) -> int:
        if size > self.segment_bytes:
            raise LogFull(f"a batch of {size} bytes")
        if self._end + size > self.segment_bytes:
            if self._held[1 - self._current]:
                raise LogFull("objects in both segments wait to be kept")
            self._current, self._end = 1 - self._current, 0
        return self._current

    def _file(self, segment: int) -> LogFile:
        file = self._files[segment]
        if file is None:
            file = self._files[segment] = self._disk.open_log(SEGMENTS[segment])
            sync_folders(self._disk, [LOG])
        return file


def logged_objects(disk: Disk) -> Iterator[Logged]:
    """The objects in the log of the last run, in the order in which they came. Raises OSError."""
    segments = [name for name in SEGMENTS if disk.exists(name)]
    for name in sorted(segments, key=lambda name: _first_number(disk, name)):
        yield from _objects_in(disk, name)


def forget(disk: Disk) -> None:
    """Pass over what the log holds: all of it is kept elsewhere, durably. Raises OSError."""
    for name in SEGMENTS:
        if disk.exists(name) and _first_number(disk, name):
            file = disk.open_log(name)
            try:
                _forget(file)
            finally:
                file.close()


def _forget(file: LogFile) -> None:
    file.write_at(0, [_PAGE_OF_ZEROS])
    sync_file(file)


def _header(run: bytes, number: int, entry: Entry) -> bytes:
    record = entry.record
    facts = encode_receipt(entry.receipt, number)
    content = _HEAD.pack(
        _MAGIC, run, number, record.file_size, record.dataset_offset, len(facts),
        record.meta_sha256, record.dataset_sha256,
    ) + facts  # fmt: skip
    room = BLOCK_BYTES - _DIGEST_BYTES - len(content)
    if room < 0:
        raise LogFull(f"{len(content)} bytes of header")
    return content + bytes(room) + hashlib.sha256(content).digest()


@dataclass(frozen=True, slots=True)
class _Header:
    run: bytes
    number: int
    size: int
    dataset_offset: int
    meta_sha256: bytes
    dataset_sha256: bytes
    receipt: Receipt


def _read_header(page: bytes) -> _Header | None:
    if len(page) < BLOCK_BYTES:
        return None
    magic, run, number, size, offset, length, meta, dataset = _HEAD.unpack_from(page)
    end = _HEAD.size + length
    if magic != _MAGIC or end > BLOCK_BYTES - _DIGEST_BYTES:
        return None
    if hashlib.sha256(page[:end]).digest() != page[-_DIGEST_BYTES:]:
        return None
    try:
        receipt = decode_receipt(page[_HEAD.size : end])
    except msgspec.DecodeError:
        return None
    return _Header(run, number, size, offset, meta, dataset, receipt)


def _first_number(disk: Disk, name: str) -> int:
    """The number of the first record of a segment; 0 where there is none."""
    header = _read_header(disk.read_at(name, 0, BLOCK_BYTES))
    return header.number if header is not None else 0


def _objects_in(disk: Disk, name: str) -> Iterator[Logged]:
    position, before = 0, None
    while (header := _read_header(disk.read_at(name, position, BLOCK_BYTES))) is not None:
        if before is not None and (header.run, header.number) != (before.run, before.number + 1):
            return
        content = disk.read_at(name, position + BLOCK_BYTES, header.size)
        if not _is_whole(header, content):
            return
        yield Logged(header.receipt, content, header.dataset_sha256)
        position += BLOCK_BYTES + padded(header.size)
        before = header


def _is_whole(header: _Header, content: bytes) -> bool:
    view, offset = memoryview(content), header.dataset_offset
    return (
        len(content) == header.size
        and hashlib.sha256(view[:offset]).digest() == header.meta_sha256
        and hashlib.sha256(view[offset:]).digest() == header.dataset_sha256
    )
