"""Measuring on cuts through a volume: what is known of an oblique phantom is read, kept in space, and seen again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import dcmread

from chromium import Page
from dcmtk import run
from serving import CT, ROOT
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.41"
COLUMNS, ROWS, SLICES = 64, 48, 40
SPACING = (0.8, 1.25, 2.0)  # along a row, down a column, across: mm
# The scanner's planes are axial ones, turned by 30 degrees about the axis from right to left.
TURN = np.radians(30)
ROW, COLUMN = np.array([1.0, 0, 0]), np.array([0, np.cos(TURN), np.sin(TURN)])
NORMAL = np.cross(ROW, COLUMN)
ORIGIN = np.array([-20.0, -30.0, 100.0])
# A bar of 1000 HU from one voxel to another on the 20th column: 30 rows of 1.25 mm and 25 slices of 2 mm apart.
COLUMN_OF_BAR, FIRST, LAST = 20, (8, 6), (38, 31)
LONG = float(np.hypot(30 * 1.25, 25 * 2.0))
AXIAL, CORONAL, SAGITTAL, STACK = range(4)


def volume() -> np.ndarray[Any, Any]:
    """(slice, row, column) in HU: waves, and bright voxels at the ends of the bar."""
    k, j, i = np.mgrid[:SLICES, :ROWS, :COLUMNS]
    values = (100 * np.sin(i / 7) + 80 * np.cos(j / 5) + 3 * k).round().astype(np.int16)
    for row, number in (FIRST, LAST):
        values[number, row, COLUMN_OF_BAR] = 1000
    return values


def place(i: float, j: float, k: float) -> np.ndarray[Any, Any]:
    """A voxel's centre, in mm of the patient."""
    return np.asarray(ORIGIN + ROW * i * SPACING[0] + COLUMN * j * SPACING[1] + NORMAL * k * SPACING[2])


def objects() -> Iterator[bytes]:
    for k, pixels in enumerate(volume()):
        yield ct_image(
            (pixels.astype(np.int32) + 1024).astype(np.uint16), STUDY, 1, k + 1,
            SeriesDescription="turned",
            ImagePositionPatient=[float(mm) for mm in place(0, 0, k)],
            ImageOrientationPatient=[float(part) for part in (*ROW, *COLUMN)],
            PixelSpacing=[SPACING[1], SPACING[0]],
            RescaleIntercept=-1024,
        )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def opened(page: Page, server: str) -> None:
    page.go(server)
    assert httpx.delete(f"{server}/api/studies/{STUDY}/draft").status_code in (200, 404)
    show_cuts(page, server)


