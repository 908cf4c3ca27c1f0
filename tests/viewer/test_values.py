"""Images that no decoder of the page knows have all of their values: numbers, and JPEG Extended, to the last digit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from chromium import Page
from compared import difference
from image_values import decoded, image_object, made, reading
from serving import ROOT, dataset, part10
from slices import WINDOWS, assert_alike, hover, place_of, seen, show_slice
from support import shared_data
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SLICE, WINDOW, filled, probe, send, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
STUDY = f"{ROOT}.33"
SIDE, SLICES = 32, 5
SINGLE, DOUBLE, TINY, HUGE, HOLES, EXTENDED, COLOUR = range(1, 8)
FOLDER = "input[aria-label='Folder to read here']"
PROBE = "document.querySelector('.probe').innerText.replaceAll('−', '-')"


def numbers(frame: int = 0) -> np.ndarray[Any, Any]:
    """Fractions on both sides of zero that differ from pixel to pixel and from frame to frame."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.asarray(np.sin(x / 6 + frame / 3) * 0.4 + y * y / 4096 - 0.1)


VALUES: dict[int, np.ndarray[Any, Any]] = {
    SINGLE: np.stack([numbers(n) for n in range(SLICES)]).astype(np.float32),
    DOUBLE: np.stack([numbers(n) * 1000 for n in range(SLICES)]),
    TINY: (numbers()[None] * 1e-6).astype(np.float32),
    HUGE: numbers()[None] * 1e200,
    HOLES: numbers()[None].astype(np.float32),
}
VALUES[HOLES][0, 4:9, 3:12] = np.nan
VALUES[HOLES][0, 20, 20], VALUES[HOLES][0, 21, 20] = np.inf, -np.inf


