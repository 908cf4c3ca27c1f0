"""The shared test data, malformed files included, over STOW-RS and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from real_files import shared_files
from support import shared_data
from web_serving import bulk_uris, parts_of, web_served

SIZE_LIMIT = 8 << 20
OCTETS = 'multipart/related; type="application/octet-stream"'
AS_STORED = {"accept": "application/dicom; transfer-syntax=*"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_b43_to_b58_every_shared_file_is_kept_and_given_back_or_refused_with_a_reason(tmp_path: Path) -> None:
    files = [f for f in sorted(shared_data().rglob("*")) if f.is_file() and f.stat().st_size < SIZE_LIMIT]
    kept = refused = 0
    with web_served(tmp_path) as web:
        for file in files:
            data = file.read_bytes()
            answer = web.http.post(
                "/dicom-web/studies", content=data, headers={"content-type": "application/dicom"}
            )
            assert answer.status_code in (200, 409), (file, answer.text)
            if answer.status_code == 409:
                item = (answer.json().get("00081198") or answer.json()["0008119A"])["Value"][0]
                assert item["00081197"]["Value"][0] >= 0x0100
                assert "warning" in answer.headers
                refused += 1
                continue
            kept += 1
            where = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
            given = web.http.get(where, headers=AS_STORED)
            assert given.content == data, file
            for what in ("/metadata", "/frames/1", "/rendered", "/thumbnail"):
                assert web.http.get(where + what).status_code in (200, 404, 406, 422), (file, what)
        assert web.http.get("/api/health").status_code == 200
        assert web.archive.verify().is_clean
    assert kept > 400
    assert refused > 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_all_bulk_data_of_every_shared_study_is_what_its_metadata_refers_to(tmp_path: Path) -> None:
    with web_served(tmp_path, pictures=True) as web:
        for file in shared_files():
            if file.refusal is None:
                assert web.store(file.data).status_code == 200
        studies = {location.key.study_uid for location in web.archive.locate()}
        whole = 0
        for study in studies:
            where = f"/dicom-web/studies/{study}"
            expected = set(bulk_uris(web.http.get(f"{where}/metadata").json()))
            answer = web.http.get(f"{where}/bulkdata")
            assert answer.status_code == (200 if expected else 404), study
            parts = parts_of(answer) if expected else []
            assert {headers["content-location"].partition("/frames/")[0] for headers, _ in parts} == expected
            octets = web.http.get(f"{where}/bulkdata", headers={"accept": OCTETS})
            assert octets.status_code in ((200, 206) if expected else (404,)), study
            whole += octets.status_code == 200
    assert len(studies) > 100
    assert whole > 100
