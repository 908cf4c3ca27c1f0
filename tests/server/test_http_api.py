"""The archive's own API and the page, over a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from committed import commit
from gantry.server.app import build_app
from gantry.server.pages import Pages
from serving import ROOT, dataset, part10, series
from web_serving import WebServed, web_served

STUDY = f"/dicom-web/studies/{ROOT}.1"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServed]:
    with web_served(tmp_path, pages=Pages(_viewer(tmp_path / "viewer"))) as served:
        yield served


def _viewer(folder: Path) -> Traversable:
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><script src=/assets/app-Ab12Cd34.js></script>")
    (folder / "assets" / "app-Ab12Cd34.js").write_text("// the viewer\n" * 500)
    (folder / "icon.svg").write_text("<svg/>")
    return folder


def test_the_study_list_finds_as_a_person_types(web: WebServed) -> None:
    web.store(
        part10(dataset(PatientName="Doe^Jane", StudyDescription="Head routine")),
        part10(dataset(study=2, PatientName="Roe^Richard", StudyDate="20200229", Modality="MR")),
    )

    def found(**parameters: str) -> list[str]:
        answer = web.http.get("/api/studies", params=parameters).json()
        assert answer["total"] == len(answer["studies"])
        return [row["patientName"] for row in answer["studies"]]

    assert found() == ["Doe^Jane", "Roe^Richard"]
    assert found(q="ja do") == ["Doe^Jane"]
    assert found(q="P2") == ["Roe^Richard"]
    assert found(q="routi") == ["Doe^Jane"]
    assert found(q="ct 2026-01") == ["Doe^Jane"]
    assert found(q="doe 02.01.2026") == ["Doe^Jane"]
    assert found(q="mr 2026-01") == []
    assert found(modality="MR") == ["Roe^Richard"]
    assert found(modality="MR,CT") == ["Doe^Jane", "Roe^Richard"]
    assert found(**{"from": "2026-01-01"}) == ["Doe^Jane"]
    assert found(to="20201231") == ["Roe^Richard"]
    assert found(q="nobody") == []


def test_a_row_of_the_study_list(web: WebServed) -> None:
    web.store(*series(2))
    (row,) = web.http.get("/api/studies").json()["studies"]
    assert row == {
        "studyUid": f"{ROOT}.1",
        "patientName": "Doe^Jane",
        "patientId": "P1",
        "patientBirthDate": "",
        "patientSex": "",
        "studyDate": "20260102",
        "studyTime": "101112",
        "description": "",
        "accession": "A1",
        "referringPhysician": "",
        "modalities": ["CT"],
        "series": 1,
        "instances": 2,
        "thumbnail": f"{STUDY}/thumbnail",
    }


@pytest.mark.parametrize("query", ["limit=-1", "offset=x", "from=yesterday", "modality=CT;MR", "q=1&q=2"])
def test_b70_a_study_list_that_cannot_be_is_400(web: WebServed, query: str) -> None:
    assert web.http.get(f"/api/studies?{query}").status_code == 400


def test_changes_are_numbered_and_go_on_from_anywhere(web: WebServed) -> None:
    web.store(*series(3))
    web.http.delete(f"{STUDY}/series/{ROOT}.1.1/instances/{ROOT}.1.1.2")
    answer = web.http.get("/api/changes").json()
    assert [change["kind"] for change in answer["changes"]] == ["stored", "stored", "stored", "deleted"]
    assert answer["epoch"]
    rest = web.http.get(f"/api/changes?after={answer['last'] - 1}").json()
    assert [change["instance"] for change in rest["changes"]] == [f"{ROOT}.1.1.2"]
    assert web.http.get("/api/changes?after=now").json()["changes"] == []


def test_a_long_poll_is_answered_when_something_is_stored(web: WebServed) -> None:
    with web.connect() as waiting:
        waiting.sendall(
            b"GET /api/changes?after=0&wait=30 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        web.http.get("/api/health")
        web.store(*series(1))
        body = b""
        while piece := waiting.recv(65536):
            body += piece
    assert json.loads(body.partition(b"\r\n\r\n")[2])["changes"][0]["kind"] == "stored"


def test_a_long_poll_without_a_change_ends_empty(web: WebServed) -> None:
    assert web.http.get("/api/changes?wait=1").json()["changes"] == []


def test_server_sent_events_follow_the_archive(web: WebServed) -> None:
    web.store(*series(1))
    with web.http.stream("GET", "/api/changes", headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.iter_lines()
        assert next(lines) == "event: epoch"
        assert _next_event(lines)["instance"] == f"{ROOT}.1.1.1"
        web.store(part10(dataset(7)))
        assert _next_event(lines)["instance"] == f"{ROOT}.1.1.7"


def test_events_go_on_after_the_last_one_seen(web: WebServed) -> None:
    web.store(*series(3))
    headers = {"accept": "text/event-stream", "last-event-id": "2"}
    with web.http.stream("GET", "/api/changes", headers=headers) as answer:
        assert _next_event(answer.iter_lines())["seq"] == 3


def _next_event(lines: Iterator[str]) -> Any:
    for line in lines:
        if line.startswith("data: {"):
            return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended")


def test_delete_hides_and_restore_shows(web: WebServed) -> None:
    files = series(3)
    web.store(*files)
    instance = f"{STUDY}/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
    for path, left in (
        (instance, 2),
        (f"{STUDY}/series/{ROOT}.1.1", 0),
    ):
        assert web.http.delete(path).status_code == 204
        assert len(web.http.get("/dicom-web/instances").json()) == left
    assert web.http.delete(STUDY).status_code == 404
    answer = web.http.post(f"/api/restore/studies/{ROOT}.1")
    assert len(answer.json()["restored"]) == 3
    assert web.http.get(instance, headers={"accept": "application/dicom"}).content == files[0]


def test_n15_what_was_committed_is_deleted_only_by_force(web: WebServed) -> None:
    web.store(*series(2))
    commit(web.archive, f"{ROOT}.1.1.1")
    instance = f"{STUDY}/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
    for path in (STUDY, f"{STUDY}/series/{ROOT}.1.1", instance):
        refused = web.http.delete(path)
        assert refused.status_code == 409
        assert "storage commitment" in refused.json()["error"]
    body = {"kind": "delete", "target": {"study": f"{ROOT}.1"}, "why": "x"}
    assert web.http.post("/api/edits", json=body).status_code == 409
    assert web.http.delete(f"{STUDY}?force=true").status_code == 400
    assert web.http.delete(f"{STUDY}?force=yes&why=x").status_code == 400
    assert len(web.http.get("/dicom-web/instances").json()) == 2
    assert web.http.delete(f"{instance}?force=true&why=a%20phantom&who=Ada").status_code == 204
    assert len(web.http.get("/dicom-web/instances").json()) == 1
    (row,) = web.http.get("/api/edits").json()["edits"]
    assert (row["who"], row["kind"]) == ("Ada", "delete")
    assert row["why"].startswith("a phantom [by force: 1 of 1 instances are under a storage commitment")
    web.http.post(f"/api/restore/studies/{ROOT}.1").raise_for_status()
    assert web.http.post("/api/edits", json={**body, "force": True}).status_code == 201


def test_an_earlier_version_is_listed_read_and_made_current(web: WebServed) -> None:
    first, second = part10(dataset()), part10(dataset(PatientName="Other"))
    web.store(first)
    web.store(second)
    where = f"studies/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
    versions = web.http.get(f"/api/versions/{where}").json()
    assert [(v["version"], v["kind"], v["current"]) for v in versions] == [
        (1, "object", False),
        (2, "object", True),
    ]
    accept = {"accept": "application/dicom"}
    assert web.http.get(f"/dicom-web/{where}?version=1", headers=accept).content == first
    assert web.http.post(f"/api/restore/{where}?version=1").status_code == 200
    assert web.http.get(f"/dicom-web/{where}", headers=accept).content == first
    assert web.http.post(f"/api/restore/{where}?version=9").status_code == 404
    assert web.http.get("/api/versions/studies/1/series/2/instances/3").status_code == 404


def test_conflicts_are_listed(web: WebServed) -> None:
    web.store(part10(dataset()))
    web.store(part10(dataset(2, PatientID="another")))
    (conflict,) = web.http.get("/api/conflicts").json()["conflicts"]
    assert (conflict["kind"], conflict["study"]) == ("patient", f"{ROOT}.1")
    assert len(conflict["parties"]) == 2
    assert web.http.get(f"/api/conflicts?after={conflict['seq']}").json()["conflicts"] == []
    assert web.http.get("/api/stats").json()["conflicts"] == 1
    assert "\ngantry_conflicts 1.0\n" in web.http.get("/metrics").text


def test_health_and_stats(web: WebServed) -> None:
    web.store(*series(2))
    assert web.http.get("/api/health").json()["status"] == "ok"
    stats = web.http.get("/api/stats").json()
    assert (stats["studies"], stats["instances"], stats["versions"]) == (1, 2, 2)


def test_the_page_may_run_its_own_scripts_and_nobody_elses(web: WebServed) -> None:
    for path in ("/", f"/studies/{ROOT}.1", "/studies/1/series/2"):
        page = web.http.get(path)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "script-src 'self' 'wasm-unsafe-eval';" in policy
        assert "worker-src 'self' blob:" in policy
        assert "default-src 'none'" in policy
        assert page.headers["cache-control"] == "no-cache"
        again = web.http.get(path, headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304


def test_files_of_the_page_are_kept_for_ever_where_their_name_changes(web: WebServed) -> None:
    script = web.http.get("/assets/app-Ab12Cd34.js")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["content-encoding"] == "gzip"
    assert script.text.startswith("// the viewer")
    assert web.http.get("/icon.svg").headers["cache-control"] == "no-cache"
    assert web.http.get("/assets/none-Ab12Cd34.js").status_code == 404


def test_without_a_viewer_the_page_says_what_to_do(tmp_path: Path) -> None:
    with web_served(tmp_path, pages=Pages(tmp_path / "missing")) as web:
        page = web.http.get("/")
    assert page.status_code == 200
    assert "pip install" in page.text


def test_capabilities_are_wadl_or_json(web: WebServed) -> None:
    for ask in (web.http.get, web.http.options):
        wadl = ask("/dicom-web/")
        assert wadl.headers["content-type"] == "application/vnd.sun.wadl+xml"
        root = ElementTree.fromstring(wadl.content)
        paths = {r.get("path") for r in root.iter("{http://wadl.dev.java.net/2009/02}resource")}
        assert {"/studies", "/studies/{study}/series", "/instances"} <= paths
        identifiers = [m.get("id") for m in root.iter("{http://wadl.dev.java.net/2009/02}method")]
        assert len(set(identifiers)) == len(identifiers)
        assert all(i and " " not in i for i in identifiers)
    found = web.http.get("/dicom-web/", headers={"accept": "application/json"}).json()
    assert found["base"] == f"http://127.0.0.1:{web.port}/dicom-web"


def test_options_tell_the_methods_of_a_path(web: WebServed) -> None:
    assert web.http.options(STUDY).headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    refused = web.http.put(STUDY)
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, POST")


def test_every_route_of_the_document_answers(web: WebServed) -> None:
    document = web.http.get("/api/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    web.store(*series(1))
    values = {
        "study": f"{ROOT}.1", "series": f"{ROOT}.1.1", "instance": f"{ROOT}.1.1.1", "frames": "1", "path": "00100010",
        "number": "1", "edit": "1",
    }  # fmt: skip
    operations = [(m, p, o) for p, methods in document["paths"].items() for m, o in methods.items()]
    assert len(operations) > 40
    for method, template, operation in sorted(operations, key=lambda entry: entry[0] == "delete"):
        if template == "/api/changes" and method == "get":
            assert web.http.get(template).status_code == 200
            continue
        answer = web.http.request(method, template.format(**values))
        # Rendered resources have no renderer here, a store request no body, WADO-URI no parameters, and what
        # was deleted first is gone: each is one of the statuses that the document names.
        told = {int(status) for status in operation["responses"]}
        assert answer.status_code in told, (method, template, answer.status_code)
        assert answer.status_code not in (405, 500, 501)


def test_the_document_is_sound(web: WebServed) -> None:
    document = web.http.get("/api/openapi.json").json()
    identifiers = [o["operationId"] for methods in document["paths"].values() for o in methods.values()]
    assert len(set(identifiers)) == len(identifiers)
    for template, methods in document["paths"].items():
        named = {piece[1:-1] for piece in template.split("/") if piece.startswith("{")}
        for operation in methods.values():
            parameters = operation.get("parameters", [])
            assert {p["name"] for p in parameters if p["in"] == "path"} == named
            assert operation["responses"]
            assert all(p["required"] for p in parameters if p["in"] == "path")


def test_the_document_page_needs_nothing_from_elsewhere(web: WebServed) -> None:
    page = web.http.get("/api/docs")
    assert "<script" not in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert web.http.get("/api/docs.css").headers["content-type"].startswith("text/css")
    assert "/dicom-web/studies/{study}" in page.text


def test_the_dictionary_names_every_attribute(web: WebServed) -> None:
    answer = web.http.get("/api/dictionary")
    rows = answer.json()
    assert rows["00100010"] == ["PN", "PatientName", "Patient's Name"]
    assert rows["60xx3000"] == ["OB or OW", "OverlayData", "Overlay Data"]
    assert len(rows) > 5000
    tag = answer.headers["etag"]
    assert web.http.get("/api/dictionary", headers={"if-none-match": tag}).status_code == 304


def test_two_routes_for_one_path_are_a_mistake_that_shows(tmp_path: Path, web: WebServed) -> None:
    app = build_app(web.archive, pages=Pages(tmp_path / "missing"))
    with pytest.raises(ValueError, match="two routes"):
        type(app.routes)([*app.routes.routes, app.routes.routes[0]])


def test_a_list_too_long_to_count_says_so(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting stops at a limit; a small one stands here for the real one."""
    web.store(*(part10(dataset(study=study, PatientName="Doe^Jane")) for study in (1, 2, 3)))
    monkeypatch.setattr("gantry.archive.index.find.MAX_COUNTED_IN_SQL", 2)
    monkeypatch.setattr("gantry.server.studies_api.MAX_COUNTED_IN_SQL", 2)
    answer = web.http.get("/api/studies", params={"q": "doe", "limit": 1}).json()
    assert (answer["total"], answer["totalIsLeast"], len(answer["studies"])) == (2, True, 1)
