"""Retention over HTTP: tried first, done for all or for some, and refused in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from committed import commit
from server.conftest import IN_FOLDER, NewIndex
from serving import ROOT, dataset, part10
from web_serving import WebServed, web_served

RULE = "go older=10y"


@pytest.fixture
def web(tmp_path: Path, new_index: NewIndex) -> Iterator[WebServed]:
    """Two old studies and a new one."""
    with web_served(tmp_path, index=new_index()) as web:
        for study, day in ((1, "20100301"), (2, "20120301"), (3, "20260101")):
            web.store(*(part10(dataset(n, study=study, StudyDate=day)) for n in (1, 2)))
        yield web


def ask(web: WebServed, query: str = "", **more: Any) -> httpx.Response:
    body = {"rules": [RULE], "today": "2026-06-01", **more}
    return web.http.post(f"/api/retention{query}", json=body)


def test_a_dry_run_names_what_would_go_and_nothing_changes(web: WebServed) -> None:
    said = ask(web, "?dry_run=true").json()
    assert said["dryRun"]
    assert [(one["study"], one["objects"], one["edit"]) for one in said["studies"]] == [
        (f"{ROOT}.1", 2, None),
        (f"{ROOT}.2", 2, None),
    ]
    assert web.http.get("/api/edits").json()["edits"] == []


def test_what_is_named_goes_if_the_rules_say_so_and_only_that(web: WebServed) -> None:
    said = ask(web, studies=[f"{ROOT}.2", f"{ROOT}.3", "1.2.3"], who="Ada").json()
    (row,) = web.http.get("/api/edits").json()["edits"]
    assert [(one["study"], one["edit"], one["error"]) for one in said["studies"]] == [
        (f"{ROOT}.2", row["edit"], None)
    ]
    assert (row["kind"], row["who"], row["why"]) == ("reject", "Ada", f"retention: {RULE}")
    assert ask(web, studies=[f"{ROOT}.2"]).json()["studies"] == []
    assert ask(web, studies=[]).json()["studies"] == []
    assert [one["study"] for one in ask(web).json()["studies"]] == [f"{ROOT}.1"]
    assert web.archive.verify().is_clean


def test_n15_what_was_committed_does_not_expire_unless_by_force(web: WebServed) -> None:
    commit(web.archive, f"{ROOT}.1.1.1")
    held, gone = ask(web).json()["studies"]
    assert "storage commitment" in held["error"]
    assert (held["edit"], gone["error"]) == (None, None)
    (left,) = ask(web, force=True).json()["studies"]
    assert (left["study"], left["error"]) == (f"{ROOT}.1", None)


def test_a_study_uid_of_two_patients_goes_once_and_only_if_all_of_it_is_due(web: WebServed) -> None:
    web.store(part10(dataset(9, study=1, StudyDate="20100301", PatientID="P9")))
    web.store(part10(dataset(9, study=2, StudyDate="20260101", PatientID="P9")))
    assert [one["study"] for one in ask(web).json()["studies"]] == [f"{ROOT}.1"]
    assert len(web.http.get("/api/edits").json()["edits"]) == 1
    assert [
        one["00080060"]["Value"] for one in web.http.get(f"/dicom-web/studies/{ROOT}.1/series").json()
    ] == [["KO"]]


def test_what_cannot_be_rejected_says_why_and_the_others_go(web: WebServed) -> None:
    for location in web.archive.locate(f"{ROOT}.1"):
        path = web.archive.real_path(location)
        assert path is not None
        path.unlink()
    said = ask(web).json()["studies"]
    assert [bool(one["error"]) for one in said] == [True, False]
    assert said[1]["edit"]


@IN_FOLDER
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rules": []},
        {"rules": ["drop older=1y"]},
        {"rules": [RULE] * 101},
        {"rules": [RULE], "today": "yesterday"},
        {"rules": [RULE], "studies": ["1.2"] * 1001},
        {"rules": [RULE], "more": 1},
        [],
    ],
)
def test_b70_what_is_no_request_is_400(web: WebServed, body: Any) -> None:
    assert web.http.post("/api/retention", json=body).status_code == 400


def test_the_door_is_closed_to_pages_of_others(web: WebServed) -> None:
    body = json.dumps({"rules": [RULE]})
    for headers, status in (
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json", "origin": "https://evil.example"}, 403),
    ):
        assert web.http.post("/api/retention", content=body, headers=headers).status_code == status
    assert ask(web, "?dry_run=perhaps").status_code == 400
    assert web.http.get("/api/edits").json()["edits"] == []
