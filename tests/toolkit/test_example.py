"""The example study is what it claims: lawful DICOM of six kinds, the same bytes each time."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest

from gantry.toolkit.example import example_study


@pytest.fixture(scope="module")
def study() -> dict[str, bytes]:
    return dict(example_study(size=64, slices=4))


def test_six_series_of_one_study(study: dict[str, bytes]) -> None:
    headers = [pydicom.dcmread(io.BytesIO(data)) for data in study.values()]
    assert {h.StudyInstanceUID for h in headers} == {headers[0].StudyInstanceUID}
    assert sorted({h.Modality for h in headers}) == ["CT", "DOC", "ECG", "MR", "SR", "US"]
    assert len({h.SeriesInstanceUID for h in headers}) == 6
    assert len({h.SOPInstanceUID for h in headers}) == len(headers) == 4 + 4 + 4


def test_made_again_it_is_the_same_to_the_byte(study: dict[str, bytes]) -> None:
    assert dict(example_study(size=64, slices=4)) == study


def test_pixels_can_be_read_by_others(study: dict[str, bytes]) -> None:
    ct = pydicom.dcmread(io.BytesIO(study["CT/0002.dcm"]))
    assert ct.pixel_array.shape == (64, 64)
    assert ct.pixel_array.std() > 100
    us = pydicom.dcmread(io.BytesIO(study["US/0001.dcm"]))
    assert us.pixel_array.shape == (24, 240, 320)


@pytest.mark.peer
def test_the_validator_finds_no_error(study: dict[str, bytes], tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    for name, data in study.items():
        path = tmp_path / name.replace("/", "-")
        path.write_bytes(data)
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
        assert "Error" not in said, f"{name}:\n{said}"
