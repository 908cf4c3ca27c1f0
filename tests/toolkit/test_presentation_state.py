"""Presentation states are written as PS3.3 A.33 wants them, or refused with a reason."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pydicom
import pytest

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError
from gantry.pixels.image import Window
from gantry.pixels.overlay import Overlay
from gantry.pixels.presentation import Presentation
from gantry.pixels.shutter import Shutter
from gantry.toolkit.presentation_state import About, Look, Superimposed, write_presentation_state
from image_values import image_object
from state_values import CT_LIKE, MADE, TWELVE, VALUES, palette, scanned, state_for, table, text


def read(file: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(file))


def test_patient_and_study_are_those_of_the_images() -> None:
    image, state = read(CT_LIKE), read(state_for(CT_LIKE, Look()))
    for keyword in (
        "PatientName",
        "PatientID",
        "StudyInstanceUID",
        "StudyDate",
        "StudyID",
        "AccessionNumber",
    ):
        assert state[keyword].value == image[keyword].value
    assert state.SeriesInstanceUID != image.SeriesInstanceUID
    assert (state.Modality, state.PresentationCreationDate, state.PresentationCreationTime) == (
        "PR", "20260301", "101500",
    )  # fmt: skip


def test_what_a_state_says_of_itself() -> None:
    about = About("my label", "Größe", "Müller^Jörg", "1.2.3", 7, 8, "1.2.3.4")
    file = state_for(CT_LIKE, Look(), about=about)
    state = read(file)
    assert (state.ContentLabel, state.ContentDescription) == ("MY LABEL", "Größe")
    assert (str(state.ContentCreatorName), state.SpecificCharacterSet) == ("Müller^Jörg", "ISO_IR 100")
    assert (state.SeriesInstanceUID, state.SeriesNumber, state.InstanceNumber) == ("1.2.3", 7, 8)
    assert state.SOPInstanceUID == read_part10(file)[0].media_storage_sop_instance_uid == "1.2.3.4"
    assert state_for(CT_LIKE, Look(), about=about) == file


@pytest.mark.parametrize(("words", "name"), [("plain", None), ("µ", "ISO_IR 100"), ("山田", "ISO_IR 192")])
def test_the_plainest_character_set_that_has_all_letters(words: str, name: str | None) -> None:
    look = Look(presentation=Presentation(texts=(text(words),)))
    assert read(state_for(CT_LIKE, look)).get("SpecificCharacterSet") == name


def test_images_are_told_by_their_series() -> None:
    files = [
        image_object(VALUES[None], SOPInstanceUID=f"1.2.{n}", SeriesInstanceUID=f"1.3.{n % 2}")
        for n in range(4)
    ]
    state = read(write_presentation_state([scanned(file) for file in files], Look(), made=MADE))
    assert [
        (series.SeriesInstanceUID, [one.ReferencedSOPInstanceUID for one in series.ReferencedImageSequence])
        for series in state.ReferencedSeriesSequence
    ] == [("1.3.0", ["1.2.0", "1.2.2"]), ("1.3.1", ["1.2.1", "1.2.3"])]


def test_rescale_is_the_image_s_unless_another_is_told() -> None:
    plain = read(state_for(CT_LIKE, Look()))
    assert (plain.RescaleSlope, plain.RescaleIntercept, plain.RescaleType) == (1, -1000, "HU")
    other = read(state_for(CT_LIKE, Look(rescale=(1 / 3, 0.0, "OD"))))
    assert (float(other.RescaleSlope), other.RescaleType) == (pytest.approx(1 / 3, rel=1e-12), "OD")


@pytest.mark.parametrize(
    ("look", "samples", "kind"),
    [
        (Look(), 1, "Grayscale Softcopy Presentation State Storage"),
        (Look(), 3, "Color Softcopy Presentation State Storage"),
        (
            Look(presentation=Presentation(palette=palette())),
            1,
            "Pseudo-Color Softcopy Presentation State Storage",
        ),
    ],
)
def test_the_kind_follows_from_image_and_look(look: Look, samples: int, kind: str) -> None:
    pixels = VALUES[None] if samples == 1 else np.zeros((1, 4, 4, 3), np.uint8)
    assert read(state_for(image_object(pixels), look)).SOPClassUID.name == kind


PLANE = Overlay(0x6000, 60, 80, (1, 1), bytes(600))


def _look(**values: Any) -> Callable[[], bytes]:
    return lambda: state_for(CT_LIKE, Look(**values))


def _blending(opacity: float) -> bytes:
    over = Superimposed([scanned(CT_LIKE)], Look(), palette(), opacity)
    return state_for(CT_LIKE, Look(), superimposed=over)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "no images": (lambda: write_presentation_state([], Look(), made=MADE), "one image or more"),
    "two studies": (
        lambda: write_presentation_state(
            [scanned(CT_LIKE), scanned(image_object(VALUES[None], StudyInstanceUID="1.2"))], Look(), made=MADE
        ),
        "one study",
    ),
    "frame 0": (lambda: state_for(CT_LIKE, Look(), frames=[0]), "frames count from 1"),
    "a window of no width": (_look(window=Window(1, 0)), "a window has a width"),
    "an eighth of a turn": (_look(presentation=Presentation(rotation=45)), "0, 90, 180 or 270"),
    "half a pixel": (_look(presentation=Presentation(area=(0.5, 0.0, 1.0, 1.0))), "whole pixels"),
    "an empty area": (_look(presentation=Presentation(area=(0.0, 0.0, 0.0, 1.0))), "whole pixels"),
    "a label of signs": (lambda: state_for(CT_LIKE, Look(), about=About("a+b")), "content label"),
    "no label": (lambda: state_for(CT_LIKE, Look(), about=About("")), "content label"),
    "a Modality LUT of 12 bits": (_look(modality_lut=table(0, 12, [1, 2])), "8 or 16 bits"),
    "words in no place": (
        _look(presentation=Presentation(texts=(replace(text("x"), box=None),))), "box or an anchor",
    ),
    "seventeen overlays": (_look(overlays=(PLANE,) * 17), "sixteen groups"),
    "an overlay of the image": (_look(overlays=(replace(PLANE, bits=b""),)), "its bits"),
    "a bitmap that is not there": (_look(shutter=Shutter(overlay_group=0x6000)), "none of the overlays"),
    "twice opaque": (lambda: _blending(2.0), "opacity is from 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_standard_does_not_allow_is_refused(name: str) -> None:
    write, message = REFUSED[name]
    with pytest.raises(CallerError, match=message):
        write()


def test_the_corners_of_an_area_are_those_after_turning() -> None:
    def corners(**presentation: Any) -> tuple[list[int], list[int]]:
        look = Look(presentation=Presentation(area=(10.0, 20.0, 30.0, 5.0), **presentation))
        item = read(state_for(CT_LIKE, look)).DisplayedAreaSelectionSequence[0]
        return list(item.DisplayedAreaTopLeftHandCorner), list(item.DisplayedAreaBottomRightHandCorner)

    assert corners() == ([11, 21], [40, 25])
    assert corners(rotation=90) == ([11, 25], [40, 21])
    assert corners(rotation=180) == ([40, 25], [11, 21])
    assert corners(rotation=270) == ([40, 21], [11, 25])
    assert corners(flip=True) == ([40, 21], [11, 25])
    assert corners(rotation=90, flip=True) == ([11, 21], [40, 25])


def test_an_image_of_twelve_bits_keeps_its_signed_tables() -> None:
    file = image_object(VALUES.astype(np.int16)[None], **TWELVE)
    item = (
        read(state_for(file, Look(voi_lut=table(-5, 16, [0, 65535]))))
        .SoftcopyVOILUTSequence[0]
        .VOILUTSequence[0]
    )
    assert list(item.LUTDescriptor) == [2, -5, 16]
