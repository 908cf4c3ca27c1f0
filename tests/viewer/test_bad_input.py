"""What the viewer is given that is damaged, incomplete, hostile or huge: said in words, and the rest works."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from chromium import Page
from image_values import SC
from serving import ROOT, dataset, part10
from viewing import (
    ARTIFACTS,
    NO_LONGER_LOADING,
    SHOWN,
    SLICE,
    ct_image,
    filled,
    held,
    probe,
    send,
    serving,
    settled,
)

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

STUDY = f"{ROOT}.31"
UNPLACED, MIXED, TWICE, DAMAGED, FLOAT, DOUBLE, REPORT, LONG, DOCUMENT = range(1, 10)
COUNT, BROKEN = 240, 118
SCRIPT = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
ENCAPSULATED_CDA = "1.2.840.10008.5.1.4.1.1.104.2"
NOTE = "document.querySelector('.stage-note')?.innerText"


def picture(number: int = 0, rows: int = 16, columns: int = 16) -> np.ndarray[Any, Any]:
    return (np.add.outer(np.arange(rows) * 9, np.arange(columns) * 5) + number).astype(np.uint16)


def image(series: int, number: int, pixels: np.ndarray[Any, Any], **attributes: Any) -> bytes:
    return ct_image(pixels, STUDY, series, number, PatientName=f"{SCRIPT}^{SCRIPT}", **attributes)


def broken(series: int, number: int) -> bytes:
    """An image whose stream is none."""
    ds = _common(series, number, SC)
    ds.Modality = "CT"
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number - 1], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [1, 1]
    ds.PixelData = encapsulate([b"\xff\x4f\xff\x51 no stream"])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return part10(ds, JPEG_2000)


def floats(series: int, keyword: str, dtype: type) -> bytes:
    """A parametric map with values that no integer holds (PS3.3 C.7.6.24)."""
    ds = _common(series, 1, PARAMETRIC_MAP)
    ds.Modality = "MR"
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.NumberOfFrames = 1, "MONOCHROME2", 2
    ds.BitsAllocated = np.dtype(dtype).itemsize * 8
    values = np.stack([picture(0) / 4096, picture(1) / 4096]).astype(dtype)
    setattr(ds, keyword, values.tobytes())
    return part10(ds)


def report(series: int, *texts: str) -> bytes:
    ds = _common(series, 1, COMPREHENSIVE_SR)
    ds.Modality = "SR"
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = [_code(SCRIPT)]
    ds.ContinuityOfContent = "SEPARATE"
    ds.ContentSequence = []
    for text in texts:
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
        item.ConceptNameCodeSequence = [_code("Finding")]
        item.TextValue = text
        ds.ContentSequence.append(item)
    return part10(ds)


def document(series: int) -> bytes:
    ds = _common(series, 1, ENCAPSULATED_CDA)
    ds.Modality = "DOC"
    ds.MIMETypeOfEncapsulatedDocument = "text/xml"
    ds.DocumentTitle = SCRIPT
    ds.EncapsulatedDocument = f"<html xmlns='http://www.w3.org/1999/xhtml'>{SCRIPT}</html>".encode() + b" "
    if len(ds.EncapsulatedDocument) % 2:
        ds.EncapsulatedDocument += b" "
    return part10(ds)


def _common(series: int, number: int, sop_class: str) -> Dataset:
    ds = dataset(number, sop_class=sop_class)
    if "PixelData" in ds:
        del ds.PixelData
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{STUDY}.{series}"
    ds.SOPInstanceUID = f"{STUDY}.{series}.{number}"
    ds.SeriesNumber, ds.InstanceNumber = series, number
    ds.PatientName = f"{SCRIPT}^{SCRIPT}"
    ds.SeriesDescription = SCRIPT
    return ds


def _code(meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99TEST", meaning[:64]
    return code


def objects() -> Iterator[bytes]:
    nowhere = {
        "ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None,
        "FrameOfReferenceUID": None,
    }  # fmt: skip
    for number in range(1, 5):
        yield image(UNPLACED, number, picture(number * 40), **nowhere)
    for number, (rows, columns) in enumerate(((16, 16), (40, 24), (8, 64)), 1):
        yield image(MIXED, number, picture(number * 40, rows, columns))
    for number in range(1, 7):
        yield image(TWICE, number, picture(number * 40), ImagePositionPatient=[0, 0, (number - 1) // 2])
    for number in range(1, COUNT + 1):
        yield broken(DAMAGED, number) if number == BROKEN else image(DAMAGED, number, picture(number))
    yield floats(FLOAT, "FloatPixelData", np.float32)
    yield floats(DOUBLE, "DoubleFloatPixelData", np.float64)
    yield report(REPORT, SCRIPT, "javascript:window.hacked=1")
    yield report(LONG, "beginning " + "long text " * (1 << 20) + "ending")
    yield document(DOCUMENT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def open_series(page: Page, server: str, series: int, query: str = "") -> None:
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}{query}")


def open_stack(page: Page, server: str, series: int, query: str = "") -> None:
    open_series(page, server, series, query)
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def forget_errors(page: Page, pattern: str) -> None:
    """What the browser logs of answers that the test is about."""
    page.errors[:] = [error for error in page.errors if not re.search(pattern, error)]


def test_images_that_lie_nowhere_are_shown_in_their_numbers_order(page: Page, server: str) -> None:
    open_stack(page, server, UNPLACED)
    settled(page)
    page.key("Home")
    page.wait_until(f"{SLICE} === '1 / 4'")
    # Without a size nothing is said in millimetres.
    assert page.evaluate("document.querySelector('.scale')") is None
    assert page.evaluate("document.querySelector('.edge')") is None
    page.screenshot(ARTIFACTS / "bad-unplaced.png")


def test_sizes_that_differ_within_a_series_are_each_shown_whole(page: Page, server: str) -> None:
    """Each size is a stack of its own in the rail."""
    open_series(page, server, MIXED)
    page.wait_until(SLICE)
    ours = "[...document.querySelectorAll('.rail-item')].filter((one) => /CT 2\\b/.test(one.innerText))"
    assert page.wait_until(f"{ours}.length") == 3
    seen = set()
    for index in range(3):
        page.evaluate(f"{ours}[{index}].click()")
        page.wait_until(f"{ours}[{index}].ariaCurrent === 'true'")
        page.wait_until(SLICE)
        seen.add(tuple(settled(page)))
    assert len(seen) == 3
    page.screenshot(ARTIFACTS / "bad-mixed.png")


def test_a_place_taken_twice_is_no_volume(page: Page, server: str) -> None:
    open_stack(page, server, TWICE)
    settled(page)
    page.key("7")
    page.wait_until("document.body.innerText.includes('cannot be cut into other planes')")
    page.screenshot(ARTIFACTS / "bad-twice.png")
    assert page.evaluate(SHOWN) == ["4 / 6"]


def test_one_damaged_image_costs_only_itself(page: Page, server: str) -> None:
    open_stack(page, server, DAMAGED, f"&frame={BROKEN - 1}")
    before = settled(page)
    page.key("ArrowDown")
    said = page.wait_until(NOTE)
    assert f"Image {BROKEN} cannot be shown." in said
    # The picture that is still there stands under its own number.
    assert page.evaluate(SLICE) == f"{BROKEN - 1} / {COUNT}"
    assert settled(page) == before
    page.screenshot(ARTIFACTS / "bad-damaged.png")
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '{BROKEN + 1} / {COUNT}'")
    page.wait_until("!document.querySelector('.stage-note')")
    for key, number in (("End", COUNT), ("Home", 1)):
        page.key(key)
        page.wait_until(f"{SLICE} === '{number} / {COUNT}'")
    forget_errors(page, r"status of 422")


def test_a_stack_opened_at_a_damaged_image_goes_on_from_there(page: Page, server: str) -> None:
    open_series(page, server, DAMAGED, f"&frame={BROKEN}")
    assert f"Image {BROKEN} cannot be shown." in page.wait_until(NOTE)
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '{BROKEN + 1} / {COUNT}'")
    page.wait_until("!document.querySelector('.stage-note')")
    forget_errors(page, r"status of 422")


@pytest.mark.parametrize("series", [FLOAT, DOUBLE])
def test_values_that_are_no_integers_are_shown(page: Page, server: str, series: int) -> None:
    open_series(page, server, series)
    page.wait_until(f"{SLICE} === '1 / 2'")
    settled(page)
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '2 / 2'")
    page.screenshot(ARTIFACTS / "bad-floats.png")


def test_nothing_that_an_object_says_is_run(page: Page, server: str) -> None:
    for series in (REPORT, DOCUMENT):
        open_series(page, server, series)
        page.wait_until("document.querySelector('.rail-item[aria-current=\"true\"]')")
        page.wait_until("document.body.innerText.includes('onerror')")
        page.screenshot(ARTIFACTS / f"bad-script-{series}.png")
        assert page.evaluate("window.hacked === undefined && !document.querySelector('img[src=x]')")
    page.go(server)
    # A name ends at =, where its next writing begins (PS3.5 6.2.1).
    page.wait_until("document.querySelector('a.study')?.innerText.includes('<img src')")
    assert page.evaluate("window.hacked === undefined && !document.querySelector('img[src=x]')")


def test_ten_megabytes_of_text_are_said_to_be_too_long(page: Page, server: str) -> None:
    open_series(page, server, LONG)
    page.wait_until("document.querySelector('.report')?.innerText.includes('more than can be read here')", 60)
    page.screenshot(ARTIFACTS / "bad-long.png")
    open_stack(page, server, TWICE)
    settled(page)


def test_a_series_that_is_not_there_is_said_and_the_study_opens(page: Page, server: str) -> None:
    open_series(page, server, 77)
    assert "is not in this study" in page.wait_until("document.querySelector('.said')?.innerText")
    page.wait_until(SLICE)
    page.wait_until("document.querySelector('.rail-item[aria-current=\"true\"]')")


def test_a_server_that_goes_away_and_comes_back(page: Page, server: str) -> None:
    page.command("Network.setCacheDisabled", cacheDisabled=True)
    link = {"latency": 0, "downloadThroughput": 40_000, "uploadThroughput": 40_000}
    open_series(page, server, DAMAGED, "&frame=1")
    page.command("Network.emulateNetworkConditions", offline=False, **link)
    # The program comes over the same link.
    page.wait_until(f"{SLICE} === '1 / {COUNT}'", 120)
    page.command("Network.emulateNetworkConditions", offline=True, **link)
    page.key("End")
    said = page.wait_until(NOTE)
    assert f"Image {COUNT} cannot be shown." in said
    assert "The server cannot be reached" in said
    page.screenshot(ARTIFACTS / "bad-away.png")
    free = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", offline=False, **free)
    page.click(".stage-note .button")
    page.wait_until(f"{SLICE} === '{COUNT} / {COUNT}'")
    page.wait_until("!document.querySelector('.stage-note')")
    page.command("Network.setCacheDisabled", cacheDisabled=False)
    forget_errors(page, r"ERR_INTERNET_DISCONNECTED|status of 422")


KILLED = f"{ROOT}.33"


def test_a_server_that_is_killed_in_the_middle_of_a_stack_and_started_again(
    page: Page, server: str, tmp_path: Path
) -> None:
    """What has come stays in sight; what has not is said to be missing, and comes once the server is back."""
    with ExitStack() as first:
        ready = first.enter_context(serving(tmp_path))
        address = f"http://{ready['http']}"
        for series, count in ((1, 1), (2, 120)):
            for number in range(1, count + 1):
                send(address, ct_image(picture(number, 64, 64), KILLED, series, number))
        page.go(f"{address}/view/{KILLED}?series={KILLED}.1")
        page.wait_until(SLICE)
        page.wait_until("document.querySelectorAll('.rail-item')[1]?.innerText.includes('120 images')")
        link = {"offline": False, "latency": 0, "uploadThroughput": -1}
        page.command("Network.emulateNetworkConditions", downloadThroughput=10_000, **link)
        page.click(".rail-item:nth-child(2)")
        page.wait_until(f"{SLICE} === '61 / 120'")
        before = settled(page)
        os.kill(int(ready["pid"]), signal.SIGKILL)
    page.command("Network.emulateNetworkConditions", downloadThroughput=-1, **link)
    page.key("End")
    said = page.wait_until(NOTE)
    assert "Image 120 cannot be shown." in said and "The server cannot be reached" in said
    assert page.evaluate(SLICE) == "61 / 120"
    assert settled(page) == before
    page.screenshot(ARTIFACTS / "bad-killed.png")
    with serving(tmp_path, http=ready["http"]):
        page.click(".stage-note .button")
        page.wait_until(f"{SLICE} === '120 / 120' && !document.querySelector('.stage-note')")
        for number in (119, 118):
            page.key("ArrowUp")
            page.wait_until(f"{SLICE} === '{number} / 120'")
        page.key("Home")
        page.wait_until(f"{SLICE} === '1 / 120'")
        page.go(server)
    forget_errors(page, r"ERR_(CONNECTION_|INCOMPLETE|EMPTY_RESPONSE|NETWORK)|fetching the script")


@pytest.mark.parametrize("rows", [16, 0], ids=["no pixels", "no size"])
def test_an_image_that_holds_nothing_is_said(page: Page, server: str, rows: int) -> None:
    """Its header alone came, and the series has no other."""
    ds = _common(11 if rows else 12, 1, "1.2.840.10008.5.1.4.1.1.2")
    ds.Modality, ds.StudyInstanceUID = "CT", f"{STUDY}.{rows}"
    ds.Rows = ds.Columns = rows
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 0, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    send(server, part10(ds))
    page.go(f"{server}/view/{ds.StudyInstanceUID}")
    said = page.wait_until(f"{NOTE} || document.querySelector('.sheet')?.innerText")
    assert ("no pixels for it" if rows else "There is no picture in this object") in said
    page.screenshot(ARTIFACTS / f"bad-nothing-{rows}.png")
    forget_errors(page, r"status of (404|406|422)")


HUGE_STUDY, HUGE, HUGE_SIDE = f"{ROOT}.32", 20_000, 64
BATCH = 2_000
HUGE_BUDGET = 16
"""MiB, of which stacks take 0.7: room for 1,433 images of 8 KiB."""
FIRST_NUMBER = 1_000_001


def huge() -> Iterator[bytes]:
    """So many images of one series as one object with its numbers exchanged: making each would take minutes.

    The first pixels of each hold its number, too.
    """
    digits = str(FIRST_NUMBER).encode()
    pixels = picture(0, HUGE_SIDE, HUGE_SIDE)
    pixels[0, :4] = np.frombuffer(digits + b"\0", "<u2")
    made = ct_image(
        pixels, HUGE_STUDY, 1, FIRST_NUMBER, ImagePositionPatient=[0, 0, str(FIRST_NUMBER)],
        PatientName="Huge^Series", PixelRepresentation=0,
    )  # fmt: skip
    for number in range(FIRST_NUMBER, FIRST_NUMBER + HUGE):
        yield made.replace(digits, str(number).encode())


def assert_huge(page: Page, number: int) -> None:
    """Image `number`, from 1, is seen, and its values are those of that image."""
    page.wait_until(f"{SLICE} === '{number} / {HUGE}'", 60)
    words = np.frombuffer(str(FIRST_NUMBER + number - 1).encode() + b"\0", "<u2")
    for column in (0, 1, 2, 3):
        probe(page, column, 0, HUGE_SIDE, HUGE_SIDE)
        page.wait_until(
            f"document.querySelector('.probe').innerText === '{column}, 0: {words[column]} HU'", 60
        )


def stow(address: str, objects: list[bytes]) -> None:
    parts = b"".join(b"--part\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in objects)
    kind = 'multipart/related; type="application/dicom"; boundary=part'
    request = Request(
        f"{address}/dicom-web/studies",
        parts + b"--part--\r\n",
        {"Content-Type": kind, "Accept": "application/dicom+json"},
    )
    with urlopen(request, timeout=120) as answer:
        assert answer.status == 200


def slid(page: Page, *shares: float) -> None:
    """The slider beside the image is dragged along its length: 0 is its upper end."""
    x, top, height = page.evaluate(
        "(() => { const b = document.querySelector('.scrubber').getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y, b.height]; })()"
    )
    mouse = {"x": x, "button": "left", "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", y=top + 1, buttons=1, **mouse)
    for share in shares:
        page.command(
            "Input.dispatchMouseEvent", type="mouseMoved", y=top + height * share, buttons=1, **mouse
        )
    page.command("Input.dispatchMouseEvent", type="mouseReleased", y=top + height * shares[-1], **mouse)


def test_a_series_of_twenty_thousand_images(page: Page, tmp_path: Path) -> None:
    """It opens, is walked through, and only so much of it is on the page as is seen, and in memory as has room."""
    with filled(tmp_path, ()) as address:
        objects = list(huge())
        for start in range(0, HUGE, BATCH):
            stow(address, objects[start : start + BATCH])
        page.go(address)
        page.evaluate(f"localStorage.setItem('gantry.memory-mib', '{HUGE_BUDGET}')")
        page.wait_until("document.querySelector('a.study')?.innerText.includes('20,000')", 60)
        before = held(page)
        page.go(f"{address}/view/{HUGE_STUDY}")
        assert_huge(page, HUGE // 2 + 1)
        settled(page)
        room = "document.querySelector('.corner .room')?.innerText"
        assert page.wait_until(room) == "This device keeps 1433 of 20000 images at a time"
        page.screenshot(ARTIFACTS / "bad-huge.png")
        for key, number in (("End", HUGE), ("ArrowUp", HUGE - 1), ("Home", 1), ("ArrowDown", 2)):
            page.key(key)
            assert_huge(page, number)
        assert page.evaluate("document.querySelectorAll('*').length") < 2_000
        taken = [held(page)]
        for step in range(1, 9):
            for _ in range(20):
                page.key("PageDown")
            page.wait_until(f"{SLICE} === '{2 + step * 200} / {HUGE}'", 60)
            if step % 2 == 0:
                taken.append(held(page))
        slid(page, *(step / 100 for step in range(40, 111)))
        assert_huge(page, HUGE)
        page.wait_until(NO_LONGER_LOADING, 60)
        taken.append(held(page))
        assert max(taken) - before < HUGE_BUDGET + 8, f"{taken}, {before} before"
        # All of it as a volume, as far as that has room.
        page.key("7")
        page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4", 120)
        page.wait_until(NO_LONGER_LOADING, 120)
        reduced = page.evaluate("document.querySelector('.corner .reduced').innerText")
        assert re.fullmatch(r"Reduced for this device: .*1 of \d+ images", reduced), reduced
        assert held(page) - before < 2 * HUGE_BUDGET, "the volume, and what the page draws it with"
        page.screenshot(ARTIFACTS / "bad-huge-planes.png")
