"""Drafts that become reports, and reports read again, over a real server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gantry.archive.drafts import MadeReport
from gantry.dataset.part10 import read_part10
from gantry.server.persons import LOCAL
from gantry.standard.sop_classes import COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR
from measured import image, length, parsed
from real_files import shared_data
from serving import ROOT, dataset, part10
from web_serving import WebServed, web_served

STUDY = f"/api/studies/{ROOT}.1"
DRAFT = f"{STUDY}/draft"
SIZE = 64 * 64 * 2
"""Bytes of pixels: an image of 64 by 64."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServed]:
    with web_served(tmp_path) as served:
        space = {"FrameOfReferenceUID": f"{ROOT}.7"}
        served.store(*(part10(dataset(n, size=SIZE, **space)) for n in (1, 2)))
        yield served


def put(web: WebServed, measurements: Any, after: int = 0) -> None:
    headers = {"if-match": f'"{after}"'} if after else {"if-none-match": "*"}
    assert web.http.put(DRAFT, json={"measurements": measurements}, headers=headers).status_code == 200


def report(web: WebServed, key: str = "k1", after: int = 0, **asked: Any) -> httpx.Response:
    headers = {"if-match": f'"{after}"'} if after else {}
    return web.http.post(f"{DRAFT}/report", json={"key": key, **asked}, headers=headers)


def measurements(web: WebServed) -> dict[str, Any]:
    answer = web.http.get(f"{STUDY}/measurements")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def stored(web: WebServed, answer: httpx.Response) -> bytes:
    (location,) = web.archive.locate(f"{ROOT}.1", None, answer.json()["sopInstanceUid"])
    assert location.sop_class_uid == COMPREHENSIVE_SR
    return web.archive.read(location)


def test_a_draft_becomes_a_report_that_is_read_again(web: WebServed) -> None:
    arrow = {
        "id": "b",
        "kind": "arrow",
        "image": image(2),
        "points": [[1.0, 2.0], [3.0, 4.0]],
        "text": "here\nnow",
    }
    put(web, [length(), arrow])
    made = report(web, after=1, title="Follow-up", description="all well", observer="Doe^Jane")
    assert (made.status_code, made.json()["version"]) == (201, 2)
    draft = web.http.get(DRAFT).json()
    assert (draft["measurements"], draft["report"]) == ([], made.json()["sopInstanceUid"])
    assert [row["reported"] for row in web.http.get(f"{DRAFT}/versions").json()["versions"]] == [False, True]

    found = measurements(web)
    assert (found["reports"], found["notUnderstood"]) == (1, [])
    first, second = found["measurements"]
    ds = parsed(stored(web, made))
    for one, sent in ((first, length()), (second, arrow)):
        assert one.pop("source") == {
            "sopInstanceUid": made.json()["sopInstanceUid"],
            "seriesInstanceUid": made.json()["seriesInstanceUid"],
            "title": "Follow-up",
            "date": ds.ContentDate,
            "time": ds.ContentTime,
            "observer": "Doe^Jane",
        }
        assert one.pop("trackingUid").startswith("2.25.")
        assert one["image"].pop("frameOfReferenceUid") == f"{ROOT}.7"
        sent["image"].pop("frame")
        assert one == sent
    assert (ds.PatientName, ds.StudyInstanceUID, ds.SeriesDescription) == (
        "Doe^Jane",
        f"{ROOT}.1",
        "Follow-up",
    )


def in_space(**more: Any) -> dict[str, Any]:
    """A line of 5 mm in the Frame of Reference of the images."""
    ends = [[0.0, 0.0, 1.5], [3.0, 4.0, 1.5]]
    made = {"id": "s", "kind": "length", "image": image(frameOfReferenceUid=f"{ROOT}.7"), "points3d": ends}
    return made | {"values": [{"name": "length", "value": 5.0, "unit": "mm"}]} | more


def test_what_was_measured_in_space_becomes_a_3d_report(web: WebServed) -> None:
    put(web, [length(), in_space()])
    made = report(web)
    assert made.status_code == 201, made.text
    (location,) = web.archive.locate(f"{ROOT}.1", None, made.json()["sopInstanceUid"])
    assert location.sop_class_uid == COMPREHENSIVE_3D_SR
    _, again = measurements(web)["measurements"]
    sent = in_space()
    sent["image"].pop("frame")
    assert {name: again[name] for name in sent} == sent


def test_points_of_another_space_than_their_image_are_refused(web: WebServed) -> None:
    put(web, [in_space(image=image(frameOfReferenceUid=f"{ROOT}.8"))])
    answer = report(web)
    assert (answer.status_code, "Frame of Reference" in answer.json()["error"]) == (409, True)


def test_the_same_key_is_the_same_report(web: WebServed) -> None:
    put(web, [length()])
    first, again = report(web), report(web)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert measurements(web)["reports"] == 1
    assert report(web, "k2").status_code == 409  # the draft is empty now
    put(web, [length("next")], after=2)
    assert report(web).json()["version"] == 3  # and what is drawn since stays
    assert report(web, "k2").status_code == 201
    assert measurements(web)["reports"] == 2


def test_the_same_key_twice_at_once_is_one_report(web: WebServed) -> None:
    put(web, [length()])
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: report(web), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["sopInstanceUid"] for answer in answers}) == 1
    assert measurements(web)["reports"] == 1
    (location,) = web.archive.locate(f"{ROOT}.1", None, answers[0].json()["sopInstanceUid"])
    assert location.number == 1


