"""Measurements written as TID 1500 and read again: the identity; others' reports; what others' programs say."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcmtk import run
from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.standard.sop_classes import COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR
from gantry.toolkit.measurements.model import (
    CONCEPTS,
    POINTS_OF,
    Concept,
    Content,
    Image,
    Kind,
    Measurement,
    MeasurementError,
    Value,
    fault,
    read_content,
)
from gantry.toolkit.measurements.report_read import MAX_DEPTH, is_measurement_report, read_report
from gantry.toolkit.measurements.report_write import About, Extent, as_reported, write_report
from measured import parsed
from real_files import shared_data
from serving import CT, ROOT, dataset, part10

MADE = datetime(2026, 1, 2, 3, 4, 5)
ABOUT = About("1.2.3.4", "1.2.3.5", MADE)
IMAGE = read_part10(part10(dataset(1)))[1]


def drawn(kind: Kind, count: int = 0) -> Measurement:
    """A measurement of a kind, with the values that it usually has."""
    names = {
        Kind.LENGTH: ("length",), Kind.BIDIRECTIONAL: ("longAxis", "shortAxis"), Kind.ANGLE: ("angle",),
        Kind.COBB: ("angle",), Kind.PROBE: ("value",), Kind.ARROW: (), Kind.TEXT: (),
    }.get(kind, ("area", "perimeter", "mean", "standardDeviation", "minimum", "maximum"))  # fmt: skip
    units = {"angle": "deg", "area": "mm2"} | dict.fromkeys(
        ("mean", "minimum", "maximum", "value"), "[hnsf'U]"
    )
    count = count or max(POINTS_OF[kind][0], 4 if POINTS_OF[kind][1] > 4 else 0)
    points = tuple((10.25 + 20 * math.cos(n), 30.5 + 7 * math.sin(n)) for n in range(count))
    values = tuple(Value(name, 12.345678901234567, units.get(name, "mm")) for name in names)
    image = Image(f"{ROOT}.1.1", f"{ROOT}.1.1.1", CT, 1, f"{ROOT}.77")
    return Measurement(
        kind.value, kind, image, points, "Läsion", "first line\nsecond" * (kind is Kind.TEXT), values
    )


def in_space(one: Measurement) -> Measurement:
    """The same on an oblique plane of its image's Frame of Reference."""
    places = tuple((x - 300.5, 0.6 * y, 0.8 * y + 12.25) for x, y in one.points)
    return msgspec.structs.replace(one, id=f"{one.id}3d", points=(), points3d=places)


ALL_KINDS = tuple(drawn(kind) for kind in Kind)
IN_SPACE = tuple(in_space(one) for one in ALL_KINDS if one.kind is not Kind.CIRCLE)


def written(measurements: Sequence[Measurement], about: About = ABOUT) -> bytes:
    return write_report(measurements, IMAGE, about, {})


def read(file: bytes) -> tuple[Measurement, ...]:
    report = read_report(read_part10(file)[1])
    assert report.not_understood == {}
    return report.measurements


SPOILED = written(ALL_KINDS)

