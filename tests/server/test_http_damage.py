"""What was made of rotten bytes before anybody knew is forgotten when they are found, and when they are healed (N14)."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gantry.archive.records import Location
from image_values import color, gray, image_object, made
from serving import ROOT
from web_serving import WebServed, web_served

SERIES = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1"
INSTANCE = f"{SERIES}/instances/{ROOT}.1.1.1"
WAYS = {
    INSTANCE: "application/dicom; transfer-syntax=*",
    f"{INSTANCE}/metadata": "application/dicom+json",
    f"{SERIES}/metadata": "application/dicom+json",
    f"{INSTANCE}/frames/1": "application/octet-stream",
    f"{INSTANCE}/frames/1/rendered": "image/png",
    f"{INSTANCE}/rendered": "image/jpeg",
    f"{INSTANCE}/rendered?annotation=patient": "image/png",
    f"{INSTANCE}/thumbnail": "image/png",
    f"{SERIES}/thumbnail": "image/png",
    f"{INSTANCE}/bulkdata/7FE00010": "application/octet-stream",
}


def answers(web: WebServed, status: int) -> dict[str, bytes]:
    """All ways to read the instance, twice: what is remembered is answered the second time."""
    found = {}
    for path, accept in WAYS.items():
        for _ in range(2):
            answer = web.http.get(path, headers={"accept": accept})
            # Metadata of a series is of all that can be read, which is nothing
            if (status, path) != (410, f"{SERIES}/metadata"):
                assert answer.status_code == status, (path, answer.status_code, answer.text[:300])
        found[path] = answer.content
    return found


def stored(web: WebServed, file: bytes) -> tuple[Location, Path]:
    assert web.store(file).status_code == 200
    web.archive.settle()
    (location,) = web.archive.locate(sop_uid=f"{ROOT}.1.1.1")
    path = web.archive.real_path(location)
    assert path is not None
    return location, path


@pytest.mark.parametrize("kind", ["native", "compressed", "in colour"])
def test_n14_nothing_that_was_made_of_rotten_bytes_outlives_them(tmp_path: Path, kind: str) -> None:
    pixels = color(1) if kind == "in colour" else gray(1, 12)
    depth = {} if kind == "in colour" else {"BitsStored": 12, "HighBit": 11}
    file = image_object(
        np.ascontiguousarray(pixels), SOPInstanceUID=f"{ROOT}.1.1.1", PatientName="Sound", **depth
    )
    if kind == "compressed":
        file = made(file, "rle")[0]
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(file)
    with web_served(tmp_path / "archive", pictures=True) as web:
        location, path = stored(web, file)
        first = answers(web, 200)
        port = web.port
    shutil.rmtree(tmp_path / "archive" / "cache")
    with path.open("r+b") as rotting:
        rotting.seek(file.rindex(b"Sound"))
        rotting.write(b"Wrong")
        rotting.seek(len(file) - 64)
        rotting.write(bytes(b ^ 0x11 for b in file[-64:-40]))
    with web_served(tmp_path / "archive", pictures=True) as web:
        rotten = answers(web, 200)
        tags = {way: web.http.get(way, headers={"accept": WAYS[way]}).headers["etag"] for way in WAYS}
        assert not [way for way, body in rotten.items() if body == first[way]]
        assert web.archive.look_at(location, lambda _: True)
        refused = answers(web, 410)
        assert not [way for way, body in refused.items() if b"Wrong" in body or body == rotten[way]]
        assert web.archive.heal(location, copy)
        for way, tag in tags.items():  # a client that holds what was rotten is not told to keep it
            answer = web.http.get(way, headers={"accept": WAYS[way], "if-none-match": tag})
            assert answer.status_code == 200, way
            assert answer.headers["etag"] != tag
            again = web.http.get(way, headers={"accept": WAYS[way], "if-none-match": answer.headers["etag"]})
            assert again.status_code == 304, way
        here, there = b":%d/" % web.port, b":%d/" % port
        assert {way: body.replace(here, there) for way, body in answers(web, 200).items()} == first
    assert path.read_bytes() == file
