"""What was measured on images, as plain values: what drafts hold, and reports are written of and read into.

Points are image coordinates as PS3.3 C.18.6.1 has them for SCOORD: (column, row) with fractions, from 0\\0 at
the top left corner of the top left pixel, whose centre is 0.5\\0.5, to Columns\\Rows at the bottom right
corner of the bottom right pixel.

The points of each kind, in their order:

- length: the two ends. arrow: the tip, then the tail. text, probe: the one place;
- bidirectional: the ends of the long axis, then those of the short axis;
- angle: an end, the vertex, the other end. cobb: the ends of one line, then those of the other;
- ellipse: the ends of the major axis, then those of the minor axis. circle: the centre, a point on it
  (both as PS3.3 C.18.6.1.2). rectangle: the four corners, one after the other;
- freehand: the corners of a closed outline, the first not said again;
- spline: the points that a closed Catmull-Rom curve goes through, each stretch in the same parameter time.

What was measured on a cut through a volume is not on the pixels of one image: its points are in space, in
millimetres of the Frame of Reference of its image (PS3.3 C.18.9), which is one of those of the volume.

In JSON names are in camel case: ``seriesInstanceUid``.
"""

from __future__ import annotations

import math
import re
from enum import Enum
from typing import Final

import msgspec

from gantry.errors import CallerError

MAX_MEASUREMENTS: Final = 1000
"""Of one draft. Lesions are counted in tens; a thousand outlines are drawn by programs."""
MAX_POINTS: Final = 4096
"""Of one measurement: an outline around a large image, a point every few pixels."""
MAX_VALUES: Final = 32
MAX_LABEL_CHARS: Final = 64
"""As a Long String (LO) holds."""
MAX_TEXT_CHARS: Final = 4096
MAX_ID_CHARS: Final = 64
MAX_UNIT_CHARS: Final = 16
"""As a Short String (SH), in which Code Value holds a unit."""
MAX_COORDINATE: Final = 1 << 22
"""Far outside of any image: Rows and Columns go to 65,535; a tiled total matrix is a few times larger."""

_UID = re.compile(r"(?=.{1,64}$)(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*", re.ASCII)
_UNIT = re.compile(r"[!-\[\]-~]+", re.ASCII)  # UCUM is printable ASCII; a backslash would end a value
_CODE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]*[!-\[\]-~])?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Kind(Enum):
    """What was drawn."""

    LENGTH = "length"
    BIDIRECTIONAL = "bidirectional"
    ANGLE = "angle"
    COBB = "cobb"
    ELLIPSE = "ellipse"
    RECTANGLE = "rectangle"
    FREEHAND = "freehand"
    SPLINE = "spline"
    CIRCLE = "circle"
    ARROW = "arrow"
    TEXT = "text"
    PROBE = "probe"


POINTS_OF: Final[dict[Kind, tuple[int, int]]] = {
    Kind.LENGTH: (2, 2),
    Kind.BIDIRECTIONAL: (4, 4),
    Kind.ANGLE: (3, 3),
    Kind.COBB: (4, 4),
    Kind.ELLIPSE: (4, 4),
    Kind.RECTANGLE: (4, 4),
    Kind.FREEHAND: (3, MAX_POINTS),
    Kind.SPLINE: (3, MAX_POINTS),
    Kind.CIRCLE: (2, 2),
    Kind.ARROW: (2, 2),
    Kind.TEXT: (1, 1),
    Kind.PROBE: (1, 1),
}
"""The fewest and the most points of each kind."""

REGIONS: Final = frozenset({Kind.ELLIPSE, Kind.RECTANGLE, Kind.FREEHAND, Kind.SPLINE, Kind.CIRCLE})
"""Kinds that enclose a part of the image (TID 1410)."""


