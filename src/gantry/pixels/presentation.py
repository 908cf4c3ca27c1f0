"""What a presentation state adds to the look of one image: area, rotation, drawings (PS3.3 C.10.4 to C.10.7).

Lookup tables, windows, shutters and overlays of a state take the place of the image's own in `ImageHeader`;
what an image has no attribute for is here.
"""

from __future__ import annotations

from dataclasses import dataclass

from gantry.pixels.palette import Palette

Point = tuple[float, float]
Color = tuple[int, int, int]

YELLOW: Color = (255, 255, 0)


@dataclass(frozen=True, slots=True)
class Shadow:
    """What lies behind a line or words; `offset` is right and down, in the thinnest lines' width.

    An `outlined` one lies on all sides, as far as the offset is long.
    """

    color: Color
    opacity: float
    offset: Point
    outlined: bool = False


@dataclass(frozen=True, slots=True)
class Graphic:
    """A drawing of points, x before y. `units` is PIXEL (of the image, its corner is 0, 0) or DISPLAY (0 to 1
    of the displayed area); `kind` is POINT, POLYLINE, INTERPOLATED, CIRCLE or ELLIPSE.

    `thickness` is 1 for the line that one sees well. `fill` is the colour inside, `color` where it is None.
    Without a `shadow` of its own the line has a thin dark edge, so that it is seen on white. Higher `order`
    lies over lower.
    """

    kind: str
    units: str
    points: tuple[Point, ...]
    filled: bool
    color: Color
    thickness: float = 1.0
    dashed: bool = False
    opacity: float = 1.0
    fill: Color | None = None
    fill_opacity: float = 1.0
    shadow: Shadow | None = None
    order: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """Words in a box or at an anchor; each has units of its own as in `Graphic`."""

    text: str
    box: tuple[Point, Point] | None
    box_units: str
    anchor: Point | None
    anchor_units: str
    anchor_visible: bool
    justification: str
    color: Color
    order: int = 0


@dataclass(frozen=True, slots=True)
class Presentation:
    """`area` is the displayed area: left, top, width and height in pixels of the image, its corner 0, 0.

    `rotation` is clockwise in degrees, 0, 90, 180 or 270, and comes before the horizontal `flip`.
    `magnification` is output pixels per image pixel where the state asks for that, else None. `palette`
    colours what the grayscale pipeline gives (pseudo-color).
    """

    area: tuple[float, float, float, float] | None = None
    rotation: int = 0
    flip: bool = False
    magnification: float | None = None
    pixel_aspect: tuple[float, float] | None = None
    graphics: tuple[Graphic, ...] = ()
    texts: tuple[Text, ...] = ()
    palette: Palette | None = None
