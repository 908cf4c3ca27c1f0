"""Edits over HTTP, and what searches, retrieves and peers see of them, at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest

from dcmtk import run
from server.conftest import IN_FOLDER, NewIndex
from serving import ROOT, dataset, part10, series, served
from web_serving import WebServed, parts_of, web_served

STUDY = f"{ROOT}.1"
WADO = f"/dicom-web/studies/{STUDY}"


@pytest.fixture
def web(tmp_path: Path, new_index: NewIndex) -> Iterator[WebServed]:
    """A study of three slices and one of another patient."""
    with web_served(tmp_path, index=new_index()) as web:
        web.store(*series(3), part10(dataset(1, study=2, PatientName="Roe^Richard", PatientID="P2")))
        yield web


def edit(web: WebServed, kind: str, target: dict[str, Any], dry: bool = False, **more: Any) -> httpx.Response:
    asked = {"kind": kind, "target": target, "why": "a wrong label", **more}
    return web.http.post("/api/edits" + ("?dry_run=true" if dry else ""), json=asked)


def made(web: WebServed, kind: str, target: dict[str, Any], **more: Any) -> int:
    answer = edit(web, kind, target, **more)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["edit"]
    return number


def undo(web: WebServed, number: int, query: str = "", **more: Any) -> httpx.Response:
    return web.http.post(f"/api/edits/{number}/revert{query}", json={"why": "it was right", **more})


def names(web: WebServed) -> list[str]:
    found = web.http.get("/dicom-web/studies", headers={"accept": "application/dicom+json"}).json()
    return sorted(study["00100010"]["Value"][0]["Alphabetic"] for study in found)


def test_an_edit_is_seen_at_once_by_search_metadata_and_retrieve(web: WebServed) -> None:
    """Nothing that was remembered of the earlier version is answered: bundles, plans, entity tags."""
    paths = [f"{WADO}/metadata", f"{WADO}/series/{STUDY}.1/metadata", f"{WADO}/series/{STUDY}.1"]
    one = f"{WADO}/series/{STUDY}.1/instances/{STUDY}.1.1"
    tags = {}
    for path in (*paths, one):
        for _ in range(2):
            before = web.http.get(path)
        tags[path] = before.headers["etag"]
    frame = parts_of(web.http.get(f"{one}/frames/1"))[0][1]
    made(web, "modify", {"study": STUDY}, changes={"PatientName": "Doe^John", "StudyDescription": "Thorax"})
    assert names(web) == ["Doe^John", "Roe^Richard"]
    for path in (*paths, one):
        after = web.http.get(path, headers={"if-none-match": tags[path]})
        assert after.status_code == 200
        assert after.headers["etag"] != tags[path]
        assert b"Doe^John" in after.content
        assert b"Thorax" in after.content
    assert parts_of(web.http.get(f"{one}/frames/1"))[0][1] == frame
    assert web.http.get("/api/studies?q=thorax").json()["total"] == 1
    earlier = web.http.get(f"{one}?version=1")
    assert b"Doe^Jane" in earlier.content
    assert b"Doe^John" not in earlier.content
    changes = web.http.get("/api/changes").json()["changes"]
    assert [change["kind"] for change in changes][-3:] == ["new-version"] * 3
    versions = web.http.get(one.replace("/dicom-web", "/api/versions")).json()
    assert [(row["version"], row["current"]) for row in versions] == [(1, False), (2, True)]


def test_peers_of_dimse_see_an_edit_at_once(tmp_path: Path, new_index: NewIndex) -> None:
    from gantry.archive.edits.model import EditKind, EditRequest, Patient, Target

    with served(tmp_path / "data", index=new_index()) as running:
        archive = running.archive
        for data in (*series(2), part10(dataset(1, study=2, PatientID="P2", PatientName="Roe^R"))):
            archive.store([data])

        def found() -> list[tuple[str, str]]:
            out = tmp_path / f"found-{len(list(tmp_path.iterdir()))}"
            out.mkdir()
            keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName", "-k", "PatientID")
            run("findscu", "-S", *keys, "-X", "-od", out, "-aec", "GANTRY", "127.0.0.1", running.port)
            answers = [pydicom.dcmread(path, force=True) for path in sorted(out.iterdir())]
            return sorted((str(a.PatientName), str(a.PatientID)) for a in answers)

        assert found() == [("Doe^Jane", "P1"), ("Roe^R", "P2")]
        merge = EditRequest(
            EditKind.MERGE, Target(patient=Patient("P1")), "one person", into=Target(patient=Patient("P2"))
        )
        number = archive.edit(merge).row.number
        assert found() == [("Roe^R", "P2"), ("Roe^R", "P2")]
        got = tmp_path / "got"
        got.mkdir()
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
        run("getscu", "-S", *keys, "-od", got, "-aec", "GANTRY", "127.0.0.1", running.port)
        objects = [pydicom.dcmread(path) for path in got.iterdir()]
        assert len(objects) == 2
        for one in objects:
            assert (one.PatientID, one.OriginalAttributesSequence[0].ReasonForTheAttributeModification) == (
                "P2", "COERCE",
            )  # fmt: skip
            assert one.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientID == "P1"
        archive.revert_edit(number, who="", why="two persons")
        assert found() == [("Doe^Jane", "P1"), ("Roe^R", "P2")]


def test_a_dry_run_says_what_would_change_and_changes_nothing(web: WebServed) -> None:
    answer = edit(web, "modify", {"study": STUDY}, dry=True, changes={"00100010": "Doe^John"})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["dryRun"], said["objects"], len(said["instances"])) == (True, 3, 3)
    assert said["changes"] == [
        {
            "tag": "00100010", "keyword": "PatientName", "name": "Patient's Name", "before": "Doe^Jane",
            "after": "Doe^John", "objects": 3,
        }
    ]  # fmt: skip
    assert web.http.get("/api/edits").json()["edits"] == []
    assert names(web) == ["Doe^Jane", "Roe^Richard"]
    assert edit(web, "reject", {"study": STUDY}, dry=True, code="113001").json()["objects"] == 3


def test_the_history_is_listed_shown_and_undone(web: WebServed) -> None:
    first = made(web, "modify", {"study": STUDY}, changes={"PatientName": "Doe^John"}, who="Ada")
    second = made(web, "modify", {"study": f"{ROOT}.2"}, changes={"StudyDescription": "Head"})
    rows = web.http.get("/api/edits").json()
    assert [row["edit"] for row in rows["edits"]] == [second, first]
    assert (rows["next"], rows["running"]) == (None, [])
    assert [row["who"] for row in rows["edits"]] == ["local", "Ada"]
    assert [row["edit"] for row in web.http.get("/api/edits?limit=1").json()["edits"]] == [second]
    assert [row["edit"] for row in web.http.get(f"/api/edits?limit=1&before={second}").json()["edits"]] == [
        first
    ]
    for query, expected in (
        (f"study={STUDY}", [first]),
        ("patient=P2", [second]),
        (f"study={STUDY}&series={STUDY}.1&instance={STUDY}.1.2", [first]),
        ("study=1.2.3", []),
    ):
        found = web.http.get(f"/api/edits?{query}").json()["edits"]
        assert [row["edit"] for row in found] == expected
    one = web.http.get(f"/api/edits/{first}").json()
    assert (one["why"], one["objects"], one["patients"]) == ("a wrong label", 3, [{"id": "P1", "issuer": ""}])
    assert [(change["before"], change["after"], change["objects"]) for change in one["changes"]] == [
        ("Doe^Jane", "Doe^John", 3)
    ]
    assert [(i["version"], i["result"], i["madeOf"]["version"]) for i in one["instances"]] == [
        (2, "changed", 1)
    ] * 3
    assert undo(web, first, "?dry_run=true").json()["objects"] == 3
    assert names(web) == ["Doe^John", "Roe^Richard"]
    undone = undo(web, first, who="Bo")
    assert undone.status_code == 201
    assert (undone.json()["kind"], undone.json()["reverts"], undone.json()["who"]) == ("revert", first, "Bo")
    assert names(web) == ["Doe^Jane", "Roe^Richard"]
    assert web.http.get(f"/api/edits/{first}").json()["revertedBy"] == undone.json()["edit"]
    again = undo(web, first)
    assert again.status_code == 409
    assert "came after" in again.json()["error"]


def test_a_delete_of_dicomweb_stands_in_the_history_and_is_undone_there(web: WebServed) -> None:
    assert web.http.delete(f"{WADO}?why=wrong%20patient&who=Ada").status_code == 204
    (row,) = web.http.get(f"/api/edits?study={STUDY}").json()["edits"]
    assert (row["kind"], row["why"], row["who"], row["via"]) == ("delete", "wrong patient", "Ada", "dicomweb")
    one = web.http.get(f"/api/edits/{row['edit']}").json()
    assert (one["objects"], one["patients"]) == (3, [{"id": "P1", "issuer": ""}])
    assert {shown["result"] for shown in one["instances"]} == {"hidden"}
    assert names(web) == ["Roe^Richard"]
    assert undo(web, row["edit"]).status_code == 201
    assert names(web) == ["Doe^Jane", "Roe^Richard"]
    instance = f"{WADO}/series/{STUDY}.1/instances/{STUDY}.1.1"
    assert web.http.delete(instance).status_code == 204
    assert web.http.post(f"/api/restore/studies/{STUDY}").status_code == 200
    found = web.http.get(f"/api/edits?study={STUDY}").json()["edits"]
    assert [(row["kind"], row["why"]) for row in found[:2]] == [
        ("restore", "no reason given"),
        ("delete", "no reason given"),
    ]
    assert web.http.delete(f"{instance}?why={'x' * 2000}").status_code == 400
    assert len(web.http.get(f"{WADO}/instances").json()) == 3


def test_an_earlier_version_made_current_stands_in_the_history(web: WebServed) -> None:
    made(web, "modify", {"study": STUDY}, changes={"PatientName": "Doe^John"})
    place = {"study": STUDY, "series": [f"{STUDY}.1"], "instances": [f"{STUDY}.1.2"]}
    tried = edit(web, "restore", place, version=1, dry=True).json()
    assert [(one["before"], one["after"]) for one in tried["instances"]] == [
        ({"study": STUDY, "series": f"{STUDY}.1", "instance": f"{STUDY}.1.2"},) * 2
    ]
    number = made(web, "restore", place, version=1)
    (current,) = web.archive.locate(STUDY, f"{STUDY}.1", f"{STUDY}.1.2")
    assert current.number == 1
    assert edit(web, "restore", place, version=1).status_code == 409
    assert edit(web, "restore", place, version=7).status_code == 404
    assert edit(web, "restore", {"study": STUDY}, version=1).status_code == 400
    assert edit(web, "delete", place, version=1).status_code == 400
    assert undo(web, number).status_code == 201
    (current,) = web.archive.locate(STUDY, f"{STUDY}.1", f"{STUDY}.1.2")
    assert current.number == 2
    assert web.archive.verify().is_clean


def test_each_kind_of_edit_is_done_over_http(web: WebServed) -> None:
    p2 = {"patient": {"id": "P2"}}
    made(web, "merge", {"patient": {"id": "P1"}}, into=p2)
    made(web, "identifiers", p2, changes={"PatientID": "P3", "IssuerOfPatientID": "H"})
    p4 = {"patient": {"id": "P4"}}
    made(web, "move", {"study": STUDY}, into=p4, changes={"PatientName": "New^One"})
    split = made(web, "split", {"study": STUDY, "series": [f"{STUDY}.1"]})
    new = web.http.get(f"/api/edits/{split}").json()["instances"][0]["study"]
    made(web, "merge-studies", {"study": new}, into={"study": f"{ROOT}.2"})
    made(web, "delete", {"study": f"{ROOT}.2", "series": [f"{STUDY}.1"]})
    made(web, "restore", {"study": f"{ROOT}.2"})
    note = made(web, "reject", {"study": f"{ROOT}.2", "series": [f"{STUDY}.1"]}, code="113038")
    assert web.archive.verify().is_clean
    found = web.http.get(f"/dicom-web/studies/{ROOT}.2/instances?includefield=all").json()
    assert sorted(one["00080016"]["Value"][0].rpartition(".")[2] for one in found) == ["2", "59"]
    for number in range(note, 0, -1):
        row = web.http.get(f"/api/edits/{number}").json()
        if row["kind"] != "restore":
            assert undo(web, number, "?force=true").status_code in (201, 409)
    assert names(web) == ["Doe^Jane", "Roe^Richard"]
    assert web.archive.verify().is_clean


@IN_FOLDER
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "missing required field"),
        ({"kind": "erase", "target": {}, "why": "x"}, 400, "erase"),
        ({"kind": "modify", "target": {"study": STUDY}, "why": ""}, 400, "say why"),
        ({"kind": "modify", "target": {"study": STUDY}, "why": "x", "what": 1}, 400, "unknown field"),
        ({"kind": "modify", "target": {}, "why": "x", "changes": {"PatientName": "x"}}, 400, "name what"),
        ({"kind": "modify", "target": {"study": "1.9"}, "why": "x", "changes": {"PatientName": "x"}}, 404, "nothing"),
        ({"kind": "modify", "target": {"study": STUDY}, "why": "x", "changes": {"PatientID": "x"}}, 400, "identifier"),
        ({"kind": "modify", "target": {"study": STUDY}, "why": "x", "changes": {"StudyDate": "x"}}, 400, "VR DA"),
        (
            {"kind": "modify", "target": {"study": STUDY}, "why": "x", "changes": {"PatientName": "Doe^Jane"}},
            409,
            "nothing would change",
        ),
        (
            {"kind": "identifiers", "target": {"study": STUDY}, "why": "x",
             "changes": {"StudyInstanceUID": f"{ROOT}.2"}},
            409,
            "already",
        ),
        ({"kind": "split", "target": {"study": STUDY, "series": [f"{STUDY}.1"]}, "why": "x",
          "into": {"study": "../x"}}, 400, "VR UI"),
        ({"kind": "revert", "target": {"study": STUDY}, "why": "x"}, 400, "revert an edit"),
        ({"kind": "reject", "target": {"study": STUDY}, "why": "x", "code": "1"}, 400, "113001"),
    ],
)  # fmt: skip
def test_b70_an_edit_that_cannot_be_is_refused_and_says_why(
    web: WebServed, body: dict[str, Any], status: int, words: str
) -> None:
    answer = web.http.post("/api/edits", json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]
    assert web.http.get("/api/edits").json()["edits"] == []


@IN_FOLDER
@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[]", b'{"kind":"\\ud800"}', b'{"kind":"modify","target":{"study":"\\ud800"},"why":"x"}',
     b'{"kind":"modify","target":{"patient":{"id":"*\\u0000"}},"why":"x","changes":{"PatientName":"x"}}',
     b'{"kind":"modify","target":{"study":"' + b"9" * 100_000 + b'"},"why":"x","changes":{"PatientName":"x"}}',
     b'{"kind":"modify","target":{"study":"1"},"why":"x","changes":' + b'{"a":' * 10_000 + b"}" * 10_001],
)  # fmt: skip
def test_b70_a_body_that_is_no_request_is_400_or_404(web: WebServed, body: bytes) -> None:
    answer = web.http.post("/api/edits", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 404), answer.text


def test_the_doors_of_edits_are_closed_to_pages_of_others(web: WebServed) -> None:
    body = json.dumps({"kind": "delete", "target": {"study": STUDY}, "why": "x"})
    plain = web.http.post("/api/edits", content=body, headers={"content-type": "text/plain"})
    assert plain.status_code == 415
    foreign = web.http.post(
        "/api/edits",
        content=body,
        headers={"content-type": "application/json", "origin": "https://evil.example"},
    )
    assert foreign.status_code == 403
    for path in ("/api/edits/0", "/api/edits/99"):
        assert web.http.get(path).status_code == 404
    for path in ("/api/edits/x", "/api/edits?series=1.2", "/api/edits?study=x", "/api/edits?limit=-1"):
        assert web.http.get(path).status_code == 400
    assert names(web) == ["Doe^Jane", "Roe^Richard"]


def test_a_rejected_study_is_its_note(web: WebServed) -> None:
    number = made(web, "reject", {"study": STUDY}, code="113037")
    ((_, data),) = parts_of(web.http.get(WADO))
    note = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    assert note.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.59"
    assert note.ConceptNameCodeSequence[0].CodeMeaning == "Rejected for Patient Safety Reasons"
    (evidence,) = note.CurrentRequestedProcedureEvidenceSequence
    assert len(evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence) == 3
    undo(web, number)
    assert len(parts_of(web.http.get(WADO))) == 3
