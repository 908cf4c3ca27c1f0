"""PET: values as uptake, and PET laid over CT of another grid; colours and places held against NumPy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from axe import found
from chromium import Page
from eyes import DEFICIENCIES, luminance_seen
from image_values import image_object
from serving import ROOT
from slices import Grey, assert_alike, colours_seen, hover, interpolated, place_of, show_slice, windowed
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.12"
ALONE = f"{ROOT}.14"
"""A study of CT only."""
CT, PET, UNWEIGHED, OTHER_PLACE, NM = 1, 2, 3, 4, 5
# Shapes are (slices, rows, columns), spacings and origins (x, y, z) in mm.
CT_SHAPE, CT_SPACING, CT_ORIGIN = (24, 40, 48), (2.0, 2.0, 2.5), (-47.0, -39.0, 0.0)
PET_SHAPE, PET_SPACING, PET_ORIGIN = (16, 22, 24), (3.0, 3.5, 3.27), (-30.5, -28.0, 4.0)
# The voxel of the hot spot (slice, row, column), which is at (11.5, -3.5, 30.16) in the patient.
HOT = (8, 7, 14)
SUV = 4e-4
"""SUV of one Bq/ml: 80 kg, 400 MBq, of which half is left when the series begins."""

AXIAL, CORONAL, SAGITTAL, BESIDE = range(4)


def anatomy() -> np.ndarray[Any, np.dtype[np.int16]]:
    z, y, x = np.mgrid[: CT_SHAPE[0], : CT_SHAPE[1], : CT_SHAPE[2]]
    values = 40 + 90 * np.sin(x / 7) + 60 * np.sin(y / 5 + 1) + 40 * np.cos(z / 4) + z
    return values.round().astype(np.int16)


def slope(slice_: int) -> float:
    return 0.7 + 0.11 * (slice_ % 4)


def stored() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """As PET keeps values: each slice with a slope of its own."""
    z, y, x = np.mgrid[: PET_SHAPE[0], : PET_SHAPE[1], : PET_SHAPE[2]]
    activity = 6000 + 3500 * np.sin(x / 3) * np.cos(y / 4) + 150 * z
    k, j, i = HOT
    activity += 16_000 * np.exp(-((z - k) ** 2 + (y - j) ** 2 + (x - i) ** 2) / 3)
    slopes = np.array([slope(index) for index in range(PET_SHAPE[0])])[:, None, None]
    return np.asarray(np.round(activity / slopes), dtype=np.uint16)


def activity() -> Grey:
    """In Bq/ml, as the images give it."""
    return stored() * np.array([slope(index) for index in range(PET_SHAPE[0])])[:, None, None]


def pet(series: int, index: int, pixels: np.ndarray[Any, Any], **more: Any) -> bytes:
    injection = Dataset()
    injection.RadiopharmaceuticalStartTime = "100000"
    injection.RadionuclideTotalDose = 400_000_000
    injection.RadionuclideHalfLife = 6586.2
    x, y, z = PET_SPACING
    usual: dict[str, Any] = {
        "Modality": "PT",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128",
        "SeriesDescription": "uptake",
        "ImagePositionPatient": [PET_ORIGIN[0], PET_ORIGIN[1], PET_ORIGIN[2] + index * z],
        "PixelSpacing": [y, x],
        "RescaleSlope": slope(index),
        "RescaleType": None,
        "WindowCenter": None,
        "WindowWidth": None,
        "Units": "BQML",
        "PatientWeight": 80,
        "SeriesDate": "20260301",
        "SeriesTime": "114946.2",
        "AcquisitionDate": "20260301",
        "AcquisitionTime": "114946.2",
        "CorrectedImage": ["NORM", "ATTN", "DECY"],
        "DecayCorrection": "START",
        "RadiopharmaceuticalInformationSequence": [injection],
    }
    return ct_image(pixels, STUDY, series, index + 1, **(usual | more))


def objects() -> Iterator[bytes]:
    for index, pixels in enumerate(anatomy()):
        yield ct_image(
            (pixels.astype(np.int32) + 1024).astype(np.uint16), STUDY, CT, index + 1,
            SeriesDescription="anatomy",
            ImagePositionPatient=[CT_ORIGIN[0], CT_ORIGIN[1], index * CT_SPACING[2]],
            PixelSpacing=[CT_SPACING[1], CT_SPACING[0]],
            RescaleIntercept=-1024,
        )  # fmt: skip
    for index, pixels in enumerate(stored()):
        yield pet(PET, index, pixels)
        if index < 4:
            yield pet(UNWEIGHED, index, pixels, PatientWeight=None, SeriesDescription="unweighed")
            yield pet(
                OTHER_PLACE, index, pixels, FrameOfReferenceUID=f"{STUDY}.98", SeriesDescription="elsewhere"
            )

    yield nuclear()
    for index in range(3):
        yield ct_image(np.full((8, 8), 40, dtype=np.uint16), ALONE, 1, index + 1)


NM_SHAPE, NM_SPACING, NM_ORIGIN = (18, 20, 22), (4.0, 4.0, 4.0), (-41.0, -37.0, -5.0)


def counts() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """(z, y, x) in counts, from feet to head."""
    z, y, x = np.mgrid[: NM_SHAPE[0], : NM_SHAPE[1], : NM_SHAPE[2]]
    return np.asarray(500 + 25 * x + 15 * y + 200 * np.cos(z / 3), dtype=np.uint16)


def nuclear() -> bytes:
    """One object of all slices, from head to feet: only the first tells where it is, and each lies before the last."""
    detector = Dataset()
    detector.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    detector.ImagePositionPatient = [*NM_ORIGIN[:2], NM_ORIGIN[2] + (NM_SHAPE[0] - 1) * NM_SPACING[2]]
    return image_object(
        counts()[::-1],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.20",
        Modality="NM",
        ImageType=["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"],
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.{NM}",
        SOPInstanceUID=f"{STUDY}.{NM}.1",
        SeriesNumber=NM,
        InstanceNumber=1,
        SeriesDescription="counts",
        FrameOfReferenceUID=f"{STUDY}.99",
        PixelSpacing=[NM_SPACING[1], NM_SPACING[0]],
        SpacingBetweenSlices=-NM_SPACING[2],
        DetectorInformationSequence=[detector],
        WindowCenter=750,
        WindowWidth=1000,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def palette(name: str) -> Grey:
    """(256, 3), as PS3.6 B lists it; pydicom brings those lists along."""
    ds = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "palettes" / f"{name}.dcm")
    if "SegmentedRedPaletteColorLookupTableData" in ds:
        ds.PixelRepresentation = 0
        return apply_color_lut(np.arange(256, dtype=np.uint16), ds)[..., :3].astype(np.float64)
    colours = [ds[f"{colour}PaletteColorLookupTableData"].value for colour in ("Red", "Green", "Blue")]
    return np.stack([np.frombuffer(one, dtype=np.uint8) for one in colours], axis=-1).astype(np.float64)


def points(cut: int, index: int) -> Grey:
    """Where the pixels of a CT plane are, (rows, columns, 3) in mm; as the page turns its planes."""
    (k, j, i), origin, spacing = CT_SHAPE, np.array(CT_ORIGIN), np.array(CT_SPACING)
    down, right = {
        AXIAL: (np.arange(j), np.arange(i)),
        CORONAL: (np.arange(k)[::-1], np.arange(i)),
        SAGITTAL: (np.arange(k)[::-1], np.arange(j)),
    }[cut]
    rows, columns = np.meshgrid(down, right, indexing="ij")
    fixed = np.full(rows.shape, index)
    voxels = {
        AXIAL: (columns, rows, fixed),
        CORONAL: (columns, fixed, rows),
        SAGITTAL: (fixed, columns, rows),
    }[cut]
    return np.stack(voxels, axis=-1) * spacing + origin


def voxels(places: Grey, origin: tuple[float, ...], spacing: tuple[float, ...]) -> Grey:
    return np.asarray((places - np.array(origin)) / np.array(spacing))[..., ::-1]


def fused(
    cut: int, index: int, name: str, opacity: float, top_suv: float, *, inverted: bool
) -> tuple[Grey, Grey]:
    """(rows, columns, 3) of what is to be seen, and where PET covers it: 1, 0, or NaN at its rim."""
    places = points(cut, index)
    ct = windowed(interpolated(anatomy().astype(float), voxels(places, CT_ORIGIN, CT_SPACING)).round(6))
    ct = 255 - ct if inverted else ct
    uptake = interpolated(activity(), voxels(places, PET_ORIGIN, PET_SPACING)) * SUV
    level = np.clip(uptake / top_suv * 255, 0, 255)
    table = palette(name)
    colours = np.stack(
        [np.interp(np.nan_to_num(level), np.arange(256), table[:, part]) for part in range(3)], axis=-1
    )
    covered = ~np.isnan(uptake)
    both = np.where(covered[..., None], ct[..., None] * (1 - opacity) + colours * opacity, ct[..., None])
    rim = np.zeros(covered.shape, dtype=bool)
    for axis in (0, 1):
        for step in (-1, 1):
            rim |= np.roll(covered, step, axis) != covered
    return both, np.where(rim, np.nan, covered.astype(float))


def open_series(page: Page, server: str, series: int) -> None:
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def open_fusion(page: Page, server: str) -> None:
    open_series(page, server, CT)
    fuse_planes(page)


def fuse_planes(page: Page) -> None:
    """Over the images in hand, and from there over all planes."""
    page.key("9")
    page.wait_until(f"{CELLS}.length === 1 && {CELLS}[0].querySelector('.over-window')")
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(f"{CELLS}.filter((cell) => cell.querySelector('.over-window')).length === 3")
    page.wait_until(NO_LONGER_LOADING)


PROBES = f"{CELLS}.map((cell) => cell.querySelector('.probe')?.innerText ?? '')"
OVER_WINDOWS = f"{CELLS}.map((cell) => cell.querySelector('.over-window')?.innerText ?? '').join('|')"


def assert_fused(
    page: Page,
    cut: int,
    index: int,
    name: str = "hotiron",
    opacity: float = 0.5,
    top: float = 10,
    *,
    inverted: bool = False,
) -> None:
    wanted, covered = fused(cut, index, name, opacity, top, inverted=inverted)
    x, y, z = CT_SPACING
    spacing = {AXIAL: (x, y), CORONAL: (x, z), SAGITTAL: (y, z)}[cut]
    shape = (wanted.shape[0], wanted.shape[1])
    shown = colours_seen(page, cut, shape, spacing)
    assert np.nansum(covered) > 100
    assert_alike(shown[covered == 1], wanted[covered == 1])
    assert_alike(shown[covered == 0], wanted[covered == 0])


def test_pet_values_are_told_as_uptake(page: Page, server: str) -> None:
    open_series(page, server, PET)
    show_slice(page, 0, HOT[0])
    shape, (x, y, _) = PET_SHAPE[1:], PET_SPACING
    hover(page, place_of(page, 0, (HOT[2], HOT[1]), (shape[0], shape[1]), (x, y)))
    value = activity()[HOT]
    said = page.wait_until(f"{PROBES}[0]")
    assert said == f"{HOT[2]}, {HOT[1]}: SUVbw {value * SUV:.2f} · {float(f'{value:.6g}'):g} Bq/ml"
    page.key("3")
    page.wait_until("document.querySelector('.suv-window').innerText === 'SUV 0–10'")
    level = np.clip(activity()[HOT[0]] * SUV / 10 * 255, 0, 255)
    assert_alike(colours_seen(page, 0, (shape[0], shape[1]), (x, y))[..., 0], level)
    page.key("1")
    page.wait_until("document.querySelector('.suv-window').innerText === 'SUV 0–5'")
    page.screenshot(ARTIFACTS / "pet-suv-desk.png")


def test_a_region_of_pet_measures_uptake(page: Page, server: str) -> None:
    open_series(page, server, PET)
    show_slice(page, 0, HOT[0])
    page.key("q")
    (rows, columns), (x, y, _) = PET_SHAPE[1:], PET_SPACING
    corners = [place_of(page, 0, pixel, (rows, columns), (x, y)) for pixel in ((12, 5), (17, 9))]
    ways = ("mousePressed", "mouseMoved", "mouseReleased")
    for kind, (left, top) in zip(ways, (*corners, corners[1]), strict=True):
        page.command(
            "Input.dispatchMouseEvent", type=kind, x=left, y=top, button="left", buttons=1, clickCount=1
        )
    words = "[...document.querySelectorAll('.measure-layer tspan')].map((one) => one.innerHTML).join('|')"
    said = page.wait_until(f"{words}.includes('Bq/ml') && {words}").split("|")
    inside = activity()[HOT[0], 5:10, 12:18]
    suv = inside * SUV
    assert said[1:3] == [
        f"Mean {suv.mean():.2f} SUVbw, SD {suv.std():.2f}",
        f"Min {suv.min():.2f}, max {suv.max():.2f}",
    ]
    assert said[3] == f"Mean {inside.mean():.1f} Bq/ml, SD {inside.std():.1f}"
    page.screenshot(ARTIFACTS / "pet-region-desk.png")
    page.key("u")
    assert page.wait_until("document.querySelector('.measure-values')?.innerText").count("SUVbw") == 1
    page.key("Delete")


def test_pet_without_a_weight_says_why_there_is_no_uptake(page: Page, server: str) -> None:
    open_series(page, server, UNWEIGHED)
    assert page.evaluate("document.querySelector('.no-suv').innerText") == (
        "No SUV: the patient's weight is missing."
    )
    shape, (x, y, _) = PET_SHAPE[1:], PET_SPACING
    hover(page, place_of(page, 0, (5, 6), (shape[0], shape[1]), (x, y)))
    value = activity()[2][6, 5]
    assert page.wait_until(f"{PROBES}[0]") == f"5, 6: {float(f'{value:.6g}'):g} Bq/ml"
    page.screenshot(ARTIFACTS / "pet-no-suv-desk.png")


def test_pet_lies_over_ct_where_it_belongs(page: Page, server: str) -> None:
    open_fusion(page, server)
    assert page.evaluate(OVER_WINDOWS) == "PT SUV 0–10|PT SUV 0–10|PT SUV 0–10|"
    page.screenshot(ARTIFACTS / "fusion-desk.png")
    for cut, index in ((AXIAL, 12), (AXIAL, 7), (CORONAL, 18), (SAGITTAL, 29)):
        show_slice(page, cut, index)
        assert_fused(page, cut, index)


def test_the_hot_spot_is_where_it_is_in_the_patient(page: Page, server: str) -> None:
    """Of 11.5, -3.5, 30.16 mm: CT column 29.25, row 17.75, slice 12.06."""
    open_fusion(page, server)
    show_slice(page, AXIAL, 12)
    (rows, columns), (x, y, _) = CT_SHAPE[1:], CT_SPACING
    hover(page, place_of(page, AXIAL, (29, 18), (rows, columns), (x, y)))
    ct, uptake = anatomy()[12, 18, 29], activity()[HOT]
    wanted = f"29, 18: {ct} HU\\nSUVbw {uptake * SUV:.2f} · {float(f'{uptake:.6g}'):g} Bq/ml"
    page.wait_until(f"{PROBES}[0] === '{wanted}'")
    page.screenshot(ARTIFACTS / "fusion-probe-desk.png")
    # Above half of SUV 10 hot iron turns to yellow: green is what the spot adds to the greys of CT.
    colours = colours_seen(page, AXIAL, (rows, columns), (x, y))
    row, column = np.unravel_index(int(np.argmax(colours[..., 1] - colours[..., 2])), (rows, columns))
    assert abs(row - 17.75) <= 1.5 and abs(column - 29.25) <= 1.5


def set_slider(page: Page, selector: str, value: float) -> None:
    page.wait_until(
        f"(() => {{ const slider = document.querySelector('{selector}'); if (!slider) return false;"
        f" slider.value = {value}; slider.dispatchEvent(new Event('input', {{ bubbles: true }})); return true; }})()"
    )


def test_colours_opacity_and_window_of_the_upper_volume_are_chosen(page: Page, server: str) -> None:
    open_fusion(page, server)
    show_slice(page, AXIAL, 12)
    page.click("[aria-label=Fusion]")
    page.click(".fusion-menu .palette:nth-child(3)")
    set_slider(page, ".fusion-menu .opacity", 14)
    page.wait_until(
        "[...document.querySelectorAll('.fusion-menu .segment')].find((one) => one.innerText === 'SUV 0–7')"
        ".click() ?? true"
    )
    page.wait_until(f"{OVER_WINDOWS}.startsWith('PT SUV 0–7|PT SUV 0–7|PT SUV 0–7')")
    page.screenshot(ARTIFACTS / "fusion-menu-desk.png")
    assert found(page) == []
    page.key("Escape")
    page.wait_until("!document.querySelector('.fusion-menu')")
    assert_fused(page, AXIAL, 12, "pet", 0.7, 7)
    assert_fused(page, CORONAL, 20, "pet", 0.7, 7)
    page.click("[aria-label=Fusion]")
    page.click(".fusion-menu .palette:nth-child(2)")
    set_slider(page, ".fusion-menu .high", 4)
    page.wait_until(f"{OVER_WINDOWS}.startsWith('PT SUV 0–4|')")
    page.key("Escape")
    page.wait_until("!document.querySelector('.fusion-menu')")
    assert_fused(page, AXIAL, 12, "hotmetalblue", 0.7, 4)
    page.key("9")
    page.wait_until(f"{SHOWN}.length === 4 && {OVER_WINDOWS} === '|||'")
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS}.startsWith('PT SUV 0–4|')")


def test_pet_of_another_frame_of_reference_is_laid_over_nothing(page: Page, server: str) -> None:
    open_series(page, server, OTHER_PLACE)
    page.key("9")
    # Of this study it is the pair of one frame of reference that is shown.
    page.wait_until(f"{OVER_WINDOWS} === 'PT SUV 0–10'")
    page.go(f"{server}/view/{ALONE}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.key("9")
    assert page.wait_until("document.querySelector('.said').innerText").startswith(
        "This study holds no PET or NM"
    )
    assert page.evaluate(f"{CELLS}.length") == 1


def test_nuclear_medicine_lies_over_ct_when_it_is_in_hand(page: Page, server: str) -> None:
    open_series(page, server, NM)
    fuse_planes(page)
    page.wait_until(f"{OVER_WINDOWS} === 'NM 250–1249|NM 250–1249|NM 250–1249|'")
    page.wait_until(NO_LONGER_LOADING)
    for cut, index in ((AXIAL, 15), (CORONAL, 11)):
        show_slice(page, cut, index)
        places = points(cut, index)
        ct = windowed(interpolated(anatomy().astype(float), voxels(places, CT_ORIGIN, CT_SPACING)).round(6))
        level = windowed(
            interpolated(counts().astype(float), voxels(places, NM_ORIGIN, NM_SPACING)), 750, 1000
        )
        inside = ~np.isnan(level)
        table = palette("hotiron")
        colours = [np.interp(level[inside], np.arange(256), table[:, part]) for part in range(3)]
        wanted = (ct[inside][:, None] + np.stack(colours, axis=-1)) / 2
        shape = (places.shape[0], places.shape[1])
        x, y, z = CT_SPACING
        shown = colours_seen(page, cut, shape, (x, y) if cut == AXIAL else (x, z))
        assert inside.sum() > 500
        assert_alike(shown[inside], wanted)
    page.screenshot(ARTIFACTS / "fusion-nm-desk.png")


PLACE = f"[{SLICE}, ...['.window', '.magnification'].map((one) => document.querySelector(one)?.innerText)].join('|')"
EDGES = "[...document.querySelectorAll('.edge')].map((one) => one.className + one.innerText).sort().join()"


def test_pet_is_laid_over_the_images_where_they_stand(page: Page, server: str) -> None:
    """The same slice, window, size, place and turn; taken off by the same key, wherever one has gone meanwhile."""
    open_series(page, server, CT)
    show_slice(page, 0, 8)
    for key in ("3", "r", "h", "+", "+"):
        page.key(key)
    page.key("p")
    page.drag(".viewport", 60, 25)
    page.key("i")
    stack, place, edges = settled(page), page.evaluate(PLACE), page.evaluate(EDGES)
    assert place.startswith("9 / 24|W 2500 L 480|")
    page.screenshot(ARTIFACTS / "fusion-before-desk.png")
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS} === 'PT SUV 0–10'")
    page.wait_until(f"{PLACE} === {place!r}")
    assert page.evaluate(EDGES) == edges
    page.screenshot(ARTIFACTS / "fusion-in-place-desk.png")
    # Without the colours it is the very picture.
    page.click("[aria-label=Fusion]")
    set_slider(page, ".fusion-menu .opacity", 0)
    page.key("Escape")
    page.wait_until("!document.querySelector('.fusion-menu')")
    assert np.abs(np.subtract(settled(page), stack)).mean() < 1.5
    page.key("9")
    page.wait_until(f"{CELLS}.length === 1 && {OVER_WINDOWS} === ''")
    page.wait_until(f"{PLACE} === {place!r}")
    assert np.abs(np.subtract(settled(page), stack)).mean() < 1.5
    assert page.evaluate(EDGES) == edges
    # Where one has gone to, and what one has set, stays.
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS} === 'PT SUV 0–10'")
    for key in ("ArrowDown", "ArrowDown", "1", "-"):
        page.key(key)
    page.wait_until(f"{PLACE}.startsWith('11 / 24|W 400 L 40|')")
    fused = page.evaluate(PLACE)
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS} === '' && {PLACE} === {fused!r}")


def test_colours_over_the_images_are_where_they_belong(page: Page, server: str) -> None:
    open_series(page, server, CT)
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS} === 'PT SUV 0–10'")
    page.wait_until(NO_LONGER_LOADING)
    for index in (7, 12):
        show_slice(page, AXIAL, index)
        assert_fused(page, AXIAL, index)


def test_black_on_white_is_of_the_images_and_not_of_the_colours(page: Page, server: str) -> None:
    open_series(page, server, CT)
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS} === 'PT SUV 0–10'")
    page.wait_until(NO_LONGER_LOADING)
    show_slice(page, AXIAL, 12)
    page.key("i")
    page.wait_until("document.querySelector('[aria-label^=\"Invert\"]').ariaPressed === 'true'")
    assert_fused(page, AXIAL, 12, inverted=True)
    page.screenshot(ARTIFACTS / "fusion-inverted-desk.png")
    page.key("7")
    page.wait_until(f"{CELLS}.filter((cell) => cell.querySelector('.over-window')).length === 3")
    page.wait_until(NO_LONGER_LOADING)
    for cut, index in ((AXIAL, 12), (CORONAL, 18)):
        show_slice(page, cut, index)
        assert_fused(page, cut, index, inverted=True)
    page.key("9")
    page.wait_until(f"{SHOWN}.length === 4 && {OVER_WINDOWS} === '|||'")
    page.wait_until(NO_LONGER_LOADING)
    show_slice(page, AXIAL, 12)
    x, y, _ = CT_SPACING
    greys = 255 - windowed(anatomy()[12].astype(float))
    assert_alike(colours_seen(page, AXIAL, greys.shape, (x, y))[..., 0], greys)  # type: ignore[arg-type]
    page.key("i")
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS}.startsWith('PT SUV 0–10|')")
    page.wait_until(NO_LONGER_LOADING)
    show_slice(page, AXIAL, 12)
    assert_fused(page, AXIAL, 12)


def test_a_turning_mip_is_seen_black_on_white(page: Page, server: str) -> None:
    """Beside of the volume, too: the box that holds it is not seen."""
    page.size(800, 500)  # without a graphics card a large picture takes seconds
    open_series(page, server, PET)
    page.key("8")
    page.wait_until(f"{CELLS}[0].querySelector('.cut')?.innerText === '3D'", timeout_s=60)
    page.wait_until(NO_LONGER_LOADING)
    before = np.array(settled(page))
    page.key("i")
    page.wait_until("document.querySelector('[aria-label^=\"Invert\"]').ariaPressed === 'true'")
    after = np.array(settled(page))
    assert before.min() == 0 and before.max() > 100
    assert np.percentile(np.abs(after - (255 - before)), 99) <= 2
    page.screenshot(ARTIFACTS / "mip-inverted-desk.png")
    page.key("i")
    page.wait_until("document.querySelector('[aria-label^=\"Invert\"]').ariaPressed === 'false'")
    assert np.percentile(np.abs(np.array(settled(page)) - before), 99) <= 2


def test_ct_comes_under_the_pet_in_hand_and_goes_again(page: Page, server: str) -> None:
    open_series(page, server, PET)
    show_slice(page, 0, 10)
    page.key("3")
    page.wait_until("document.querySelector('.suv-window').innerText === 'SUV 0–10'")
    size = page.evaluate("document.querySelector('.scale').style.width")
    page.key("9")
    page.wait_until(f"{OVER_WINDOWS} === 'PT SUV 0–10'")
    # PET slice 11 lies at 36.7 mm, CT slices every 2.5 mm from 0; a centimetre stays as long as it was.
    page.wait_until(f"{SLICE} === '16 / 24'")
    assert page.evaluate("document.querySelector('.scale').style.width") == size
    page.key("9")
    page.wait_until(f"{SLICE} === '11 / 16'")
    assert page.evaluate("document.querySelector('.suv-window').innerText") == "SUV 0–10"


CORNERS = re.compile(r"\[(\d+), (\d+), (\d+), (\d+)\]")


@pytest.mark.parametrize(
    ("constant", "file"),
    [
        ("HOT_IRON", "hotiron"),
        ("HOT_METAL_BLUE", "hotmetalblue"),
        ("PET", "pet"),
        ("STEPS", "pet20step"),
        ("WINTER", "winter"),
    ],
)
def test_palettes_are_those_of_the_standard(constant: str, file: str) -> None:
    source = Path(__file__).resolve().parents[2] / "viewer" / "src" / "dicom" / "palettes.ts"
    if not source.is_file():
        pytest.skip("the viewer's sources are not here (an installed package has only what is built)")
    listed = source.read_text().split(f"const {constant}: readonly Corner[] = [")[1].split(";\n")[0]
    found = np.array([[int(part) for part in corner] for corner in CORNERS.findall(listed)])
    table = palette(file)
    levels = np.arange(256)
    if constant == "STEPS":
        made = found[np.searchsorted(found[:, 0], levels, side="right") - 1, 1:]
    else:
        made = np.stack([np.interp(levels, found[:, 0], found[:, part]) for part in (1, 2, 3)], axis=-1)
    assert float(np.abs(made - table).max()) <= 1.5


SAFE_PALETTES = {"Hot iron", "Grey"}
"""Those that docs/reading.md names."""


def test_safe_palettes_only_grow_lighter_whatever_colours_are_seen(page: Page, server: str) -> None:
    open_fusion(page, server)
    page.click("[aria-label=Fusion]")
    page.wait_until("document.querySelectorAll('.palette .swatch').length === 6")
    swatches = page.evaluate(
        """[...document.querySelectorAll('.palette')].map((one) => {
            const { left, width, top, height } = one.querySelector('.swatch').getBoundingClientRect();
            return [one.innerText.trim(), left, width, top + height / 2];
        })"""
    )
    safe = {name for name, *_ in swatches}
    for deficiency in DEFICIENCIES:
        luminance = luminance_seen(page, deficiency)
        rising = set()
        for name, left, width, middle in swatches:
            steps = luminance[int(middle), np.linspace(left + 2, left + width - 3, 14).astype(int)]
            if (np.diff(steps) > 0).all():
                rising.add(name)
        safe &= rising
    assert safe == SAFE_PALETTES


def test_fusion_fits_a_phone(page: Page, server: str) -> None:
    page.size(390, 844, touch=True)
    open_fusion(page, server)
    page.click("[aria-label=Fusion]")
    page.wait_until("document.querySelector('.fusion-menu')")
    page.screenshot(ARTIFACTS / "fusion-phone.png")
