"""What the viewer does not draw is named, with its kind, and shown as what it says: nothing fails, nothing is guessed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pydicom
import pytest

from chromium import Page
from image_values import image_object
from serving import ROOT, dataset, part10
from support import shared_data
from video_values import level, stream, video_object
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, filled, send, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

STUDY = f"{ROOT}.61"
STORAGE = "1.2.840.10008.5.1.4.1.1."
LABEL, PORTAL = "77.1.6", "481.1"

UNDRAWN = {
    "66.4": ("SEG", "Segmentation", "not drawn yet"),
    "481.2": ("RTDOSE", "Radiotherapy dose", "not drawn yet"),
    "77.1.6": ("SM", "Slide microscopy", "not drawn yet"),
    "481.3": ("RTSTRUCT", "Radiotherapy structures", "object"),
    "481.5": ("RTPLAN", "Radiotherapy plan", "object"),
    "11.1": ("PR", "Presentation state", "object"),
    "91.1": ("ANN", "Annotations", "object"),
    "66.1": ("REG", "Registration", "object"),
    "88.59": ("KO", "Key objects", "report"),
}
"""By SOP Class: the modality, its name, and the kind as the rail says it."""


def made(number: int, sop_class: str, **attributes: Any) -> bytes:
    """An object of a series of its own, with little more than its kind tells."""
    modality = UNDRAWN.get(sop_class, ("RTIMAGE",))[0]
    usual = {
        "SOPClassUID": STORAGE + sop_class,
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.{number}",
        "SOPInstanceUID": f"{STUDY}.{number}.1",
        "Modality": modality,
        "SeriesNumber": number,
        "SeriesDescription": None,
    }
    values = usual | attributes
    pixels = values.pop("pixels", None)
    if pixels is not None:
        return image_object(pixels, **values)
    ds = dataset(number, sop_class=STORAGE + sop_class)
    for keyword in ("PixelData", "Rows", "Columns"):
        if keyword in ds:
            del ds[keyword]
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return part10(ds)


def video(number: int) -> bytes:
    return video_object(
        stream(), StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.{number}", SOPInstanceUID=f"{STUDY}.{number}.1",
        SeriesNumber=number, SeriesDescription=None,
    )  # fmt: skip


def noise(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).integers(0, 250, shape).astype(np.uint8)


def objects() -> Iterator[bytes]:
    more: dict[str, dict[str, Any]] = {
        "66.4": {"pixels": noise(4, 32, 32) % 2},
        "481.2": {"pixels": noise(4, 16, 16), "DoseUnits": "GY", "DoseGridScaling": 1e-6},
        "77.1.6": {
            "pixels": noise(25, 10, 10, 3), "TotalPixelMatrixRows": 50, "TotalPixelMatrixColumns": 50,
        },
    }  # fmt: skip
    for number, sop_class in enumerate(UNDRAWN, 1):
        yield made(number, sop_class, **more.get(sop_class, {}))
    # These have a picture that is one: the label of the slide, what a portal sees, the frames of a video.
    yield made(
        31, LABEL, pixels=noise(1, 40, 30, 3), TotalPixelMatrixRows=40, TotalPixelMatrixColumns=30,
        ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"], PixelSpacing=[0.0005, 0.0005],
    )  # fmt: skip
    yield made(32, PORTAL, pixels=noise(1, 40, 30))
    yield video(33)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


CURRENT = "document.querySelector('.rail-item[aria-current=\"true\"]')"


def open_number(page: Page, server: str, number: int) -> str:
    """What the rail says of a series once it is opened."""
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{number}")
    page.wait_until(f"document.querySelector('.sheet h2') || {SLICE}")
    page.wait_until(f"{CURRENT} && {NO_LONGER_LOADING}")
    assert page.evaluate("document.querySelector('.said').innerText") == ""
    return str(page.evaluate(f"{CURRENT}.innerText"))


@pytest.mark.parametrize(
    ("number", "sop_class"), list(enumerate(UNDRAWN, 1)), ids=[k[0] for k in UNDRAWN.values()]
)
def test_it_is_named_with_its_kind(page: Page, server: str, number: int, sop_class: str) -> None:
    modality, name, kind = UNDRAWN[sop_class]
    said = open_number(page, server, number)
    assert said.splitlines()[0] == name
    assert said.endswith(f"{modality} {number} · {kind}")
    assert page.evaluate(SLICE) is None
    if kind == "not drawn yet":
        assert "does not draw it yet" in page.evaluate("document.querySelector('.sheet').innerText")
    page.screenshot(ARTIFACTS / f"undrawn-{modality}.png")


# The grey in the middle of the picture, where no bar is at the first and the last frame.
MIDDLE = """(() => {
    const canvas = document.querySelector('.viewport canvas'), context = new OffscreenCanvas(1, 1).getContext('2d');
    context.drawImage(canvas, canvas.width / 2, canvas.height / 2, 1, 1, 0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data[1];
})()"""


def test_labels_of_slides_portal_images_and_frames_of_videos_are_seen(page: Page, server: str) -> None:
    assert open_number(page, server, 31).startswith("Slide microscopy")
    settled(page)
    # The bar is as long as its words say, and short.
    assert page.wait_until("document.querySelector('.scale')?.innerText") == "2 µm"
    assert page.evaluate("document.querySelector('.scale').getBoundingClientRect().width") <= 160
    assert open_number(page, server, 32).startswith("Radiotherapy image")
    settled(page)
    assert open_number(page, server, 33).endswith("40 frames")
    first = page.wait_until(MIDDLE)
    assert first == pytest.approx(level(0), abs=8)
    page.key("End")
    page.wait_until(f"{SLICE} === '40 / 40'")
    page.wait_until(f"Math.abs({MIDDLE} - {level(39)}) < 8")


KINDS = (
    "Segmentation", "Label Map Seg", "RT Structure", "RT Plan", "RT Ion Plan", "RT Dose", "Grayscale Softcopy", "VL Whole",
    "Microscopy Bulk", "Video Endoscopic", "Real World", "Spatial Reg", "Key Object", "Hemodynamic", "Encapsulated MTL",
)  # fmt: skip


def one_of_each(folder: Path) -> dict[str, Path]:
    """By SOP Class, for these kinds: a file of the data set that is not there for being malformed."""
    found: dict[str, Path] = {}
    with (folder / "MANIFEST.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["sop_class"].startswith(KINDS) and not row["path"].startswith("malformed"):
                found.setdefault(row["sop_class"], folder / row["path"])
    return found


def is_kept(address: str, path: Path) -> bool:
    """Whether the archive takes a file; some have UIDs that no object may have."""
    try:
        send(address, path.read_bytes())
    except HTTPError as error:
        assert error.code == 409, path
        return False
    return True


def test_real_objects_of_each_kind_open_and_say_what_they_are(page: Page, tmp_path: Path) -> None:
    files = one_of_each(shared_data())
    with filled(tmp_path, ()) as address:
        kept = {name: path for name, path in files.items() if is_kept(address, path)}
        assert len(kept) >= len(KINDS) - 1
        for name, path in kept.items():
            ds = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            page.go(f"{address}/view/{ds.StudyInstanceUID}?series={ds.SeriesInstanceUID}")
            shown = page.wait_until(f"document.querySelector('.sheet h2')?.innerText || {SLICE}")
            assert shown, name
            assert page.evaluate("document.querySelector('.stage-note')") is None, name
            assert page.evaluate("document.querySelector('.said').innerText") == "", name
            assert page.errors == [], name
