"""Measuring on images: what is drawn between known pixels reads what it is, by mouse, finger and key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset

from chromium import PHONE, Page
from image_values import image_object
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.5"
SIDE = 256
SLICES = 4
SERIES = {"square": [0.5, 0.5], "flat": [2, 0.5]}


def region() -> Dataset:
    """Of ultrasound: 0.2 mm from column to column, 0.4 mm from row to row."""
    ds = Dataset()
    ds.RegionSpatialFormat, ds.RegionDataType, ds.RegionFlags = 1, 1, 0
    ds.RegionLocationMinX0, ds.RegionLocationMinY0 = 0, 0
    ds.RegionLocationMaxX1, ds.RegionLocationMaxY1 = SIDE - 1, 149
    ds.PhysicalUnitsXDirection = ds.PhysicalUnitsYDirection = 3
    ds.PhysicalDeltaX, ds.PhysicalDeltaY = 0.02, 0.04
    return ds


SINGLES: dict[str, dict[str, Any]] = {
    "plain": {"Modality": "OT"},
    "ultrasound": {"Modality": "US", "SequenceOfUltrasoundRegions": [region()]},
    "detector": {"Modality": "DX", "ImagerPixelSpacing": [0.5, 0.5], "PixelSpacing": [0.5, 0.5]},
}


def pixels(number: int) -> np.ndarray:
    """Stored values of one image: noise that differs from image to image, and one bright pixel."""
    values = np.random.default_rng(number).integers(900, 1200, (SIDE, SIDE)).astype(np.int16)
    values[64, 40] = 4000
    return values


def objects() -> Iterator[bytes]:
    for series, (name, spacing) in enumerate(SERIES.items(), 1):
        for n in range(SLICES):
            yield ct_image(
                pixels(series * 10 + n),
                STUDY,
                series,
                n + 1,
                SeriesDescription=name,
                FrameOfReferenceUID=f"{STUDY}.99.{series}",
                PixelSpacing=spacing,
                RescaleIntercept=-1024,
                WindowCenter=0,
            )
    for series, (name, elements) in enumerate(SINGLES.items(), 3):
        yield image_object(
            pixels(99)[None],
            SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=f"{STUDY}.{series}",
            SOPInstanceUID=f"{STUDY}.{series}.1",
            SeriesNumber=series,
            InstanceNumber=1,
            SeriesDescription=name,
            RescaleSlope=1,
            RescaleIntercept=0,
            **elements,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def open_series_at(page: Page, server: str, series: int = 1, frame: int = 1) -> None:
    page.go(server)  # what the page before was still saving is saved, or never will be
    assert httpx.delete(f"{server}/api/studies/{STUDY}/draft").status_code in (200, 404)
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}&frame={frame}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.wait_until("document.querySelectorAll('.rail-item').length === 5")


def screen(
    page: Page, column: float, row: float, spacing: tuple[float, float] = (1, 1)
) -> tuple[float, float]:
    """Where the centre of a pixel is on the page: an image is shown whole, in the middle, by its size in mm."""
    left, top, width, height = page.evaluate(
        """(() => { const b = document.querySelector('.cell.active .viewport, .cell .viewport').getBoundingClientRect();
            return [b.left, b.top, b.width, b.height]; })()"""
    )
    scale = min(width / (SIDE * spacing[1]), height / (SIDE * spacing[0]))
    return (
        left + width / 2 + (column + 0.5 - SIDE / 2) * spacing[1] * scale,
        top + height / 2 + (row + 0.5 - SIDE / 2) * spacing[0] * scale,
    )


def mouse(page: Page, kind: str, at: tuple[float, float], *, held: bool = False) -> None:
    button: dict[str, Any] = {"button": "left", "clickCount": 1} if kind != "mouseMoved" or held else {}
    page.command("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], buttons=int(held), **button)


def draw(page: Page, *way: tuple[float, float]) -> None:
    """A drag with the left button along points of the page."""
    mouse(page, "mousePressed", way[0], held=True)
    for at in way[1:]:
        mouse(page, "mouseMoved", at, held=True)
    mouse(page, "mouseReleased", way[-1])


SHAPES = "[...document.querySelectorAll('.cell:not(.hidden) .measure-layer g')]"
TEXTS = f"{SHAPES}.map((one) => [...one.querySelectorAll('tspan')].map((line) => line.textContent).join('|'))"


def texts(page: Page, count: int = 1) -> list[str]:
    page.wait_until(f"{SHAPES}.length === {count}")
    return list(page.evaluate(TEXTS))


def test_a_line_between_known_pixels_reads_its_length(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("d")
    draw(page, screen(page, 20, 100), screen(page, 90, 100), screen(page, 220, 100))
    assert texts(page) == ["100.0 mm"]
    page.screenshot(ARTIFACTS / "measure-length.png")
    # By a press for each end, too.
    for at in (screen(page, 20, 150), screen(page, 20, 190)):
        mouse(page, "mouseMoved", at)
        draw(page, at)
    assert texts(page, 2)[1] == "20.0 mm"


def test_pixels_are_where_the_lines_say(page: Page, server: str) -> None:
    """The one bright pixel lies under the probe that names it."""
    open_series_at(page, server)
    page.key("v")
    bright, beside = "2976 HU", f"{pixels(10)[64, 41] - 1024} HU"
    for column, row, value in ((40, 64, bright), (39.6, 64.4, bright), (41, 64, beside)):
        draw(page, screen(page, column, row))
        assert texts(page) == [value]
        page.control("z")
        texts(page, 0)


def test_angles(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("a")
    draw(page, screen(page, 60, 60), screen(page, 60, 120), screen(page, 60, 160))
    corner = screen(page, 160, 160)
    mouse(page, "mouseMoved", corner)
    draw(page, corner)
    assert texts(page) == ["90.0°"]
    page.key("k")
    draw(page, screen(page, 20, 20), screen(page, 60, 20))
    draw(page, screen(page, 20, 80), screen(page, 60, 40))
    assert texts(page, 2)[1] == "45.0°"
    page.screenshot(ARTIFACTS / "measure-angles.png")


def test_statistics_are_those_of_numpy(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("e")
    draw(page, screen(page, 20.2, 30.2), screen(page, 90, 90), screen(page, 120.7, 100.6))
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = ((x - 70.45) / 50.25) ** 2 + ((y - 65.4) / 35.2) ** 2 <= 1
    values = pixels(10)[inside].astype(float) - 1024
    size, mean, ends = texts(page)[0].split("|")
    # A pointer stands on whole pixels of the screen: the size is known to a third of an image's pixel.
    assert float(size.split(" ")[0]) == pytest.approx(np.pi * 50.25 * 35.2 / 4, rel=0.01)
    read = re.fullmatch(r"Mean (-?[\d.]+) HU, SD ([\d.]+)", mean)
    assert read
    assert float(read[1]) == pytest.approx(values.mean(), abs=0.6)
    assert float(read[2]) == pytest.approx(values.std(), abs=0.6)
    assert ends == f"Min {values.min():.0f}, max {values.max():.0f}"
    page.key("q")
    draw(page, screen(page, 150, 150), screen(page, 180, 170), screen(page, 200, 200))
    box = pixels(10)[150:201, 150:201].astype(float) - 1024
    page.wait_until(f"{SHAPES}.length === 2")
    found = page.evaluate(TEXTS)[1].split("|")
    assert found[1] == f"Mean {box.mean():.1f} HU, SD {box.std():.1f}"
    page.screenshot(ARTIFACTS / "measure-areas.png")


def test_a_free_hand_area(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("j")
    corners = (
        (20, 120),
        (60, 120),
        (100, 120),
        (100, 160),
        (100, 200),
        (60, 200),
        (20, 200),
        (20, 160),
        (20, 122),
    )
    draw(page, *(screen(page, *corner) for corner in corners))
    size, mean, _ = texts(page)[0].split("|")
    assert float(size.removesuffix(" mm²")) == pytest.approx(80 * 80 / 4, rel=0.01)
    assert float(mean.split(" ")[1]) == pytest.approx(pixels(10)[120:201, 20:101].mean() - 1024, abs=1)
    handles = f"{SHAPES}[0].querySelectorAll('.handle').length"
    assert page.evaluate(handles) == 9


def test_two_diameters_stay_at_right_angles_and_follow_a_turned_image(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("b")
    draw(page, screen(page, 60, 60), screen(page, 100, 60), screen(page, 160, 60))
    assert texts(page) == ["50.0 × 25.0 mm"]
    # The end of the short axis is pulled: its other end and the long axis stay.
    draw(page, screen(page, 110, 85), screen(page, 110, 90), screen(page, 130, 95))
    assert texts(page) == ["50.0 × 30.0 mm"]
    path = f"{SHAPES}[0].querySelector('path').getAttribute('d')"
    for key in ("r", "h"):
        before = page.evaluate(path)
        page.key(key)
        page.wait_until(f"{path} !== {json.dumps(before)}")
    assert texts(page) == ["50.0 × 30.0 mm"]
    (x0, y0), (x1, y1) = (
        map(float, end.split()) for end in re.findall(r"[ML]([\d. ]+)", page.evaluate(path))
    )
    assert x0 == pytest.approx(x1, abs=0.1)
    assert abs(y1 - y0) == pytest.approx(100 * 848 / SIDE, rel=0.01)


def test_pixels_that_are_not_square(page: Page, server: str) -> None:
    open_series_at(page, server, 2)
    page.key("d")
    flat = (2.0, 0.5)
    draw(page, screen(page, 64, 20, flat), screen(page, 64, 60, flat), screen(page, 64, 70, flat))
    draw(page, screen(page, 20, 200, flat), screen(page, 40, 200, flat), screen(page, 220, 200, flat))
    assert texts(page, 2) == ["100.0 mm", "100.0 mm"]
    page.key("o")
    draw(page, screen(page, 128, 128, flat), screen(page, 148, 128, flat), screen(page, 168, 128, flat))
    assert texts(page, 3)[2].startswith("⌀ 40.0 mm · 1256.6 mm²|Mean")
    page.screenshot(ARTIFACTS / "measure-flat.png")


def test_an_image_that_knows_no_size_is_measured_in_pixels(page: Page, server: str) -> None:
    open_series_at(page, server, 3)
    page.key("d")
    draw(page, screen(page, 20, 100), screen(page, 90, 100), screen(page, 220, 100))
    assert texts(page) == ["200.0 px"]


def test_a_region_of_ultrasound_has_its_own_scale(page: Page, server: str) -> None:
    open_series_at(page, server, 4)
    page.key("d")
    draw(page, screen(page, 20, 100), screen(page, 90, 100), screen(page, 220, 100))
    draw(page, screen(page, 20, 20), screen(page, 20, 60), screen(page, 20, 70))
    draw(page, screen(page, 20, 200), screen(page, 90, 200), screen(page, 220, 200))
    assert texts(page, 3) == ["40.0 mm", "20.0 mm", "200.0 px"]


def test_what_was_measured_at_the_detector_is_said_to_be(page: Page, server: str) -> None:
    open_series_at(page, server, 5)
    page.key("d")
    draw(page, screen(page, 20, 100), screen(page, 90, 100), screen(page, 220, 100))
    assert texts(page) == ["100.0 mm at the detector"]
    assert page.evaluate("document.querySelector('.scale')") is None


def test_values_cover_neither_their_shape_nor_one_another(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("e")
    for left in (30, 80, 130):
        draw(page, screen(page, left, 100), screen(page, left + 10, 120), screen(page, left + 20, 140))
    texts(page, 3)
    boxes = page.evaluate(
        f"""{SHAPES}.map((one) => {{ const b = one.querySelector('text').getBBox(), l = one.querySelector('path').getBBox();
            return [b, l].map((box) => [box.x, box.y, box.x + box.width, box.y + box.height]); }})"""
    )
    words = [word for word, _ in boxes]
    lines = [line for _, line in boxes]
    for at, word in enumerate(words):
        for other in [*words[:at], lines[at]]:
            assert word[0] > other[2] or other[0] > word[2] or word[1] > other[3] or other[1] > word[3]


def test_undo_redo_delete_and_escape_by_key(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("d")
    for row in (60, 120):
        draw(page, screen(page, 20, row), screen(page, 90, row), screen(page, 120, row))
    texts(page, 2)
    page.control("z")
    texts(page, 1)
    page.control("z", shift=True)
    texts(page, 2)
    draw(page, screen(page, 70, 60))  # on the line: it is selected, and no other one begun
    page.wait_until(f"{SHAPES}[0].classList.contains('chosen')")
    page.key("Delete")
    texts(page, 1)
    page.control("z")
    texts(page, 2)
    # An end is taken and moved, and that is one step back.
    draw(page, screen(page, 120, 60), screen(page, 140, 60), screen(page, 220, 60))
    page.wait_until(f"{TEXTS}.includes('100.0 mm')")
    page.control("z")
    page.wait_until(f"!{TEXTS}.includes('100.0 mm')")
    mouse(page, "mousePressed", screen(page, 20, 200), held=True)
    mouse(page, "mouseMoved", screen(page, 90, 200), held=True)
    texts(page, 3)
    page.key("Escape")
    mouse(page, "mouseReleased", screen(page, 90, 200))
    texts(page, 2)
    page.key("Escape")
    page.key("Escape")
    page.wait_until("document.querySelector('.viewport').dataset.tool === 'window'")


def test_a_measurement_stays_on_its_image(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("d")
    draw(page, screen(page, 20, 100), screen(page, 90, 100), screen(page, 220, 100))
    before = page.evaluate(f"{SHAPES}[0].querySelector('path').getAttribute('d')")
    texts(page, 1)
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '2 / 4'")
    texts(page, 0)
    page.key("ArrowUp")
    page.wait_until(f"{SLICE} === '1 / 4'")
    assert texts(page) == ["100.0 mm"]
    assert page.evaluate(f"{SHAPES}[0].querySelector('path').getAttribute('d')") == before
    # Larger, it is drawn larger and reads the same.
    page.key("+")
    page.wait_until(f"{SHAPES}[0].querySelector('path').getAttribute('d') !== {json.dumps(before)}")
    assert texts(page) == ["100.0 mm"]


def test_the_panel_lists_labels_finds_and_deletes(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("d")
    draw(page, screen(page, 20, 100), screen(page, 90, 100), screen(page, 220, 100))
    texts(page)
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel li')")
    said = page.evaluate("document.querySelector('.measure-panel li').innerText")
    assert said.split("\n") == ["Length", "100.0 mm", "square, image 1"]
    page.evaluate("document.querySelector('.measure-label').focus()")
    page.type("Aorta")
    page.key("Enter")
    page.wait_until(f"{TEXTS}[0] === 'Aorta|100.0 mm'")
    page.key("End")
    page.wait_until(f"{SLICE} === '4 / 4'")
    page.click(".measure-show")
    page.wait_until(f"{SLICE} === '1 / 4'")
    page.wait_until(f"{SHAPES}[0]?.classList.contains('chosen')")
    page.screenshot(ARTIFACTS / "measure-panel.png")
    # Away to the list and back: it is still there.
    page.evaluate("document.querySelector('.viewer-head .tool').click()")
    page.wait_until("!document.querySelector('.viewer') && document.querySelector('a.study')")
    page.click("a.study")
    page.wait_until(SLICE)
    page.key("Home")
    assert texts(page) == ["Aorta|100.0 mm"]
    page.key("u")
    page.click(".measure-panel li > .tool")
    texts(page, 0)
    page.click(".measure-panel [aria-label^='Undo']")
    assert texts(page) == ["Aorta|100.0 mm"]


def test_an_arrow_takes_its_text_on_the_image(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("t")
    draw(page, screen(page, 100, 100), screen(page, 120, 120), screen(page, 150, 140))
    page.wait_until("document.activeElement.matches('.measure-name')")
    page.type("Nodule")
    page.key("Enter")
    assert texts(page) == ["Nodule"]
    page.wait_until("!document.querySelector('.measure-name')")
    page.screenshot(ARTIFACTS / "measure-arrow.png")


def test_it_is_seen_in_every_cell_that_shows_the_image(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.key("d")
    draw(page, screen(page, 20, 100), screen(page, 90, 100), screen(page, 220, 100))
    texts(page)
    page.key("g")
    page.wait_until("document.querySelectorAll('.cell').length === 4")
    page.evaluate(
        """(() => {
            const data = new DataTransfer();
            const fire = (kind, element) => element.dispatchEvent(
                new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
            fire('dragstart', document.querySelectorAll('.rail-item')[0]);
            fire('dragover', document.querySelectorAll('.cell')[1]);
            fire('drop', document.querySelectorAll('.cell')[1]);
        })()"""
    )
    page.key("Home")
    assert texts(page, 2) == ["100.0 mm", "100.0 mm"]
    page.screenshot(ARTIFACTS / "measure-cells.png")


def test_the_tool_is_chosen_in_the_menu_and_stays_as_a_button(page: Page, server: str) -> None:
    open_series_at(page, server)
    page.click("[aria-label='Measure']")
    page.wait_until("document.querySelectorAll('.menu .menu-item').length === 12")
    page.screenshot(ARTIFACTS / "measure-menu.png")
    for _ in range(7):
        page.key("ArrowDown")
    page.wait_until("document.activeElement.innerText.includes('Circle')")
    page.key("Enter")
    page.wait_until('document.querySelector(\'.measure-menu [aria-label="Circle"][aria-pressed="true"]\')')


def test_fingers_on_a_phone(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    open_series_at(page, server)
    page.key("d")

    def touch(*way: tuple[float, float]) -> None:
        page.command(
            "Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": way[0][0], "y": way[0][1]}]
        )
        for x, y in way[1:]:
            page.command("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x, "y": y}])
        page.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    touch(screen(page, 60, 100), screen(page, 100, 100), screen(page, 120, 100))
    first = float(texts(page)[0].removesuffix(" mm"))
    assert first == pytest.approx(30, abs=0.4)
    # A finger beside the end still takes it.
    x, y = screen(page, 120, 100)
    touch((x + 12, y + 12), screen(page, 150, 100), screen(page, 180, 100))
    page.wait_until(f"{TEXTS}[0] !== '{first:.1f} mm'")
    assert float(texts(page)[0].removesuffix(" mm")) == pytest.approx(60, abs=0.4)
    page.screenshot(ARTIFACTS / "measure-phone.png")
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel li')")
    page.screenshot(ARTIFACTS / "measure-panel-phone.png")
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('.measure-panel button, .measure-label')]"
        ".map((one) => one.getBoundingClientRect().height))"
    )
    assert smallest >= 44