def show_cuts(page: Page, server: str) -> None:
    page.go(f"{server}/view/{STUDY}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.key("7")
    page.wait_until(
        f"{CELLS}.length === 4 && {CELLS}.every((cell) => cell.querySelector('.corner.bottom-left .strong'))"
    )
    page.wait_until(NO_LONGER_LOADING)


def activate(page: Page, cell: int) -> None:
    for _ in range(4):
        if page.evaluate(f"{CELLS}[{cell}].getAttribute('aria-current') === 'true'"):
            return
        page.key("n")
    raise AssertionError("no key makes the cell the active one")


def go_to(page: Page, cell: int, index: int) -> None:
    """To a slice, from 0, by keys."""
    activate(page, cell)
    shown = f"{CELLS}[{cell}].querySelector('.corner.bottom-left .strong')?.innerText.split(' / ')[0]"
    page.key("Home")
    page.wait_until(f"{shown} === '1'")
    for _ in range(index):
        page.key("ArrowDown")
    page.wait_until(f"{shown} === '{index + 1}'")


def press(page: Page, key: str, times: int = 1, *, shift: bool = False) -> None:
    for _ in range(times):
        for kind in ("rawKeyDown", "keyUp"):
            page.command("Input.dispatchKeyEvent", type=kind, key=key, modifiers=8 * shift)


def move(page: Page, columns: int, rows: int) -> None:
    for by, keys in ((columns, ("ArrowRight", "ArrowLeft")), (rows, ("ArrowDown", "ArrowUp"))):
        key = keys[by < 0]
        press(page, key, abs(by) // 10, shift=True)
        press(page, key, abs(by) % 10)


STATUS = "document.querySelector('.stage > .unseen[role=status]').textContent"


def cross_to(page: Page, column: int, row: int) -> None:
    """Move the cross of the keys to a pixel of the picture, from 0."""
    page.wait_until(f"{STATUS}.startsWith('Column')")
    words = page.evaluate(STATUS).split(".")[0].replace(",", "").split()
    move(page, column + 1 - int(words[1]), row + 1 - int(words[3]))
    page.wait_until(f"{STATUS}.startsWith('Column {column + 1}, row {row + 1}')")


def shapes(cell: int) -> str:
    return f"[...{CELLS}[{cell}].querySelectorAll('.measure-layer g:not(.reported)')]"


def words(cell: int) -> str:
    return f"{shapes(cell)}.map((one) => [...one.querySelectorAll('tspan')].map((line) => line.textContent).join('|'))"


def saved(page: Page, server: str) -> list[dict[str, Any]]:
    press(page, "u")
    page.wait_until("document.querySelector('.measure-panel footer p')?.innerText === 'Saved'")
    press(page, "u")
    found: list[dict[str, Any]] = httpx.get(f"{server}/api/studies/{STUDY}/draft").json()["measurements"]
    return found


def draw_bar(page: Page) -> None:
    """Along the bar, on the sagittal cut through it: its picture has rows to the right, and slices, head first, down."""
    go_to(page, SAGITTAL, COLUMN_OF_BAR)
    press(page, "d")
    press(page, "Enter")
    for row, number in (FIRST, LAST):
        cross_to(page, row, SLICES - 1 - number)
        press(page, "Enter")
    page.wait_until(f"{words(SAGITTAL)}.length === 1")


def test_a_known_line_is_exactly_as_long(page: Page, server: str) -> None:
    opened(page, server)
    draw_bar(page)
    assert page.evaluate(words(SAGITTAL)) == [f"{LONG:.1f} mm"]
    page.screenshot(ARTIFACTS / "measure-cut.png")
    (kept,) = saved(page, server)
    assert "points" not in kept
    ends = [place(COLUMN_OF_BAR, row, number) for row, number in (FIRST, LAST)]
    assert np.allclose(kept["points3d"], ends, atol=1e-4)
    assert kept["values"][0]["value"] == pytest.approx(LONG, abs=1e-6)
    assert kept["image"]["frameOfReferenceUid"] == f"{STUDY}.99"
    # It lies on no other cut, and on none beside.
    assert [page.evaluate(f"{shapes(cell)}.length") for cell in (AXIAL, CORONAL, STACK)] == [0, 0, 0]
    press(page, "Escape", 2)
    press(page, "ArrowDown")
    page.wait_until(f"{shapes(SAGITTAL)}.length === 0")
    press(page, "ArrowUp")
    page.wait_until(f"{shapes(SAGITTAL)}.length === 1")


def test_it_comes_back_and_is_found_from_the_panel(page: Page, server: str) -> None:
    opened(page, server)
    draw_bar(page)
    before = saved(page, server)
    page.go(f"{server}/view/{STUDY}")
    page.wait_until(SLICE)
    page.key("u")
    page.wait_until("document.querySelector('.measure-show')")
    assert page.evaluate("document.querySelector('.measure-show').innerText.split('\\n')") == [
        "Length", f"{LONG:.1f} mm", "turned, on a cut",
    ]  # fmt: skip
    page.click(".measure-show")
    page.wait_until(f"{CELLS}.length === 4 && {shapes(SAGITTAL)}.length === 1")
    assert page.evaluate(words(SAGITTAL)) == [f"{LONG:.1f} mm"]
    path = f"{shapes(SAGITTAL)}[0].querySelector('path').getAttribute('d')"
    assert page.evaluate(path)
    page.key("u")
    assert saved(page, server) == before
    # And becomes a report, which is seen in its place.
    page.key("u")
    page.click(".measure-panel footer .button")
    reported = f"{CELLS}[{SAGITTAL}].querySelectorAll('.measure-layer g.reported tspan')"
    page.wait_until(f"{shapes(SAGITTAL)}.length === 0 && {reported}[0]?.textContent === '{LONG:.1f} mm'")
    page.screenshot(ARTIFACTS / "reported-cut.png")


def test_values_on_a_cut_are_those_of_the_voxels(page: Page, server: str) -> None:
    opened(page, server)
    cube = volume().astype(float)
    go_to(page, CORONAL, 20)  # from front to back: rows of the images
    press(page, "q")
    press(page, "Enter")
    cross_to(page, 10, 5)
    press(page, "Enter")
    cross_to(page, 30, 25)
    press(page, "Enter")
    page.wait_until(f"{words(CORONAL)}.length === 1")
    # Columns to the right, slices down from the head.
    box = cube[::-1, 20, :][5:26, 10:31]
    size, spread, ends = page.evaluate(words(CORONAL))[0].split("|")
    assert size == f"{20 * 0.8 * 20 * 2:.1f} mm²"
    assert spread == f"Mean {box.mean():.1f} HU, SD {box.std():.1f}"
    assert ends == f"Min {box.min():.0f}, max {box.max():.0f}"
    page.key("v")
    press(page, "Enter")
    cross_to(page, 40, 12)
    press(page, "Enter")
    page.wait_until(f"{words(CORONAL)}.length === 2")
    assert page.evaluate(words(CORONAL))[1] == f"{cube[SLICES - 1 - 12, 20, 40]:.0f} HU"
    page.key("a")
    press(page, "Enter")
    for column, row in ((10, 30), (10, 34), (20, 34)):
        cross_to(page, column, row)
        press(page, "Enter")
    page.wait_until(f"{words(CORONAL)}.includes('90.0°')")
    page.screenshot(ARTIFACTS / "measure-cut-values.png")


def test_what_lies_on_no_cut_is_found_by_turning_one(page: Page, server: str) -> None:
    opened(page, server)
    ends = [place(10, 10, 10), place(50, 30, 26)]
    long = float(np.linalg.norm(np.subtract(*ends)))
    line: dict[str, Any] = {
        "id": "2.25.9",
        "kind": "length",
        "image": {
            "seriesInstanceUid": f"{STUDY}.1",
            "sopInstanceUid": f"{STUDY}.1.1",
            "sopClassUid": CT,
            "frameOfReferenceUid": f"{STUDY}.99",
        },
        "points3d": [list(end) for end in ends],
    }
    draft = f"{server}/api/studies/{STUDY}/draft"
    now = httpx.get(draft)
    version = {"If-Match": now.headers["etag"]} if now.status_code == 200 else {"If-None-Match": "*"}
    httpx.put(draft, json={"measurements": [line]}, headers=version).raise_for_status()
    page.go(f"{server}/view/{STUDY}")
    page.wait_until(SLICE)
    page.key("u")
    page.wait_until("document.querySelector('.measure-show')")
    page.click(".measure-show")
    everywhere = "[...document.querySelectorAll('.cell:not(.hidden) .measure-layer g:not(.reported)')]"
    page.wait_until(f"{everywhere}.length === 1")
    assert page.evaluate(f"{everywhere}[0].querySelector('tspan').textContent") == f"{long:.1f} mm"
    page.screenshot(ARTIFACTS / "measure-turned-cut.png")


def test_a_line_by_mouse(page: Page, server: str) -> None:
    """On the axial cut as it is shown: whole, in the middle of its cell."""
    opened(page, server)
    activate(page, AXIAL)
    page.key("d")
    left, top, width, height = page.evaluate(
        f"""(() => {{ const b = {CELLS}[{AXIAL}].querySelector('.viewport').getBoundingClientRect();
            return [b.left, b.top, b.width, b.height]; }})()"""
    )
    scale = min(width / (COLUMNS * SPACING[0]), height / (ROWS * SPACING[1]))
    ends = [
        (left + width / 2 + mm * scale, top + height / 2 + down * scale)
        for mm, down in ((-15, -10), (15, 30))
    ]
    held: dict[str, Any] = {"button": "left", "buttons": 1, "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", x=ends[0][0], y=ends[0][1], **held)
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=ends[0][0] + 9, y=ends[0][1], **held)
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=ends[1][0], y=ends[1][1], **held)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", x=ends[1][0], y=ends[1][1], **held)
    page.wait_until(f"{words(AXIAL)}.length === 1")
    # A pointer stands on whole pixels of the screen.
    assert float(page.evaluate(words(AXIAL))[0].removesuffix(" mm")) == pytest.approx(50, abs=0.3)
    (kept,) = saved(page, server)
    assert np.linalg.norm(np.subtract(*kept["points3d"])) == pytest.approx(50, abs=0.3)