def test_a_report_that_a_crash_cut_off_is_made_by_the_same_request(web: WebServed) -> None:
    put(web, [length()])
    begun = MadeReport(
        "k1",
        1,
        "2.25.1",
        "2.25.2",
        datetime(2026, 1, 2, tzinfo=UTC),
        msgspec.Raw(b'{"key":"k1","title":"T"}'),
    )
    web.archive.drafts.begin_report(LOCAL, f"{ROOT}.1", begun)
    put(web, [length("later")], after=1)
    made = report(web)
    assert (made.status_code, made.json()["sopInstanceUid"], made.json()["version"]) == (200, "2.25.1", 2)
    (one,) = measurements(web)["measurements"]
    assert (one["id"], one["source"]["title"]) == ("a", "T")
    assert web.http.get(DRAFT).json()["measurements"][0]["id"] == "later"


def test_a_report_that_was_deleted_does_not_come_back(web: WebServed) -> None:
    put(web, [length()])
    made = report(web).json()
    web.http.delete(
        f"/dicom-web/studies/{ROOT}.1/series/{made['seriesInstanceUid']}/instances/{made['sopInstanceUid']}"
    )
    assert report(web).json() == made
    assert measurements(web)["reports"] == 0


def test_what_cannot_be_a_report_is_refused_with_a_reason(web: WebServed) -> None:
    assert report(web).status_code == 404
    put(web, [length()])
    assert report(web, after=7).status_code == 412
    assert report(web, "").status_code == 400
    assert report(web, "x" * 129).status_code == 400
    assert report(web, title="x" * 65).status_code == 400
    assert report(web, observer="a=b").status_code == 400
    assert web.http.post(f"{DRAFT}/report", json={}).status_code == 400
    for number, wrong in enumerate(
        (image(9), image(1, sopClassUid="1.2.3"), image(1, frame=2), image(seriesInstanceUid="1.2")), 1
    ):
        put(web, [length(image=wrong)], after=number)
        answer = report(web)
        assert (answer.status_code, "image" in answer.json()["error"]) == (409, True)
    put(web, [length(points=[[1.0, 1.0], [64.0, 64.1]])], after=5)
    assert (report(web).status_code, "outside" in report(web).json()["error"]) == (409, True)
    assert measurements(web) == {"reports": 0, "measurements": [], "notUnderstood": []}
    assert web.http.get("/api/studies/1.2.3/measurements").status_code == 404


def test_a_frame_of_several_is_named(web: WebServed) -> None:
    web.store(part10(dataset(3, NumberOfFrames=2, size=SIZE)))
    put(web, [length(image=image(3, frame=2))])
    made = report(web)
    assert made.status_code == 201, made.text
    (one,) = measurements(web)["measurements"]
    assert one["image"]["frame"] == 2


def test_n07_a_full_disk_is_told_and_the_draft_stays(tmp_path: Path) -> None:
    with web_served(tmp_path) as served:
        served.store(part10(dataset(1, size=SIZE)))
        put(served, [length()])
    with web_served(tmp_path, reserve_bytes=1 << 62) as served:
        answer = report(served)
        assert (answer.status_code, "retry-after" in answer.headers) == (507, True)
    with web_served(tmp_path) as served:
        assert len(served.http.get(DRAFT).json()["measurements"]) == 1
        assert report(served).status_code == 201


def test_reports_of_another_program_are_read_as_far_as_they_go(web: WebServed) -> None:
    put(web, [length("good"), length("bad")])
    ds = parsed(stored(web, report(web)))
    ds.SOPInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.1.8.1", f"{ROOT}.1.8"
    del ds.SeriesDescription
    good, bad = ds.ContentSequence[-1].ContentSequence
    for group in (good, bad):
        group.ContentSequence = [
            one for one in group.ContentSequence if one.RelationshipType != "HAS CONCEPT MOD"
        ]
    bad.ContentSequence[-1].ContentSequence[0].GraphicType = "MULTIPOINT"
    web.store(part10(ds))
    found = measurements(web)
    other = [one for one in found["measurements"] if one["source"]["seriesInstanceUid"] == f"{ROOT}.1.8"]
    assert [(one["id"], one["kind"]) for one in other] == [("good", "length")]
    assert other[0]["source"]["title"] == "Imaging Measurement Report"
    assert found["notUnderstood"] == [
        {
            "sopInstanceUid": f"{ROOT}.1.8.1",
            "seriesInstanceUid": f"{ROOT}.1.8",
            "reason": "coordinates that are points",
            "count": 1,
        }
    ]


def test_a_report_that_cannot_be_read_is_counted(web: WebServed) -> None:
    put(web, [length()])
    made = report(web)
    (location,) = web.archive.locate(f"{ROOT}.1", None, made.json()["sopInstanceUid"])
    path = web.archive.real_path(location)
    assert path is not None
    path.write_bytes(path.read_bytes()[:700])
    found = measurements(web)
    assert [one["reason"] for one in found["notUnderstood"]] == ["an object that cannot be read"]


def test_reports_of_the_shared_data_are_answered(web: WebServed) -> None:
    for path in sorted((shared_data() / "sr").rglob("*.dcm")):
        data = path.read_bytes()
        study = read_part10(data)[1].text(0x0020000D)
        web.store(data)
        answer = web.http.get(f"/api/studies/{study}/measurements")
        assert answer.status_code in (200, 404), (path, answer.text)


@pytest.mark.peer
def test_dciodvfy_finds_no_error_in_what_the_archive_keeps(web: WebServed, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    put(web, [length(), length("b", image=image(2), values=[])])
    path = tmp_path / "kept.dcm"
    path.write_bytes(stored(web, report(web)))
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace", check=False)
    assert "ComprehensiveSR" in done.stderr
    assert [one for one in done.stderr.splitlines() if one.startswith("Error")] == []
