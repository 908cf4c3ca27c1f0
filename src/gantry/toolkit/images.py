"""Objects opened to be converted: what was learned of each from its header, and its frames when asked for.

A file is mapped, its header read once, and let go again; a frame is later read from its place in the file,
so that a folder of ten thousand slices costs neither their bytes nor ten thousand open files. What is no
file of its own (a member of a zip file, an object that a server sends) is put into a folder that goes away
afterwards.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gantry.dataset.part10 import FileMeta, read_part10
from gantry.dataset.scan import Buffer, DataSet
from gantry.errors import DataSetError
from gantry.pixels.encapsulation import FrameTable, frame_table
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import transfer_syntax
from gantry.toolkit.sources import HEAD_BYTES, Kind, Source, kind_of, opened, with_meta

if TYPE_CHECKING:
    from gantry.volume.voxels import Values

MAX_OBJECT_BYTES = 64 << 30
"""One object that is put aside on disk before it is read, such as a member of a zip file."""


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


def candidates(
    sources: Iterable[Source], roots: Iterable[Path], spool: Path
) -> Iterator[Candidate | Unreadable]:
    """The files behind sources; those that are none are written below `spool`."""
    tops = [root if root.is_dir() else root.parent for root in roots]
    for number, source in enumerate(sources):
        stem = _stem(source, tops, number)
        try:
            if source.path is not None and not source.is_link:
                with source.path.open("rb", buffering=0) as file:
                    kind = kind_of(file.read(HEAD_BYTES))
                if kind is Kind.OBJECT:
                    yield Candidate(source.name, source.path, stem)
                    continue
            kind, pieces = opened(source)
            if kind not in (Kind.OBJECT, Kind.BARE):
                yield Unreadable(source.name, kind.value, is_other=True)
                continue
            place = spool / f"{number:08d}.dcm"
            _put(place, pieces if kind is Kind.OBJECT else with_meta(pieces))
            yield Candidate(source.name, place, stem)
        except (DataSetError, OSError) as error:
            yield Unreadable(source.name, str(error))


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
    """An object that is being read; used as a context, after which nothing of its Data Set may be touched."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            try:
                self._map: mmap.mmap | None = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
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
        assert self._map is not None
        return self._map

    def __enter__(self) -> tuple[FileMeta, DataSet]:
        return self.meta, self.ds

    def __exit__(self, *_: object) -> None:
        assert self._map is not None
        self._map.close()


@dataclass(frozen=True, slots=True)
class Image:
    """An image that can be asked for its frames, from any thread, at any time.

    `inflated` is the whole Data Set where the file holds it deflated; offsets in `table` count in it.
    """

    candidate: Candidate
    syntax_uid: str
    header: ImageHeader
    table: FrameTable
    inflated: bytes | None = field(default=None, repr=False)

    @property
    def frame_count(self) -> int:
        """Frames of which there are bytes."""
        return len(self.table)

    def frame_bytes(self, number: int) -> bytes:
        """Frame `number`, from 0, as stored: all its fragments joined. Raises DataSetError, OSError."""
        if not self.table.is_complete(number):
            raise DataSetError(f"frame {number + 1} is not all there", tag=0x7FE00010)
        spans = self.table.frame(number)
        if self.inflated is not None:
            return b"".join(self.inflated[offset : offset + length] for offset, length in spans)
        fd = os.open(self.candidate.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = b"".join(os.pread(fd, length, offset) for offset, length in spans)
        finally:
            os.close(fd)
        if len(data) != sum(length for _, length in spans):
            raise DataSetError("the file is shorter than it was", tag=0x7FE00010)
        return data

    def decoded(self, number: int) -> Values:
        """Frame `number` as the codec gives it: (rows, columns) or (rows, columns, samples)."""
        from gantry.pixels.decode import decode_frame

        self.header.check_size()
        data = self.frame_bytes(number)
        first = self.table.first_bit(number)
        if first:
            data = _shifted(data, first)
        return decode_frame(data, self.syntax_uid, self.header)

    def values(self, number: int) -> Values:
        """Frame `number` as stored values of one sample, bits that are no value masked."""
        from gantry.volume.voxels import masked

        return masked(self._plain(number), self.header)

    def _plain(self, number: int) -> Values:
        """Native little-endian values are their bytes: no decoder, and nothing of it to import."""
        header = self.header
        syntax = transfer_syntax(self.syntax_uid)
        if (
            syntax.encapsulated
            or not syntax.little_endian
            or header.samples_per_pixel != 1
            or header.bits_allocated not in (8, 16, 32)
        ):
            return self.decoded(number)
        import numpy as np

        from gantry.volume.voxels import stored_type

        header.check_size()
        data = self.frame_bytes(number)
        count = header.rows * header.columns
        return np.frombuffer(data, stored_type(header), count).reshape(header.rows, header.columns)


def _shifted(data: bytes, bits: int) -> bytes:
    """Single-bit pixels that begin inside a byte, moved to its beginning."""
    return (int.from_bytes(data, "little") >> bits).to_bytes(len(data), "little")


def image_of(candidate: Candidate, meta: FileMeta, ds: DataSet) -> Image:
    """The image in an object. Raises DataSetError for one without pixels, or with a header that lies."""
    table = frame_table(ds)
    if table is None:
        raise DataSetError("the object has no pixels")
    if not len(table):
        raise DataSetError("the object has no frame that can be told from others", tag=0x7FE00010)
    header = ImageHeader.from_dataset(ds)
    header.check_size()
    deflated = transfer_syntax(meta.transfer_syntax_uid).deflated
    inflated = bytes(ds.buffer) if deflated else None
    return Image(candidate, meta.transfer_syntax_uid, header, table, inflated)