class Concept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A coded concept (PS3.3 8.8): `value` and the `scheme` that defines it, `meaning` for people."""

    value: str
    scheme: str
    meaning: str


CONCEPTS: Final[dict[str, Concept]] = {
    "length": Concept("410668003", "SCT", "Length"),
    "longAxis": Concept("103339001", "SCT", "Long Axis"),
    "shortAxis": Concept("103340004", "SCT", "Short Axis"),
    "angle": Concept("1483009", "SCT", "Angle"),
    "area": Concept("42798000", "SCT", "Area"),
    "perimeter": Concept("131191004", "SCT", "Perimeter"),
    "radius": Concept("131190003", "SCT", "Radius"),
    "diameter": Concept("81827009", "SCT", "Diameter"),
    "width": Concept("103355008", "SCT", "Width"),
    "height": Concept("121207", "DCM", "Height"),
    "mean": Concept("373098007", "SCT", "Mean"),
    "standardDeviation": Concept("386136009", "SCT", "Standard Deviation"),
    "minimum": Concept("255605001", "SCT", "Minimum"),
    "maximum": Concept("56851009", "SCT", "Maximum"),
    "median": Concept("373099004", "SCT", "Median"),
    "value": Concept("246205007", "SCT", "Quantity"),
}
"""The names of values that have a code of their own; ``value`` is that of a probe."""

_RETIRED = {
    "G-D7FE": "length", "G-A185": "longAxis", "G-A186": "shortAxis", "G-A166": "area", "G-A16A": "area",
    "R-00317": "mean", "R-404FB": "minimum", "G-A437": "maximum", "R-10047": "standardDeviation",
    "M-02550": "diameter",
}  # fmt: skip
_NAMES = {(concept.value, concept.scheme): name for name, concept in CONCEPTS.items()}
_NAMES |= {(code, scheme): name for code, name in _RETIRED.items() for scheme in ("SRT", "SNM3", "99SDM")}


def known_name(value: str, scheme: str) -> str | None:
    """The name of a value by its code, also by those of SNOMED that DICOM has retired."""
    return _NAMES.get((value, scheme))


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A number that was measured, in a unit of UCUM (``mm``, ``deg``, ``[hnsf'U]``, ``1``).

    `name` is one of `CONCEPTS`; any other comes with the `code` that defines it.
    """

    name: str
    value: float
    unit: str
    code: Concept | None = None

    @property
    def concept(self) -> Concept:
        """What was measured, coded."""
        return self.code or CONCEPTS[self.name]


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The frame that was measured on, from 1."""

    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    frame: int = 1
    frame_of_reference_uid: str = ""


Point = tuple[float, float]
Point3 = tuple[float, float, float]


class Measurement(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """One measurement. `id` is the client's; `tracking_uid` is the same in all reports that follow it.

    It has `points` in its image, or `points3d` in space, in mm of the image's Frame of Reference.
    """

    id: str
    kind: Kind
    image: Image
    points: tuple[Point, ...] = ()
    label: str = ""
    text: str = ""
    values: tuple[Value, ...] = ()
    tracking_uid: str = ""
    points3d: tuple[Point3, ...] = ()

    @property
    def places(self) -> tuple[tuple[float, ...], ...]:
        """The points, in the image or in space."""
        return self.points3d or self.points


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a draft holds."""

    measurements: tuple[Measurement, ...] = ()


class MeasurementError(CallerError):
    """Measurements that cannot be; says which and why."""


