"""Measurements read from Structured Reports of TID 1500, ours and others'.

A report is read as far as it can be understood. What cannot is counted by its reason, and never an error:
others write regions in segmentations or whole volumes, and measure in ways that have no kind here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_parts
from typing import Final

from msgspec.structs import replace

from gantry.dataset.scan import DataSet
from gantry.toolkit.measurements import codes
from gantry.toolkit.measurements.model import (
    MAX_LABEL_CHARS,
    MAX_MEASUREMENTS,
    MAX_TEXT_CHARS,
    MAX_VALUES,
    Concept,
    Image,
    Kind,
    Measurement,
    Value,
    fault,
    fault_of_values,
    is_uid,
    known_name,
)

MAX_DEPTH: Final = 16
"""Content items within content items; TID 1500 needs 6."""
MAX_CONTENT_ITEMS: Final = 50_000
"""Of one report: a thousand measurements of fifty items."""

_KIND_OF_METHOD = {(concept.value, concept.scheme): kind for kind, concept in codes.METHODS.items()}
_POINTS_OF_REGION = {"CIRCLE": Kind.CIRCLE, "ELLIPSE": Kind.ELLIPSE}
_SCOORDS = ("SCOORD", "SCOORD3D")
_UNFILLED = re.compile(r"\{\w*\}")
"""What another program puts a value in when it shows a label (dwv writes ``{length}``)."""
_PIECES = {"POINT": "a point", "MULTIPOINT": "points", "POLYLINE": "a line"}


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says: its title, its measurements, and how many things were not understood, by reason.

    `date` and `time` are of its content (DA, TM), `observer` the person (PN) or else the device; empty where
    it does not say.
    """

    title: str
    measurements: tuple[Measurement, ...]
    not_understood: Mapping[str, int]
    date: str = ""
    time: str = ""
    observer: str = ""


@dataclass(frozen=True, slots=True)
class _Node:
    ds: DataSet
    kind: str
    relationship: str
    concept: Concept
    below: tuple[_Node, ...] = ()

    def named(self, concept: Concept) -> bool:
        return _is(self.concept, concept)


_Places = tuple[tuple[float, ...], ...]
_Objects = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Shape:
    kind: str
    points: _Places
    image: tuple[str, str, int] | None
    axis: str = ""
    concept: Concept = field(default=Concept("", "", ""))
    space: str = ""
    """The Frame of Reference of points that are in space, and not in an image."""


class _NotUnderstood(Exception):
    """A group that has no measurement for us; the text is one of few."""


def is_measurement_report(ds: DataSet) -> bool:
    """Whether an object is a report by TID 1500."""
    return _is(_concept(ds, 0x0040A043), codes.REPORT)


def read_report(ds: DataSet) -> Report:
    """All that can be understood of a report. Raises DataSetError for bytes that are no Data Set."""
    missed: Counter[str] = Counter()
    budget = [MAX_CONTENT_ITEMS]
    root = tuple(_nodes(ds, 1, budget, missed))
    series, frames = _objects_of(ds), _frames_of_reference(root)
    measurements: list[Measurement] = []
    used: set[str] = set()
    for group in _groups(root):
        try:
            one = _measurement(group, root, series, frames, used, missed)
        except _NotUnderstood as error:
            missed[str(error)] += 1
            continue
        if len(measurements) == MAX_MEASUREMENTS:
            missed[f"more than {MAX_MEASUREMENTS} measurements"] += 1
            continue
        used.add(one.id)
        measurements.append(one)
    title = (ds.text(0x0008103E) or "").strip()[:MAX_LABEL_CHARS] or codes.REPORT.meaning
    date, time = (ds.text(0x00080023) or "").strip(), (ds.text(0x00080033) or "").strip()
    return Report(title, tuple(measurements), dict(missed), date, time, _observer(root))


def _observer(root: tuple[_Node, ...]) -> str:
    """Who observed (TID 1002): the first person, else the first device."""
    persons = [
        one.ds.text(0x0040A123) for one in root if one.kind == "PNAME" and one.named(codes.PERSON_NAME)
    ]
    devices = [one.ds.text(0x0040A160) for one in root if one.kind == "TEXT" and one.named(codes.DEVICE_NAME)]
    return next((name.strip() for name in persons + devices if name and name.strip()), "")[:MAX_LABEL_CHARS]


def _nodes(ds: DataSet, depth: int, budget: list[int], missed: Counter[str]) -> Iterator[_Node]:
    """The content items below one, each with those below it."""
    if 0x0040A730 not in ds:
        return
    if depth > MAX_DEPTH:
        missed[f"content nested deeper than {MAX_DEPTH}"] += 1
        return
    for one in ds.items(0x0040A730):
        if budget[0] <= 0:
            missed[f"more than {MAX_CONTENT_ITEMS} content items"] += 1
            return
        budget[0] -= 1
        yield _Node(
            one,
            one.text(0x0040A040) or "",
            one.text(0x0040A010) or "",
            _concept(one, 0x0040A043),
            tuple(_nodes(one, depth + 1, budget, missed)),
        )


