"""The order in which the images of a series, or a study, are shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gantry.archive.records import Location
from gantry.errors import Corrupt, DataSetError
from gantry.server.images import Images, ObjectFacts


def in_order(images: Images, locations: Sequence[Location]) -> list[Location]:
    """Series after series; in each by Instance Number where all have one of their own, else along the normal
    of slices that are parallel, else as they were found. Blocks: headers are read.
    """
    by_series: dict[str, list[Location]] = {}
    for location in locations:
        by_series.setdefault(location.key.series_uid, []).append(location)
    return [location for series in by_series.values() for location in _ordered(images, series)]


def _ordered(images: Images, series: list[Location]) -> list[Location]:
    if len(series) == 1:
        return series
    try:
        facts = [images.facts(location) for location in series]
    except (Corrupt, DataSetError):
        return series  # the one that cannot be read is told when its turn comes
    places = _by_number(facts) or _along_normal(facts)
    if places is None:
        return series
    return [location for _, location in sorted(zip(places, series, strict=True), key=lambda pair: pair[0])]


def _by_number(facts: Sequence[ObjectFacts]) -> list[float] | None:
    numbers = [float(one.instance_number) for one in facts if one.instance_number is not None]
    return numbers if len(set(numbers)) == len(facts) else None


def _along_normal(facts: Sequence[ObjectFacts]) -> list[float] | None:
    """Distance along the common normal (PS3.3 C.7.6.2.1.1)."""
    orientations = np.array([one.orientation for one in facts if len(one.orientation) == 6])
    positions = np.array([one.position for one in facts if len(one.position) == 3])
    if len(orientations) != len(facts) or len(positions) != len(facts):
        return None
    if not np.allclose(orientations, orientations[0], atol=1e-3):
        return None
    normal = np.cross(orientations[0][:3], orientations[0][3:])
    return [float(place) for place in positions @ normal]
