"""What each frame of an image says of its place in a volume: the classic attributes, functional groups,
mosaics.

In enhanced multi-frame objects an attribute stands in a macro (PS3.3 C.7.6.16), elsewhere at the top;
`Groups` looks in this order. A Siemens mosaic is one stored frame that holds all slices of a volume as tiles;
it becomes one `Frame` for each slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.functional_groups import (
    FRAME_CONTENT,
    PER_FRAME,
    PIXEL_MEASURES,
    PIXEL_VALUE_TRANSFORMATION,
    PLANE_ORIENTATION,
    PLANE_POSITION,
    FunctionalGroups,
)
from gantry.pixels.image import ImageHeader
from gantry.volume.csa import csa_numbers, read_csa
from gantry.volume.diffusion import Diffusion, diffusion_of
from gantry.volume.plane import LEAST_MM, MOST_MM, Plane, Vector, dot, moved, plane_from
from gantry.volume.private import private_tag

MAX_FRAMES = 1_000_000
"""Frames of one series that are looked at; the longest functional series have some hundred thousand."""

MOST_REPETITION_MS = 1e6
"""More is no time between excitations, but a wrong number."""

_POSITION, _ORIENTATION, _SPACING = 0x00200032, 0x00200037, 0x00280030
_THICKNESS, _SPACING_BETWEEN_SLICES = 0x00180050, 0x00180088
_INTERCEPT, _SLOPE = 0x00281052, 0x00281053
_STACK_ID, _TEMPORAL_INDEX, _FRAME_ACQUISITION = 0x00209056, 0x00209128, 0x00209156
_MR_ECHO, _EFFECTIVE_ECHO_TIME = 0x00189114, 0x00189082
_TIMING, _REPETITION_TIME = 0x00189112, 0x00180080
_ECHO_TIME, _ECHO_NUMBERS = 0x00180081, 0x00180086
_FRAME_TYPE, _COMPLEX_COMPONENT = 0x00089007, 0x00089208
_FRAME_TYPE_MACROS = (0x00189226, 0x00189329, 0x00189751, 0x00189806)  # MR, CT, PET, US and others
_IMAGE_TYPE = 0x00080008
_TEMPORAL_POSITION, _ACQUISITION_NUMBER, _INSTANCE_NUMBER = 0x00200100, 0x00200012, 0x00200013
_SERIES_UID, _MODALITY = 0x0020000E, 0x00080060

_CSA_CREATOR = "SIEMENS CSA HEADER"
_MR_CREATOR = "SIEMENS MR HEADER"


@dataclass(frozen=True, slots=True)
class Kind:
    """What frames must share to lie in one volume, besides being parallel.

    `form` is what makes stored values alike: samples, bits allocated, bits stored, sign, whether they are
    floating point, photometric interpretation.
    """

    series_uid: str
    size: tuple[int, int]
    form: tuple[int, int, int, bool, bool, str]
    spacing_mm: tuple[float, float]
    image_type: tuple[str, ...]
    echo: tuple[float, ...]
    stack: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice: which `instance` of those read together and which stored frame `number` of it, from 0.

    `tile` is (row, column) of its first pixel where it is part of a mosaic. `order` tells frames at the same
    place apart in time. `step_mm` is what the header says of the distance to the next slice, 0 for nothing.
    """

    instance: int
    number: int
    plane: Plane | None
    kind: Kind
    order: tuple[float, ...]
    slope: float = 1.0
    intercept: float = 0.0
    step_mm: float = 0.0
    tile: tuple[int, int] | None = None
    diffusion: Diffusion | None = field(default=None, compare=False)


