"""Series to volumes: NIfTI, NRRD and NumPy files, slice by slice, on all cores.

Only a few slices are in memory at a time: each is read, decoded, turned and written at its own place in the
file. Compressed files are runs of gzip members, made in parallel; every gzip reader takes them for one.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import Pixels, dtype_of
from gantry.pixels.image import ImageHeader
from gantry.toolkit.convert_images import Facts, Series, by_series, read_slices, series_stem
from gantry.toolkit.convert_options import MAX_VOLUME_BYTES, Converted, Made, Options, Piece
from gantry.toolkit.convert_options import Values as Wanted
from gantry.toolkit.cores import for_each, in_order
from gantry.toolkit.images import Candidate, Image, StoredFrame
from gantry.volume.diffusion import along_voxels
from gantry.volume.frames import Frame
from gantry.volume.nifti import HEADER_BYTES, nifti_header
from gantry.volume.nrrd import nrrd_header
from gantry.volume.stack import Stack, stacks
from gantry.volume.voxels import (
    all_frames,
    check_volume_size,
    narrow_type,
    one_scale,
    rescaled,
    rescaled_type,
    tile_of,
)

_COMPRESSION = 4
"""Level of libdeflate: twice as fast as zlib's default, at the same size."""

_MEMBER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Volume:
    """A stack with the images of its series, in which its frames are."""

    stack: Stack
    images: tuple[Image, ...]
    facts: Facts

    @property
    def header(self) -> ImageHeader:
        """The header of the first slice, whose stored values are alike in all (`volume.frames.Kind`)."""
        return self.images[self.stack.first.instance].header

    @property
    def is_color(self) -> bool:
        """Whether a voxel is red, green and blue."""
        header = self.header
        return header.samples_per_pixel > 1 or header.photometric_interpretation == "PALETTE COLOR"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of it, whatever it is written to."""
        if not self.facts.has_modality_lut:
            return self.stack.notes
        return (
            *self.stack.notes,
            "the images have a Modality LUT, which is not applied: values are as stored",
        )

    def stored_frame(self, frame: Frame) -> StoredFrame:
        """The stored frame in which a slice is."""
        return self.images[frame.instance].frame(frame.number)

    def stored(self, frame: Frame) -> Pixels:
        """(rows, columns) of stored values, or (rows, columns, 3) of RGB in 8 bits."""
        stored = self.stored_frame(frame)
        if not self.is_color:
            return tile_of(stored.values(), frame)
        from gantry.toolkit.display import displayed

        picture = displayed(stored, Options())
        return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def plan(found: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """The files to be made of the volumes in these objects, and what none is made of."""
    known, failed = read_slices(found)
    all_series, twice = by_series(known)
    failed += twice
    pieces: list[Piece] = []
    taken: set[str] = set()
    for series in all_series:
        made, words = _series_pieces(series, options, suffix, taken)
        pieces += made
        failed += words
    return pieces, failed


def _series_pieces(
    series: Series, options: Options, suffix: str, taken: set[str]
) -> tuple[list[Piece], list[Converted]]:
    frames = [
        replace(frame, instance=n) if n else frame
        for n, one in enumerate(series.known)
        for frame in one.frames
    ]
    made, errors = stacks(frames, uneven=options.uneven)
    failed = [Converted(series.name, None, error=str(error)) for error in errors]
    images = tuple(one.image for one in series.known)
    pieces = []
    for stack in made:
        facts = series.known[stack.first.instance].facts
        volume = Volume(stack, images, facts)
        piece = Piece(
            stem=series_stem(series, taken),
            suffix=suffix,
            source=series.name,
            make=partial(_WRITERS[suffix], volume, options),
            uses_all_cores=True,
            runs_codec=any(image.needs_codec for image in images),
            frame_count=len(all_frames(stack)),
        )
        pieces.append(piece)
    return pieces, failed


# The numbers of a slice


@dataclass(frozen=True, slots=True)
class _Numbers:
    """In which type slices leave, and by which scale they are to be read.

    `is_rescaled` where the scale of each slice is applied to it; otherwise they are the stored values.
    """

    dtype: np.dtype[Any]
    slope: float = 1.0
    intercept: float = 0.0
    is_rescaled: bool = False

    def convert(self, values: Pixels, frame: Frame) -> Pixels:
        """The stored values of a slice as they leave."""
        if self.is_rescaled:
            return rescaled(values, frame, self.dtype)
        if self.dtype.kind in "iu" and not np.can_cast(values.dtype, self.dtype):
            limits = np.iinfo(self.dtype)
            if int(values.min()) < limits.min or int(values.max()) > limits.max:
                raise DataSetError("the stream holds values that do not fit what the header says")
        return values.astype(self.dtype, copy=False)


def _numbers(volume: Volume, wanted: Wanted, *, narrow: bool) -> _Numbers:
    """`wanted` STORED keeps the stored values and names their scale; where slices differ in it, none can be
    named and they are rescaled.
    """
    header, frames = volume.header, all_frames(volume.stack)
    if volume.is_color or header.bits_allocated == 1:
        return _Numbers(np.dtype("u1"))
    scale = one_scale(frames)
    if wanted is Wanted.STORED and (scale is not None or not narrow):
        slope, intercept = scale or (1.0, 0.0)
        return _Numbers(narrow_type(header) if narrow else dtype_of(header), slope, intercept)
    return _Numbers(rescaled_type(header, frames), is_rescaled=True)


class _Slices:
    """Makes the bytes of slices, from any number of threads; `from_last_row` turns them upside down.

    Plain values go through two blocks that each thread keeps: fresh memory for each slice costs more time
    than reading and writing it.
    """

    def __init__(self, volume: Volume, numbers: _Numbers, *, from_last_row: bool = False) -> None:
        self._volume = volume
        self._numbers = numbers
        self._rows = slice(None, None, -1) if from_last_row else slice(None)
        stored = dtype_of(volume.header)
        self._may_be_plain = not numbers.is_rescaled and stored.itemsize == numbers.dtype.itemsize
        self._stored_dtype = stored
        self._kept = threading.local()
        samples = 3 if volume.is_color else 1
        columns, rows, _, _ = volume.stack.shape
        self.size = columns * rows * numbers.dtype.itemsize * samples
        self.frames = all_frames(volume.stack)
        check_volume_size(volume.stack, numbers.dtype.itemsize * samples, MAX_VOLUME_BYTES)

    def __call__(self, n: int) -> memoryview:
        """The bytes of slice `n`; good until this thread asks for the next."""
        frame = self.frames[n]
        try:
            made = self._made(frame)
        except DataSetError as error:
            name = self._volume.images[frame.instance].candidate.name
            raise DataSetError(f"{name}, frame {frame.number + 1}: {error.cause}", tag=error.tag) from error
        return made.data.cast("B")

    def _made(self, frame: Frame) -> Pixels:
        stored = self._volume.stored_frame(frame)
        if self._may_be_plain and stored.is_plain and frame.tile is None:
            raw, clean = self._blocks(stored.header)
            stored.read_into(raw.data.cast("B"))
            _clean(raw[self._rows], stored.header, clean)
            return clean
        values = self._numbers.convert(self._volume.stored(frame), frame)
        return np.ascontiguousarray(values[self._rows])

    def _blocks(self, header: ImageHeader) -> tuple[Pixels, Pixels]:
        blocks: tuple[Pixels, Pixels] | None = getattr(self._kept, "blocks", None)
        if blocks is None:
            shape = (header.rows, header.columns)
            blocks = np.empty(shape, self._stored_dtype), np.empty(shape, self._stored_dtype)
            self._kept.blocks = blocks
        return blocks


def _clean(raw: Pixels, header: ImageHeader, out: Pixels) -> None:
    """`codecs.codec.stored_values` into a block that is there."""
    width, stored = raw.dtype.itemsize * 8, header.bits_stored
    high = header.high_bit if stored - 1 <= header.high_bit < width else stored - 1
    if stored >= width or raw.dtype.kind == "f":
        np.copyto(out, raw)
    elif not header.signed and high == stored - 1:
        np.bitwise_and(raw, (1 << stored) - 1, out=out)
    else:
        np.left_shift(raw, width - 1 - high, out=out)
        np.right_shift(out, width - stored, out=out)


# Slices into files


def _write_raw(path: Path, head: bytes, slices: _Slices) -> None:
    """Every slice at its own place, from all cores."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        _write_all(fd, memoryview(head), 0)

        def one(n: int) -> None:
            _write_all(fd, slices(n), len(head) + n * slices.size)

        for_each(len(slices.frames), one)
    finally:
        os.close(fd)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


