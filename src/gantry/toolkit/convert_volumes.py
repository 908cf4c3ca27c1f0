"""Series to volumes: NIfTI, NRRD and NumPy files, slice by slice, on all cores.

Only a few slices are in memory at a time: each is read, decoded, turned and written at its own place in the
file. Compressed files are runs of gzip members, made in parallel; every gzip reader takes them for one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantry.errors import DataSetError
from gantry.toolkit.convert_images import Facts, Series, by_series, facts_of, refused, series_stem
from gantry.toolkit.convert_options import MAX_VOLUME_BYTES, Converted, Made, Options, Piece
from gantry.toolkit.convert_options import Values as Wanted
from gantry.toolkit.images import Candidate, Image, Opened, image_of
from gantry.volume.diffusion import along_voxels
from gantry.volume.frames import Frame, frames_of, repetition_s
from gantry.volume.nifti import HEADER_BYTES, nifti_header
from gantry.volume.nrrd import nrrd_header
from gantry.volume.stack import Stack, stacks
from gantry.volume.voxels import (
    Values,
    all_frames,
    check_volume_size,
    narrow_type,
    one_scale,
    rescaled,
    rescaled_type,
    stored_type,
    tile_of,
)

CORES = os.cpu_count() or 1

_COMPRESSION = 4
"""Level of libdeflate: twice as fast as zlib's default, at the same size."""