class Groups:
    """The attributes of the frames of an image, wherever they stand."""

    def __init__(self, ds: DataSet) -> None:
        self._ds = ds
        self._groups = FunctionalGroups(ds)
        self._is_enhanced = self._groups.is_enhanced

    def holder(self, number: int, macro: int, tag: int) -> DataSet | None:
        """The Item of a macro, or the Data Set itself, where an attribute stands for frame `number`, from 0.

        An Item without it is passed over: writers leave at the top what belongs into the macro.
        """
        if self._is_enhanced:
            for item in self._groups.items(number + 1, macro)[:1]:
                if tag in item.elements:
                    return item
        return self._ds if tag in self._ds.elements else None

    def floats(self, number: int, macro: int, tag: int) -> list[float]:
        """The numbers of an attribute."""
        holder = self.holder(number, macro, tag)
        return holder.floats(tag) if holder is not None else []

    def text(self, number: int, macro: int, tag: int) -> str:
        """All values of an attribute, empty where it is absent."""
        holder = self.holder(number, macro, tag)
        return "\\".join(holder.texts(tag)) if holder is not None else ""


def frames_of(ds: DataSet, header: ImageHeader, count: int, instance: int = 0) -> list[Frame]:
    """The frames of one image, `count` of which have bytes. Raises DataSetError where there are too many."""
    if count > MAX_FRAMES:
        raise DataSetError(f"{count} frames, more than the {MAX_FRAMES} that are looked at", tag=0x00280008)
    groups = Groups(ds)
    is_mr = ds.text(_MODALITY) == "MR"
    frames = [_frame(ds, groups, header, number, instance, is_mr=is_mr) for number in range(count)]
    mosaic = mosaic_of(ds, header) if is_mr else None
    if mosaic is None:
        return frames
    return [tile for frame in frames for tile in mosaic.tiles(frame)]


def repetition_s(ds: DataSet) -> float:
    """Repetition Time of the first frame in seconds; 0 where the object does not say."""
    value = _finite(Groups(ds).floats(0, _TIMING, _REPETITION_TIME), 0.0)
    return value / 1000 if 0 < value < MOST_REPETITION_MS else 0.0


def _frame(
    ds: DataSet, groups: Groups, header: ImageHeader, number: int, instance: int, *, is_mr: bool
) -> Frame:
    position = groups.floats(number, PLANE_POSITION, _POSITION)
    orientation = groups.floats(number, PLANE_ORIENTATION, _ORIENTATION)
    spacing = groups.floats(number, PIXEL_MEASURES, _SPACING)
    step = groups.floats(number, PIXEL_MEASURES, _SPACING_BETWEEN_SLICES) or groups.floats(
        number, PIXEL_MEASURES, _THICKNESS
    )
    plane = plane_from(position, orientation, spacing)
    return Frame(
        instance=instance,
        number=number,
        plane=plane,
        kind=_kind(ds, groups, header, number, spacing),
        order=_order(ds, groups, number),
        slope=_finite(groups.floats(number, PIXEL_VALUE_TRANSFORMATION, _SLOPE), 1.0) or 1.0,
        intercept=_finite(groups.floats(number, PIXEL_VALUE_TRANSFORMATION, _INTERCEPT), 0.0),
        step_mm=_distance(step),
        diffusion=diffusion_of(ds, lambda macro, tag: groups.holder(number, macro, tag)) if is_mr else None,
    )


def _kind(ds: DataSet, groups: Groups, header: ImageHeader, number: int, spacing: list[float]) -> Kind:
    echo = groups.floats(number, _MR_ECHO, _EFFECTIVE_ECHO_TIME) or (
        ds.floats(_ECHO_TIME) + ds.floats(_ECHO_NUMBERS)[:1]
    )
    frame_type = ""
    for macro in _FRAME_TYPE_MACROS:
        frame_type = groups.text(number, macro, _FRAME_TYPE)
        if frame_type:
            frame_type += "\\" + groups.text(number, macro, _COMPLEX_COMPONENT)
            break
    return Kind(
        series_uid=ds.text(_SERIES_UID) or "",
        size=(header.rows, header.columns),
        form=(
            header.samples_per_pixel,
            header.bits_allocated,
            header.bits_stored,
            header.signed,
            header.is_float,
            header.photometric_interpretation,
        ),
        spacing_mm=(round(spacing[0], 4), round(spacing[1], 4)) if len(spacing) == 2 else (0.0, 0.0),
        image_type=tuple(frame_type.split("\\") if frame_type else ds.texts(_IMAGE_TYPE)),
        echo=tuple(round(value, 4) for value in echo),
        stack=groups.text(number, FRAME_CONTENT, _STACK_ID),
    )


