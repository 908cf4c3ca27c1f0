"""What a rendered resource was asked to look like, and in which media types it can be had (PS3.18 8.3.5,
8.7.4).

The parameters of WADO-RS are read here, and the values that WADO-URI shares with it. What cannot be is
refused with 400 and a message; an annotation that is not known is passed over, and told (8.3.5.1.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gantry.dicomweb.accept import AcceptRange, Offer
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.errors import WebRequestError

MAX_VIEWPORT_PIXELS = 16_384
"""Longest side of a rendering; four times the widest display sold."""

MAX_VOI_CHARS = 64
"""A name of a window: Window Center & Width Explanation is LO."""

JPEG, GIF, MP4 = "image/jpeg", "image/gif", "video/mp4"
PICTURE_TYPES = (JPEG, GIF, "image/png", "image/jp2", "image/jxl")
"""Of one frame, the default first (PS3.18 Table 8.7.4-1)."""

WITHOUT_PROFILE = frozenset({GIF, "image/jxl", MP4})
"""Media types in which no ICC profile is embedded here."""

THUMBNAIL_PIXELS = 128
"""Longest side of a thumbnail unless a viewport is asked for."""

ANNOTATIONS = ("patient", "technique")
ICC_PROFILES = ("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3")
WINDOW_FUNCTIONS = ("linear", "linear-exact", "sigmoid")


@dataclass(frozen=True, slots=True)
class Window:
    """Window centre, width and function (PS3.18 8.3.5.1.4, PS3.3 C.11.2.1)."""

    center: float
    width: float
    function: str = "linear"


@dataclass(frozen=True, slots=True)
class Viewport:
    """Size, in pixels, that the rendering is fitted into; 0 for a side that follows from the other."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Region:
    """The part of the image that is shown: its top left corner and size, the image's own corner at 0, 0.

    `width` and `height` None reach to the right and bottom edge. In pixels, or with `is_relative` in parts of
    the image's width and height (WADO-URI).
    """

    x: float = 0.0
    y: float = 0.0
    width: float | None = None
    height: float | None = None
    is_relative: bool = False

    def in_image(self, columns: int, rows: int) -> tuple[float, float, float, float]:
        """Left, top, width, height in pixels of an image. Raises WebRequestError 400 where they leave it."""
        across, down = (columns, rows) if self.is_relative else (1, 1)
        left, top = self.x * across, self.y * down
        width = columns - left if self.width is None else self.width * across
        height = rows - top if self.height is None else self.height * down
        # A pixel's thousandth is rounding of the numbers, not a wish.
        if width <= 0 or height <= 0 or left + width > columns + 1e-3 or top + height > rows + 1e-3:
            raise WebRequestError(400, f"the region is not within the image of {columns} by {rows} pixels")
        return left, top, min(width, columns - left), min(height, rows - top)


@dataclass(frozen=True, slots=True)
class RenderingParameters:
    """What a rendered resource was asked to look like (PS3.18 8.3.5).

    `voi` names one of the image's own windows or VOI LUTs, or is its number from 1: an extension.
    `is_thumbnail` asks for speed before the last detail. `unknown_annotations` are not shown.
    """

    viewport: Viewport | None = None
    region: Region | None = None
    flip_horizontal: bool = False
    flip_vertical: bool = False
    window: Window | None = None
    quality: int | None = None
    annotations: tuple[str, ...] = ()
    icc_profile: str = ""
    voi: str = ""
    is_thumbnail: bool = False
    unknown_annotations: tuple[str, ...] = field(default=(), compare=False, repr=False)


def parse_rendering(query: str) -> RenderingParameters:
    """Read the parameters of a rendered resource. Raises WebRequestError 400."""
    pairs = split_query(query)
    viewport, region, flips = _viewport(single(pairs, "viewport"))
    window, voi = single(pairs, "window"), single(pairs, "voi")
    if window is not None and voi is not None:
        raise WebRequestError(400, "window and voi exclude each other")
    known, unknown = parse_annotations(single(pairs, "annotation"))
    check_charset(single(pairs, "charset"))
    quality = single(pairs, "quality")
    return RenderingParameters(
        viewport,
        region,
        *flips,
        None if window is None else parse_window(window),
        None if quality is None else parse_quality(quality),
        known,
        _icc_profile(single(pairs, "iccprofile")),
        _voi(voi),
        unknown_annotations=unknown,
    )


_THUMBNAIL = Viewport(THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)


def parse_thumbnail(query: str) -> RenderingParameters:
    """Read the parameters of a thumbnail: a viewport, which crops nothing. Raises WebRequestError 400."""
    pairs = split_query(query)
    viewport, region, _ = _viewport(single(pairs, "viewport"))
    check_charset(single(pairs, "charset"))
    if region is not None:
        raise WebRequestError(400, "viewport: a thumbnail shows the whole image; give VW,VH")
    return RenderingParameters(viewport or _THUMBNAIL, is_thumbnail=True)