_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=64)
_uids = st.integers(1, 1 << 100).map(lambda n: f"2.25.{n}")
_numbers = st.floats(allow_nan=False, allow_infinity=False)
_coded = st.builds(
    Concept,
    st.from_regex(r"[A-Za-z0-9.-]{1,16}", fullmatch=True),
    st.just("99TEST"),
    _texts.map(lambda t: t.replace("\\", "").strip()).filter(bool),
).map(lambda c: (c.meaning, c))
_named = st.sampled_from(sorted(CONCEPTS)).map(lambda name: (name, None))
_values = st.builds(
    lambda named, number, unit: Value(named[0], number, unit, named[1]),
    st.one_of(_named, _coded),
    _numbers,
    st.sampled_from(["mm", "mm2", "deg", "1", "[hnsf'U]", "g/ml{SUVbw}"]),
)


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    kind = draw(st.sampled_from(Kind))
    least, most = POINTS_OF[kind]
    coordinate = st.floats(-4e6, 4e6, width=32)
    points = draw(st.lists(st.tuples(coordinate, coordinate), min_size=least, max_size=min(most, 12)))
    # Two images may not differ in what they are, so that their UIDs follow from one number
    number, frame = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    is_in_space = number > 1 and kind is not Kind.CIRCLE and draw(st.booleans())
    image = Image(f"1.2.{number}", f"1.2.{number}.1", CT, frame, f"1.2.{number}.9" * (number > 1))
    text = draw(
        st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=300)
    )
    return Measurement(
        draw(st.from_regex(r"[!-\[\]-~]{1,64}", fullmatch=True)),
        kind, image, () if is_in_space else tuple(points), draw(_texts), text,
        tuple(draw(st.lists(_values, max_size=5))), draw(st.one_of(st.just(""), _uids)),
        tuple((x, y, draw(coordinate)) for x, y in points) if is_in_space else (),
    )  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(measurements(), min_size=1, max_size=6, unique_by=lambda one: one.id))
def test_what_is_written_is_read_again(made: list[Measurement]) -> None:
    content = Content(tuple(made))
    assert read_content(msgspec.json.encode(content)) == content
    expected = tuple(as_reported(one, ABOUT.sop_instance_uid) for one in made)
    assert read(written(made)) == expected
    assert read(written(expected)) == expected


def test_each_kind_comes_back_exactly() -> None:
    assert [one.kind for one in ALL_KINDS] == list(Kind)
    for one, again in zip(ALL_KINDS, read(written(ALL_KINDS)), strict=True):
        assert again == as_reported(one, ABOUT.sop_instance_uid)


def test_each_kind_in_space_comes_back_exactly() -> None:
    file = written((*ALL_KINDS, *IN_SPACE))
    expected = [as_reported(one, ABOUT.sop_instance_uid) for one in (*ALL_KINDS, *IN_SPACE)]
    assert list(read(file)) == expected
    assert parsed(file).SOPClassUID == COMPREHENSIVE_3D_SR
    assert parsed(written(ALL_KINDS)).SOPClassUID == COMPREHENSIVE_SR


def test_points_in_space_say_their_frame_of_reference() -> None:
    ds = parsed(written([in_space(drawn(Kind.RECTANGLE))]))
    (place,) = [one for one in ds.iterall() if one.tag == 0x0040A040 and one.value == "SCOORD3D"]
    group = ds.ContentSequence[-1].ContentSequence[0]
    region = next(one for one in group.ContentSequence if one.ValueType == place.value)
    assert (region.GraphicType, region.ReferencedFrameOfReferenceUID) == ("POLYGON", f"{ROOT}.77")
    assert region.GraphicData[:3] == region.GraphicData[-3:]
    assert "ContentSequence" not in region


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CIRCLE])
def test_a_region_in_space_of_another_program_is_understood(kind: Kind) -> None:
    """Without our method, and without the image: one of the only series that the report lists takes its place."""
    made = in_space(drawn(kind))
    ds = of_another_program(made)
    (group,) = ds.ContentSequence[-1].ContentSequence
    group.ContentSequence = [one for one in group.ContentSequence if one.ValueType != "IMAGE"]
    expected = as_reported(made, ABOUT.sop_instance_uid)
    (one,) = read(part10(ds))
    if kind in (Kind.SPLINE, Kind.RECTANGLE):  # the outline of the curve; corners that make no right angles
        step = 8 if kind is Kind.SPLINE else 1
        assert (one.kind, one.points3d[::step]) == (Kind.FREEHAND, expected.points3d)
        return
    assert one == expected