def _order(ds: DataSet, groups: Groups, number: int) -> tuple[float, ...]:
    temporal = groups.floats(number, FRAME_CONTENT, _TEMPORAL_INDEX) or ds.floats(_TEMPORAL_POSITION)
    acquisition = groups.floats(number, FRAME_CONTENT, _FRAME_ACQUISITION) or ds.floats(_ACQUISITION_NUMBER)
    # An Enhanced object counts times from 1 in each instance, so that the instance goes first there.
    instance = _finite(ds.floats(_INSTANCE_NUMBER), 0.0)
    times = (_finite(temporal, 0.0), _finite(acquisition, 0.0))
    if PER_FRAME in ds.elements:
        return (instance, *times, float(number))
    return (*times, instance, float(number))


def _distance(values: list[float]) -> float:
    """A distance between slices in mm; 0 where there is none to be believed."""
    size = abs(_finite(values, 0.0))
    return size if LEAST_MM <= size <= MOST_MM else 0.0


def _finite(values: list[float], default: float) -> float:
    return values[0] if values and math.isfinite(values[0]) else default


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A Siemens mosaic: `slices` tiles, row by row, `across` in a row, each of `size` pixels.

    `normal` is the direction from slice to slice; None where the scanner does not say, which is that of the
    plane's own normal.
    """

    slices: int
    across: int
    size: tuple[int, int]
    normal: Vector | None
    step_mm: float

    def tiles(self, frame: Frame) -> Iterator[Frame]:
        """The slices of a frame. The header's position is the corner of a frame of the mosaic's whole size
        around the same centre, which no slice has.
        """
        rows, columns = self.size
        first = frame.plane
        if first is not None:
            first = first.at_pixel(rows * (self.across - 1) / 2, columns * (self.across - 1) / 2)
        for n in range(self.slices):
            plane = first
            if plane is not None:
                normal = plane.normal
                if self.normal is not None and dot(self.normal, normal) < 0:
                    normal = (-normal[0], -normal[1], -normal[2])
                plane = replace(plane, position_mm=moved(plane.position_mm, normal, n * self.step_mm))
            yield replace(
                frame,
                plane=plane,
                kind=replace(frame.kind, size=self.size),
                step_mm=self.step_mm,
                tile=(n // self.across * rows, n % self.across * columns),
            )


def mosaic_of(ds: DataSet, header: ImageHeader) -> Mosaic | None:
    """How the tiles of a mosaic lie; None for an image that is none. Raises DataSetError where it says that
    it is one, and not of how many slices.
    """
    if "MOSAIC" not in ds.texts(_IMAGE_TYPE):
        return None
    csa = csa_of(ds)
    slices = _finite(csa_numbers(csa, "NumberOfImagesInMosaic"), 0.0) or _finite(
        _private_floats(ds, 0x0019, _MR_CREATOR, 0x0A), 0.0
    )
    if not 1 <= slices <= header.rows * header.columns:
        raise DataSetError("a mosaic that does not say of how many slices", tag=_IMAGE_TYPE)
    across = math.ceil(math.sqrt(slices))
    if header.rows % across or header.columns % across:
        raise DataSetError(
            f"a mosaic of {int(slices)} slices in {header.columns}x{header.rows} pixels", tag=_IMAGE_TYPE
        )
    normal = csa_numbers(csa, "SliceNormalVector")
    step = ds.floats(_SPACING_BETWEEN_SLICES) or ds.floats(_THICKNESS)
    return Mosaic(
        int(slices),
        across,
        (header.rows // across, header.columns // across),
        (normal[0], normal[1], normal[2]) if len(normal) == 3 else None,
        _distance(step) or 1.0,
    )


def csa_of(ds: DataSet) -> dict[str, list[str]]:
    """The Siemens image header, (0029,1010); empty where there is none."""
    tag = private_tag(ds, 0x0029, _CSA_CREATOR, 0x10)
    return read_csa(ds.raw(tag)) if tag is not None else {}


def _private_floats(ds: DataSet, group: int, creator: str, element: int) -> list[float]:
    tag = private_tag(ds, group, creator, element)
    return ds.floats(tag) if tag is not None else []