def _groups(nodes: tuple[_Node, ...]) -> Iterator[_Node]:
    for node in nodes:
        if node.kind == "CONTAINER" and node.named(codes.GROUP):
            yield node
        else:
            yield from _groups(node.below)


def _objects_of(ds: DataSet) -> _Objects:
    """Series and SOP Class of each object that the report refers to (PS3.3 C.17.2)."""
    return {
        (reference.text(0x00081155) or ""): (series.text(0x0020000E) or "", reference.text(0x00081150) or "")
        for tag in (0x0040A375, 0x0040A385)
        for study in ds.items(tag)
        for series in study.items(0x00081115)
        for reference in series.items(0x00081199)
    }


def _frames_of_reference(nodes: tuple[_Node, ...]) -> dict[str, str]:
    """The Frame of Reference of each image of the library (TID 1600), said of it or of its group."""
    found: dict[str, str] = {}
    for node in nodes:
        if node.kind == "CONTAINER" and (node.named(codes.LIBRARY) or node.named(codes.LIBRARY_GROUP)):
            shared = _uid_below(node.below, codes.FRAME_OF_REFERENCE)
            for one in node.below:
                if one.kind == "IMAGE":
                    uid = _uid_below(one.below, codes.FRAME_OF_REFERENCE) or shared
                    for reference in one.ds.items(0x00081199):
                        found[reference.text(0x00081155) or ""] = uid
            found |= _frames_of_reference(node.below)
    return found


def _measurement(
    group: _Node,
    root: tuple[_Node, ...],
    series: _Objects,
    frames: Mapping[str, str],
    used: set[str],
    missed: Counter[str],
) -> Measurement:
    kind = next((_KIND_OF_METHOD.get(_code_key(one)) for one in group.below if one.named(codes.METHOD)), None)
    values = _values(group, missed)
    text, label = _text_below(group, codes.COMMENT), _text_below(group, codes.SHORT_LABEL)
    shapes = list(_shapes(group, root))
    if not shapes:
        raise _NotUnderstood(_without_shapes(group))
    if len({(shape.image, shape.space) for shape in shapes}) > 1:
        raise _NotUnderstood("a measurement on several images")
    is_ours = kind is not None
    if kind is None:
        kind, points = _guessed(shapes, values, bool(text))
    else:
        points = _as_drawn(kind, shapes)
    space = shapes[0].space
    image = _image(shapes[0], series, frames) if not space else _image_in(shapes[0], series, frames)
    identifier = _text_below(group, codes.TRACKING_IDENTIFIER)
    tracking = _uid_below(group.below, codes.TRACKING_UID)
    one = Measurement(
        id=identifier,
        kind=kind,
        image=image,
        points=() if space else tuple((x, y) for x, y in points),
        points3d=tuple((x, y, z) for x, y, z in points) if space else (),
        label=label if is_ours else _label_of(group, label),
        text=text[:MAX_TEXT_CHARS],
        values=values,
        tracking_uid=tracking if is_uid(tracking) else "",
    )
    if identifier in used or fault(one).startswith("an id "):
        number = next(n for n in range(1, len(used) + 2) if f"m{n}" not in used)
        one = replace(one, id=f"m{number}")
    cause = fault(one)
    if cause:
        raise _NotUnderstood(cause)
    return one


def _label_of(group: _Node, label: str) -> str:
    return " ".join((_UNFILLED.sub("", label) or _finding(group)).split())[:MAX_LABEL_CHARS]


def _without_shapes(group: _Node) -> str:
    kinds = {one.kind for one in group.below}
    if "SCOORD3D" in kinds:
        return "a region in space (SCOORD3D)"
    if "IMAGE" in kinds:
        return "a region in a segmentation, or a whole image"
    return "a measurement without coordinates"


def _shapes(group: _Node, root: tuple[_Node, ...]) -> Iterator[_Shape]:
    """Where the group is: its regions, and what its values and texts are inferred from."""
    source = next((one for one in group.below if one.kind == "IMAGE"), None)
    tail = _tail(group, root)
    for one in group.below:
        if one.relationship != "CONTAINS":
            continue
        if one.kind == "SCOORD" or (
            one.kind == "SCOORD3D" and (one.named(codes.REGION) or one.named(codes.REFERENCE_POINTS))
        ):
            shape = _shape(one, "", root, source)
            yield shape
            if tail and shape.kind == "POINT" and shape.image == tail.image:
                yield tail
        elif one.kind in ("NUM", "TEXT", "CODE"):
            axis = known_name(one.concept.value, one.concept.scheme) or ""
            for place in one.below:
                if place.kind in _SCOORDS and place.relationship == "INFERRED FROM":
                    yield _shape(place, axis, root, source)