def test_what_is_measured_on_a_cut_is_seen_on_the_image_that_it_lies_in(page: Page, server: str) -> None:
    opened(page, server)
    go_to(page, AXIAL, 11)
    press(page, "d")
    press(page, "Enter")
    for column, row in ((10, 8), (34, 40)):
        cross_to(page, column, row)
        press(page, "Enter")
    length = f"{np.hypot(24 * 0.8, 32 * 1.25):.1f} mm"
    page.wait_until(f"{words(AXIAL)}.length === 1")
    assert page.evaluate(words(AXIAL)) == [length]
    (kept,) = saved(page, server)
    ends = [place(10, 8, 11), place(34, 40, 11)]
    assert np.allclose(kept["points3d"], ends, atol=1e-4)
    # The images beside the cuts follow them.
    page.wait_until(f"{words(STACK)}.join() === '{length}'")
    # The cell may still be taking its size; then what is drawn follows it.
    page.wait_until(
        "(() => {"
        f" const box = {CELLS}[{STACK}].querySelector('.viewport').getBoundingClientRect();"
        f" const drawn = {shapes(STACK)}[0].querySelector('path').getAttribute('d').slice(1).split(/[ L]/).map(Number);"
        f" const scale = Math.min(box.width / {COLUMNS * SPACING[0]}, box.height / {ROWS * SPACING[1]});"
        f" const wanted = [[10, 8], [34, 40]].flatMap(([x, y]) => ["
        f" box.width / 2 + (x + 0.5 - {COLUMNS} / 2) * {SPACING[0]} * scale,"
        f" box.height / 2 + (y + 0.5 - {ROWS} / 2) * {SPACING[1]} * scale]);"
        " return wanted.every((one, at) => Math.abs(one - drawn[at]) < 0.6); })()"
    )
    page.screenshot(ARTIFACTS / "measure-cut-on-image.png")
    for key, seen in (("ArrowDown", 0), ("ArrowUp", 1)):
        press(page, "Escape", 2)
        press(page, key)
        page.wait_until(f"{shapes(STACK)}.length === {seen}")
    # Without cuts, the list leads to the image.
    page.go(f"{server}/view/{STUDY}?frame=3")
    page.wait_until(SLICE)
    page.key("u")
    page.wait_until("document.querySelector('.measure-show')")
    assert (
        page.evaluate("document.querySelector('.measure-show').innerText.split('\\n')[2]")
        == "turned, image 12"
    )
    page.click(".measure-show")
    page.wait_until(f"{SLICE} === '12 / {SLICES}' && {words(0)}.join() === '{length}'")
    assert page.evaluate(f"{CELLS}.length") == 1
    page.screenshot(ARTIFACTS / "measure-cut-from-list.png")


