"""Coded concepts of measurement reports (PS3.16 TID 1500 and what it includes), and the curve of a spline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gantry.toolkit.measurements.model import Concept, Kind

REPORT: Final = Concept("126000", "DCM", "Imaging Measurement Report")
LANGUAGE: Final = Concept("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH: Final = Concept("en", "RFC5646", "English")
OBSERVER_TYPE: Final = Concept("121005", "DCM", "Observer Type")
PERSON: Final = Concept("121006", "DCM", "Person")
DEVICE: Final = Concept("121007", "DCM", "Device")
PERSON_NAME: Final = Concept("121008", "DCM", "Person Observer Name")
DEVICE_UID: Final = Concept("121012", "DCM", "Device Observer UID")
DEVICE_NAME: Final = Concept("121013", "DCM", "Device Observer Name")
PROCEDURE: Final = Concept("121058", "DCM", "Procedure reported")
IMAGING: Final = Concept("363679005", "SCT", "Imaging procedure")
LIBRARY: Final = Concept("111028", "DCM", "Image Library")
LIBRARY_GROUP: Final = Concept("126200", "DCM", "Image Library Group")
FRAME_OF_REFERENCE: Final = Concept("112227", "DCM", "Frame of Reference UID")
MEASUREMENTS: Final = Concept("126010", "DCM", "Imaging Measurements")
GROUP: Final = Concept("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER: Final = Concept("112039", "DCM", "Tracking Identifier")
TRACKING_UID: Final = Concept("112040", "DCM", "Tracking Unique Identifier")
SHORT_LABEL: Final = Concept("125309", "DCM", "Short Label")
METHOD: Final = Concept("370129005", "SCT", "Measurement Method")
REGION: Final = Concept("111030", "DCM", "Image Region")
SOURCE_IMAGE: Final = Concept("121324", "DCM", "Source Image")
SOURCE: Final = Concept("260753009", "SCT", "Source")
REFERENCE_POINTS: Final = Concept("122438", "DCM", "Reference Points")
COMMENT: Final = Concept("121106", "DCM", "Comment")
FINDING: Final = Concept("121071", "DCM", "Finding")
DERIVATION: Final = Concept("121401", "DCM", "Derivation")

OWN_SCHEME: Final = "99GANTRY"
"""Names how a measurement was drawn, for which there is no code; schemes from 99 are private (PS3.16 8.2)."""

METHODS: Final = {kind: Concept(kind.value, OWN_SCHEME, f"Drawn as {kind.value}") for kind in Kind}

UNIT_MEANINGS: Final = {
    "mm": "millimeter", "cm": "centimeter", "mm2": "square millimeter", "cm2": "square centimeter",
    "mm3": "cubic millimeter", "cm3": "cubic centimeter", "deg": "degree", "1": "no units",
    "{pixels}": "pixels", "{square_pixels}": "square pixels",
    "[hnsf'U]": "Hounsfield unit", "%": "percent", "Bq/ml": "Becquerels/milliliter",
    "g/ml{SUVbw}": "Standardized Uptake Value body weight",
}  # fmt: skip

_STEPS = 8
_MOST_NUMBERS = 16_383
"""Of Graphic Data in explicit VR: FL has a length of 16 bits."""


def curve(points: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """The closed uniform Catmull-Rom curve through points, as the corners of an outline, not closed."""
    count, axes = len(points), range(len(points[0]))
    steps = min(_STEPS, (_MOST_NUMBERS // len(axes) - 1) // count)
    drawn: list[tuple[float, ...]] = []
    for n in range(count):
        before, start, end, after = (points[(n + offset) % count] for offset in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            weights = (
                (-t + 2 * t**2 - t**3) / 2,
                (2 - 5 * t**2 + 3 * t**3) / 2,
                (t + 4 * t**2 - 3 * t**3) / 2,
                (t**3 - t**2) / 2,
            )
            near = (before, start, end, after)
            drawn.append(tuple(sum(w * p[axis] for w, p in zip(weights, near, strict=True)) for axis in axes))
    return drawn
