"""What rendering needs of a stored object: the header of each frame, its bytes, its times, words to burn in.

Headers are kept by object and frame. An object that is costly to read again, enhanced with its thousands of
Items or deflated, stays open for a while with its functional groups; all others are open only as long as one
header is read. Everything here blocks and belongs into a thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from gantry.archive.archive import Archive
from gantry.archive.frames import StoredFrames, locate_pixels
from gantry.archive.records import Location
from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError, NotFound
from gantry.pixels.cine import frame_durations_ms
from gantry.pixels.display.notes import patient_lines, technique_lines
from gantry.pixels.functional_groups import FunctionalGroups
from gantry.pixels.image import ImageHeader
from gantry.pixels.video import VideoFrame
from gantry.server.kept import Kept
from gantry.server.videos import video_frame
from gantry.standard.transfer_syntaxes import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, is_video, transfer_syntax

HEADERS_BYTES = 64 << 20
"""Headers kept: some 30,000 plain ones, fewer where they hold overlays or lookup tables."""

MAX_OPEN = 8
"""Costly objects kept open: a mapping and the Items read so far, some kilobytes for each frame."""

_REPRESENTATIVE_FRAME = 0x00286010
_INSTANCE_NUMBER = 0x00200013
_POSITION, _ORIENTATION = 0x00200032, 0x00200037


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What an object says of itself besides its pixels: the frame that stands for it, where it is in its
    series, and lines for its picture. `instance_number` is None and the two others are empty where it says
    nothing.
    """

    representative_frame: int | None
    instance_number: int | None
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    patient: tuple[str, ...]
    technique: tuple[str, ...]