def _write_gzipped(path: Path, plain: bytes, head: bytes, slices: _Slices) -> None:
    """`plain` as it is, then head and slices compressed, several slices a member."""
    import imagecodecs

    per_member = max(1, _MEMBER_BYTES // max(1, slices.size))
    count = len(slices.frames)

    def member(number: int) -> bytes:
        first = number * per_member
        parts = [bytes(slices(n)) for n in range(first, min(first + per_member, count))]
        content = b"".join([head, *parts] if number == 0 else parts)
        return bytes(imagecodecs.gzip_encode(content, level=_COMPRESSION))

    with path.open("xb") as out:
        out.write(plain)
        for data in in_order(-(-count // per_member), member):
            out.write(data)


# Formats


def write_nifti(volume: Volume, options: Options, path: Path, *, gzipped: bool) -> Made:
    """One NIfTI-1 file, and what belongs beside it: b-values and b-vectors, the JSON sidecar of MR."""
    stack = volume.stack
    numbers = _numbers(volume, options.values or Wanted.STORED, narrow=True)
    slices = _Slices(volume, numbers, from_last_row=True)
    columns, rows, depth, times = stack.shape
    head = nifti_header(
        (columns, rows, depth, times) if times > 1 else (columns, rows, depth),
        numbers.dtype,
        stack.affine(),
        slope=numbers.slope,
        intercept=numbers.intercept,
        repetition_s=volume.facts.repetition_s,
        description="Gantry",
        is_rgb=volume.is_color,
        in_patient=stack.in_patient,
    )
    assert len(head) == HEADER_BYTES
    if gzipped:
        _write_gzipped(path, b"", head, slices)
    else:
        _write_raw(path, head, slices)
    beside, notes = _beside_nifti(volume, options)
    return Made((*volume.notes, *notes), beside)


def _beside_nifti(volume: Volume, options: Options) -> tuple[dict[str, bytes], tuple[str, ...]]:
    beside: dict[str, bytes] = {}
    notes: tuple[str, ...] = ()
    weights = [time[0].diffusion for time in volume.stack.frames]
    plane = volume.stack.first.plane
    if plane is not None and any(weight is not None and weight.b_value > 0 for weight in weights):
        vectors = [along_voxels(w.gradient if w is not None else None, plane) for w in weights]
        beside[".bval"] = (" ".join(f"{w.b_value if w else 0.0:g}" for w in weights) + "\n").encode()
        lines = (" ".join(f"{vector[axis] + 0.0:.6g}" for vector in vectors) for axis in range(3))
        beside[".bvec"] = ("\n".join(lines) + "\n").encode()
        if not any(any(vector) for vector in vectors):
            notes = ("the images say how strongly they are diffusion weighted, but not in which direction",)
    if options.sidecar and volume.facts.modality == "MR":
        from gantry.toolkit.bids import sidecar

        lead = volume.images[volume.stack.first.instance].candidate
        beside[".json"] = sidecar(lead.path, volume.stack)
    return beside, notes


def write_nrrd(volume: Volume, options: Options, path: Path) -> Made:
    """One NRRD file, compressed."""
    stack = volume.stack
    numbers = _numbers(volume, options.values or Wanted.RESCALED, narrow=False)
    plane = stack.first.plane
    assert plane is not None
    samples = 3 if volume.is_color else 1
    head = nrrd_header(stack.shape, numbers.dtype, plane, stack.step_mm, samples=samples)
    _write_gzipped(path, head, b"", _Slices(volume, numbers))
    return Made(volume.notes)


def write_npy(volume: Volume, options: Options, path: Path) -> Made:
    """The voxels as a NumPy array of (times,) slices, rows, columns(, samples); slices along the normal."""
    numbers = _numbers(volume, options.values or Wanted.RESCALED, narrow=False)
    _write_raw(path, _npy_head(volume, numbers), _Slices(volume, numbers))
    return Made(volume.notes)


def write_npz(volume: Volume, options: Options, path: Path) -> Made:
    """As `write_npy`, with where it is: `affine` (indexes column, row, slice to LPS mm), slope, intercept."""
    from zipfile import ZIP_DEFLATED, ZipFile

    numbers = _numbers(volume, options.values or Wanted.RESCALED, narrow=False)
    slices = _Slices(volume, numbers)
    plane = volume.stack.first.plane
    assert plane is not None
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(plane.row, plane.spacing_mm[1])
    affine[:3, 1] = np.multiply(plane.column, plane.spacing_mm[0])
    affine[:3, 2] = volume.stack.step_mm
    affine[:3, 3] = plane.position_mm
    with ZipFile(path, "x", ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        with archive.open("voxels.npy", "w", force_zip64=True) as out:
            out.write(_npy_head(volume, numbers))
            for data in in_order(len(slices.frames), lambda n: bytes(slices(n))):
                out.write(data)
        arrays = {
            "affine": affine,
            "slope": np.array(numbers.slope),
            "intercept": np.array(numbers.intercept),
        }
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())
    return Made(volume.notes)


def _npy_head(volume: Volume, numbers: _Numbers) -> bytes:
    columns, rows, depth, times = volume.stack.shape
    shape: tuple[int, ...] = (times, depth, rows, columns) if times > 1 else (depth, rows, columns)
    if volume.is_color:
        shape = (*shape, 3)
    head = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        head, {"descr": numbers.dtype.str, "fortran_order": False, "shape": shape}
    )
    return head.getvalue()


_WRITERS: dict[str, Callable[..., Made]] = {
    ".nii.gz": partial(write_nifti, gzipped=True),
    ".nii": partial(write_nifti, gzipped=False),
    ".nrrd": write_nrrd,
    ".npy": write_npy,
    ".npz": write_npz,
}
