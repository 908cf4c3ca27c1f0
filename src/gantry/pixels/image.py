"""What a header says of the pixels of a frame: Image Pixel and related modules as one value (PS3.3 C.7.6.3).

A header is a claim. `ImageHeader.from_dataset` takes the claim as it stands, with the standard's
defaults where an attribute is missing, and `check_size` says before any memory is taken whether
one frame of it is something this program is willing to decode.
"""

from __future__ import annotations

from dataclasses import dataclass

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.functional_groups import (
    FRAME_DISPLAY_SHUTTER,
    FRAME_VOI_LUT,
    PIXEL_MEASURES,
    PIXEL_VALUE_TRANSFORMATION,
    FunctionalGroups,
)
from gantry.pixels.lut import LookupTable, read_tables
from gantry.pixels.overlay import Overlay, read_overlays
from gantry.pixels.palette import Palette, read_palette
from gantry.pixels.presentation import Presentation
from gantry.pixels.shutter import Shutter, read_shutter
from gantry.pixels.voi import Window

__all__ = ["ImageHeader", "LookupTable", "Rendering", "Window", "read_windows"]

# A frame larger than this is not decoded: 100 Mpixel is four times the largest detector in use,
# and 512 MB is what one decoding worker may hold (reliability limits, "render").
MAX_FRAME_PIXELS = 100_000_000
MAX_FRAME_BYTES = 512_000_000

