"""The first journey: store over STOW-RS, find over QIDO-RS, get back over WADO-RS."""

from __future__ import annotations

from pathlib import Path

from serving import dataset, part10, series
from web_serving import web_served


def test_what_is_stored_is_found_and_given_back_bit_for_bit(tmp_path: Path) -> None:
    files = series(3, size=512)
    with web_served(tmp_path) as web:
        assert web.store(*files).status_code == 200
        (study,) = web.http.get("/dicom-web/studies").json()
        assert study["00201208"]["Value"] == [3]
        found = web.http.get("/dicom-web/instances").json()
        given = {
            web.http.get(row["00081190"]["Value"][0], headers={"accept": "application/dicom"}).content
            for row in found
        }
    assert given == set(files)


def test_a_frame_is_the_pixels(tmp_path: Path) -> None:
    ds = dataset(size=512)
    with web_served(tmp_path) as web:
        web.store(part10(ds))
        path = (
            f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
            f"/instances/{ds.SOPInstanceUID}/frames/1"
        )
        for _ in range(3):  # the first answer is made, the next take the short way
            answer = web.http.get(path, headers={"accept": "application/octet-stream"})
            assert answer.content == ds.PixelData
            whole = web.http.get(path)
            assert ds.PixelData in whole.content
            assert whole.headers["content-type"].startswith("multipart/related")
