"""Objects opened to be converted: what was learned of each from its header, and its frames when asked for.

A file is mapped, its header read once, and let go again; a frame is later read from its place in the file,
so that a folder of ten thousand slices costs neither their bytes nor ten thousand open files. What is no
file of its own (a member of a zip file, an object that a server sends) is put into a folder that goes away
afterwards.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from gantry.dataset.part10 import PREAMBLE_BYTES, PREFIX, FileMeta, read_part10
from gantry.dataset.scan import Buffer, DataSet
from gantry.errors import DataSetError
from gantry.pixels.encapsulation import FrameTable, frame_table
from gantry.standard.sop_classes import MEDIA_STORAGE_DIRECTORY
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    is_video,
    transfer_syntax,
)
from gantry.toolkit.convert_options import Converted
from gantry.toolkit.sources import HEAD_BYTES, Kind, Source, kind_of, opened, with_meta

if TYPE_CHECKING:
    from gantry.pixels.codecs.codec import Decoded, Pixels
    from gantry.pixels.functional_groups import FunctionalGroups
    from gantry.pixels.image import ImageHeader

MAX_OBJECT_BYTES = 64 << 30
"""One object that is put aside on disk before it is read, such as a member of a zip file."""

_FIRST_LOOK_BYTES = 1024
"""Holds the meta information of nearly every file, and so the word that one is a DICOMDIR."""

_PIXEL_DATA = 0x7FE00010

_PLAIN_SYNTAXES = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN})

_Read = TypeVar("_Read")

_Version = tuple[int, int, int]
"""What of a file changes with its content."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file to convert: `name` for reports, `stem` for the name of what becomes of it (below the folder
    that was named, without suffix).
    """

    name: str
    path: Path
    stem: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A candidate that is not converted, and why; `is_other` for what is not DICOM at all."""

    name: str
    why: str
    is_other: bool = False


class NoPixels(DataSetError):
    """An object that is no image: nothing is wrong with it."""


class Spool:
    """A folder for objects that are no files of their own, made when the first comes; used as a context, at
    whose end it goes away.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def folder(self) -> Path:
        """Where it is."""
        if self._folder is None:
            from tempfile import TemporaryDirectory

            self._folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="gantry-convert-")))
        return self._folder


def candidates(
    sources: Iterable[Source], roots: Iterable[Path], spool: Spool
) -> Iterator[Candidate | Unreadable]:
    """The files behind sources; those that are none are written below `spool`.

    What is not DICOM is passed over in a folder; of a file that was named by itself that is an error.
    """
    named = set(roots := list(roots))
    tops = [root if root.is_dir() else root.parent for root in roots]
    for number, source in enumerate(sources):
        stem = _stem(source, tops, number)
        try:
            if source.path is not None and not source.is_link and _kind_of_file(source.path) is Kind.OBJECT:
                yield Candidate(source.name, source.path, stem)
                continue
            kind, pieces = opened(source)
            if kind not in (Kind.OBJECT, Kind.BARE):
                yield Unreadable(source.name, kind.value, is_other=source.path not in named)
                continue
            place = spool.folder / f"{number:08d}.dcm"
            _put(place, pieces if kind is Kind.OBJECT else with_meta(pieces))
            yield Candidate(source.name, place, stem)
        except DataSetError as error:
            yield Unreadable(source.name, str(error))
        except OSError as error:
            yield Unreadable(source.name, f"cannot be read: {error.strerror or error}")


def _kind_of_file(path: Path) -> Kind:
    """What a file is, with as few bytes read as tell: there may be tens of thousands."""
    with path.open("rb", buffering=0) as file:
        head = file.read(_FIRST_LOOK_BYTES)
        has_prefix = head[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == PREFIX
        if has_prefix and len(head) == _FIRST_LOOK_BYTES and MEDIA_STORAGE_DIRECTORY.encode() not in head:
            return Kind.OBJECT
        return kind_of(head + file.read(HEAD_BYTES - len(head)))


def _stem(source: Source, tops: list[Path], number: int) -> str:
    """Where in the output folder: as in the folder that was named. The path of a zip member is not used."""
    if source.path is None:
        return f"{number + 1:06d}"
    for top in tops:
        if source.path.is_relative_to(top):
            inner = source.path.relative_to(top)
            return str(inner.with_suffix("") if inner.suffix.lower() in (".dcm", ".ima", ".dicom") else inner)
    return source.path.stem


def _put(place: Path, pieces: Iterable[bytes]) -> None:
    size = 0
    with place.open("xb") as out:
        for piece in pieces:
            size += len(piece)
            if size > MAX_OBJECT_BYTES:
                raise DataSetError(f"an object of more than {MAX_OBJECT_BYTES} bytes")
            out.write(piece)


class Opened:
    """An object that is being read; used as a context, after which nothing of its Data Set may be touched.

    Raises DataSetError for what is no object, OSError for what cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise DataSetError("the file is empty") from None
        try:
            self.meta, self.ds = read_part10(self._map)
        except DataSetError:
            self._map.close()
            raise

    @property
    def content(self) -> Buffer:
        """All bytes of the file."""
        return self._map

    def __enter__(self) -> tuple[FileMeta, DataSet]:
        return self.meta, self.ds

    def __exit__(self, *_: object) -> None:
        self._map.close()