def test_an_arrow_whose_tail_modifies_its_tip_is_one() -> None:
    """As dwv writes it: the tip is the region, the tail a point of reference beside it."""
    made = drawn(Kind.ARROW)
    ds = of_another_program(made)
    (group,) = ds.ContentSequence[-1].ContentSequence
    text = group.ContentSequence[-1]
    tip, tail = text.ContentSequence
    tip.RelationshipType, tail.RelationshipType = "CONTAINS", "HAS CONCEPT MOD"
    tail.GraphicType = "MULTIPOINT"
    for place, code, meaning in ((tip, "111030", "Image Region"), (tail, "122438", "Reference Points")):
        name = pydicom.Dataset()
        name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = code, "DCM", meaning
        place.ConceptNameCodeSequence = [name]
    group.ContentSequence = [*group.ContentSequence[:-1], tip, tail]
    assert read(part10(ds)) == (as_reported(made, ABOUT.sop_instance_uid),)


def test_a_label_that_waits_for_a_value_is_none() -> None:
    made = drawn(Kind.LENGTH)
    for label, expected in (("{length}", ""), ("Aorta {length}", "Aorta")):
        ds = of_another_program(msgspec.structs.replace(made, label=label))
        assert [one.label for one in read(part10(ds))] == [expected]


def test_a_report_says_when_and_by_whom() -> None:
    for observer, expected in (("Doe^Jane", "Doe^Jane"), ("", "Gantry")):
        about = About("1.2.3.4", "1.2.3.5", MADE, "T", observer=observer)
        report = read_report(read_part10(written(ALL_KINDS, about))[1])
        assert (report.date, report.time, report.observer) == ("20260102", "030405", expected)


def test_the_largest_outline_fits() -> None:
    made = [drawn(kind, POINTS_OF[kind][1]) for kind in (Kind.FREEHAND, Kind.SPLINE)]
    assert [len(one.points) for one in read(written(made))] == [4096, 4096]
    assert [len(one.points3d) for one in read(written([*map(in_space, made)]))] == [4096, 4096]


def test_the_same_is_written_the_same() -> None:
    assert written(ALL_KINDS) == written(ALL_KINDS)


def test_a_spline_is_an_outline_through_its_points() -> None:
    corners = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    ds = parsed(written([msgspec.structs.replace(drawn(Kind.SPLINE), points=corners)]))
    group = ds.ContentSequence[-1].ContentSequence[0]
    region = next(one for one in group.ContentSequence if one.ValueType == "SCOORD")
    line = list(zip(region.GraphicData[::2], region.GraphicData[1::2], strict=True))
    assert line[0] == line[-1]
    assert line[:-1:8] == list(corners)
    assert line[4] == (5.0, -1.25)  # the middle of a stretch is drawn out by its neighbours


def test_points_are_in_the_image_and_so_is_the_curve_of_a_spline() -> None:
    corners = ((0.0, 0.0), (64.0, 0.0), (64.0, 64.0), (0.0, 64.0))
    extents = {f"{ROOT}.1.1.1": Extent(1, 64, 64)}
    spline = msgspec.structs.replace(drawn(Kind.SPLINE), points=corners)
    ds = parsed(write_report([spline], IMAGE, ABOUT, extents))
    for element in ds.iterall():
        if element.keyword == "GraphicData":
            assert all(0 <= value <= 64 for value in element.value)
    with pytest.raises(MeasurementError, match="outside"):
        write_report([spline], IMAGE, ABOUT, {f"{ROOT}.1.1.1": Extent(1, 64, 63)})
    with pytest.raises(MeasurementError, match="1 frames"):
        seen = msgspec.structs.replace(spline.image, frame=2)
        write_report([msgspec.structs.replace(spline, image=seen)], IMAGE, ABOUT, extents)


def test_a_frame_is_named_where_there_are_several() -> None:
    file = write_report([drawn(Kind.LENGTH)], IMAGE, ABOUT, {f"{ROOT}.1.1.1": Extent(3, 64, 64)})
    numbers = [e.value for e in parsed(file).iterall() if e.keyword == "ReferencedFrameNumber"]
    assert numbers == [1]
    assert not [e for e in parsed(written(ALL_KINDS)).iterall() if e.keyword == "ReferencedFrameNumber"]


