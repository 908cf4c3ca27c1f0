"""When each version came, and from whom: a plain journal beside the objects.

The objects themselves tell everything but the order in which they came, the time, and who brought them.
That is kept here, one line of JSON for each version (objects, deletions, restorations), numbered from 1
without gaps in the order of their commits, 10,000 lines a file. ``reindex`` reads it, so that the new index
equals the old one (N12).

A line is written after its commit and not synced at once: the index holds the same facts, durably, and what
a power cut takes from the end of the journal is written again from the index at the next start. Only
losing power and index together loses some times and origins, never an object.

The count of lines is also how a start sees at no cost that an index is older than its folder (B80).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from itertools import islice

import msgspec

from gantry.archive.blobs.files import INCOMING, RECEIVED, replace_durably, sync_file, sync_folders
from gantry.archive.disk import Disk, OpenFile, write_all
from gantry.archive.index import AddEdit, AddRestore, AddTombstone, AddVersion, Index, IndexChange, VersionRow
from gantry.archive.index.protocol import LetGo, VersionChange
from gantry.archive.records import InstanceKey, Origin
from gantry.errors import StorageError

_log = logging.getLogger(__name__)

LINES_PER_FILE = 10_000
_LINES_PER_SYNC = 1_000
_LINES_TOGETHER = 1_000
"""Lines in one write: a part of a file, so that none goes beyond it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One version as the journal tells it; `number` is that of the version, `n` that of the line.

    `path` is the object's, or the act's.
    """

    n: int
    key: InstanceKey
    number: int
    at: datetime
    origin: Origin
    path: str


class _Line(msgspec.Struct, array_like=True):
    n: int
    study: str
    series: str
    sop: str
    number: int
    at: datetime
    path: str
    aet: str
    peer: str
    via: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Line)


class Journal:
    """The journal of one archive folder. For the one committer only."""

    def __init__(self, disk: Disk, *, shared: bool = False) -> None:
        self._disk = disk
        self._file: OpenFile | None = None
        self._unsynced = 0
        # Of an archive that others write to as well, only the index knows what the journal should hold
        self._shared = shared
        self._behind = shared
        self.count = 0
        if not shared:
            self.recover()

    def note(self, changes: Sequence[IndexChange]) -> None:
        """Add a line for each change that was committed.

        Raises OSError. What was written then is unknown: `recover` finds out, before anything else is added.
        """
        self.add(Receipt(0, *_facts(change)) for change in changes if not isinstance(change, LetGo | AddEdit))

    def follow(self, index: Index, changes: Sequence[IndexChange], *, certain: bool = True) -> None:
        """Note what was just committed; after a disk that refused, all that it missed, from the index.

        Not `certain`: the index alone knows whether it was committed, and is asked another time.
        """
        if self._shared:
            return  # see `follow_index`
        try:
            if not certain:
                self._behind = True
            elif self._behind:
                self.catch_up(index)
            else:
                self.note(changes)
        except (OSError, StorageError) as error:
            self._behind = True
            _log.warning("the journal of received objects could not be written: %s", error)

    def catch_up(self, index: Index) -> None:
        """Note all that a failing disk made it miss, or that came by others. Raises OSError, StorageError."""
        if self._behind:
            self.recover()
            self.add_rows(rows_after(index, self.count))
            self._behind = False
        if self._shared:
            self.sync()
            self.close()
            self._behind = True

    def follow_index(self, index: Index) -> None:
        """Note, durably, what came since it was last called, by whomever; for the one node that leads.

        Raises OSError, StorageError; then it begins anew the next time.
        """
        behind, self._behind = self._behind, True
        if behind:
            self.recover()
        missing = rows_after(index, self.count)
        if missing:
            self.add_rows(missing)
            self.sync()
        self._behind = False

    def told(self) -> int:
        """How many lines there are, without changing any. Raises OSError."""
        names = self._names()
        if not names:
            return 0
        return _run(self._disk.read(names[-1]), _first(names[-1]))[0]

    def shut(self) -> None:
        """Make the journal durable if the disk will, and let go of it."""
        try:
            self.sync()
        except OSError as error:
            _log.warning("the journal of received objects could not be synced: %s", error.strerror)
        self.close()

    def add_rows(self, rows: Iterable[VersionRow]) -> None:
        """Add what the index holds and the journal does not. Raises OSError."""
        self.add(Receipt(0, row.key, row.number, row.at, row.origin, _path(row)) for row in rows)

    def add(self, receipts: Iterable[Receipt]) -> None:
        """Add lines, numbered on from the last. Raises OSError."""
        rest = iter(receipts)
        # One piece at a time: of a rebuild they are all that there are
        while some := list(islice(rest, _LINES_TOGETHER - self.count % _LINES_TOGETHER)):
            if self._file is None or self.count % LINES_PER_FILE == 0:
                self._next_file()
            assert self._file is not None
            lines = [encode_receipt(receipt, self.count + i) for i, receipt in enumerate(some, 1)]
            write_all(self._file, [b"".join(lines)])
            self.count += len(some)
            self._unsynced += len(some)
        if self._unsynced >= _LINES_PER_SYNC:
            self.sync()

    def read(self) -> Iterator[Receipt]:
        """All lines, oldest first."""
        for name in self._names():
            for line, _ in _whole_lines(self._disk.read(name)):
                yield _receipt(line)

    def rewrite(self, receipts: Iterable[Receipt]) -> None:
        """Replace the journal by these lines, numbered anew. Raises OSError."""
        self.close()
        for name in self._names():
            self._disk.unlink(name)
        self.count = 0
        self.add(receipts)
        self.sync()

    def rewrite_from(self, index: Index) -> None:
        """Replace the journal by what the index holds. Raises OSError."""
        self.rewrite(
            Receipt(0, row.key, row.number, row.at, row.origin, _path(row)) for row in index.all_versions()
        )

    def sync(self) -> None:
        """Make the journal durable. Raises OSError."""
        if self._file is not None:
            sync_file(self._file)
            sync_folders(self._disk, [RECEIVED])
        self._unsynced = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _names(self) -> list[str]:
        return [f"{RECEIVED}/{e.name}" for e in self._disk.list_folder(RECEIVED) if not e.is_folder]

    def _next_file(self) -> None:
        if self._file is not None:
            self.sync()
            self.close()
        self._file = self._disk.append(f"{RECEIVED}/{self.count // LINES_PER_FILE:08}.jsonl")

    def recover(self) -> None:
        """Count the lines, and cut off what a crash or a failed write left at the end. Raises OSError."""
        self.close()
        self.count = 0
        names = self._names()
        while names:
            name = names.pop()
            data, first = self._disk.read(name), _first(name)
            last, end = _run(data, first)
            if last >= first:
                self.count = last
                if end < len(data):
                    self._replace(name, data[:end])
                return
            self._disk.unlink(name)

    def _replace(self, name: str, lines: bytes) -> None:
        replace_durably(self._disk, f"{INCOMING}/journal", name, [lines])


def rows_after(index: Index, count: int) -> list[VersionRow]:
    """The rows that the index noted after its first `count`, in their order.

    Each version is one entry of the feed, so these are its last ones; where numbers were skipped, all are
    read.
    """
    stats = index.stats()
    missing = stats.versions - count
    changes = index.changes(stats.last_change - missing, missing) if missing > 0 else []
    if len(changes) != max(missing, 0):
        return list(islice(index.all_versions(), count, None))
    return [next(row for row in index.versions(c.key) if row.number == c.number) for c in changes]


def _whole_lines(data: bytes) -> Iterator[tuple[_Line, int]]:
    """The whole lines at the beginning of `data` one by one, each with the offset at which it ends."""
    end = 0
    for text in BytesIO(data):
        if not text.endswith(b"\n"):
            return
        try:
            line = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        end += len(text)
        yield line, end


def _first(name: str) -> int:
    """The number of the first line of a file."""
    return int(name.rpartition("/")[2].partition(".")[0]) * LINES_PER_FILE + 1


def _run(data: bytes, first: int) -> tuple[int, int]:
    """The number of the last line that follows from line `first` at the beginning, and where it ends."""
    last, end = first - 1, 0
    for line, stop in _whole_lines(data):
        if line.n != last + 1:
            break
        last, end = line.n, stop
    return last, end


def encode_receipt(receipt: Receipt, n: int = 0) -> bytes:
    """`receipt` as line number `n`."""
    origin = receipt.origin
    line = _Line(
        n, *receipt.key, receipt.number, receipt.at, receipt.path, origin.source_aet, origin.peer, origin.via
    )
    return _encoder.encode(line) + b"\n"


def decode_receipt(line: bytes) -> Receipt:
    """The receipt that `encode_receipt` wrote. Raises msgspec.DecodeError."""
    return _receipt(_decoder.decode(line))


def receipts_in(data: bytes) -> list[Receipt]:
    """The whole lines at the beginning of `data`."""
    return [_receipt(line) for line, _ in _whole_lines(data)]


def _receipt(line: _Line) -> Receipt:
    return Receipt(
        line.n,
        InstanceKey(line.study, line.series, line.sop),
        line.number,
        line.at,
        Origin(line.aet, line.peer, line.via),
        line.path,
    )


def _path(row: VersionRow) -> str:
    return row.location.path if row.location is not None else row.act


def _facts(change: VersionChange) -> tuple[InstanceKey, int, datetime, Origin, str]:
    match change:
        case AddVersion(record=record, number=number):
            return record.key, number, record.received_at, record.origin, record.path
        case AddTombstone() | AddRestore():
            return change.key, change.number, change.at, change.origin, change.act