def read_each(
    found: Iterable[Candidate], read: Callable[[Candidate, FileMeta, DataSet], _Read]
) -> tuple[list[_Read], list[Converted]]:
    """What `read` makes of the header of each object, and the word on each for which that fails."""
    results: list[_Read] = []
    failed: list[Converted] = []
    for candidate in found:
        try:
            with Opened(candidate.path) as (meta, ds):
                results.append(read(candidate, meta, ds))
        except DataSetError as error:
            is_other = isinstance(error, NoPixels)
            failed.append(Converted(candidate.name, None, error=str(error), is_other=is_other))
        except OSError as error:
            words = f"cannot be read: {error.strerror or error}"
            failed.append(Converted(candidate.name, None, error=words))
    return results, failed


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame that can be asked for its pixels, from any thread and in any process, at any time.

    `number` counts from 0. Where `is_header_plain`, the header tells what decoding needs; how the frame is
    displayed is read when it is asked for (`toolkit.display`).

    `spans` are (offset, length) in the file; none where the bytes do not lie there as they are meant, and the
    object must be read for them: deflated Data Sets, big endian, frames that begin inside a byte.
    """

    path: Path
    syntax_uid: str
    header: ImageHeader
    number: int
    spans: tuple[tuple[int, int], ...]
    is_header_plain: bool = False
    is_video: bool = False
    """Whether it has no bytes of its own: it is decoded out of the stream of all."""

    @property
    def is_plain(self) -> bool:
        """Whether the stored values are the bytes of the file, without a codec."""
        header = self.header
        return (
            self.syntax_uid in _PLAIN_SYNTAXES
            and bool(self.spans)
            and header.samples_per_pixel == 1
            and header.bits_allocated in (8, 16, 32, 64)
        )

    @property
    def needs_codec(self) -> bool:
        """Whether a codec that is not ours must be run for it."""
        return transfer_syntax(self.syntax_uid).encapsulated

    def data(self) -> bytes:
        """The bytes of the frame as stored, all its fragments joined. Raises DataSetError, OSError."""
        if self.is_video:
            raise DataSetError("a frame of a video has no bytes of its own", tag=_PIXEL_DATA)
        if not self.spans:
            return _read_for(self.path, self.number)
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = b"".join([os.pread(fd, length, offset) for offset, length in self.spans])
        finally:
            os.close(fd)
        if len(data) != sum(length for _, length in self.spans):
            raise DataSetError("the file is shorter than it was", tag=_PIXEL_DATA)
        return data

    def read_into(self, block: memoryview) -> None:
        """The bytes of a plain frame into memory that is there. Raises DataSetError where they do not fit."""
        ((offset, length),) = self.spans
        if length != len(block):
            raise DataSetError(f"{length} bytes where the header says {len(block)}", tag=_PIXEL_DATA)
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while block:
                read = os.preadv(fd, [block], offset)
                if not read:
                    raise DataSetError("the file is shorter than it was", tag=_PIXEL_DATA)
                block, offset = block[read:], offset + read
        finally:
            os.close(fd)

    def decoded(self, header: ImageHeader | None = None) -> Decoded:
        """The pixels as the codec gives them, with `header`, or its own, as it is true of them.

        Raises DataSetError.
        """
        from gantry.pixels.decode import decode

        header = header or self.header
        header.check_size()
        try:
            if self.is_video:
                return _kept_video(self.path, _version(self.path)).frame(self.number, header)
            return decode(self.data(), self.syntax_uid, header)
        except MemoryError:
            raise DataSetError("decoding takes more memory than there is", tag=_PIXEL_DATA) from None
        except (ValueError, IndexError, OverflowError, TypeError) as error:
            # A header that contradicts itself in a way nobody thought of: an error of this frame only.
            raise DataSetError(f"the frame does not fit its header: {error}", tag=_PIXEL_DATA) from error

    def values(self) -> Pixels:
        """Stored values of one sample, (rows, columns); bits that are no value left out (PS3.5 8.1.1)."""
        from gantry.pixels.codecs.codec import dtype_of, stored_values

        if not self.is_plain:
            decoded = self.decoded()
            return stored_values(decoded.pixels, decoded.header)
        import numpy as np

        # Native little-endian values are their bytes: no decoder, and nothing of it to import.
        header = self.header
        header.check_size()
        pixels = np.frombuffer(self.data(), dtype_of(header))
        if len(pixels) != header.frame_samples:
            raise DataSetError(
                f"{len(pixels)} values where the header says {header.frame_samples}", tag=_PIXEL_DATA
            )
        return stored_values(pixels.reshape(header.rows, header.columns), header)


def _read_for(path: Path, number: int) -> bytes:
    from gantry.pixels.transcode import stored_frame

    # To find a frame of what is deflated all is inflated, which is kept for the frames that follow.
    ds = kept_object(path).ds
    table = frame_table(ds)
    if table is None or not table.is_complete(number):
        raise DataSetError("the file is not what it was", tag=_PIXEL_DATA)
    return stored_frame(ds, table, number)


@dataclass(frozen=True, slots=True)
class KeptObject:
    """An object that stays read; its functional groups are for one thread at a time."""

    ds: DataSet
    groups: FunctionalGroups


def kept_object(path: Path) -> KeptObject:
    """The object in a file, kept until others are asked for or `let_go`: its frames are asked for in turn.

    A file that has changed is read again. Raises DataSetError, OSError.
    """
    return _kept(path, _version(path))


def _version(path: Path) -> _Version:
    there = path.stat()
    return there.st_ino, there.st_size, there.st_mtime_ns


@lru_cache(maxsize=2)
def _kept(path: Path, version: _Version) -> KeptObject:
    from gantry.pixels.functional_groups import FunctionalGroups

    _, ds = Opened(path).__enter__()  # its map is closed when nobody has the Data Set any more
    return KeptObject(ds, FunctionalGroups(ds))


def let_go() -> None:
    """Keep no object any longer."""
    _kept_video.cache_clear()
    _kept.cache_clear()


class _KeptVideo:
    """A video that stays open. Its frames are asked for in turn, by threads of which one may be ahead of the
    others: what it passes over is kept for them, since a stream is only read forward.
    """

    def __init__(self, path: Path) -> None:
        from gantry.pixels.image import ImageHeader
        from gantry.pixels.stretches import Stretches, in_buffer
        from gantry.pixels.video import VideoReader

        ds = kept_object(path).ds
        table = frame_table(ds)
        if table is None or not len(table):
            raise DataSetError("the file is not what it was", tag=_PIXEL_DATA)
        self._reader = VideoReader(
            Stretches(in_buffer(ds.buffer), table.frame(0)), ImageHeader.from_dataset(ds)
        )
        self._lock = threading.Lock()
        self._next = 0
        self._passed_over: dict[int, Decoded] = {}

    def frame(self, number: int, header: ImageHeader) -> Decoded:
        """Frame `number`, from 0, with `header` as it is true of it. Raises DataSetError."""
        from gantry.pixels.codecs.codec import Decoded
        from gantry.pixels.video import native_header

        with self._lock:
            decoded = self._passed_over.pop(number, None)
            if decoded is None:
                if not 0 <= number - self._next <= _MOST_PASSED_OVER:
                    self._passed_over.clear()
                    self._next = number
                for before in range(self._next, number):
                    with suppress(DataSetError):  # told where that frame itself is asked for
                        self._passed_over[before] = self._reader.frame(before)
                while len(self._passed_over) > _MOST_PASSED_OVER:
                    del self._passed_over[min(self._passed_over)]
                self._next = number + 1
                decoded = self._reader.frame(number)
        return Decoded(decoded.pixels, native_header(header, self._reader.facts))


_MOST_PASSED_OVER = 16
"""Frames of a video: how far one thread may be ahead; 100 MB of full high definition."""


@lru_cache(maxsize=1)
def _kept_video(path: Path, version: _Version) -> _KeptVideo:
    return _KeptVideo(path)


@dataclass(frozen=True, slots=True)
class Image:
    """An image and its frames. `is_direct` where the bytes of a frame lie in the file as they are meant.

    Where `is_header_plain`, the header is without what only display needs, and so the same for all frames.
    """

    candidate: Candidate
    syntax_uid: str
    header: ImageHeader
    is_header_plain: bool
    table: FrameTable
    is_direct: bool
    video_frames: int = 0
    """Of a video: how many frames there are in its one stream; else 0."""

    @property
    def frame_count(self) -> int:
        """Frames of which there are bytes."""
        return self.video_frames or len(self.table)

    @property
    def needs_codec(self) -> bool:
        """Whether a codec that is not ours must be run for its frames."""
        return transfer_syntax(self.syntax_uid).encapsulated

    @property
    def missing_frames(self) -> str:
        """The word on frames that the header tells of and that are not there; empty where all are."""
        there, told = self.frame_count, self.table.declared
        return f"{there} of {told} frames are there" if there < told else ""

    def check_complete(self) -> None:
        """Raise DataSetError where frames are missing, or the last one is cut."""
        if self.missing_frames:
            raise DataSetError(self.missing_frames, tag=_PIXEL_DATA)
        if not self.table.is_complete(len(self.table) - 1):
            raise DataSetError(f"frame {self.frame_count} is not all there", tag=_PIXEL_DATA)

    def frame(self, number: int) -> StoredFrame:
        """Frame `number`, from 0. Raises DataSetError where its bytes are not all there."""
        if not self.table.is_complete(0 if self.video_frames else number):
            raise DataSetError(f"frame {number + 1} is not all there", tag=_PIXEL_DATA)
        spans = self.table.frame(number) if self.is_direct else ()
        return StoredFrame(
            self.candidate.path, self.syntax_uid, self.header, number, spans, self.is_header_plain,
            bool(self.video_frames),
        )  # fmt: skip


class PlainHeaders:
    """Headers with what decoding needs. Those of slices that are alike are read once.

    They depend on the VR of the pixels and on group 0028 alone (PS3.3 C.7.6.3), and reading one takes longer
    than all else of a slice.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], ImageHeader] = {}

    def of(self, ds: DataSet) -> ImageHeader:
        """The plain header of an object."""
        from gantry.pixels.image import ImageHeader

        found = [element for tag, element in ds.elements.items() if tag >> 16 == _IMAGE_PIXEL_GROUP]
        if sum(element[3] for element in found) > _MOST_ALIKE_BYTES:
            return _plain(ImageHeader.from_dataset(ds))
        pixels = [(tag, ds.elements[tag][1]) for tag in _PIXEL_TAGS if tag in ds.elements]
        key = (*((element[0], element[1], ds.raw(element[0])) for element in found), *pixels)
        header = self._known.get(key)
        if header is None:
            header = _plain(ImageHeader.from_dataset(ds))
            if len(self._known) < _MOST_ALIKE:
                self._known[key] = header
        return header


