"""Taking out what is seen: pictures, clips and pages hold what the viewport shows, and no more than was asked for."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from chromium import DESK, PHONE, Page
from serving import ROOT
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

STUDY = f"{ROOT}.21"
SIDE, SLICES = 128, 12
PERSON = {
    "PatientName": "Ivanova^Anna=Иванова^Анна",
    "PatientID": "SECRET-7",
    "PatientBirthDate": "19610203",
    "StudyDate": "20260102",
    "StudyDescription": "Thorax",
    "InstitutionName": "Klinik Süd",
    "SpecificCharacterSet": "ISO_IR 192",
}
SHIFT, CONTROL = 8, 2
LONGEST_S = 120
AMBER = (240, 180, 41)


def hounsfield(number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Of image `number`, from 1: a ramp across that grows brighter from image to image, and a block of bone."""
    row, column = np.mgrid[:SIDE, :SIDE]
    values = -150 + column * 2 + 20 * np.sin(row / 9) + number * 8
    values[40:60, 70 : 70 + 3 * number] = 900
    return values.round().astype(np.int16)


def objects() -> Iterator[bytes]:
    for number in range(1, SLICES + 1):
        yield ct_image(
            (hounsfield(number).astype(np.int32) + 1024).astype(np.uint16),
            STUDY,
            1,
            number,
            **PERSON,
            SeriesDescription="ramps",
            RescaleIntercept=-1024,
            PixelSpacing=[2, 2],
            ImagePositionPatient=[0, 0, (number - 1) * 3],
        )

    row, column = np.mgrid[:32, :32]
    for number in range(1, SLICES + 1):
        yield ct_image(
            (400 * np.exp(-((row - 12) ** 2 + (column - 20) ** 2) / 40) * number).astype(np.uint16),
            STUDY,
            2,
            number,
            Modality="PT",
            SOPClassUID="1.2.840.10008.5.1.4.1.1.128",
            **PERSON,
            RescaleType=None,
            PixelSpacing=[8, 8],
            ImagePositionPatient=[3, 3, (number - 1) * 3],
        )

    yield ct_image(
        (hounsfield(6).astype(np.int32) + 1024).astype(np.uint16),
        STUDY,
        3,
        1,
        **PERSON,
        Modality="DX",
        RescaleIntercept=-1024,
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=30,
        ShutterRightVerticalEdge=100,
        ShutterUpperHorizontalEdge=20,
        ShutterLowerHorizontalEdge=90,
        ShutterPresentationValue=0,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def press(page: Page, key: str, modifiers: int) -> None:
    code = {"code": f"Key{key.upper()}", "windowsVirtualKeyCode": ord(key[0].upper())}
    for kind in ("rawKeyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers, **code)


def open_at(page: Page, server: str, image: int, query: str = "") -> None:
    page.go(server)  # what the page before was still saving is saved, or never will be
    assert httpx.delete(f"{server}/api/studies/{STUDY}/draft").status_code in (200, 404)
    page.go(f"{server}/view/{STUDY}?series={STUDY}.1&frame={image}{query}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def choose(page: Page, words: str) -> None:
    """Press what is called so in the dialog, as a hand does: browsers save one file for each press."""
    page.wait_until(
        f"""(() => {{ document.querySelector('[data-pressed]')?.removeAttribute('data-pressed');
            const found = [...document.querySelectorAll('.export button, .export label')]
                .find((one) => one.innerText.trim() === {json.dumps(words)} && !one.disabled);
            found?.setAttribute('data-pressed', '');
            found?.scrollIntoView({{ block: 'center' }});
            return found; }})()"""
    )
    page.click("[data-pressed]")


def enter(page: Page, label: str, value: int) -> None:
    """Put a number into the field that is called so."""
    page.wait_until(
        f"""(() => {{ const label = [...document.querySelectorAll('.export-number label')]
            .find((one) => one.innerText === {json.dumps(label)});
            const field = label && document.getElementById(label.htmlFor);
            if (!field) return false;
            field.value = {value}; field.dispatchEvent(new Event('change')); return true; }})()"""
    )


MADE = "document.querySelector('.export-view[aria-busy=false] img')?.complete"


def saved(page: Page, downloads: Path, words: str = "Save") -> Path:
    """The file that comes of pressing a button; each has a folder of its own, since names repeat."""
    folder = downloads / str(len(list(downloads.iterdir())))
    page.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    choose(page, words)
    for _ in range(LONGEST_S * 20):
        found = [path for path in folder.glob("*") if path.suffix not in (".crdownload", ".tmp")]
        if found:
            page.wait_until("document.querySelector('.export-said')?.innerText.startsWith('Saved')")
            return found[0]
        page.evaluate("new Promise((done) => setTimeout(done, 50))")
    raise AssertionError("nothing was saved")


def windowed(values: np.ndarray[Any, Any], center: float = 40, width: float = 400) -> np.ndarray[Any, Any]:
    """Greys as PS3.3 C.11.2.1.2.1 (LINEAR) makes them."""
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def rendered(server: str, image: int, query: str = "") -> np.ndarray[Any, Any]:
    """Greys of an image as the server renders it."""
    path = f"{server}/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.{image}/rendered{query}"
    answer = httpx.get(path, headers={"Accept": "image/png"})
    answer.raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"), dtype=float)


def amber(picture: np.ndarray[Any, Any]) -> int:
    """How many pixels have the colour of measurements."""
    return int((np.abs(picture.astype(int) - AMBER).max(axis=2) < 24).sum())


def screen(page: Page, column: float, row: float) -> tuple[float, float]:
    """Where the centre of a pixel is on the page."""
    left, top, width, height = page.evaluate(
        "(() => { const b = document.querySelector('.cell .viewport').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    scale = min(width, height) / SIDE
    return (
        left + width / 2 + (column + 0.5 - SIDE / 2) * scale,
        top + height / 2 + (row + 0.5 - SIDE / 2) * scale,
    )


def draw_length(page: Page) -> None:
    page.key("d")
    start, end = screen(page, 20, 100), screen(page, 70, 100)
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=end[0], y=end[1], **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **mouse)
    page.wait_until("document.querySelector('.measure-layer text')?.textContent.includes('100.0 mm')")


def test_a_picture_in_the_images_own_pixels_is_what_the_server_renders(
    page: Page, server: str, tmp_path: Path
) -> None:
    open_at(page, server, 5)
    draw_length(page)
    press(page, "E", SHIFT)
    page.wait_until(MADE)
    page.screenshot(ARTIFACTS / "export-picture-desk.png")
    choose(page, "Image pixels")
    choose(page, "Text at the edges")
    choose(page, "Measurements and lines")
    page.wait_until(f"{MADE} && document.querySelector('.export-picture').naturalWidth === {SIDE}")
    path = saved(page, tmp_path)
    assert path.name == "Ivanova, Anna 02 Jan 2026 CT Series 1 5.png"
    picture = np.asarray(Image.open(path).convert("RGB"))
    assert picture.shape == (SIDE, SIDE, 3)
    assert amber(picture) == 0
    away = np.abs(picture[:, :, 0] - rendered(server, 5))
    assert float(away.max()) <= 1, f"up to {away.max()} greys away"
    choose(page, "Measurements and lines")
    page.wait_until(MADE)
    again = np.asarray(Image.open(saved(page, tmp_path)).convert("RGB"))
    assert amber(again) > 30


def made(page: Page) -> None:
    page.wait_until(MADE)


def test_a_picture_as_shown_is_what_the_viewport_shows_and_twice_as_large(
    page: Page, server: str, tmp_path: Path
) -> None:
    open_at(page, server, 7, "&window=100,700")
    page.key("r")  # turned, and moved: the picture is of what is seen, and not of the file
    page.key("p")
    page.drag(".viewport", 90, 30)
    page.key("+")
    page.wait_until("document.querySelector('.edge.top').innerText === 'R'")
    settled(page)
    seen = page.evaluate(
        """(() => { const canvas = document.querySelector('.viewport canvas');
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            const greys = data.filter((_, at) => at % 4 === 0);
            let text = '';
            for (let at = 0; at < greys.length; at += 4096) text += String.fromCharCode(...greys.subarray(at, at + 4096));
            return [canvas.width, canvas.height, btoa(text)]; })()"""
    )
    width, height, greys = int(seen[0]), int(seen[1]), base64.b64decode(seen[2])
    shown = np.frombuffer(greys, np.uint8).reshape(height, width).astype(float)
    press(page, "E", SHIFT)
    choose(page, "Text at the edges")
    made(page)
    plain = np.asarray(Image.open(saved(page, tmp_path)).convert("L"), dtype=float)
    assert plain.shape == shown.shape
    assert float(np.abs(plain - shown).max()) <= 1
    choose(page, "Double")
    made(page)
    double = Image.open(saved(page, tmp_path)).convert("L")
    assert double.size == (2 * width, 2 * height)
    halved = np.asarray(double.resize((width, height), Image.Resampling.BOX), dtype=float)
    assert float(np.percentile(np.abs(halved - shown), 99)) <= 4
    choose(page, "JPEG")
    made(page)
    jpeg = saved(page, tmp_path)
    assert jpeg.suffix == ".jpg"
    with Image.open(jpeg) as picture:
        assert picture.format == "JPEG"


def test_without_patient_data_neither_picture_nor_name_tells_who_it_is(
    page: Page, server: str, tmp_path: Path
) -> None:
    open_at(page, server, 5)
    press(page, "E", SHIFT)
    made(page)
    with_names = np.asarray(Image.open(saved(page, tmp_path)).convert("L"), dtype=int)
    choose(page, "Patient data")
    made(page)
    assert "own pixels stays" in page.evaluate("document.querySelector('.export').innerText")
    path = saved(page, tmp_path)
    assert path.name == "CT Series 1 5.png"
    without = np.asarray(Image.open(path).convert("L"), dtype=int)
    # The corner of the name is as black as what lies beside the image; the others still say what it is.
    assert with_names[:60, :150].max() > 200
    assert without[:60, :150].max() < 8
    assert without[-60:, :150].max() > 150


def test_a_picture_is_copied_and_holds_all_viewports(page: Page, server: str, tmp_path: Path) -> None:
    page.command(
        "Browser.grantPermissions",
        permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        origin=server,
    )
    open_at(page, server, 5)
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)
    stage = page.evaluate(
        "(() => { const b = document.querySelector('.stage').getBoundingClientRect(); return [b.width, b.height]; })()"
    )
    press(page, "E", SHIFT)
    choose(page, "All viewports")
    made(page)
    page.screenshot(ARTIFACTS / "export-layout-desk.png")
    choose(page, "Copy")
    page.wait_until("document.querySelector('.export-said').innerText === 'The picture is copied.'")
    copied = page.evaluate(
        """navigator.clipboard.read().then(([item]) => item.getType('image/png')).then((blob) => blob.arrayBuffer())
            .then((bytes) => Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('')).then(btoa)"""
    )
    picture = Image.open(io.BytesIO(base64.b64decode(copied))).convert("L")
    assert picture.size == (round(stage[0]), round(stage[1]))
    greys = np.asarray(picture)
    for row in (0, 1):
        for column in (0, 1):
            quarter = greys[row * picture.height // 2 :, column * picture.width // 2 :]
            quarter = quarter[: picture.height // 2, : picture.width // 2]
            assert len(np.unique(quarter)) > 60, f"viewport {row}, {column} is empty"


def assert_pictured(page: Page, folder: Path, cell: int) -> None:
    """The picture of the active viewport is what its canvas shows, but for half a pixel."""
    settled(page)
    address = page.evaluate(f"{CELLS}[{cell}].querySelector('canvas').toDataURL('image/png')")
    canvas = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB")
    press(page, "E", SHIFT)
    choose(page, "Text at the edges")
    choose(page, "Measurements and lines")
    made(page)
    with Image.open(saved(page, folder)) as picture:
        assert picture.size == canvas.size
        away = np.abs(np.asarray(picture.convert("RGB"), dtype=int) - np.asarray(canvas, dtype=int))
    assert len(np.unique(np.asarray(canvas))) > 60
    assert float(np.percentile(away, 99)) <= 2, f"up to {away.max()} away, {np.mean(away > 2):.1%} of all"
    page.key("Escape")
    page.wait_until("!document.querySelector('.export')")


def test_what_is_laid_over_and_turned_is_in_the_picture(page: Page, server: str, tmp_path: Path) -> None:
    page.size(900, 640)
    open_at(page, server, 5)
    page.wait_until("document.querySelectorAll('.rail-item').length === 3")
    page.key("9")
    page.wait_until(f"{CELLS}.length === 1 && {CELLS}[0].querySelector('.over-window')")
    page.wait_until(NO_LONGER_LOADING)
    assert_pictured(page, tmp_path, 0)
    page.key("7")
    page.wait_until(f"{CELLS}.filter((cell) => cell.querySelector('.over-window')).length === 3")
    page.wait_until(NO_LONGER_LOADING)
    assert_pictured(page, tmp_path, 0)
    for _ in range(3):
        press(page, "ArrowRight", SHIFT)
    page.wait_until(f"{CELLS}[0].querySelector('.cut').innerText.includes('urned')")
    assert_pictured(page, tmp_path, 0)


def test_what_a_file_draws_over_its_pixels_is_in_the_picture(page: Page, server: str, tmp_path: Path) -> None:
    """A shutter, as the server's rendition has it."""
    page.go(f"{server}/view/{STUDY}?series={STUDY}.3")
    page.wait_until(SLICE)
    page.wait_until("document.querySelector('.plane-layer')")
    press(page, "E", SHIFT)
    for words in ("Image pixels", "Text at the edges", "Measurements and lines"):
        choose(page, words)
    made(page)
    picture = np.asarray(Image.open(saved(page, tmp_path)).convert("L"), dtype=float)
    answer = httpx.get(
        f"{server}/dicom-web/studies/{STUDY}/series/{STUDY}.3/instances/{STUDY}.3.1/rendered",
        headers={"Accept": "image/png"},
    )
    wanted = np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"), dtype=float)
    assert wanted[:18].max() == 0
    assert wanted[30:80, 40:90].min() > 0
    assert float(np.abs(picture - wanted).max()) <= 1


def decoded(path: Path) -> tuple[list[np.ndarray[Any, Any]], float, str]:
    """Greys of each frame, frames per second and the codec's name."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24")[:, :, 1].astype(float) for frame in file.decode(stream)]
        return frames, float(stream.average_rate), str(stream.codec_context.name)


def open_clip(page: Page) -> str:
    """What the browser encodes with."""
    press(page, "E", SHIFT)
    choose(page, "Clip")
    return str(page.wait_until("document.querySelector('[data-codec]')?.dataset.codec"))


def test_a_stack_becomes_an_mp4_that_shows_each_image(page: Page, server: str, tmp_path: Path) -> None:
    open_at(page, server, 5)
    codec = open_clip(page)
    assert codec in ("avc", "vp9", "av1"), f"this browser encodes nothing: {codec}"
    for words in ("Image pixels", "Text at the edges", "Measurements and lines"):
        choose(page, words)
    enter(page, "From image", 3)
    enter(page, "To image", 11)
    enter(page, "Every", 2)
    enter(page, "Images per second", 15)
    page.wait_until("document.querySelector('.export').innerText.includes('5 images, 0.3 s')")
    path = saved(page, tmp_path)
    page.wait_until("document.querySelector('video')?.readyState >= 2")
    page.screenshot(ARTIFACTS / "export-clip-desk.png")
    assert path.suffix == ".mp4"
    frames, rate, name = decoded(path)
    assert name in {"avc": ("h264",), "vp9": ("vp9", "libvpx-vp9"), "av1": ("av1", "libdav1d")}[codec]
    assert (len(frames), rate) == (5, 15)
    for frame, image in zip(frames, (3, 5, 7, 9, 11), strict=True):
        assert frame.shape == (SIDE, SIDE)
        away = np.abs(frame - rendered(server, image))
        assert float(away.mean()) < 5, f"image {image} is {away.mean():.1f} greys away"


def test_a_gif_holds_the_greys_and_the_rate_of_the_stack(page: Page, server: str, tmp_path: Path) -> None:
    open_at(page, server, 5)
    draw_length(page)
    open_clip(page)
    for words in ("GIF", "Image pixels", "Text at the edges"):
        choose(page, words)
    enter(page, "Images per second", 7)
    path = saved(page, tmp_path)
    with Image.open(path) as gif:
        assert gif.n_frames == SLICES
        lasts = 0
        for index in range(gif.n_frames):
            gif.seek(index)
            lasts += gif.info["duration"]
            picture = np.asarray(gif.convert("RGB"))
            greys = np.abs(picture[:, :, 1] - rendered(server, index + 1))
            # A measurement is on one image only; where it is, greys are a step apart.
            assert (amber(picture) > 30) == (index == 4)
            assert float(np.percentile(greys, 95)) <= 1
    assert abs(lasts - 1000 * SLICES / 7) <= 10


def test_a_plane_is_swept_and_a_solid_turned(page: Page, server: str, tmp_path: Path) -> None:
    page.size(640, 480)  # a program draws the solid here, and no graphics card
    open_at(page, server, 5)
    open_clip(page)
    choose(page, "Coronal")
    choose(page, "Image pixels")
    for words in ("Text at the edges", "Measurements and lines"):
        choose(page, words)
    enter(page, "From image", 20)
    enter(page, "To image", 60)
    enter(page, "Every", 10)
    sweep, rate, _ = decoded(saved(page, tmp_path))
    assert (len(sweep), rate) == (5, 10)
    cube = np.stack([windowed(hounsfield(number)) for number in range(1, SLICES + 1)])
    for frame, index in zip(sweep, range(19, 60, 10), strict=True):
        wanted = cube[::-1, index, :]
        shown = frame[np.linspace(0, frame.shape[0] - 1, 2 * SLICES + 1).astype(int)[1::2]]
        columns = np.linspace(0, frame.shape[1] - 1, 2 * SIDE + 1).astype(int)[1::2]
        assert float(np.median(np.abs(shown[:, columns] - wanted))) < 8
    choose(page, "A full turn")
    enter(page, "Seconds for a turn", 1)
    enter(page, "Images per second", 8)
    turn, rate, _ = decoded(saved(page, tmp_path))
    assert (len(turn), rate) == (8, 8)
    # From behind it is another picture, and the last is next to the first.
    assert float(np.abs(turn[0] - turn[4]).mean()) > float(np.abs(turn[0]).mean()) * 0.02
    assert max(float(frame.max()) for frame in turn) > 60


def test_a_clip_is_cancelled(page: Page, server: str, tmp_path: Path) -> None:
    open_at(page, server, 5)
    open_clip(page)
    choose(page, "GIF")
    choose(page, "Double")
    page.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    choose(page, "Save")
    page.wait_until("/^Image [1-9]/.test(document.querySelector('.export-progress span')?.innerText)")
    choose(page, "Cancel")
    page.wait_until("!document.querySelector('.export-progress')")
    assert page.evaluate("document.querySelectorAll('.twin').length") == 0
    assert list(tmp_path.iterdir()) == []
    page.wait_until("document.querySelector('.export-actions .primary:not(:disabled)')")
    assert "could not" not in page.evaluate("document.querySelector('.export').innerText")


def poppler(program: str, *arguments: object) -> str:
    """What one of poppler's programs says; skips where it is not installed."""
    if not shutil.which(program):
        pytest.skip("poppler is not installed (Debian: apt-get install poppler-utils)")
    ran = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout


DOTS = 127  # per inch: five for each mm


def drawn_pages(pdf: Path) -> list[np.ndarray[Any, Any]]:
    poppler("pdftoppm", "-r", DOTS, "-gray", "-png", pdf, pdf.with_suffix(""))
    return [
        np.asarray(Image.open(path).convert("L")).astype(float) for path in sorted(pdf.parent.glob("*.png"))
    ]


def test_pages_have_the_patient_above_and_the_images_of_the_series(
    page: Page, server: str, tmp_path: Path
) -> None:
    open_at(page, server, 5)
    press(page, "p", CONTROL)
    choose(page, "This series")
    enter(page, "Rows", 2)
    enter(page, "Columns", 2)
    enter(page, "Every", 2)
    choose(page, "Text at the edges")
    page.wait_until(f"document.querySelectorAll('.print-page').length === 2 && {MADE}")
    page.wait_until("document.querySelectorAll('.print-page img').length === 6")
    page.screenshot(ARTIFACTS / "export-print-desk.png")
    pdf = saved(page, tmp_path, "Save PDF")
    assert "Pages:           2" in poppler("pdfinfo", pdf)
    words = poppler("pdftotext", "-layout", pdf, "-")
    for wanted in ("Ivanova, Anna", "Иванова, Анна", "ID SECRET-7", "born 03 Feb 1961", "02 Jan 2026", "Thorax", "Klinik Süd", "Page 2 of 2"):  # fmt: skip
        assert wanted in words
    first, second = drawn_pages(pdf)
    assert np.abs(np.array(first.shape) - (297 * 5, 210 * 5)).max() <= 1
    # Boxes are 94 mm wide, and an image that is as wide as it is high fills the width.
    for sheet, places in ((first, (1, 3, 5, 7)), (second, (9, 11))):
        for place, image in enumerate(places):
            box = sheet[:, (50 + 480 * (place % 2)) : (50 + 480 * (place % 2)) + 470]
            middle = (26 + 3 + 60 + (place // 2) * 122) * 5
            strip = box[middle - 8 : middle + 8, 4:-4].mean(axis=0)
            wanted = windowed(hounsfield(image))[63:65].mean(axis=0)
            greys = np.interp(np.linspace(0, SIDE, strip.size), np.arange(SIDE) + 0.5, wanted)
            assert float(np.median(np.abs(strip - greys))) < 8, f"image {image}"


def test_at_true_size_a_hundred_millimetres_are_a_hundred_millimetres(
    page: Page, server: str, tmp_path: Path
) -> None:
    """The block of image 12 is 36 pixels of 2 mm wide and 20 high."""
    open_at(page, server, 12, "&window=400,1200")
    press(page, "p", CONTROL)
    choose(page, "True size")
    choose(page, "Text at the edges")
    page.wait_until("document.querySelector('.print-ruler')")
    made(page)
    page.screenshot(ARTIFACTS / "export-true-size-desk.png")
    pdf = saved(page, tmp_path, "Save PDF")
    (sheet,) = drawn_pages(pdf)
    block = sheet[29 * 5 : 270 * 5, 60:-60] > 150
    wide, high = block.any(axis=0).sum() / 5, block.any(axis=1).sum() / 5
    assert abs(wide - 72) <= 0.6
    assert abs(high - 40) <= 0.6
    ruler = (sheet[279 * 5 :, 40 : 40 + 5 * 104] < 140).sum(axis=1).max() / 5
    assert abs(ruler - 100) <= 0.6
    # The browser's own print is the same page.
    page.evaluate("globalThis.print = () => {}")
    choose(page, "Print…")
    page.wait_until("[...document.querySelectorAll('.print-sheets img')].every((image) => image.complete)")
    printed = page.command("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
    own = tmp_path / "own" / "print.pdf"
    own.parent.mkdir()
    own.write_bytes(base64.b64decode(printed))
    (other,) = drawn_pages(own)
    height, width = min(sheet.shape[0], other.shape[0]), min(sheet.shape[1], other.shape[1])
    away = np.abs(sheet[:height, :width] - other[:height, :width])[29 * 5 : 265 * 5]
    assert float(np.percentile(away, 98)) <= 6
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelector('.print-sheets')") is None


def test_the_dialog_on_a_phone(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    open_at(page, server, 5)
    press(page, "E", SHIFT)
    made(page)
    page.screenshot(ARTIFACTS / "export-picture-phone.png")
    choose(page, "Print")
    page.wait_until(f"document.querySelector('.print-page') && {MADE}")
    page.screenshot(ARTIFACTS / "export-print-phone.png")
    page.size(*DESK)