MAX_ICC_BYTES = 4 << 20
"""Profiles of scanners have kilobytes; those of printers, with tables, up to a few megabytes."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What is asked of a picture, and how it is coded.

    `width`, `height`: viewport in pixels, 0 for as stored. `window`: instead of the header's; else
    `voi_name` or `voi_number` (from 1) choose among those. `region`: left, top, width and height of what is
    shown, in pixels of the image, its corner 0, 0. The flips turn what is shown. `icc_profile` is of PS3.18
    8.3.5.1.5: no, yes, srgb, adobergb, rommrgb, displayp3; empty for sRGB that does not say so.
    `notes`: lines to burn in at the top left and at the bottom left. `is_draft`: pixels that a much smaller
    picture can do without may be left out.
    """

    width: int = 0
    height: int = 0
    window: Window | None = None
    voi_function: str = ""
    media_type: str = "image/jpeg"
    quality: int = 90
    voi_name: str = ""
    voi_number: int = 0
    region: tuple[float, float, float, float] | None = None
    flip_horizontal: bool = False
    flip_vertical: bool = False
    icc_profile: str = ""
    notes: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The attributes that decoding and display of one frame need; sizes in pixels, depths in bits."""

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    planar_configuration: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    number_of_frames: int
    rescale_slope: float
    rescale_intercept: float
    windows: tuple[Window, ...]
    voi_lut_function: str
    presentation_lut_shape: str
    pixel_padding_value: int | None
    palette: Palette | None
    pixel_aspect: tuple[float, float]
    pixel_vr: str = ""
    """VR of the pixels: OB, OW; OF and OD where they are floating point (PS3.3 C.7.6.24)."""
    modality: str = ""
    rescale_type: str = ""
    modality_lut: LookupTable | None = None
    voi_luts: tuple[LookupTable, ...] = ()
    presentation_lut: LookupTable | None = None
    padding_limit: int | None = None
    is_supplemental: bool = False
    """The palette colours the values from its first on; those below are gray (PS3.3 C.8.16.2.1.2)."""
    overlays: tuple[Overlay, ...] = ()
    shutter: Shutter | None = None
    icc_profile: bytes = b""
    presentation: Presentation | None = None

    @property
    def is_float(self) -> bool:
        """Whether the samples are floating point."""
        return self.pixel_vr in ("OF", "OD")

    @classmethod
    def from_dataset(cls, ds: DataSet, frame: int = 1, groups: FunctionalGroups | None = None) -> ImageHeader:
        """Read the header for a frame, from 1; what is missing takes the value that the standard implies.

        `groups` are those of `ds`, where several frames are asked for. Raises DataSetError for a segmented
        palette that cannot be expanded.
        """
        groups = groups or FunctionalGroups(ds)
        allocated = _integer(ds, 0x00280100, 16)
        stored = _integer(ds, 0x00280101, allocated)
        stored = stored if 0 < stored <= allocated else allocated
        high = _integer(ds, 0x00280102, stored - 1)
        signed = _integer(ds, 0x00280103, 0) == 1
        transformation = groups.attributes(frame, PIXEL_VALUE_TRANSFORMATION)
        voi = groups.attributes(frame, FRAME_VOI_LUT)
        slope = _decimal(transformation, 0x00281053, 1.0) or 1.0
        intercept = _decimal(transformation, 0x00281052, 0.0)
        photometric = (ds.text(0x00280004) or "MONOCHROME2").upper()
        tables = read_tables(ds.sequence(0x20500010), signed_input=False)
        modality_luts = read_tables(ds.sequence(0x00283000)[:1], signed_input=signed)
        presents_color = (ds.text(0x00089205) or "").upper() in ("COLOR", "MIXED")
        is_supplemental = photometric == "MONOCHROME2" and presents_color
        return cls(
            rows=_integer(ds, 0x00280010, 0),
            columns=_integer(ds, 0x00280011, 0),
            samples_per_pixel=_integer(ds, 0x00280002, 1),
            photometric_interpretation=photometric,
            planar_configuration=_integer(ds, 0x00280006, 0),
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=high,
            signed=signed,
            number_of_frames=max(1, int(_decimal(ds, 0x00280008, 1))),
            rescale_slope=slope,
            rescale_intercept=intercept,
            windows=read_windows(voi),
            voi_lut_function=(voi.text(0x00281056) or "LINEAR").upper(),
            presentation_lut_shape=(ds.text(0x20500020) or "").upper(),
            pixel_padding_value=_padding(ds, 0x00280120, signed, allocated),
            palette=read_palette(ds, signed=signed)
            if photometric == "PALETTE COLOR" or is_supplemental
            else None,
            pixel_aspect=_aspect(ds, groups.attributes(frame, PIXEL_MEASURES)),
            pixel_vr=_pixel_vr(ds),
            modality=(ds.text(0x00080060) or "").upper(),
            rescale_type=(transformation.text(0x00281054) or "").upper(),
            modality_lut=modality_luts[0] if modality_luts else None,
            voi_luts=read_tables(voi.sequence(0x00283010), signed_input=signed or intercept < 0),
            presentation_lut=tables[0] if tables else None,
            padding_limit=_padding(ds, 0x00280121, signed, allocated),
            is_supplemental=is_supplemental,
            overlays=read_overlays(ds, frame, stored_bits=range(high - stored + 1, high + 1)),
            shutter=read_shutter(groups.attributes(frame, FRAME_DISPLAY_SHUTTER)),
            icc_profile=_icc_profile(ds),
        )

    @property
    def frame_samples(self) -> int:
        """Values in one frame: rows times columns times samples."""
        return self.rows * self.columns * self.samples_per_pixel

    def check_size(self) -> None:
        """Raise DataSetError when one frame is empty or larger than the limits allow."""
        pixels = self.rows * self.columns
        if pixels == 0:
            raise DataSetError(
                f"the image is {self.columns}x{self.rows}: there is nothing to show", tag=0x00280010
            )
        if (
            pixels > MAX_FRAME_PIXELS
            or self.frame_samples * max(1, self.bits_allocated // 8) > MAX_FRAME_BYTES
        ):
            raise DataSetError(
                f"a frame of {self.columns}x{self.rows} is over the limit for decoding", tag=0x00280010
            )
        if self.samples_per_pixel not in (1, 3, 4):
            raise DataSetError(f"Samples per Pixel is {self.samples_per_pixel}", tag=0x00280002)
        if self.bits_allocated not in (1, 8, 16, 32, 64):
            raise DataSetError(f"Bits Allocated is {self.bits_allocated}", tag=0x00280100)


def read_windows(ds: DataSet) -> tuple[Window, ...]:
    """The windows of a Data Set or Item with their names; NaN for a number that is none."""
    centers = ds.texts(0x00281050)
    widths = ds.texts(0x00281051)
    names = ds.texts(0x00281055)
    windows = []
    for n, (center, width) in enumerate(zip(centers, widths, strict=False)):
        name = names[n] if n < len(names) else ""
        windows.append(Window(_number(center, float("nan")), _number(width, float("nan")), name))
    return tuple(windows)


def _integer(ds: DataSet, tag: int, default: int) -> int:
    values = ds.ints(tag)
    return values[0] if values else default


def _decimal(ds: DataSet, tag: int, default: float) -> float:
    values = ds.floats(tag)
    # A number that is none, or without end, is as good as absent.
    return values[0] if values and abs(values[0]) < float("inf") else default


def _number(text: str | None, default: float) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        return default


def _padding(ds: DataSet, tag: int, signed: bool, bits: int) -> int | None:
    """Its VR follows Pixel Representation, which writers forget."""
    values = ds.ints(tag)
    if not values:
        return None
    value = values[0] & (1 << min(bits, 16)) - 1 if bits < 32 else values[0]
    return value - (1 << bits) if signed and bits <= 16 and value >> (bits - 1) else value


def _pixel_vr(ds: DataSet) -> str:
    for tag, vr in ((0x7FE00010, ""), (0x7FE00008, "OF"), (0x7FE00009, "OD")):
        element = ds.elements.get(tag)
        if element is not None:
            return vr or element[1]
    return ""


def _aspect(ds: DataSet, measures: DataSet) -> tuple[float, float]:
    """Vertical and horizontal pixel size, in any unit; (1, 1) where the header says nothing."""
    for where, tag in ((measures, 0x00280030), (ds, 0x00181164), (ds, 0x00280034)):
        parts = [_number(part, 0.0) for part in where.texts(tag)]  # spacing, at the imager, aspect ratio
        if len(parts) == 2 and 0 < parts[0] < float("inf") and 0 < parts[1] < float("inf"):
            return parts[0], parts[1]
    return 1.0, 1.0


def _icc_profile(ds: DataSet) -> bytes:
    """The profile of the image, or of the first optical path that has one (PS3.3 C.11.15, C.8.12.5)."""
    for where in (ds, *ds.sequence(0x00480105)[:1]):
        if len(where.view(0x00282000)) <= MAX_ICC_BYTES and 0x00282000 in where:
            return where.raw(0x00282000)
    return b""
