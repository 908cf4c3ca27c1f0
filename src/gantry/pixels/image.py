"""What a header says about its pixels: the Image Pixel and related modules as one value (PS3.3 C.7.6.3).

A header is a claim. `ImageHeader.from_dataset` takes the claim as it stands, with the standard's
defaults where an attribute is missing, and `check_size` says before any memory is taken whether
one frame of it is something this program is willing to decode.
"""

from __future__ import annotations

from dataclasses import dataclass

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError

# A frame larger than this is not decoded: 100 Mpixel is four times the largest detector in use,
# and 512 MB is what one decoding worker may hold (reliability limits, "render").
MAX_FRAME_PIXELS = 100_000_000
MAX_FRAME_BYTES = 512_000_000


@dataclass(frozen=True, slots=True)
class PaletteChannel:
    """One Palette Color Lookup Table (PS3.3 C.7.9.2): `entries` 16-bit values from `first_mapped` on."""

    first_mapped: int
    bits: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """One window of the VOI LUT module (PS3.3 C.11.2), in output units of the Modality LUT."""

    center: float
    width: float
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What is asked of a picture: viewport in pixels (0 for as stored), a window, and how it is coded."""

    width: int = 0
    height: int = 0
    window: Window | None = None
    voi_function: str = ""
    media_type: str = "image/jpeg"
    quality: int = 90


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The attributes that decoding and display need; sizes in pixels, depths in bits."""

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
    palette: tuple[PaletteChannel, PaletteChannel, PaletteChannel] | None
    pixel_aspect: tuple[float, float]
    pixel_vr: str = ""
    """VR of the pixels: OB, OW; OF and OD where they are floating point (PS3.3 C.7.6.24)."""

    @property
    def is_float(self) -> bool:
        """Whether the samples are floating point."""
        return self.pixel_vr in ("OF", "OD")

    @classmethod
    def from_dataset(cls, ds: DataSet) -> ImageHeader:
        """Read the header of an image; missing attributes take the value that the standard implies."""
        allocated = _integer(ds, 0x00280100, 16)
        stored = _integer(ds, 0x00280101, allocated)
        transformation = _functional_group(ds, 0x00289145)
        voi = _functional_group(ds, 0x00289132)
        return cls(
            rows=_integer(ds, 0x00280010, 0),
            columns=_integer(ds, 0x00280011, 0),
            samples_per_pixel=_integer(ds, 0x00280002, 1),
            photometric_interpretation=(ds.text(0x00280004) or "MONOCHROME2").upper(),
            planar_configuration=_integer(ds, 0x00280006, 0),
            bits_allocated=allocated,
            bits_stored=stored if 0 < stored <= allocated else allocated,
            high_bit=_integer(ds, 0x00280102, stored - 1),
            signed=_integer(ds, 0x00280103, 0) == 1,
            number_of_frames=max(1, int(_decimal(ds, 0x00280008, 1))),
            rescale_slope=_decimal(transformation, 0x00281053, 1.0) or 1.0,
            rescale_intercept=_decimal(transformation, 0x00281052, 0.0),
            windows=_windows(voi),
            voi_lut_function=(voi.text(0x00281056) or "LINEAR").upper(),
            presentation_lut_shape=(ds.text(0x20500020) or "").upper(),
            pixel_padding_value=_padding(ds),
            palette=_palette(ds),
            pixel_aspect=_aspect(ds),
            pixel_vr=_pixel_vr(ds),
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


def _functional_group(ds: DataSet, macro: int) -> DataSet:
    """The item of a functional group macro for the first frame, or the Data Set itself (PS3.3 C.7.6.16)."""
    for groups in (0x52009229, 0x52009230):  # shared, per-frame
        for group in ds.sequence(groups)[:1]:
            items = group.sequence(macro)
            if items:
                return items[0]
    return ds


def _integer(ds: DataSet, tag: int, default: int) -> int:
    values = ds.ints(tag)
    return values[0] if values else default


def _decimal(ds: DataSet, tag: int, default: float) -> float:
    return _number(ds.text(tag), default)


def _number(text: str | None, default: float) -> float:
    try:
        return float(text) if text else default
    except ValueError:
        return default


def _windows(ds: DataSet) -> tuple[Window, ...]:
    centers = ds.texts(0x00281050)
    widths = ds.texts(0x00281051)
    names = ds.texts(0x00281055)
    windows = []
    for n, (center, width) in enumerate(zip(centers, widths, strict=False)):
        name = names[n] if n < len(names) else ""
        windows.append(Window(_number(center, float("nan")), _number(width, float("nan")), name))
    return tuple(windows)


def _padding(ds: DataSet) -> int | None:
    values = ds.ints(0x00280120)
    return values[0] if values else None


def _palette(ds: DataSet) -> tuple[PaletteChannel, PaletteChannel, PaletteChannel] | None:
    red, green, blue = (_palette_channel(ds, 0x00281101 + n, 0x00281201 + n) for n in range(3))
    if red is None or green is None or blue is None:
        return None
    return red, green, blue


def _palette_channel(ds: DataSet, descriptor_tag: int, data_tag: int) -> PaletteChannel | None:
    descriptor = ds.ints(descriptor_tag)
    data = ds.raw(data_tag)
    if len(descriptor) != 3 or not data:
        return None
    return PaletteChannel(first_mapped=descriptor[1], bits=descriptor[2], data=data)


def _pixel_vr(ds: DataSet) -> str:
    for tag, vr in ((0x7FE00010, ""), (0x7FE00008, "OF"), (0x7FE00009, "OD")):
        element = ds.elements.get(tag)
        if element is not None:
            return vr or element[1]
    return ""


def _aspect(ds: DataSet) -> tuple[float, float]:
    """Vertical and horizontal pixel size, in any unit; (1, 1) where the header says nothing."""
    for tag in (0x00280030, 0x00181164, 0x00280034):  # Pixel Spacing, Imager Pixel Spacing, Aspect Ratio
        parts = [_number(part, 0.0) for part in ds.texts(tag)]
        if len(parts) == 2 and parts[0] > 0 and parts[1] > 0:
            return parts[0], parts[1]
    return 1.0, 1.0
