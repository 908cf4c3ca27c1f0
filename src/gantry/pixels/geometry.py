"""Where a picture's pixels go: crop, rotate, flip, true to the pixel's aspect, fitted into the viewport."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantry.errors import DataSetError
from gantry.pixels.image import MAX_FRAME_PIXELS, ImageHeader, Rendering
from gantry.pixels.presentation import Point, Presentation

Picture = NDArray[np.uint8]

_TURNS = {
    0: None,
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Placement:
    """How the image came to lie in the output: `region` of it, turned and flipped, as `width` by `height`.

    `area` is what annotations relative to the displayed area refer to, however much of it is in the output.
    """

    region: tuple[float, float, float, float]
    rotation: int
    flip_horizontal: bool
    flip_vertical: bool
    width: int
    height: int
    area: tuple[float, float, float, float]

    def from_image(self, point: Point) -> Point:
        """A point of the image, in pixels from its corner, in pixels of the output from its corner."""
        left, top, width, height = self.region
        x, y = self._turned(((point[0] - left) / width, (point[1] - top) / height))
        return x * self.width, y * self.height

    def from_area(self, point: Point) -> Point:
        """A point of the displayed area, from 0 to 1 as it is shown, in pixels of the output."""
        left, top, width, height = self.area
        corners = self.from_image((left, top)), self.from_image((left + width, top + height))
        (x1, x2), (y1, y2) = (sorted(axis) for axis in zip(*corners, strict=True))
        return x1 + point[0] * (x2 - x1), y1 + point[1] * (y2 - y1)

    def _turned(self, share: Point) -> Point:
        x, y = share
        if self.rotation == 90:
            x, y = 1 - y, x
        elif self.rotation == 180:
            x, y = 1 - x, 1 - y
        elif self.rotation == 270:
            x, y = y, 1 - x
        return (1 - x if self.flip_horizontal else x), (1 - y if self.flip_vertical else y)


def place(picture: Picture, header: ImageHeader, wanted: Rendering) -> tuple[Picture, Placement]:
    """The output picture, and how to find a point of the image in it.

    Without a viewport one output pixel is one image pixel, the shorter side of pixels that are not square
    stretched. Raises DataSetError for an empty region, or an output over the limit.
    """
    state = header.presentation or Presentation()
    rows, columns = picture.shape[:2]
    region = wanted.region or state.area or (0.0, 0.0, float(columns), float(rows))
    if not (region[2] > 0 and region[3] > 0 and all(map(math.isfinite, region))):
        raise DataSetError("the region to show is empty")
    sideways = state.rotation in (90, 270)
    box = (wanted.width or math.inf, wanted.height or math.inf)
    box = (box[1], box[0]) if sideways else box
    stretch = _stretch(state.pixel_aspect or header.pixel_aspect)
    if state.magnification is not None and wanted.region is None:
        region = _cropped(region, (stretch[0] * state.magnification, stretch[1] * state.magnification), box)
    width, height = _output_size(region, stretch, state.magnification, box)
    placement = Placement(
        region,
        state.rotation,
        state.flip != wanted.flip_horizontal,
        wanted.flip_vertical,
        *((height, width) if sideways else (width, height)),
        state.area or (0.0, 0.0, float(columns), float(rows)),
    )
    return _turned(_scaled(picture, region, (width, height)), placement), placement


def _stretch(aspect: tuple[float, float]) -> tuple[float, float]:
    """Across and down: the shorter side of a pixel is stretched to its longer one."""
    tall, wide = aspect
    return (1.0, tall / wide) if tall > wide else (wide / tall, 1.0)


def _cropped(
    region: tuple[float, float, float, float], scale: tuple[float, float], box: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The middle of what is magnified, as much as the viewport holds (PS3.18 9.5.2.3)."""
    left, top, width, height = region
    shown = min(width, box[0] / scale[0]), min(height, box[1] / scale[1])
    return left + (width - shown[0]) / 2, top + (height - shown[1]) / 2, shown[0], shown[1]


def _output_size(
    region: tuple[float, float, float, float],
    stretch: tuple[float, float],
    magnification: float | None,
    box: tuple[float, float],
) -> tuple[int, int]:
    """Width and height of the output before it is turned: magnified, else fitted into the box."""
    true_width, true_height = region[2] * stretch[0], region[3] * stretch[1]
    scale = magnification
    if scale is None:
        scale = min(box[0] / true_width, box[1] / true_height) if min(box) < math.inf else 1.0
    if not 0 < true_width * scale * true_height * scale <= MAX_FRAME_PIXELS:
        raise DataSetError("the picture would be over the limit of 100 Mpixel")
    return max(1, round(true_width * scale)), max(1, round(true_height * scale))


def _scaled(picture: Picture, region: tuple[float, float, float, float], size: tuple[int, int]) -> Picture:
    rows, columns = picture.shape[:2]
    left, top, width, height = region
    if region == (0.0, 0.0, columns, rows) and size == (columns, rows):
        return picture
    if left < 0 or top < 0 or left + width > columns or top + height > rows:
        return _beyond(picture, region, size)
    shrinking = size[0] < width
    method = Image.Resampling.BOX if shrinking else Image.Resampling.BICUBIC
    if _is_whole(region) and width == size[0] and height == size[1]:
        return picture[int(top) : int(top + height), int(left) : int(left + width)]
    box = (left, top, left + width, top + height)
    resized = Image.fromarray(picture).resize(size, method, box, reducing_gap=2.0 if shrinking else None)
    return np.asarray(resized)


def _beyond(picture: Picture, region: tuple[float, float, float, float], size: tuple[int, int]) -> Picture:
    """A region that reaches outside of the image: what lies there is black."""
    rows, columns = picture.shape[:2]
    left, top, width, height = region
    inside = max(left, 0.0), max(top, 0.0), min(left + width, columns), min(top + height, rows)
    out = np.zeros((size[1], size[0], *picture.shape[2:]), np.uint8)
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        return out
    across, down = size[0] / width, size[1] / height
    x, y = round((inside[0] - left) * across), round((inside[1] - top) * down)
    part = (inside[0], inside[1], inside[2] - inside[0], inside[3] - inside[1])
    shown = min(size[0] - x, max(1, round(part[2] * across))), min(size[1] - y, max(1, round(part[3] * down)))
    if min(shown) < 1:
        return out
    out[y : y + shown[1], x : x + shown[0]] = _scaled(picture, part, shown)
    return out


def _turned(picture: Picture, placement: Placement) -> Picture:
    image: Any = picture
    turn = _TURNS[placement.rotation]
    if turn is not None:
        image = np.asarray(Image.fromarray(np.ascontiguousarray(picture)).transpose(turn))
    if placement.flip_horizontal:
        image = image[:, ::-1]
    if placement.flip_vertical:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _is_whole(region: tuple[float, float, float, float]) -> bool:
    return all(float(side).is_integer() for side in region)