class Images:
    """Headers and frames of the objects of an archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._headers = Kept[ImageHeader](HEADERS_BYTES, _weight)
        self._facts = Kept[ObjectFacts](4096, lambda _: 1)
        self._open: OrderedDict[bytes, _Object] = OrderedDict()
        self._lock = threading.Lock()

    def must_be_opened(self, location: Location) -> bool:
        """Whether only the object itself tells how many frames it has."""
        return location.pixel is None and _is_deflated(location)

    def frame_count(self, location: Location) -> int:
        """How many frames can be shown; 0 for what is no image, and where frames cannot be told apart."""
        if location.pixel is None and not _is_deflated(location):
            return 0
        try:
            return self._table(location).count
        except NotFound:
            return 0

    def header(self, location: Location, frame: int) -> ImageHeader:
        """The header of a frame, from 1. Raises DataSetError, Corrupt."""
        key = (location.identity, frame)
        header = self._headers.get(key)
        if header is None:
            with self._opened(location) as held:
                header = ImageHeader.from_dataset(held.ds, frame, held.groups)
            self._headers.put(key, header)
        return header

    def frame(self, location: Location, frame: int) -> bytes:
        """The stored bytes of a frame, its first pixel at the first bit. Raises NotFound, Corrupt.

        DataSetError for a video, no frame of which has bytes of its own.
        """
        if is_video(location.transfer_syntax_uid):
            raise DataSetError("a frame of a video is not shown by a presentation state", tag=0x7FE00010)
        if location.pixel is None and _is_deflated(location):
            with self._opened(location) as held:
                table = held.table()
                spans = table.spans(frame)
                data = b"".join(bytes(held.ds.buffer[offset : offset + length]) for offset, length in spans)
            return table.from_first_bit(frame, data)
        table = self._archive.frames(location)
        if table.first_bit(frame) and not transfer_syntax(location.transfer_syntax_uid).little_endian:
            raise DataSetError(
                "frames of single bits within words of big endian are not shown", tag=0x7FE00010
            )
        return self._archive.read_frame(location, frame)

    def video_frame(self, location: Location, frame: int) -> VideoFrame:
        """A frame of a video, as a decoder takes it. Raises NotFound, DataSetError."""
        return video_frame(self._archive, location, frame)

    def facts(self, location: Location) -> ObjectFacts:
        """What the object says of itself. Raises Corrupt."""
        facts = self._facts.get(location.identity)
        if facts is None:
            with self._opened(location) as held:
                facts = _facts(held.ds)
            self._facts.put(location.identity, facts)
        return facts

    def durations_ms(self, location: Location) -> tuple[float, ...]:
        """How long each frame stands, in milliseconds. Raises NotFound, Corrupt."""
        count = self.frame_count(location)
        with self._opened(location) as held:
            return frame_durations_ms(held.ds, count)

    def _table(self, location: Location) -> StoredFrames:
        if location.pixel is not None:
            return self._archive.frames(location)
        with self._opened(location) as held:
            return held.table()

    @contextmanager
    def _opened(self, location: Location) -> Iterator[_Object]:
        """The object, open, and for this thread alone."""
        key = location.identity
        while True:
            with self._lock:
                held = self._open.setdefault(key, _Object())
            with held.lock:
                if held.is_over:
                    continue  # closed between our finding it and its turn
                try:
                    held.open(self._archive, location)
                    yield held
                finally:
                    self._put_back(key, held)
                return

    def _put_back(self, key: bytes, held: _Object) -> None:
        """Keep it for the next one if it is costly, and close what is in excess; others are closed now."""
        with self._lock:
            if self._open.get(key) is not held:
                return  # pushed out meanwhile: whoever did that waits to close it
            if not held.is_costly:
                del self._open[key]
                held.close()
                return
            self._open.move_to_end(key)
            excess = None if len(self._open) <= MAX_OPEN else self._open.popitem(last=False)[1]
        if excess is not None:
            with excess.lock:
                excess.close()


class _Object:
    """One object, open from when it is first asked for until it is over; its lock is for whoever reads it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_over = False
        self.is_costly = False
        self._stack: ExitStack | None = None
        self._ds: DataSet | None = None
        self._groups: FunctionalGroups | None = None
        self._table: StoredFrames | None = None

    @property
    def ds(self) -> DataSet:
        assert self._ds is not None
        return self._ds

    @property
    def groups(self) -> FunctionalGroups:
        assert self._groups is not None
        return self._groups

    def open(self, archive: Archive, location: Location) -> None:
        """Open it unless it is. Raises Corrupt, StorageError."""
        if self._ds is None:
            self._stack = ExitStack()
            self._ds = self._stack.enter_context(archive.dataset(location))
            self._groups = FunctionalGroups(self._ds)
            self.is_costly = self._groups.is_enhanced or _is_deflated(location)

    def table(self) -> StoredFrames:
        """Where the frames are in the buffer of `ds`. Raises NotFound where there are none."""
        if self._table is None:
            pixel = locate_pixels(self.ds)
            if pixel is None:
                raise NotFound("the object has no pixels")
            self._table = StoredFrames.decode(pixel)
        return self._table

    def close(self) -> None:
        """Let go of it for good."""
        self.is_over = True
        self._ds = self._groups = None
        if self._stack is not None:
            self._stack.close()


def _is_deflated(location: Location) -> bool:
    return location.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN


def _facts(ds: DataSet) -> ObjectFacts:
    frame, number = ds.ints(_REPRESENTATIVE_FRAME), ds.ints(_INSTANCE_NUMBER)
    return ObjectFacts(
        frame[0] if frame else None,
        number[0] if number else None,
        tuple(ds.floats(_POSITION)),
        tuple(ds.floats(_ORIENTATION)),
        patient_lines(ds),
        technique_lines(ds),
    )


def _weight(header: ImageHeader) -> int:
    tables = [header.modality_lut, header.presentation_lut, *header.voi_luts, *(header.palette or ())]
    data = sum(len(table.data) for table in tables if table is not None)
    return 2000 + data + sum(len(overlay.bits) for overlay in header.overlays) + len(header.icc_profile)
