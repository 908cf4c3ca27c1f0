"""Measurements written as an SR by TID 1500, Imaging Measurement Report (PS3.16).

It is a Comprehensive SR; with points in space, which that has not, a Comprehensive 3D SR (PS3.3 A.35.13).

Each measurement is a group. What encloses a part of the image is a region (TID 1410); all else is a value, or
a text where there is none, inferred from points (TID 1501, TID 320). What a reader of TID 1500 need not know,
how it was drawn, is the Measurement Method, in a coding scheme of our own.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from pydicom.dataset import Dataset

from gantry import __version__
from gantry.dataset.scan import DataSet
from gantry.errors import CallerError
from gantry.standard.sop_classes import COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR
from gantry.toolkit.measurements import codes
from gantry.toolkit.measurements.model import (
    REGIONS,
    Concept,
    Image,
    Kind,
    Measurement,
    MeasurementError,
    Point,
    Value,
    fault,
)
from gantry.toolkit.writing import PATIENT_AND_STUDY, character_set, decimal, new_item, part10

MAX_TITLE_CHARS = 64
"""Series Description, a Long String."""
MAX_DESCRIPTION_CHARS = 10_240
MAX_OBSERVER_CHARS = 64

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DEVICE_UID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_DNS, 'device observer of gantry').int}"


@dataclass(frozen=True, slots=True)
class About:
    """What a report says of itself. `observer` is a person's name (PN); empty, the program observed.

    The same values and measurements give the same file, octet for octet.
    """

    sop_instance_uid: str
    series_instance_uid: str
    made: datetime
    title: str = ""
    description: str = ""
    observer: str = ""


@dataclass(frozen=True, slots=True)
class Extent:
    """How large an image is: Number of Frames, Columns and Rows."""

    frames: int
    columns: int
    rows: int

    def holds(self, point: Point) -> bool:
        """Whether a point is in the image, its edges included, as SCOORD asks (PS3.3 C.18.6.1)."""
        return 0 <= point[0] <= self.columns and 0 <= point[1] <= self.rows


_UNKNOWN = Extent(1, 0, 0)


def as_reported(one: Measurement, report_uid: str) -> Measurement:
    """A measurement as a report holds it, and reading gives it back.

    Coordinates are of single precision (FL), texts have no spaces at their end, and there is a tracking UID.
    """
    points = tuple((_single(x), _single(y)) for x, y in one.points)
    points3d = tuple((_single(x), _single(y), _single(z)) for x, y, z in one.points3d)
    uid = one.tracking_uid or f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{report_uid} {one.id}').int}"
    return msgspec.structs.replace(
        one,
        points=points,
        points3d=points3d,
        label=one.label.rstrip(),
        text=one.text.rstrip(),
        tracking_uid=uid,
    )


def write_report(
    measurements: Sequence[Measurement], image: DataSet, about: About, extents: Mapping[str, Extent]
) -> bytes:
    """A Part 10 file of a report, Explicit VR Little Endian.

    `image` is one of the images, for patient and study; `extents` says how large each image is, by its SOP
    Instance UID, where that is known. Raises CallerError, also for points outside of the image.
    """
    _check(measurements, about, extents)
    ds = Dataset()
    ds.SOPClassUID = COMPREHENSIVE_3D_SR if any(one.points3d for one in measurements) else COMPREHENSIVE_SR
    _identify(ds, image, about)
    ds.CurrentRequestedProcedureEvidenceSequence = [_evidence(ds.StudyInstanceUID, measurements)]
    reported = [as_reported(one, about.sop_instance_uid) for one in measurements]
    root = _container(codes.REPORT, _content(reported, about, extents), "1500")
    for element in root:
        ds.add(element)
    letters = character_set(ds)
    if letters:
        ds.SpecificCharacterSet = letters
    return part10(ds)


def _check(measurements: Sequence[Measurement], about: About, extents: Mapping[str, Extent]) -> None:
    if not measurements:
        raise CallerError("a report has a measurement or more")
    for number, one in enumerate(measurements):
        cause = fault(one)
        if cause:
            raise MeasurementError(f"measurement {number + 1}: {cause}")
        extent = extents.get(one.image.sop_instance_uid)
        if extent is None:
            continue
        if one.image.frame > extent.frames:
            raise MeasurementError(f"measurement {number + 1}: the image has {extent.frames} frames")
        if not all(map(extent.holds, one.points)):
            raise MeasurementError(
                f"measurement {number + 1}: a point is outside of the image, which is "
                f"{extent.columns} by {extent.rows}"
            )
    images: dict[str, Image] = {}
    for one in measurements:
        known = images.setdefault(one.image.sop_instance_uid, one.image)
        if msgspec.structs.replace(known, frame=one.image.frame) != one.image:
            raise CallerError(f"two measurements differ in what image {one.image.sop_instance_uid} is")
    check_about(about.title, about.description, about.observer)


def check_about(title: str, description: str, observer: str) -> None:
    """Raises CallerError for what a report cannot say of itself."""
    if len(title) > MAX_TITLE_CHARS or _CONTROL.search(title) or "\\" in title:
        raise CallerError(f"a title is one line of at most {MAX_TITLE_CHARS} characters, without a backslash")
    if len(description) > MAX_DESCRIPTION_CHARS or _CONTROL.search(description.replace("\n", "")):
        raise CallerError(f"a description has at most {MAX_DESCRIPTION_CHARS} characters")
    if len(observer) > MAX_OBSERVER_CHARS or re.search(r"[\\=]", observer) or _CONTROL.search(observer):
        raise CallerError(f"an observer is a name of at most {MAX_OBSERVER_CHARS} characters: Doe^Jane")
    if observer.count("^") > 4:
        raise CallerError("a person's name has five parts at most")
    if any("\ud800" <= c <= "\udfff" for c in title + description + observer):
        raise CallerError("half of a character")


def _identify(ds: Dataset, image: DataSet, about: About) -> None:
    for tag, keyword in PATIENT_AND_STUDY:
        setattr(ds, keyword, image.text(tag) or "")
    ds.SOPInstanceUID, ds.SeriesInstanceUID = about.sop_instance_uid, about.series_instance_uid
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SR", 1, 1
    ds.SeriesDescription = about.title.strip() or codes.REPORT.meaning
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "Gantry", "Gantry", __version__
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ContentDate, ds.ContentTime = about.made.strftime("%Y%m%d"), about.made.strftime("%H%M%S")


def _evidence(study_uid: str, measurements: Iterable[Measurement]) -> Dataset:
    """All images, by series (PS3.3 C.17.2)."""
    series: dict[str, dict[str, Dataset]] = {}
    for image in (one.image for one in measurements):
        series.setdefault(image.series_instance_uid, {}).setdefault(
            image.sop_instance_uid,
            new_item(
                ReferencedSOPClassUID=image.sop_class_uid, ReferencedSOPInstanceUID=image.sop_instance_uid
            ),
        )
    listed = [
        new_item(SeriesInstanceUID=uid, ReferencedSOPSequence=list(objects.values()))
        for uid, objects in series.items()
    ]
    return new_item(StudyInstanceUID=study_uid, ReferencedSeriesSequence=listed)


def _content(
    measurements: Sequence[Measurement], about: About, extents: Mapping[str, Extent]
) -> list[Dataset]:
    observer = about.observer.strip()
    content = [
        _code("HAS CONCEPT MOD", codes.LANGUAGE, codes.ENGLISH),
        _code("HAS OBS CONTEXT", codes.OBSERVER_TYPE, codes.PERSON if observer else codes.DEVICE),
    ]
    if observer:
        content.append(_item("HAS OBS CONTEXT", "PNAME", codes.PERSON_NAME, PersonName=observer))
    else:
        content.append(_item("HAS OBS CONTEXT", "UIDREF", codes.DEVICE_UID, UID=_DEVICE_UID))
        content.append(_text("HAS OBS CONTEXT", codes.DEVICE_NAME, "Gantry"))
    content.append(_code("HAS CONCEPT MOD", codes.PROCEDURE, codes.IMAGING))
    if about.description.strip():
        content.append(_text("CONTAINS", codes.COMMENT, about.description.strip()))
    library = _library(measurements)
    if library:
        content.append(_contained(codes.LIBRARY, library, "1600"))
    groups = [_group(one, extents.get(one.image.sop_instance_uid, _UNKNOWN)) for one in measurements]
    content.append(_contained(codes.MEASUREMENTS, groups))
    return content


def _library(measurements: Sequence[Measurement]) -> list[Dataset]:
    """The images that have a Frame of Reference, by it (TID 1600)."""
    frames: dict[str, dict[str, Image]] = {}
    for image in (one.image for one in measurements):
        if image.frame_of_reference_uid:
            frames.setdefault(image.frame_of_reference_uid, {}).setdefault(image.sop_instance_uid, image)
    return [
        _contained(
            codes.LIBRARY_GROUP,
            [
                _item("HAS ACQ CONTEXT", "UIDREF", codes.FRAME_OF_REFERENCE, UID=uid),
                *(_image("CONTAINS", image, None, 1) for image in images.values()),
            ],
        )
        for uid, images in frames.items()
    ]


def _group(one: Measurement, extent: Extent) -> Dataset:
    content = [
        _text("HAS OBS CONTEXT", codes.TRACKING_IDENTIFIER, one.id),
        _item("HAS OBS CONTEXT", "UIDREF", codes.TRACKING_UID, UID=one.tracking_uid),
        _code("HAS CONCEPT MOD", codes.METHOD, codes.METHODS[one.kind]),
    ]
    if one.label:
        content.append(_text("HAS CONCEPT MOD", codes.SHORT_LABEL, one.label))
    if one.points3d:
        content.append(_image("CONTAINS", one.image, codes.SOURCE, extent.frames))
    if one.kind in REGIONS:
        content += _region(one, extent)
        content += [_number(value) for value in one.values]
        if one.text:
            content.append(_text("CONTAINS", codes.COMMENT, one.text))
        return _contained(codes.GROUP, content, "1410")
    places = [_coordinates("INFERRED FROM", *shape, one, extent.frames) for shape in _shapes(one)]
    carried = _carriers(one, places)
    numbers = [_number(value, carried.get(n, ())) for n, value in enumerate(one.values)]
    content += numbers
    if one.text:
        content.append(_text("CONTAINS", codes.COMMENT, one.text, () if carried else places))
    elif not carried:
        content.append(_text("CONTAINS", codes.FINDING, one.kind.value.capitalize(), places))
    return _contained(codes.GROUP, content, "1501")


def _region(one: Measurement, extent: Extent) -> list[Dataset]:
    points = list(one.places)
    kind = one.kind.value.upper()
    if one.kind is Kind.SPLINE:
        points = codes.curve(points)
        if one.points and extent is not _UNKNOWN:
            # The curve may leave an image that all of its points are in
            points = [(min(max(x, 0.0), extent.columns), min(max(y, 0.0), extent.rows)) for x, y in points]
    if one.kind not in (Kind.CIRCLE, Kind.ELLIPSE):
        kind = "POLYGON" if one.points3d else "POLYLINE"
        points.append(points[0])
    content = [_coordinates("CONTAINS", kind, points, one, extent.frames, codes.REGION)]
    if one.kind is Kind.SPLINE:
        content.append(
            _coordinates("CONTAINS", "MULTIPOINT", one.places, one, extent.frames, codes.REFERENCE_POINTS)
        )
    return content


def _shapes(one: Measurement) -> list[tuple[str, Sequence[tuple[float, ...]]]]:
    """What is drawn for a kind that is no region, in the order of its points."""
    points = one.places
    if one.kind in (Kind.BIDIRECTIONAL, Kind.COBB):
        return [("POLYLINE", points[:2]), ("POLYLINE", points[2:])]
    if one.kind in (Kind.LENGTH, Kind.ANGLE):
        return [("POLYLINE", points)]
    return [("POINT", [point]) for point in points]


def _carriers(one: Measurement, places: Sequence[Dataset]) -> dict[int, Sequence[Dataset]]:
    """Which values are inferred from which places, by their number; none where a text has to be."""
    if one.kind in (Kind.ARROW, Kind.TEXT) or not one.values:
        return {}
    if one.kind is not Kind.BIDIRECTIONAL:
        return {0: places}
    axes = [n for n, value in enumerate(one.values) if value.name in ("longAxis", "shortAxis")]
    if [one.values[n].name for n in axes] != ["longAxis", "shortAxis"]:
        return {}
    return {n: [place] for n, place in zip(axes, places, strict=True)}


def _container(concept: Concept, content: Sequence[Dataset], template: str = "") -> Dataset:
    made = new_item(
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[_coded(concept)],
        ContinuityOfContent="SEPARATE",
        ContentSequence=list(content),
    )
    if template:
        made.ContentTemplateSequence = [new_item(MappingResource="DCMR", TemplateIdentifier=template)]
    return made


def _contained(concept: Concept, content: Sequence[Dataset], template: str = "") -> Dataset:
    made = _container(concept, content, template)
    made.RelationshipType = "CONTAINS"
    return made


def _item(relationship: str, value_type: str, concept: Concept | None, **attributes: object) -> Dataset:
    made = new_item(RelationshipType=relationship, ValueType=value_type, **attributes)
    if concept is not None:
        made.ConceptNameCodeSequence = [_coded(concept)]
    return made


def _text(relationship: str, concept: Concept, text: str, below: Sequence[Dataset] = ()) -> Dataset:
    made = _item(relationship, "TEXT", concept, TextValue=text.replace("\n", "\r\n"))
    if below:
        made.ContentSequence = list(below)
    return made


def _code(relationship: str, concept: Concept, value: Concept) -> Dataset:
    return _item(relationship, "CODE", concept, ConceptCodeSequence=[_coded(value)])


def _number(value: Value, below: Sequence[Dataset] = ()) -> Dataset:
    text = decimal(value.value)
    unit = Concept(value.unit, "UCUM", codes.UNIT_MEANINGS.get(value.unit, value.unit))
    measured = new_item(NumericValue=text, MeasurementUnitsCodeSequence=[_coded(unit)])
    if float(text) != value.value:
        measured.FloatingPointValue = value.value  # PS3.3 C.18.1: where DS is not exact enough
    made = _item("CONTAINS", "NUM", value.concept, MeasuredValueSequence=[measured])
    if below:
        made.ContentSequence = list(below)
    return made


def _coordinates(
    relationship: str,
    kind: str,
    points: Sequence[tuple[float, ...]],
    one: Measurement,
    frames: int,
    concept: Concept | None = None,
) -> Dataset:
    data = [part for point in points for part in point]
    made = _item(relationship, "SCOORD", concept, GraphicType=kind, GraphicData=data)
    if one.points3d:
        made.ValueType, made.ReferencedFrameOfReferenceUID = "SCOORD3D", one.image.frame_of_reference_uid
    else:
        made.ContentSequence = [_image("SELECTED FROM", one.image, codes.SOURCE_IMAGE, frames)]
    return made


def _image(relationship: str, image: Image, concept: Concept | None, frames: int) -> Dataset:
    reference = new_item(
        ReferencedSOPClassUID=image.sop_class_uid, ReferencedSOPInstanceUID=image.sop_instance_uid
    )
    if concept is not None and max(frames, image.frame) > 1:
        reference.ReferencedFrameNumber = image.frame
    return _item(relationship, "IMAGE", concept, ReferencedSOPSequence=[reference])


def _coded(concept: Concept) -> Dataset:
    return new_item(
        CodeValue=concept.value, CodingSchemeDesignator=concept.scheme, CodeMeaning=concept.meaning
    )


def _single(value: float) -> float:
    (single,) = struct.unpack("<f", struct.pack("<f", value))
    return float(single)