def _tail(group: _Node, root: tuple[_Node, ...]) -> _Shape | None:
    """The tail of an arrow whose tip is the region, as dwv writes it: a point of reference that modifies."""
    for one in group.below:
        if (
            one.kind == "SCOORD"
            and one.relationship == "HAS CONCEPT MOD"
            and one.named(codes.REFERENCE_POINTS)
        ):
            shape = _shape(one, "", root, None)
            return with_parts(shape, kind="POINT", concept=codes.REGION) if len(shape.points) == 1 else None
    return None


def _shape(node: _Node, axis: str, root: tuple[_Node, ...], source: _Node | None) -> _Shape:
    data, kind = node.ds.floats(0x00700022), node.ds.text(0x00700023) or ""
    if node.kind == "SCOORD":
        points: _Places = tuple(zip(data[::2], data[1::2], strict=False))
        return _Shape(kind, points, _reference(node.below, root), axis, node.concept)
    space = node.ds.text(0x30060024) or ""
    if not is_uid(space):
        raise _NotUnderstood("coordinates without a Frame of Reference")
    points = tuple(zip(data[::3], data[1::3], data[2::3], strict=False))
    image = _reference((source,), root) if source else None
    return _Shape(kind, points, image, axis, node.concept, space)


def _reference(nodes: Sequence[_Node], root: tuple[_Node, ...]) -> tuple[str, str, int] | None:
    """SOP Class and Instance UID and frame of the image that coordinates are selected from."""
    for below in nodes:
        one = _meant(below, root)
        if one is None or one.kind != "IMAGE" or below.relationship not in ("SELECTED FROM", "CONTAINS"):
            continue
        for reference in one.ds.items(0x00081199):
            numbers = reference.ints(0x00081160)
            if len(numbers) > 1:
                raise _NotUnderstood("a measurement on several frames")
            sop_class, instance = reference.text(0x00081150) or "", reference.text(0x00081155) or ""
            return sop_class, instance, numbers[0] if numbers else 1
    return None


def _meant(node: _Node, root: tuple[_Node, ...]) -> _Node | None:
    """The content item itself, or the one that it names by its place in the document (PS3.3 C.17.3.2.5)."""
    place = node.ds.ints(0x0040DB73)
    if not place:
        return node
    found, below = None, root
    for number in place[1 : MAX_DEPTH + 1]:  # the first is the document itself
        if not 1 <= number <= len(below):
            return None
        found = below[number - 1]
        below = found.below
    return found


def _image(shape: _Shape, series: _Objects, frames: Mapping[str, str]) -> Image:
    if shape.image is None:
        raise _NotUnderstood("coordinates without an image")
    sop_class, instance, frame = shape.image
    uid = frames.get(instance, "")
    return Image(series.get(instance, ("", ""))[0], instance, sop_class, frame, uid if is_uid(uid) else "")


def _image_in(shape: _Shape, series: _Objects, frames: Mapping[str, str]) -> Image:
    """The image that points in space were measured on, or one in the same space.

    Which one is not said by every program; in a report on one series, any of it will do.
    """
    same = [uid for uid, space in frames.items() if space == shape.space]
    listed = same or (list(series) if len({uid for uid, _ in series.values()}) == 1 else [])
    if shape.image is None and listed:
        _, sop_class = series.get(listed[0], ("", ""))
        shape = with_parts(shape, image=(sop_class, listed[0], 1))
    return replace(_image(shape, series, frames), frame_of_reference_uid=shape.space)


def _as_drawn(kind: Kind, shapes: list[_Shape]) -> _Places:
    """The points of a measurement that says how it was drawn."""
    if kind is Kind.SPLINE:
        shapes = [one for one in shapes if one.kind == "MULTIPOINT"]
    points = tuple(point for one in shapes for point in one.points)
    return points[:-1] if kind in (Kind.RECTANGLE, Kind.FREEHAND) else points