def _plain(header: ImageHeader) -> ImageHeader:
    return replace(
        header, windows=(), palette=None, modality_lut=None, voi_luts=(), presentation_lut=None, overlays=(),
        shutter=None, icc_profile=b"", is_supplemental=False,
    )  # fmt: skip


_IMAGE_PIXEL_GROUP = 0x0028
_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, _PIXEL_DATA)
_MOST_ALIKE, _MOST_ALIKE_BYTES = 1000, 4096


def image_of(candidate: Candidate, meta: FileMeta, ds: DataSet, headers: PlainHeaders | None = None) -> Image:
    """The image in an object, with a plain header where `headers` are given or where it has several frames.

    Raises NoPixels, or DataSetError where a header lies.
    """
    from gantry.pixels.image import ImageHeader

    table = frame_table(ds)
    if table is None:
        raise NoPixels("the object has no pixels")
    if not len(table):
        raise DataSetError("the object has no frame that can be told from others", tag=_PIXEL_DATA)
    is_plain = headers is not None or len(table) > 1
    header = (headers or PlainHeaders()).of(ds) if is_plain else ImageHeader.from_dataset(ds)
    header.check_size()
    if is_video(meta.transfer_syntax_uid):
        return _video_of(candidate, meta, ds, table, header)
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    bits = table.frame_bits
    is_direct = bits is None or (bits % 8 == 0 and syntax.little_endian and not syntax.deflated)
    return Image(candidate, meta.transfer_syntax_uid, header, is_plain, table, is_direct)


def _video_of(
    candidate: Candidate, meta: FileMeta, ds: DataSet, table: FrameTable, header: ImageHeader
) -> Image:
    """A video, as frames of the form that they have once they are decoded."""
    from gantry.pixels.stretches import Stretches, in_buffer
    from gantry.pixels.video import native_header
    from gantry.pixels.video_stream import look

    facts = look(Stretches(in_buffer(ds.buffer), table.frame(0)))
    there = min(facts.frames or table.declared, table.declared)
    plain = native_header(_plain(header), facts)
    return Image(candidate, meta.transfer_syntax_uid, plain, True, table, False, there)