def test_what_is_measured_on_an_image_is_seen_on_the_cut_that_it_lies_in(page: Page, server: str) -> None:
    opened(page, server)
    go_to(page, STACK, 11)
    press(page, "q")
    press(page, "Enter")
    cross_to(page, 10, 8)
    press(page, "Enter")
    cross_to(page, 30, 20)
    press(page, "Enter")
    page.wait_until(f"{words(STACK)}.length === 1 && {words(AXIAL)}.length === 1")
    said = page.evaluate(words(STACK))
    assert page.evaluate(words(AXIAL)) == said
    box = volume()[11, 8:21, 10:31].astype(float)
    assert said[0].split("|")[1] == f"Mean {box.mean():.1f} HU, SD {box.std():.1f}"
    assert [page.evaluate(f"{shapes(cell)}.length") for cell in (CORONAL, SAGITTAL)] == [0, 0]
    page.screenshot(ARTIFACTS / "measure-image-on-cut.png")
    (kept,) = saved(page, server)
    assert "points3d" not in kept
    activate(page, AXIAL)
    press(page, "Escape", 2)
    press(page, "ArrowUp")
    page.wait_until(f"{shapes(AXIAL)}.length === 0")
    press(page, "ArrowDown")
    page.wait_until(f"{shapes(AXIAL)}.length === 1")


def test_the_report_is_a_3d_one_that_others_read(page: Page, server: str, tmp_path: Path) -> None:
    opened(page, server)
    draw_bar(page)
    saved(page, server)
    made = httpx.post(f"{server}/api/studies/{STUDY}/draft/report", json={"key": "cut"}).json()
    address = f"{server}/dicom-web/studies/{STUDY}/series/{made['seriesInstanceUid']}/instances/{made['sopInstanceUid']}"
    part = httpx.get(address, headers={"Accept": 'multipart/related; type="application/dicom"'}).content
    path = tmp_path / "report.dcm"
    begin = part.index(b"\r\n\r\n") + 4
    path.write_bytes(part[begin : part.rindex(b"\r\n--")])
    ds = dcmread(path)
    assert ds.SOPClassUID.name == "Comprehensive 3D SR Storage"
    told = run("dsrdump", "+Pc", path).stdout
    assert "SCOORD3D" in told
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace", check=False)
    assert [one for one in done.stderr.splitlines() if one.startswith("Error")] == []
