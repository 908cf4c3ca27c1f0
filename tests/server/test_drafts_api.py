"""Drafts of measurements, over a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gantry.server.drafts_api import MAX_DRAFT_BYTES
from gantry.server.persons import LOCAL
from gantry.server.policy import HttpPolicy
from measured import image, length
from serving import ROOT, dataset, part10
from web_serving import WebServed, web_served

DRAFT = f"/api/studies/{ROOT}.1/draft"
FIRST = {"if-none-match": "*"}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServed]:
    with web_served(tmp_path) as served:
        served.store(part10(dataset(1)), part10(dataset(2)))
        yield served


def put(web: WebServed, measurements: Any, after: int = 0) -> httpx.Response:
    headers = {"if-match": f'"{after}"'} if after else FIRST
    return web.http.put(DRAFT, json={"measurements": measurements}, headers=headers)


def test_a_draft_is_saved_and_had_again(web: WebServed) -> None:
    assert web.http.get(DRAFT).status_code == 204
    made = put(web, [length()])
    assert (made.status_code, made.headers["etag"], made.json()["version"]) == (200, '"1"', 1)
    had = web.http.get(DRAFT)
    assert had.headers["etag"] == '"1"'
    assert had.json()["measurements"] == [length(image={k: v for k, v in image().items() if k != "frame"})]
    assert had.json()["report"] is None
    assert web.http.get(DRAFT, headers={"if-none-match": '"1"'}).status_code == 304


def test_who_saves_over_another_is_told_and_given_the_current_version(web: WebServed) -> None:
    put(web, [length()])
    assert put(web, [length("b")], after=1).json()["version"] == 2
    late = put(web, [length("c")], after=1)
    assert (late.status_code, late.headers["etag"]) == (412, '"2"')
    assert [one["id"] for one in late.json()["current"]["measurements"]] == ["b"]
    assert put(web, [length("c")]).status_code == 412
    assert web.http.get(DRAFT).json()["version"] == 2


def test_the_same_again_makes_no_new_version(web: WebServed) -> None:
    put(web, [length()])
    again = put(web, [length()])  # as after an answer that was lost
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert [one["version"] for one in web.http.get(f"{DRAFT}/versions").json()["versions"]] == [1]


def test_every_version_stays_and_delete_makes_an_empty_one(web: WebServed) -> None:
    put(web, [length()])
    put(web, [length("b")], after=1)
    assert web.http.delete(DRAFT, headers={"if-match": '"1"'}).status_code == 412
    assert web.http.delete(DRAFT).json()["version"] == 3
    assert web.http.get(DRAFT).json()["measurements"] == []
    rows = web.http.get(f"{DRAFT}/versions").json()["versions"]
    assert [(row["version"], row["reported"]) for row in rows] == [(1, False), (2, False), (3, False)]
    assert [row["measurements"] for row in rows] == [1, 1, 0]
    assert web.http.get(f"{DRAFT}/versions/1").json()["measurements"][0]["id"] == "a"
    assert web.http.get(f"{DRAFT}/versions/4").status_code == 404
    assert web.http.get(f"{DRAFT}/versions/x").status_code == 400


def test_a_damaged_version_is_listed_and_not_counted(web: WebServed, tmp_path: Path) -> None:
    put(web, [length(), length("b")])
    put(web, [length()], after=1)
    (first, _) = web.archive.drafts.versions(LOCAL, f"{ROOT}.1")
    (path,) = tmp_path.glob(f"**/{first.path}")
    path.write_bytes(b"{}")
    rows = web.http.get(f"{DRAFT}/versions").json()["versions"]
    assert [row["measurements"] for row in rows] == [None, 1]


def test_a_save_says_what_it_follows(web: WebServed) -> None:
    put(web, [length()])
    weak = web.http.put(DRAFT, json={"measurements": []}, headers={"if-match": 'W/"1"'})
    assert weak.json()["version"] == 2
    assert web.http.put(DRAFT, json={"measurements": []}).status_code == 428
    assert web.http.put(DRAFT, json={"measurements": []}, headers={"if-match": '"1", "2"'}).status_code == 400


def test_a_draft_is_of_a_study_that_is_here(web: WebServed) -> None:
    there = DRAFT.replace(".1/", ".9/")
    assert web.http.put(there, json={"measurements": []}, headers=FIRST).status_code == 404
    assert web.http.delete(there).status_code == 404
    assert web.http.get("/api/studies/abc/draft").status_code == 400


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "blob"}, "kind"),
        ({"points": [[1, 2]]}, "2 points"),
        ({"points": [[1, 2], [3, 1e300]]}, "coordinate"),
        ({"points": [[1, 2], [3]]}, "measurements"),
        ({"points3d": [[1, 2, 3], [4, 5, 6]]}, "in space"),
        ({"points3d": [[1, 2, 3], [4, 5, 6]], "points": []}, "frameOfReferenceUid"),
        ({"points3d": [[1, 2, 3]], "points": [], "image": image(frameOfReferenceUid="1.2")}, "2 points"),
        (
            {"kind": "circle", "points3d": [[1, 2, 3], [4, 5, 6]], "points": [],
             "image": image(frameOfReferenceUid="1.2")},
            "circle",
        ),
        ({"label": "x" * 65}, "label"),
        ({"label": "two\nlines"}, "label"),
        ({"text": "x" * 4097}, "text"),
        ({"text": "\x00"}, "text"),
        ({"id": ""}, "id"),
        ({"id": "a b\\c"}, "id"),
        ({"image": image(sopInstanceUid="1..2")}, "UIDs"),
        ({"image": image(frame=0)}, "frames"),
        ({"image": image(frameOfReferenceUid="x")}, "frameOfReferenceUid"),
        ({"values": [{"name": "size", "value": 1, "unit": "mm"}]}, "code"),
        ({"values": [{"name": "length", "value": 1, "unit": ""}]}, "unit"),
        ({"values": [{"name": "length", "value": 1, "unit": "a\\b"}]}, "unit"),
        ({"values": [{"name": "length", "value": 1, "unit": "mm"}] * 33}, "32 values"),
        ({"trackingUid": "01.2"}, "trackingUid"),
        ({"more": 1}, "more"),
    ],
)  # fmt: skip
def test_what_is_no_measurement_is_refused_with_a_reason(
    web: WebServed, change: dict[str, Any], word: str
) -> None:
    answer = put(web, [{**length(), **change}])
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert web.http.get(DRAFT).status_code == 204


def test_bodies_that_are_no_draft_are_refused(web: WebServed) -> None:
    def sent(body: bytes, kind: str = "application/json") -> int:
        return web.http.put(DRAFT, content=body, headers={**FIRST, "content-type": kind}).status_code

    assert sent(b"{") == 400
    assert sent(b"\xff\xfe") == 400
    assert sent(b"[" * 100_000) == 400
    assert sent(b'{"measurements":[' + b"NaN" + b"]}") == 400
    assert sent(b"{}", "text/plain") == 415
    assert sent(b" " * (MAX_DRAFT_BYTES + 1)) == 413
    assert sent(json.dumps({"measurements": [length(), length()]}).encode()) == 400
    assert sent(json.dumps({"measurements": [length(str(n)) for n in range(1001)]}).encode()) == 400


def test_n07_a_full_disk_is_told_and_what_is_saved_stays(tmp_path: Path) -> None:
    with web_served(tmp_path) as served:
        served.store(part10(dataset(1)))
        assert put(served, [length()]).status_code == 200
    with web_served(tmp_path, reserve_bytes=1 << 62) as served:
        answer = put(served, [length("b")], after=1)
        assert (answer.status_code, "retry-after" in answer.headers) == (507, True)
        assert served.http.get(DRAFT).json()["version"] == 1


def test_a_draft_is_of_whom_the_proxy_names(tmp_path: Path) -> None:
    with web_served(tmp_path, policy=HttpPolicy(person_header="x-remote-user")) as web:
        web.store(part10(dataset(1)))
        anna, other = {"X-Remote-User": "anna"}, {"X-Remote-User": "Yılmaz, Gökşen".encode()}
        for person, name in ((anna, "a"), (other, "b")):
            made = web.http.put(DRAFT, json={"measurements": [length(name)]}, headers={**person, **FIRST})
            assert (made.status_code, made.json()["version"]) == (200, 1)
        for person, name in ((anna, "a"), (other, "b")):
            assert web.http.get(DRAFT, headers=person).json()["measurements"][0]["id"] == name
        assert web.http.delete(DRAFT, headers=anna).json()["version"] == 2
        assert web.http.get(DRAFT, headers=anna).json()["measurements"] == []
        assert len(web.http.get(DRAFT, headers=other).json()["measurements"]) == 1


@pytest.mark.parametrize(
    "named",
    [
        [],
        [("x-remote-user", "")],
        [("x-remote-user", "anna"), ("x-remote-user", "bela")],
        [("x-remote-user", "a" * 201)],
        [("x-remote-user", "anna\u202e".encode())],
    ],
    ids=["nobody", "empty", "two", "long", "unprintable"],
)
def test_nobody_works_as_another_where_a_proxy_is_to_name_them(tmp_path: Path, named: Any) -> None:
    with web_served(tmp_path, policy=HttpPolicy(person_header="x-remote-user")) as web:
        web.store(part10(dataset(1)))
        study = f"/dicom-web/studies/{ROOT}.1"
        assert web.http.get(DRAFT, headers=named).status_code == 403
        kept = web.http.put(DRAFT, json={"measurements": [length()]}, headers=[*named, *FIRST.items()])
        assert kept.status_code == 403
        assert web.http.delete(study, params={"who": "anna"}, headers=named).status_code == 403
        assert web.http.get(f"{study}/metadata", headers=named).status_code == 200


def test_the_history_says_whom_the_proxy_names_whatever_the_request_says(tmp_path: Path) -> None:
    with web_served(tmp_path, policy=HttpPolicy(person_header="x-remote-user")) as web:
        web.store(part10(dataset(1)))
        anna = {"X-Remote-User": "anna"}
        assert web.http.delete(
            f"/dicom-web/studies/{ROOT}.1", params={"who": "bela"}, headers=anna
        ).is_success
        (done,) = web.http.get("/api/edits").json()["edits"]
        assert done["who"] == "anna"
