"""QIDO-RS over a real server (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from server.conftest import NewIndex
from serving import ROOT, dataset, part10
from web_serving import WebServed, web_served

Answer = list[dict[str, Any]]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, new_index: NewIndex) -> Iterator[WebServed]:
    """Three studies; the first has two series, of three and one instances."""
    with web_served(tmp_path_factory.mktemp("archive"), index=new_index()) as served:
        objects = [part10(dataset(number)) for number in (1, 2, 3)]
        objects.append(part10(dataset(1, series=2, Modality="MR", SeriesDescription="T1")))
        objects.append(
            part10(dataset(1, study=2, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 192"))
        )
        objects.append(part10(dataset(1, study=3, PatientName="", StudyDate="20250101")))
        assert served.store(*objects).status_code == 200
        yield served


def find(web: WebServed, path: str) -> Answer:
    answer = web.http.get(f"/dicom-web{path}")
    assert answer.status_code == 200, answer.text
    found: Answer = answer.json()
    return found


def values(rows: Answer, tag: str) -> list[Any]:
    return [row[tag]["Value"][0] if "Value" in row[tag] else None for row in rows]


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/studies", 3),
        ("/series", 4),
        ("/instances", 6),
        (f"/studies/{ROOT}.1/series", 2),
        (f"/studies/{ROOT}.1/instances", 4),
        (f"/studies/{ROOT}.1/series/{ROOT}.1.1/instances", 3),
        ("/studies/9.9.9/series", 0),
        ("/studies?PatientID=P2", 1),
        ("/studies?PatientName=muller*", 1),
        ("/studies?PatientName=MÜLLER*", 1),
        ("/studies?PatientName=J%C3%B6rg+M%C3%BCller", 1),
        ("/studies?StudyDate=20260101-", 2),
        ("/studies?StudyDate=-20251231", 1),
        ("/studies?ModalitiesInStudy=MR", 1),
        (f"/studies?StudyInstanceUID={ROOT}.1,{ROOT}.3", 2),
        ("/series?Modality=MR", 1),
        ("/series?Modality=CT%5CMR&multiplevaluematching=true", 4),
        ("/instances?InstanceNumber=2", 1),
        ("/studies?PatientName=", 3),
        ("/studies?PatientName=%22%22&emptyvaluematching=true", 1),
        ("/studies?limit=2", 2),
        ("/studies?limit=2&offset=2", 1),
        ("/studies?offset=1000000000000", 0),
        ("/studies?limit=0", 0),
    ],
)
def test_how_many_match(web: WebServed, path: str, count: int) -> None:
    assert len(find(web, path)) == count


def test_the_answer_of_a_study(web: WebServed) -> None:
    (row,) = find(web, "/studies?PatientID=P1")
    assert row["00201206"]["Value"] == [2]
    assert row["00201208"]["Value"] == [4]
    assert row["00080061"]["Value"] == ["CT", "MR"]
    assert row["00081190"]["Value"] == [f"http://127.0.0.1:{web.port}/dicom-web/studies/{ROOT}.1"]
    assert list(row) == sorted(row)


def test_a_relational_search_answers_the_levels_above(web: WebServed) -> None:
    row = find(web, "/instances?PatientID=P2")[0]
    assert row["00100020"]["Value"] == ["P2"]
    assert row["00080060"]["Value"] == ["CT"]
    assert row["0020000D"]["Value"] == [f"{ROOT}.2"]


def test_includefield_adds_what_the_index_holds_and_what_only_the_file_does(web: WebServed) -> None:
    (row,) = find(web, "/series?SeriesDescription=T1&includefield=BitsStored,00081030,StudyID")
    assert row["0008103E"]["Value"] == ["T1"]
    assert row["00200010"]["Value"] == ["1"]
    (one,) = find(web, f"/studies/{ROOT}.2/series/{ROOT}.2.1/instances?includefield=BitsStored")
    assert one["00280101"]["Value"] == [12]


def test_includefield_all_answers_all_the_index_holds(web: WebServed) -> None:
    (row,) = find(web, f"/studies/{ROOT}.2/series?includefield=all")
    assert {"00080060", "0020000E", "00201209", "00081190"} <= row.keys()


def test_pages_neither_repeat_nor_skip(web: WebServed) -> None:
    whole = values(find(web, "/instances"), "00080018")
    pages = [
        uid
        for start in range(0, 6, 2)
        for uid in values(find(web, f"/instances?limit=2&offset={start}"), "00080018")
    ]
    assert pages == whole
    assert len(set(whole)) == len(whole)


def test_the_total_and_the_rest_are_told(web: WebServed) -> None:
    answer = web.http.get("/dicom-web/studies?limit=1")
    assert answer.headers["x-total-count"] == "3"
    assert "There are 2 additional results that can be requested" in answer.headers["warning"]
    assert "warning" not in web.http.get("/dicom-web/studies").headers


def test_no_match_is_an_empty_array(web: WebServed) -> None:
    answer = web.http.get("/dicom-web/studies?PatientID=nobody")
    assert (answer.status_code, answer.json(), answer.headers["x-total-count"]) == (200, [], "0")


def test_xml_has_one_document_a_part(web: WebServed) -> None:
    answer = web.http.get(
        "/dicom-web/studies", headers={"accept": 'multipart/related; type="application/dicom+xml"'}
    )
    boundary = answer.headers["content-type"].rpartition("boundary=")[2].encode()
    documents = [part.partition(b"\r\n\r\n")[2] for part in answer.content.split(b"--" + boundary)[1:-1]]
    roots = [ElementTree.fromstring(document) for document in documents]
    assert [root.tag.rpartition("}")[2] for root in roots] == ["NativeDicomModel"] * 3


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("application/dicom+json", 200, "application/dicom+json"),
        ("application/json", 200, "application/json"),
        ("*/*", 200, "application/dicom+json"),
        ("text/html", 406, "application/json"),
    ],
)
def test_the_form_of_the_answer(web: WebServed, accept: str, status: int, content_type: str) -> None:
    answer = web.http.get("/dicom-web/studies", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)


def test_a_long_answer_is_compressed_where_the_client_takes_it(web: WebServed) -> None:
    packed = web.http.get("/dicom-web/instances", headers={"accept-encoding": "gzip"})
    plain = web.http.get("/dicom-web/instances", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


@pytest.mark.parametrize(
    "path",
    [
        "/studies?limit=-1",
        "/studies?NoSuch=1",
        "/studies?StudyDate=2026-x",
        "/studies/abc/series",
        "/studies/../x/series",
    ],
)
def test_b70_a_search_that_cannot_be_is_400_or_404_with_words(web: WebServed, path: str) -> None:
    answer = web.raw(
        f"GET /dicom-web{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.split(b" ")[1] in (b"400", b"404")
    assert b'"error":' in answer


def test_b70_a_limit_of_a_thousand_million_is_clamped_with_a_warning(web: WebServed) -> None:
    answer = web.http.get("/dicom-web/studies?limit=1000000000")
    assert answer.status_code == 200
    assert "reduced to 10000" in answer.headers["warning"]


def test_b71_many_wild_cards_are_answered_within_a_second(web: WebServed) -> None:
    for pattern in ("*" * 64 + "a", "????", "*a" * 30):
        answer = web.http.get("/dicom-web/studies", params={"PatientName": pattern})
        assert answer.status_code in (200, 400)
        assert answer.elapsed.total_seconds() < 1