def _viewport(text: str | None) -> tuple[Viewport | None, Region | None, tuple[bool, bool]]:
    """``vw,vh`` or ``vw,vh,sx,sy,sw,sh`` with any of the last four left out (PS3.18 8.3.5.1.3).

    Only absolute values place the region; a negative width or height flips what is in it.
    """
    if text is None:
        return None, None, (False, False)
    parts = text.split(",", 6)
    if not 2 <= len(parts) <= 6 or (len(parts) > 2 and not parts[-1]):
        raise WebRequestError(400, "viewport is not VW,VH or VW,VH,SX,SY,SW,SH")
    width, height = (unsigned("viewport", part, maximum=MAX_VIEWPORT_PIXELS) for part in parts[:2])
    if not width or not height:
        raise WebRequestError(400, "viewport: a side of no pixels")
    if len(parts) == 2:
        return Viewport(width, height), None, (False, False)
    values = [finite("viewport", part) if part else None for part in parts[2:]]
    x, y, w, h = (*values, None, None, None)[:4]
    if w == 0 or h == 0:
        raise WebRequestError(400, "viewport: a region of no pixels")
    region = Region(
        abs(x or 0.0), abs(y or 0.0), None if w is None else abs(w), None if h is None else abs(h)
    )
    return Viewport(width, height), region, (w is not None and w < 0, h is not None and h < 0)


def refuse_with_state(asked: RenderingParameters) -> None:
    """Of a presentation state only annotation, quality, viewport and profile can be chosen; raises
    WebRequestError 400 for the rest (PS3.18 8.3.5.1.3, 8.3.5.1.4)."""
    is_turned = asked.flip_horizontal or asked.flip_vertical
    if asked.window is not None or asked.region is not None or asked.voi or is_turned:
        raise WebRequestError(400, "window, region and turning are the presentation state's own")


def parse_window(text: str) -> Window:
    """``center,width,function``, all three (PS3.18 8.3.5.1.4)."""
    parts = text.split(",", 3)
    if len(parts) != 3:
        raise WebRequestError(400, "window is not CENTER,WIDTH,FUNCTION")
    if parts[2] not in WINDOW_FUNCTIONS:
        raise WebRequestError(400, f"window: the function is one of {', '.join(WINDOW_FUNCTIONS)}")
    return make_window(*parts)


def make_window(center: str, width: str, function: str = "linear") -> Window:
    """A window from its two numbers. Raises WebRequestError 400."""
    window = Window(finite("window center", center), finite("window width", width), function)
    # PS3.3 C.11.2.1.2: a linear window is at least 1 wide, the others wider than 0.
    if window.width < 1 if function == "linear" else window.width <= 0:
        raise WebRequestError(400, "window: the width is too small")
    return window


def parse_quality(text: str) -> int:
    """Quality from 1 to 100 (PS3.18 8.3.5.1.2)."""
    quality = unsigned("quality", text, maximum=100)
    if quality < 1:
        raise WebRequestError(400, "quality is from 1 to 100")
    return quality


def parse_annotations(text: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The annotations that can be shown, in one order, and those that cannot (PS3.18 8.3.5.1.1).

    Raises WebRequestError 400 for an empty list.
    """
    if text is None:
        return (), ()
    words = text.split(",", 16)
    if "" in words:
        raise WebRequestError(400, f"annotation is a list of {', '.join(ANNOTATIONS)}")
    known = tuple(word for word in ANNOTATIONS if word in words)
    return known, tuple(dict.fromkeys(word[:40] for word in words if word not in ANNOTATIONS))


def check_charset(text: str | None) -> None:
    """Character sets for the text of an answer, of which pictures have none; raises WebRequestError 400 where
    it is no list of names (PS3.18 8.3.3.2).
    """
    if text is None:
        return
    for entry in text.split(",", 100):
        name, _, weight = entry.partition(";")
        named = name.strip().replace("-", "").replace("_", "").replace(" ", "").replace(":", "")
        if not (named.isascii() and named.isalnum()) or (weight and not weight.strip().startswith("q=")):
            raise WebRequestError(400, "charset is not a list of character sets")


def finite(name: str, text: str) -> float:
    """A decimal number. Raises WebRequestError 400."""
    try:
        value = float(text) if len(text) <= 40 and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise WebRequestError(400, f"{name}={text[:40]!r} is not a number")
    return value


def _icc_profile(text: str | None) -> str:
    if text is not None and text not in ICC_PROFILES:
        raise WebRequestError(400, f"iccprofile is one of {', '.join(ICC_PROFILES)}")
    return text or ""


def _voi(text: str | None) -> str:
    if text is None:
        return ""
    if not text or len(text) > MAX_VOI_CHARS:
        raise WebRequestError(400, "voi is the name of a window of the image, or its number from 1")
    return text


def check_profile(asked: str, media_type: str) -> None:
    """Raise WebRequestError 400 for a colour space in a picture that cannot say which one it is in."""
    if asked not in ("", "no", "yes", "srgb") and media_type in WITHOUT_PROFILE:
        raise WebRequestError(400, f"iccprofile={asked}: {media_type} is given without a profile, in sRGB")


def picture_offers(*, multipart: bool = False) -> tuple[Offer, ...]:
    """Forms of rendered frames."""
    return tuple(Offer(media_type, multipart=multipart) for media_type in PICTURE_TYPES)


def moving_offers(*, video: bool) -> tuple[Offer, ...]:
    """Forms of several frames as one moving picture; `video` where there is an encoder for it."""
    return (Offer(GIF), Offer(MP4)) if video else (Offer(GIF),)


def refuse_mixture(ranges: Sequence[AcceptRange]) -> None:
    """Raise WebRequestError 409 where DICOM and rendered media types are asked for at once (PS3.18 8.7.5)."""
    kinds = {
        "dicom" if entry.essence.startswith("application/dicom") else "rendered"
        for entry in ranges
        if entry.essence.startswith(("application/dicom", "image/", "video/"))
    }
    if len(kinds) > 1:
        raise WebRequestError(409, "DICOM and rendered media types exclude each other in one request")
