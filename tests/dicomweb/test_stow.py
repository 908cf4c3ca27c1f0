from __future__ import annotations

import pytest

from gantry.dicomweb.stow import (
    InstanceResult,
    StoreKind,
    check_part_type,
    parse_content_type,
    response_model,
    status_of,
)
from gantry.errors import WebRequestError

STORED = InstanceResult("1.2.3", "1.4", "1.5", "1.6")
FAILED = InstanceResult("1.2.3", "1.7", "1.5", "1.6", failure_reason=0xA900, comment="why")
UNREADABLE = InstanceResult(failure_reason=0xC000, comment="no DICOM")
WARNED = InstanceResult("1.2.3", "1.8", "1.5", "1.6", warning_reason=0xB000)


@pytest.mark.parametrize(
    ("text", "kind", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=b', StoreKind.OBJECTS, "b"),
        ("multipart/related; boundary=b", StoreKind.OBJECTS, "b"),
        ('multipart/related; type="application/dicom+json"; boundary=b', StoreKind.JSON, "b"),
        ('multipart/related; type="application/dicom+xml"; boundary=b', StoreKind.XML, "b"),
        ("application/dicom", StoreKind.OBJECTS, None),
        ("application/dicom+json", StoreKind.JSON, None),
    ],
)
def test_content_types_that_are_stored(text: str, kind: StoreKind, boundary: str | None) -> None:
    content = parse_content_type(text)
    assert (content.kind, content.boundary) == (kind, boundary)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, 400),
        ("", 400),
        ("nonsense", 400),
        ('multipart/related; type="application/dicom"', 400),
        ("text/plain", 415),
        ("multipart/form-data; boundary=b", 415),
        ('multipart/related; type="image/jpeg"; boundary=b', 415),
    ],
)
def test_b63_content_types_that_are_not_stored(text: str | None, status: int) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse_content_type(text)
    assert caught.value.status == status


def test_b63_a_part_of_another_type_is_415() -> None:
    check_part_type(StoreKind.OBJECTS, None)
    check_part_type(StoreKind.OBJECTS, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1")
    with pytest.raises(WebRequestError) as caught:
        check_part_type(StoreKind.OBJECTS, "image/jpeg")
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([STORED], 200),
        ([STORED, FAILED], 202),
        ([STORED, WARNED], 202),
        ([FAILED], 409),
        ([FAILED, UNREADABLE], 409),
        ([], 200),
    ],
)
def test_the_status_of_the_whole(results: list[InstanceResult], status: int) -> None:
    assert status_of(results) == status


def test_the_answer_names_each_instance_with_its_reason() -> None:
    model = response_model([STORED, FAILED, UNREADABLE, WARNED], "http://h/dicom-web")
    assert list(model) == sorted(model)
    assert model["00081190"]["Value"] == ["http://h/dicom-web/studies/1.5"]
    stored, warned = model["00081199"]["Value"]
    assert stored["00081155"]["Value"] == ["1.4"]
    assert stored["00081190"]["Value"] == ["http://h/dicom-web/studies/1.5/series/1.6/instances/1.4"]
    assert warned["00081196"]["Value"] == [0xB000]
    (failed,) = model["00081198"]["Value"]
    assert failed["00081155"]["Value"] == ["1.7"]
    assert failed["00081197"]["Value"] == [0xA900]
    (other,) = model["0008119A"]["Value"]
    assert other["00081197"]["Value"] == [0xC000]
    assert other["00000902"]["Value"] == ["no DICOM"]


def test_no_url_where_nothing_was_stored() -> None:
    assert "Value" not in response_model([FAILED], "http://h")["00081190"]
