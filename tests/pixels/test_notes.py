"""Notes on pictures read like a reader says them, and nothing that is missing or odd leaves a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import DataSet
from gantry.pixels.notes import patient_lines, technique_lines
from image_values import image_object


def scanned(**attributes: Any) -> DataSet:
    return read_part10(image_object(np.zeros((1, 4, 4), np.uint8), **attributes))[1]


def test_who_it_is() -> None:
    ds = scanned(PatientName="Doe^Jane^M=a=b", PatientID="P 42", PatientBirthDate="19901220", PatientSex="F")
    assert patient_lines(ds) == ("Doe, Jane M", "ID P 42", "born 1990-12-20, F")


def test_how_it_was_taken() -> None:
    ds = scanned(
        Modality="MR", StudyDate="20240530", StudyTime="110204.5", SeriesDescription="T2 axial", SeriesNumber=3,
        InstanceNumber=12, SliceThickness="0.750", RepetitionTime="500", EchoTime="20.25", FlipAngle="90",
        ImagePositionPatient=[-51.15, 30.95, -0.5],
    )  # fmt: skip
    assert technique_lines(ds) == (
        "MR 2024-05-30 11:02",
        "T2 axial",
        "series 3, image 12",
        "0.75 mm, TR 500 ms, TE 20.2 ms, flip 90°",
        "R 51.1 P 30.9 F 0.5 mm",
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"PatientName": "", "PatientID": "", "PatientBirthDate": None, "PatientSex": None},
        {"PatientName": "^^^", "PatientID": "", "PatientBirthDate": "", "PatientSex": ""},
    ],
)
def test_what_is_not_known_is_not_said(attributes: dict[str, Any]) -> None:
    assert patient_lines(scanned(**attributes)) == ()


def test_a_long_text_is_cut() -> None:
    assert max(map(len, technique_lines(scanned(SeriesDescription="x" * 64 + "y")))) <= 64