@pytest.mark.parametrize(
    "about",
    [
        About("1.2", "1.3", MADE, title="x" * 65), About("1.2", "1.3", MADE, title="a\\b"),
        About("1.2", "1.3", MADE, description="\x00"), About("1.2", "1.3", MADE, observer="a=b"),
        About("1.2", "1.3", MADE, observer="a^b^c^d^e^f"), About("1.2", "1.3", MADE, title="\ud800"),
    ],
)  # fmt: skip
def test_what_a_report_cannot_say_is_refused(about: About) -> None:
    with pytest.raises(CallerError):
        written(ALL_KINDS, about)


def test_a_report_of_nothing_or_of_contradictions_is_refused() -> None:
    with pytest.raises(CallerError):
        written([])
    one = drawn(Kind.LENGTH)
    other = msgspec.structs.replace(
        one, id="b", image=msgspec.structs.replace(one.image, sop_class_uid="1.2")
    )
    with pytest.raises(CallerError):
        written([one, other])
    with pytest.raises(MeasurementError):
        written([msgspec.structs.replace(one, points=())])


def test_content_nested_without_end_is_counted() -> None:
    ds = parsed(written([drawn(Kind.LENGTH)]))
    inner = ds.ContentSequence[-1]
    for _ in range(40):
        outer = pydicom.Dataset()
        outer.ValueType, outer.RelationshipType, outer.ContentSequence = "CONTAINER", "CONTAINS", [inner]
        inner = outer
    ds.ContentSequence.append(inner)
    report = read_report(read_part10(part10(ds))[1])
    assert [one.id for one in report.measurements] == ["length"]
    assert report.not_understood == {f"content nested deeper than {MAX_DEPTH}": 1}


def of_another_program(made: Measurement) -> pydicom.Dataset:
    """A report of one measurement as it would be without our Measurement Method."""
    ds = parsed(written([made]))
    (group,) = ds.ContentSequence[-1].ContentSequence
    group.ContentSequence = [
        one
        for one in group.ContentSequence
        if one.ConceptNameCodeSequence[0].CodeMeaning != "Measurement Method"
    ]
    return ds


@pytest.mark.parametrize("kind", Kind)
def test_shapes_and_values_tell_the_kind_where_nothing_else_does(kind: Kind) -> None:
    made = drawn(kind)
    if kind is Kind.RECTANGLE:
        corners = ((1.0, 1.0), (5.0, 4.0), (2.0, 8.0), (-2.0, 5.0))
        made = msgspec.structs.replace(made, points=corners)
    (one,) = read(part10(of_another_program(made)))
    expected = as_reported(made, ABOUT.sop_instance_uid)
    if kind is Kind.SPLINE:  # the outline of the curve
        assert (one.kind, one.points[::8]) == (Kind.FREEHAND, expected.points)
        return
    assert one == expected


@pytest.mark.parametrize("place", [[1, 5, 1, 2], [1, 5, 1, 9], [1, 0], [1], [7] * 40])
def test_an_image_may_be_named_by_its_place_in_the_document(place: list[int]) -> None:
    made = drawn(Kind.LENGTH)
    ds = of_another_program(made)
    library = next(n for n, one in enumerate(ds.ContentSequence, 1) if one.ValueType == "CONTAINER")
    number = ds.ContentSequence[-1].ContentSequence[0].ContentSequence[-1]
    named = pydicom.Dataset()
    named.RelationshipType = "SELECTED FROM"
    named.ReferencedContentItemIdentifier = [1, library, *place[2:]] if len(place) == 4 else place
    number.ContentSequence[0].ContentSequence = [named]
    report = read_report(read_part10(part10(ds))[1])
    if place[-1] == 2:
        assert report.measurements == (as_reported(made, ABOUT.sop_instance_uid),)
    else:
        assert report.not_understood == {"coordinates without an image": 1}