def floats(series: int, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A parametric map with values that no integer holds (PS3.3 C.7.6.24), its frames a millimetre apart."""
    values = VALUES[series]
    ds = dataset(1, sop_class=PARAMETRIC_MAP)
    del ds.PixelData
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{STUDY}.{series}"
    ds.SOPInstanceUID = f"{STUDY}.{series}.1"
    ds.SeriesNumber, ds.InstanceNumber, ds.Modality = series, 1, "MR"
    ds.FrameOfReferenceUID = f"{STUDY}.99"
    ds.Rows, ds.Columns = values.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = values.dtype.itemsize * 8
    ds.NumberOfFrames = len(values)
    measures, orientation, shared = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 1
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for index in range(len(values)):
        position, item = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = [0, 0, index]
        item.PlanePositionSequence = [position]
        ds.PerFrameFunctionalGroupsSequence.append(item)
    stored = values.astype(values.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<"))
    setattr(ds, "FloatPixelData" if values.dtype == np.float32 else "DoubleFloatPixelData", stored.tobytes())
    return part10(ds, syntax)


def native(series: int, pixels: np.ndarray[Any, Any], **more: Any) -> bytes:
    return image_object(
        pixels[None], StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.{series}", SOPInstanceUID=f"{STUDY}.{series}.1",
        SeriesNumber=series, InstanceNumber=1, Modality="CT", **more,
    )  # fmt: skip


def extended() -> bytes:
    """Twelve bits in JPEG Extended, rescaled."""
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = (2000 + 1500 * np.sin(x / 5) + 12 * y).astype(np.uint16)
    file = native(
        EXTENDED, pixels, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU",
        WindowCenter=900, WindowWidth=3500,
    )  # fmt: skip
    ds = reading(made(file, "jpeg-extended")[0])
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.{EXTENDED}.1"
    return part10(ds, ds.file_meta.TransferSyntaxUID)


def colour() -> bytes:
    """Eight bits of colour under the transfer syntax of JPEG Extended, which readers have to take."""
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([x * 8, y * 8, 255 - x * 8], axis=-1).astype(np.uint8)
    ds = reading(made(native(COLOUR, pixels), "jpeg")[0])
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{STUDY}.{COLOUR}.1"
    return part10(ds, "1.2.840.10008.1.2.4.51")


MADE = {
    EXTENDED: extended,
    COLOUR: colour,
    **{series: lambda series=series: floats(series) for series in VALUES},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), [make() for make in MADE.values()]) as address:
        yield address


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    for series, make in MADE.items():
        (root / str(series)).write_bytes(make())
    return root


def open_image(page: Page, address: str, ds: pydicom.Dataset) -> None:
    page.go(f"{address}/view/{ds.StudyInstanceUID}?series={ds.SeriesInstanceUID}&frame=1")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def said(page: Page, column: int, row: int, columns: int = SIDE, rows: int = SIDE) -> list[str]:
    """What is said under the pointer of one pixel: its values, and their unit."""
    probe(page, column, row, columns, rows)
    words = page.wait_until(f"{PROBE}.startsWith('{column}, {row}: ') && {PROBE}", 10)
    return str(words).split(": ")[1].split()


PLACES = [(3, 2), (17, 5), (30, 28), (9, 21)]


def check_numbers(page: Page, values: np.ndarray[Any, Any]) -> None:
    for column, row in PLACES:
        assert float(said(page, column, row)[0]) == pytest.approx(float(values[row, column]), rel=1e-5)


@pytest.mark.parametrize("series", [SINGLE, DOUBLE, TINY])
def test_numbers_are_told_as_they_are(page: Page, server: str, series: int) -> None:
    found = difference(page, server, floats(series))
    assert found is not None
    assert found.greys > 30
    assert found.median <= 1.5 and found.most <= 6, found
    check_numbers(page, VALUES[series][0])
    page.screenshot(ARTIFACTS / f"values-floats-{series}.png")
    if len(VALUES[series]) > 1:
        page.key("End")
        page.wait_until(f"{SLICE} === '{SLICES} / {SLICES}'")
        check_numbers(page, VALUES[series][-1])


def test_a_window_of_fractions_is_dragged_and_told(page: Page, server: str) -> None:
    open_image(page, server, reading(floats(TINY)))
    settled(page)
    values = VALUES[TINY].astype(float)
    low, high = np.percentile(values, [0.5, 99.5])
    width, center = read_window(page)
    assert width == pytest.approx(high - low, rel=0.01)
    assert center == pytest.approx((high + low) / 2, rel=0.05)
    page.drag(".viewport", -120, 0)
    page.wait_until(f"{WINDOW} !== 'W {width}'")
    narrower, same = read_window(page)
    assert 0.4 * width < narrower < 0.9 * width
    assert same == pytest.approx(center, abs=width / 50)
    page.screenshot(ARTIFACTS / "values-window.png")


def read_window(page: Page) -> tuple[float, float]:
    width, center = re.fullmatch(r"W (\S+) L (\S+)", page.wait_until(WINDOW).replace("−", "-")).groups()  # type: ignore[union-attr]
    return float(width), float(center)


def test_a_series_of_numbers_is_a_volume(page: Page, server: str) -> None:
    open_image(page, server, reading(floats(SINGLE)))
    settled(page)
    before = read_window(page)
    page.key("7")
    page.wait_until(f"{WINDOWS}.length === 4 && {WINDOWS}.every(Boolean)")
    page.wait_until(NO_LONGER_LOADING)
    assert len(set(page.evaluate(WINDOWS))) == 1
    assert read_window(page) == before
    page.screenshot(ARTIFACTS / "values-volume.png")
    cuts = page.evaluate(f"{CELLS}.map((cell) => cell.querySelector('.corner .cut')?.innerText)")
    axial = cuts.index("Axial")
    show_slice(page, axial, 3)
    shown = seen(page, axial, (SIDE, SIDE), (1, 1))
    width, center = before
    grey = (VALUES[SINGLE][3] - center) / width + 0.5
    assert_alike(shown, np.clip(grey * 255, 0, 255).astype(np.float64))
    for column, row in ((3, 2), (30, 28), (9, 21)):  # none of which lies under a handle
        hover(page, place_of(page, axial, (column, row), (SIDE, SIDE), (1, 1)))
        words = page.wait_until(f"{PROBE}.startsWith('{column}, {row}: ') && {PROBE}", 10)
        value = float(VALUES[SINGLE][3, row, column])
        assert float(words.split(": ")[1]) == pytest.approx(value, rel=1e-5)


def test_areas_of_numbers_are_measured(page: Page, server: str) -> None:
    open_image(page, server, reading(floats(SINGLE)))
    settled(page)
    page.key("q")
    at = [place_of(page, 0, pixel, (SIDE, SIDE), (1, 1)) for pixel in ((4, 4), (20, 12))]
    mouse = {"button": "left", "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", x=at[0][0], y=at[0][1], buttons=1, **mouse)
    page.command(
        "Input.dispatchMouseEvent", type="mouseMoved", x=at[1][0], y=at[1][1], buttons=1, button="left"
    )
    page.command("Input.dispatchMouseEvent", type="mouseReleased", x=at[1][0], y=at[1][1], buttons=0, **mouse)
    lines = page.wait_until(
        "(() => { const all = [...document.querySelectorAll('.measure-layer tspan')].map((one) => one.textContent);"
        " return all.length >= 3 && all; })()"
    )
    values = VALUES[SINGLE][0, 4:13, 4:21].astype(float)
    mean, sd = re.fullmatch(r"Mean (\S+), SD (\S+)", lines[1].replace("−", "-")).groups()  # type: ignore[union-attr]
    least, most = re.fullmatch(r"Min (\S+), max (\S+)", lines[2].replace("−", "-")).groups()  # type: ignore[union-attr]
    found = [float(one) for one in (mean, sd, least, most)]
    assert found == pytest.approx([values.mean(), values.std(), values.min(), values.max()], abs=1e-4)


def test_what_is_no_number_is_black_and_not_counted(page: Page, server: str) -> None:
    found = difference(page, server, floats(HOLES))
    assert found is not None
    assert found.median <= 1.5, found
    assert said(page, 5, 6) == ["NaN"]
    assert said(page, 20, 20) == ["∞"]
    check_numbers(page, VALUES[HOLES][0])
    page.screenshot(ARTIFACTS / "values-holes.png")


def test_numbers_that_do_not_fit_are_seen_and_none_is_told(page: Page, server: str) -> None:
    open_image(page, server, reading(floats(HUGE)))
    settled(page)
    probe(page, 17, 5, SIDE, SIDE)
    assert not page.evaluate("document.querySelector('.probe')?.innerText")


def check_extended(page: Page, address: str, file: bytes) -> None:
    ds = reading(file)
    values, _ = decoded(file)
    found = difference(page, address, file)
    assert found is not None
    assert found.median <= 1.5 and found.most <= 12, found
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    rows, columns = ds.Rows, ds.Columns
    rng = np.random.default_rng(1)
    for _ in range(6):
        column, row = int(rng.integers(2, columns - 2)), int(rng.integers(2, rows - 2))
        wide = columns > 200
        told = (
            said_near(page, column, row, columns, rows)
            if wide
            else (column, row, said(page, column, row, columns, rows))
        )
        at_column, at_row, (value, *_unit) = told
        assert float(value) == pytest.approx(
            float(values[0, at_row, at_column]) * slope + intercept, rel=1e-5
        )


def said_near(page: Page, column: int, row: int, columns: int, rows: int) -> tuple[int, int, list[str]]:
    """Where a pixel of the screen covers several of the image: which of them is told, and what of it."""
    probe(page, column, row, columns, rows)
    near = "|".join(f"{column + x}, {row + y}: " for x in (-2, -1, 0, 1, 2) for y in (-2, -1, 0, 1, 2))
    words = page.wait_until(f"/^({near})/.test({PROBE}) && {PROBE}", 10)
    place, told = str(words).split(": ")
    at_column, at_row = (int(part) for part in place.split(", "))
    return at_column, at_row, told.split()


def test_twelve_bits_of_jpeg_extended_have_their_values(page: Page, server: str) -> None:
    check_extended(page, server, extended())
    assert page.evaluate(WINDOW) == "W 3500 L 900"
    page.screenshot(ARTIFACTS / "values-extended.png")


def test_images_of_others_in_jpeg_extended(page: Page, server: str) -> None:
    file = Path(str(get_testdata_file("JPGExtended.dcm"))).read_bytes()
    send(server, file)
    check_extended(page, server, file)


def test_shared_images_in_jpeg_extended(page: Page, server: str) -> None:
    file = (shared_data() / "syntax/ctimage/CTImage_JPEGProcess2_4_1.2.840.10008.1.2.4.51.dcm").read_bytes()
    send(server, file)
    check_extended(page, server, file)


def test_colour_of_jpeg_extended_has_its_values(page: Page, server: str) -> None:
    values, _ = decoded(colour())
    open_image(page, server, reading(colour()))
    for column, row in PLACES:
        assert [int(value) for value in said(page, column, row)] == values[0, row, column].tolist()


def test_colours_that_two_pixels_share_are_right_on_a_slow_link(page: Page, server: str) -> None:
    file = Path(str(get_testdata_file("SC_ybr_full_422_uncompressed.dcm"))).read_bytes()
    send(server, file)
    page.go(server)
    page.evaluate("localStorage.setItem('gantry.slow-link', '1')")
    try:
        found = difference(page, server, file)
    finally:
        page.evaluate("localStorage.removeItem('gantry.slow-link')")
    assert found is not None
    assert found.median <= 1.5 and found.mean <= 2, found


def test_files_on_the_device_have_their_values_too(page: Page, server: str, folder: Path) -> None:
    open_folder(page, server, folder)
    page.wait_until("document.querySelectorAll('.rail img.shown').length === 7")
    for series, values in VALUES.items():
        open_listed(page, "MR", series)
        page.key("Home")
        settled(page)
        if series == HUGE:
            probe(page, 17, 5, SIDE, SIDE)
            assert not page.evaluate("document.querySelector('.probe')?.innerText")
        else:
            check_numbers(page, values[0])
    page.screenshot(ARTIFACTS / "values-local.png")


def test_numbers_with_the_greatest_byte_first_are_read_from_files_too(
    page: Page, server: str, tmp_path: Path
) -> None:
    for series in VALUES:
        (tmp_path / str(series)).write_bytes(floats(series, ExplicitVRBigEndian))
    open_folder(page, server, tmp_path)
    page.wait_until(f"document.querySelectorAll('.rail img.shown').length === {len(VALUES)}")
    for series, values in VALUES.items():
        open_listed(page, "MR", series)
        page.key("Home")
        for number, frame in enumerate(values, 1):
            if len(values) > 1:
                page.wait_until(f"{SLICE} === '{number} / {len(values)}'")
            greys = settled(page)
            if series != HUGE:
                check_numbers(page, frame)
            page.key("ArrowDown")
        if series == HUGE:
            least, greatest = values.min(), values.max()
            wanted = (values[0] - least) / (greatest - least) * 255
            assert_alike(seen(page, 0, (SIDE, SIDE), (1, 1)), wanted)
            assert len(set(greys)) > 30


def test_jpeg_extended_on_the_device_has_its_values(page: Page, server: str, folder: Path) -> None:
    open_folder(page, server, folder)
    open_listed(page, "CT", EXTENDED)
    # The numbers of two decoders may differ in their last place (ITU-T T.83).
    values = decoded(extended())[0][0].astype(int) - 1024
    for column, row in PLACES:
        assert int(said(page, column, row)[0].replace("−", "-")) == pytest.approx(values[row, column], abs=1)
    assert page.evaluate(WINDOW) == "W 3500 L 900"
    open_listed(page, "CT", COLOUR)
    colours = decoded(colour())[0][0].astype(int)
    for column, row in PLACES:
        assert [int(value) for value in said(page, column, row)] == pytest.approx(
            colours[row, column].tolist(), abs=4
        )


def open_folder(page: Page, server: str, folder: Path) -> None:
    page.go(server)
    page.wait_until(pressed("[...document.querySelectorAll('.open-button')].find((one) => one.offsetWidth)"))
    page.wait_until(f"document.querySelector({FOLDER!r})")
    page.choose_files(FOLDER, [folder])
    page.wait_until("document.querySelector('.local-study') && !document.querySelector('.local-reading')")
    page.wait_until(pressed("document.querySelector('.local-study')"))


def open_listed(page: Page, modality: str, series: int) -> None:
    """A series of the rail, once its image is shown."""
    item = f"[...document.querySelectorAll('.rail-item')].find((one) => /{modality} {series}\\b/.test(one.innerText))"
    page.wait_until(pressed(item))
    page.wait_until(f"document.querySelector('.corner.top-right')?.innerText.includes('Series {series} ')")
    page.wait_until(NO_LONGER_LOADING)


def pressed(element: str) -> str:
    """A condition that presses an element as soon as it is there."""
    return f"(() => {{ const one = {element}; one?.click(); return one; }})()"