def _guessed(shapes: list[_Shape], values: tuple[Value, ...], has_text: bool) -> tuple[Kind, _Places]:
    """Kind and points of a measurement that another program wrote, by its shapes and values."""
    # Beside a region there may be points of reference, which measure nothing
    regions = [one for one in shapes if _is(one.concept, codes.REGION)]
    shapes = regions or shapes
    distinct = list({(one.kind, one.points): one for one in shapes}.values())
    names = {value.name for value in values}
    first = distinct[0]
    lines = [one for one in distinct if one.kind == "POLYLINE" and len(one.points) == 2]
    if len(distinct) == 2 and len(lines) == 2:
        if "angle" in names:
            return Kind.COBB, lines[0].points + lines[1].points
        lines.sort(key=lambda one: one.axis == "shortAxis")
        return Kind.BIDIRECTIONAL, lines[0].points + lines[1].points
    if len(distinct) == 2 and all(one.kind == "POINT" for one in distinct) and not values:
        return Kind.ARROW, distinct[0].points + distinct[1].points
    if len(distinct) > 1:
        raise _NotUnderstood("a measurement of several shapes")
    if first.kind in _POINTS_OF_REGION:
        return _POINTS_OF_REGION[first.kind], first.points
    if first.kind == "POINT" and len(first.points) == 2:
        return Kind.ARROW, first.points  # as viewers built on Cornerstone write them
    if first.kind == "POINT":
        return Kind.TEXT if has_text and not values else Kind.PROBE, first.points
    if first.kind in ("POLYLINE", "POLYGON"):
        return _guessed_line(first.points, names)
    raise _NotUnderstood(f"coordinates that are {_PIECES.get(first.kind, 'of an unknown type')}")


def _guessed_line(points: _Places, names: set[str]) -> tuple[Kind, _Places]:
    if len(points) == 2:
        return Kind.LENGTH, points
    if "angle" in names and len(points) in (3, 4):
        return Kind.ANGLE if len(points) == 3 else Kind.COBB, points
    if len(points) > 3 and points[0] == points[-1]:
        corners = points[:-1]
        return Kind.RECTANGLE if _is_rectangle(corners) else Kind.FREEHAND, corners
    if "area" in names:
        return Kind.FREEHAND, points
    raise _NotUnderstood("an open line")


def _is_rectangle(corners: _Places) -> bool:
    """Whether four corners make right angles, within a thousandth."""
    if len(corners) != 4:
        return False
    sides = [
        tuple(b - a for a, b in zip(start, end, strict=True))
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    for one, other in zip(sides, sides[1:] + sides[:1], strict=True):
        product = _dot(one, one) * _dot(other, other)
        if not product or _dot(one, other) ** 2 > 1e-6 * product:
            return False
    return True


def _dot(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _values(group: _Node, missed: Counter[str]) -> tuple[Value, ...]:
    found: list[Value] = []
    for one in group.below:
        if one.kind != "NUM" or one.relationship != "CONTAINS":
            continue
        value = _value(one)
        if value is None or fault_of_values((value,)):
            missed["a value without a number, unit or code"] += 1
        elif len(found) == MAX_VALUES:
            missed[f"more than {MAX_VALUES} values"] += 1
        else:
            found.append(value)
    return tuple(found)


def _value(node: _Node) -> Value | None:
    for measured in node.ds.items(0x0040A300):
        numbers = measured.floats(0x0040A161)[:1] or measured.floats(0x0040A30A)[:1]
        if not numbers:
            return None
        unit = _concept(measured, 0x004008EA).value or "1"
        concept = node.concept
        derived = next((_code_key(one) for one in node.below if one.named(codes.DERIVATION)), ("", ""))
        name = known_name(*derived) or known_name(concept.value, concept.scheme)
        if name is not None:
            return Value(name, numbers[0], unit)
        return Value(concept.meaning, numbers[0], unit, concept)
    return None


def _finding(group: _Node) -> str:
    for one in group.below:
        if one.kind == "CODE" and one.named(codes.FINDING):
            return _concept(one.ds, 0x0040A168).meaning
    return ""


def _text_below(group: _Node, concept: Concept) -> str:
    for one in group.below:
        if one.kind == "TEXT" and one.named(concept):
            return (one.ds.text(0x0040A160) or "").replace("\r\n", "\n").replace("\r", "\n")
    return ""


def _uid_below(nodes: tuple[_Node, ...], concept: Concept) -> str:
    return next(
        (one.ds.text(0x0040A124) or "" for one in nodes if one.kind == "UIDREF" and one.named(concept)), ""
    )


def _code_key(node: _Node) -> tuple[str, str]:
    concept = _concept(node.ds, 0x0040A168)
    return concept.value, concept.scheme


def _is(one: Concept, other: Concept) -> bool:
    """Whether two codes are the same, whatever their meanings say."""
    return (one.value, one.scheme) == (other.value, other.scheme)


def _concept(ds: DataSet, tag: int) -> Concept:
    """The first code of a sequence (PS3.3 8.8); its value may be a short, a long one or a URN."""
    for one in ds.items(tag):
        value = one.text(0x00080100) or one.text(0x00080119) or one.text(0x00080120) or ""
        return Concept(value, one.text(0x00080102) or "", one.text(0x00080104) or "")
    return Concept("", "", "")