_MEMBER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Volume:
    """A stack with the images that its frames come from."""

    stack: Stack
    images: list[Image]
    facts: Facts
    repetition_s: float

    @property
    def lead(self) -> Image:
        """The image of the first slice."""
        return self.images[self.stack.first.instance]

    @property
    def samples(self) -> int:
        """Samples of a voxel: 3 for colour."""
        return 3 if self.lead.header.samples_per_pixel > 1 or self._is_palette else 1

    @property
    def _is_palette(self) -> bool:
        return self.lead.header.photometric_interpretation == "PALETTE COLOR"

    def stored(self, frame: Frame) -> Values:
        """(rows, columns) of stored values, or (rows, columns, 3) of RGB in 8 bits."""
        image = self.images[frame.instance]
        if self.samples == 1:
            return tile_of(image.values(frame.number), frame)
        from gantry.toolkit.convert_pictures import displayed

        picture = displayed(image, frame.number, Options())
        return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def plan(candidates: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """The files to be made of the volumes in these objects, and what none is made of."""
    failed: list[Converted] = []
    frames: dict[str, list[Frame]] = {}
    images: list[Image] = []
    facts: list[Facts] = []
    repetition: dict[str, float] = {}
    for candidate in candidates:
        try:
            with Opened(candidate.path) as (meta, ds):
                image = image_of(candidate, meta, ds)
                own = frames_of(ds, image.header, image.frame_count, len(images))
                fact = facts_of(ds)
                if fact.series_uid not in repetition:
                    repetition[fact.series_uid] = repetition_s(ds)
        except (DataSetError, OSError) as error:
            failed.append(refused(candidate, error))
            continue
        if len(own) < image.header.number_of_frames and own and own[0].tile is None:
            there = f"{len(own)} of {image.header.number_of_frames} frames are there"
            failed.append(refused(candidate, there))
            continue
        images.append(image)
        facts.append(fact)
        frames.setdefault(image.candidate.name, []).extend(own)
    series, twice = by_series(zip(images, facts, strict=True))
    failed += twice
    pieces: list[Piece] = []
    taken: set[str] = set()
    for one in series:
        found = [frame for image in one.images for frame in frames[image.candidate.name]]
        made, words = _series_pieces(one, found, images, repetition[one.uid], options, suffix, taken)
        pieces += made
        failed += words
    return pieces, failed


def _series_pieces(
    series: Series,
    frames: list[Frame],
    images: list[Image],
    seconds: float,
    options: Options,
    suffix: str,
    taken: set[str],
) -> tuple[list[Piece], list[Converted]]:
    made, errors = stacks(frames, uneven=options.uneven)
    name = f"series {series.number}" + (f" ({series.uid})" if series.uid else "")
    failed = [Converted(name, None, error=str(error)) for error in errors]
    write = _WRITERS[suffix]
    pieces = []
    for stack in made:
        volume = Volume(stack, images, series.facts[0], seconds)
        piece = Piece(
            stem=series_stem(series, taken),
            suffix=suffix,
            source=name,
            make=lambda path, volume=volume: write(volume, options, path),  # type: ignore[misc]
            is_parallel=True,
        )
        pieces.append(piece)
    return pieces, failed


# Slices into files


@dataclass(frozen=True, slots=True)
class _Numbers:
    """In which type slices leave, by which scale they are to be read, and how one is made."""

    dtype: np.dtype[np.generic]
    slope: float
    intercept: float
    convert: Callable[[Values, Frame], Values]


def _numbers(volume: Volume, wanted: Wanted, *, narrow: bool) -> _Numbers:
    """`wanted` STORED keeps the stored values and names their scale; where slices differ in it, none can be
    named and they are rescaled.
    """
    header, frames = volume.lead.header, all_frames(volume.stack)
    if volume.samples > 1:
        return _Numbers(np.dtype("u1"), 1.0, 0.0, lambda values, _: values)
    scale = one_scale(frames)
    if header.bits_allocated == 1:
        return _Numbers(np.dtype("u1"), 1.0, 0.0, lambda values, _: values)
    if wanted is Wanted.STORED and (scale is not None or not narrow):
        dtype = narrow_type(header) if narrow else stored_type(header)
        slope, intercept = scale or (1.0, 0.0)
        return _Numbers(dtype, slope, intercept, lambda values, _: values.astype(dtype, copy=False))
    dtype = rescaled_type(header, frames)
    return _Numbers(dtype, 1.0, 0.0, lambda values, frame: rescaled(values, frame, dtype))


def _write_raw(
    path: Path, head: bytes, slices: list[Frame], size: int, make: Callable[[Frame], bytes | memoryview]
) -> None:
    """Every slice at its own place, from all cores."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        os.pwrite(fd, head, 0)

        def one(n: int) -> None:
            data = make(slices[n])
            _write_all(fd, memoryview(data).cast("B"), len(head) + n * size)

        with ThreadPoolExecutor(CORES) as pool:
            for _ in pool.map(one, range(len(slices))):
                pass
    finally:
        os.close(fd)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


def _write_gzipped(
    path: Path,
    plain: bytes,
    head: bytes,
    slices: list[Frame],
    size: int,
    make: Callable[[Frame], bytes | memoryview],
) -> None:
    """`plain` as it is, then head and slices compressed, several slices a member."""
    import imagecodecs

    per_member = max(1, _MEMBER_BYTES // max(1, size))

    def member(first: int) -> bytes:
        data = b"".join(bytes(make(frame)) for frame in slices[first : first + per_member])
        return bytes(imagecodecs.gzip_encode(head + data if first == 0 else data, level=_COMPRESSION))

    with path.open("xb") as out, ThreadPoolExecutor(CORES) as pool:
        out.write(plain)
        for data in _in_order(pool, member, range(0, len(slices), per_member)):
            out.write(data)


def _in_order(pool: ThreadPoolExecutor, call: Callable[[int], bytes], numbers: range) -> Iterator[bytes]:
    """Results in order, never more than a few computed ahead of who takes them."""
    waiting: list[Future[bytes]] = []
    for number in numbers:
        waiting.append(pool.submit(call, number))
        if len(waiting) > 2 * CORES:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


# Formats


def write_nifti(volume: Volume, options: Options, path: Path, *, gzipped: bool) -> Made:
    """One NIfTI-1 file, and what belongs beside it: b-values and b-vectors, the JSON sidecar of MR."""
    stack = volume.stack
    numbers = _numbers(volume, options.values or Wanted.STORED, narrow=True)
    if options.values is Wanted.RESCALED:
        numbers = _numbers(volume, Wanted.RESCALED, narrow=True)
    columns, rows, slices, times = stack.shape
    size = columns * rows * numbers.dtype.itemsize * volume.samples
    check_volume_size(stack, numbers.dtype.itemsize * volume.samples, MAX_VOLUME_BYTES)
    head = nifti_header(
        (columns, rows, slices, times) if times > 1 else (columns, rows, slices),
        numbers.dtype,
        stack.affine(),
        slope=numbers.slope,
        intercept=numbers.intercept,
        repetition_s=volume.repetition_s,
        description="Gantry",
        is_rgb=volume.samples > 1,
        in_patient=stack.in_patient,
    )
    assert len(head) == HEADER_BYTES

    def make(frame: Frame) -> memoryview:
        turned = numbers.convert(volume.stored(frame), frame)[::-1]
        return np.ascontiguousarray(turned).data

    if gzipped:
        _write_gzipped(path, b"", head, all_frames(stack), size, make)
    else:
        _write_raw(path, head, all_frames(stack), size, make)
    beside, notes = _beside_nifti(volume, options)
    return Made((*stack.notes, *notes), beside)


def _beside_nifti(volume: Volume, options: Options) -> tuple[dict[str, bytes], tuple[str, ...]]:
    beside: dict[str, bytes] = {}
    notes: tuple[str, ...] = ()
    weights = [time[0].diffusion for time in volume.stack.frames]
    if any(weight is not None and weight.b_value > 0 for weight in weights):
        plane = volume.stack.first.plane
        assert plane is not None
        vectors = [along_voxels(w.gradient if w is not None else None, plane) for w in weights]
        beside[".bval"] = (" ".join(f"{w.b_value if w else 0.0:g}" for w in weights) + "\n").encode()
        lines = (" ".join(f"{vector[axis] + 0.0:.6g}" for vector in vectors) for axis in range(3))
        beside[".bvec"] = ("\n".join(lines) + "\n").encode()
        if not any(any(vector) for vector in vectors):
            notes = ("the images say how strongly they are diffusion weighted, but not in which direction",)
    if options.sidecar and volume.facts.modality == "MR":
        from gantry.toolkit.bids import sidecar

        beside[".json"] = sidecar(volume.lead.candidate.path, volume.stack)
    return beside, notes


def write_nrrd(volume: Volume, options: Options, path: Path) -> Made:
    """One NRRD file, compressed."""
    stack = volume.stack
    numbers = _numbers(volume, options.values or Wanted.RESCALED, narrow=False)
    columns, rows, _, _ = stack.shape
    size = columns * rows * numbers.dtype.itemsize * volume.samples
    check_volume_size(stack, numbers.dtype.itemsize * volume.samples, MAX_VOLUME_BYTES)
    plane = stack.first.plane
    assert plane is not None
    head = nrrd_header(stack.shape, numbers.dtype, plane, stack.step_mm, samples=volume.samples)

    def make(frame: Frame) -> memoryview:
        return np.ascontiguousarray(numbers.convert(volume.stored(frame), frame)).data

    _write_gzipped(path, head, b"", all_frames(stack), size, make)
    return Made(stack.notes)


def write_npy(volume: Volume, options: Options, path: Path) -> Made:
    """The voxels as a NumPy array of (times,) slices, rows, columns(, samples); slices along the normal."""
    numbers, shape, size = _array(volume, options)
    head = io.BytesIO()
    np.lib.format.write_array_header_2_0(
        head, {"descr": numbers.dtype.str, "fortran_order": False, "shape": shape}
    )

    def make(frame: Frame) -> memoryview:
        return np.ascontiguousarray(numbers.convert(volume.stored(frame), frame)).data

    _write_raw(path, head.getvalue(), all_frames(volume.stack), size, make)
    return Made(volume.stack.notes)


def write_npz(volume: Volume, options: Options, path: Path) -> Made:
    """As `write_npy`, with where it is: `affine` (indexes column, row, slice to LPS mm), slope, intercept."""
    numbers, shape, _ = _array(volume, options)
    stack = volume.stack
    voxels = np.empty(shape, numbers.dtype)
    flat = voxels.reshape(-1, *shape[-3 if volume.samples > 1 else -2 :])
    frames = all_frames(stack)

    def one(n: int) -> None:
        flat[n] = numbers.convert(volume.stored(frames[n]), frames[n])

    with ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(one, range(len(frames))):
            pass
    plane = stack.first.plane
    assert plane is not None
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(plane.row, plane.spacing_mm[1])
    affine[:3, 1] = np.multiply(plane.column, plane.spacing_mm[0])
    affine[:3, 2] = stack.step_mm
    affine[:3, 3] = plane.position_mm
    with path.open("xb") as out:
        np.savez_compressed(
            out, voxels=voxels, affine=affine, slope=numbers.slope, intercept=numbers.intercept
        )
    return Made(stack.notes)


def _array(volume: Volume, options: Options) -> tuple[_Numbers, tuple[int, ...], int]:
    numbers = _numbers(volume, options.values or Wanted.RESCALED, narrow=False)
    columns, rows, slices, times = volume.stack.shape
    size = columns * rows * numbers.dtype.itemsize * volume.samples
    check_volume_size(volume.stack, numbers.dtype.itemsize * volume.samples, MAX_VOLUME_BYTES)
    shape = (times, slices, rows, columns) if times > 1 else (slices, rows, columns)
    return numbers, (*shape, 3) if volume.samples > 1 else shape, size


def _nifti_gz(volume: Volume, options: Options, path: Path) -> Made:
    return write_nifti(volume, options, path, gzipped=True)


def _nifti(volume: Volume, options: Options, path: Path) -> Made:
    return write_nifti(volume, options, path, gzipped=False)


_WRITERS: dict[str, Callable[[Volume, Options, Path], Made]] = {
    ".nii.gz": _nifti_gz,
    ".nii": _nifti,
    ".nrrd": write_nrrd,
    ".npy": write_npy,
    ".npz": write_npz,
}