def read_content(data: bytes) -> Content:
    """The content of a draft from JSON. Raises MeasurementError."""
    try:
        content = msgspec.json.decode(data, type=Content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MeasurementError(f"not a draft of measurements: {error}") from error
    if len(content.measurements) > MAX_MEASUREMENTS:
        raise MeasurementError(f"more than {MAX_MEASUREMENTS} measurements")
    seen: set[str] = set()
    for number, one in enumerate(content.measurements):
        cause = fault(one) or ("its id is that of another one" if one.id in seen else "")
        if cause:
            raise MeasurementError(f"measurement {number + 1}: {cause}")
        seen.add(one.id)
    return content


def fault(one: Measurement) -> str:
    """What is wrong with a measurement; empty where all is well."""
    least, most = POINTS_OF[one.kind]
    image = one.image
    if not 0 < len(one.id) <= MAX_ID_CHARS or not _CODE.fullmatch(one.id):
        return f"an id has 1 to {MAX_ID_CHARS} printable ASCII characters"
    if len(one.label) > MAX_LABEL_CHARS or "\n" in one.label or _CONTROL.search(one.label):
        return f"a label is one line of at most {MAX_LABEL_CHARS} characters"
    if len(one.text) > MAX_TEXT_CHARS or _CONTROL.search(one.text):
        return f"a text has at most {MAX_TEXT_CHARS} characters, and no control characters but line ends"
    if one.tracking_uid and not is_uid(one.tracking_uid):
        return "trackingUid is not a UID"
    if not all(map(is_uid, (image.series_instance_uid, image.sop_instance_uid, image.sop_class_uid))):
        return "the image is named by three UIDs"
    if image.frame_of_reference_uid and not is_uid(image.frame_of_reference_uid):
        return "frameOfReferenceUid is not a UID"
    if not 1 <= image.frame <= (1 << 31) - 1:
        return "frames count from 1"
    if one.points3d and (one.points or not image.frame_of_reference_uid):
        return "points are in the image, or in space with its frameOfReferenceUid"
    if one.points3d and one.kind is Kind.CIRCLE:
        return "a circle in space is an ellipse (PS3.3 C.18.9.1.2 has no circle)"
    if not least <= len(one.places) <= most:
        return f"a measurement of kind {one.kind.value} has {_range(least, most)} points"
    if not all(math.isfinite(c) and abs(c) <= MAX_COORDINATE for place in one.places for c in place):
        return f"a coordinate is a number of at most {MAX_COORDINATE}"
    return fault_of_values(one.values)


def fault_of_values(values: tuple[Value, ...]) -> str:
    """What is wrong with values; empty where all is well."""
    if len(values) > MAX_VALUES:
        return f"more than {MAX_VALUES} values"
    for value in values:
        if not math.isfinite(value.value):
            return "a value is a number"
        if len(value.unit) > MAX_UNIT_CHARS or not _UNIT.fullmatch(value.unit):
            return f"a unit is a UCUM code of 1 to {MAX_UNIT_CHARS} characters; that of a count is 1"
        if value.code is None and value.name not in CONCEPTS:
            return f"a value named {value.name[:40]!r} needs a code; known are {', '.join(CONCEPTS)}"
        if value.code is not None and (cause := _fault_of_code(value.name, value.code)):
            return cause
    return ""


def _fault_of_code(name: str, code: Concept) -> str:
    if len(code.value) > MAX_UNIT_CHARS or not _CODE.fullmatch(code.value):
        return f"a code has a value of 1 to {MAX_UNIT_CHARS} characters"
    if len(code.scheme) > MAX_UNIT_CHARS or not _CODE.fullmatch(code.scheme):
        return f"a code has a scheme of 1 to {MAX_UNIT_CHARS} characters"
    meaning = code.meaning
    if not 0 < len(meaning) <= MAX_LABEL_CHARS or "\\" in meaning or "\n" in meaning:
        return f"a code has a meaning of 1 to {MAX_LABEL_CHARS} characters"
    if _CONTROL.search(meaning) or meaning != meaning.strip():
        return "a code's meaning has no control characters, and no spaces around it"
    if known_name(code.value, code.scheme):
        return (
            f"the code {code.value} of {code.scheme} has a name here: {known_name(code.value, code.scheme)}"
        )
    if name != meaning:
        return "the name of a value with a code is the code's meaning"
    return ""


def is_uid(text: str) -> bool:
    """Whether a text follows the grammar of UIDs (PS3.5 9.1)."""
    return _UID.fullmatch(text) is not None


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