def test_an_arrow_of_two_points_in_one_item_is_one() -> None:
    made = drawn(Kind.ARROW)
    ds = of_another_program(made)
    text = ds.ContentSequence[-1].ContentSequence[0].ContentSequence[-1]
    first, second = text.ContentSequence
    first.GraphicData = [*first.GraphicData, *second.GraphicData]
    text.ContentSequence = [first]
    assert read(part10(ds)) == (as_reported(made, ABOUT.sop_instance_uid),)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_spoiled_report_is_read_or_refused(data: st.DataObject) -> None:
    file = bytearray(SPOILED)
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(400, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        report = read_report(read_part10(bytes(file))[1])
    except DataSetError:
        return
    assert all(not fault(one) for one in report.measurements)


OTHERS = {
    "sr/dwv_tid1500/sr-arrow.dcm": ({"arrow"}, 0), "sr/dwv_tid1500/sr-ruler.dcm": ({"length"}, 0), "sr/dwv_tid1500/sr-circle.dcm": ({"circle"}, 0),
    "sr/dwv_tid1500/sr-ellipse.dcm": ({"ellipse"}, 0), "sr/dwv_tid1500/sr-rectangle.dcm": ({"rectangle"}, 0),
    "sr/dwv_tid1500/sr-protractor.dcm": ({"angle"}, 0), "sr/dwv_tid1500/sr-roi.dcm": ({"freehand"}, 0),
    "sr/sr_document.dcm": ({"circle"}, 0), "sr/sr_document_with_multiple_groups.dcm": ({"circle"}, 3),
    "sr/dcmqi_tid1500_sr.dcm": (set(), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_reports_of_others_are_read(name: str) -> None:
    kinds, missed = OTHERS[name]
    ds = read_part10((shared_data() / name).read_bytes())[1]
    assert is_measurement_report(ds)
    report = read_report(ds)
    assert {one.kind.value for one in report.measurements} == kinds
    assert sum(report.not_understood.values()) == missed, report.not_understood
    assert all(not fault(one) for one in report.measurements)


def test_arrows_of_dwv_point_from_their_tail_to_their_tip() -> None:
    data = (shared_data() / "sr" / "dwv_tid1500" / "sr-arrow.dcm").read_bytes()
    first = read_report(read_part10(data)[1]).measurements[0]
    (tip, tail) = [[round(value, 3) for value in point] for point in first.points]
    assert (tip, tail) == ([6.19, 6.076], [6.266, 13.063])


def test_no_report_of_the_shared_data_is_an_error() -> None:
    for path in sorted((shared_data() / "sr").rglob("*.dcm")):
        ds = read_part10(path.read_bytes())[1]
        report = read_report(ds)
        assert is_measurement_report(ds) or not report.measurements, path


@pytest.mark.peer
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    path = tmp_path / "report.dcm"
    texts = About("1.2.3.4", "1.2.3.5", MADE, "Nachsorge", "Zeile\nzwei", "Müller^Jörg")
    for kinds, about, iod in (
        (ALL_KINDS, ABOUT, "ComprehensiveSR"),
        (ALL_KINDS, texts, "ComprehensiveSR"),
        (ALL_KINDS + IN_SPACE, texts, "Comprehensive3DSR"),
    ):
        path.write_bytes(written(kinds, about))
        done = subprocess.run(
            ["dciodvfy", path], capture_output=True, text=True, errors="replace", check=False
        )
        assert iod in done.stderr
        assert [one for one in done.stderr.splitlines() if one.startswith("Error")] == []


@pytest.mark.peer
def test_dsrdump_reads_every_item(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    kinds = ALL_KINDS + IN_SPACE
    path.write_bytes(written(kinds, About("1.2.3.4", "1.2.3.5", MADE, observer="Doe^Jane")))
    done = run("dsrdump", "+Pc", path)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert told.count("Measurement Group") == len(kinds)
    for word in (
        "12.3456789012346",
        "SCOORD3D",
        "POLYGON",
        "ELLIPSE",
        "CIRCLE",
        "MULTIPOINT",
        "Doe^Jane",
        '(deg,UCUM,"degree")',
    ):
        assert word in told, told
