"""The page, as a person uses it: Chromium on the real server, over an archive that the test itself fills."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from pydicom import dcmread, dcmwrite

import gantry
from chromium import DESK, PHONE, Page, chromium_path, open_page
from gantry.toolkit.example import example_study

VIEWER = Path(gantry.__file__).parent / "server" / "_viewer"
SOURCE = Path(gantry.__file__).parents[1]
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"
LIST_BUDGET_BYTES = 60_000
"""Code of the study list, compressed: half a second on a poor mobile network."""

pytestmark = pytest.mark.timeout(240)


def viewer_files() -> Path:
    """Where the built viewer lies; skips where the package was installed without it."""
    if not (VIEWER / "index.html").is_file():
        pytest.skip("the viewer is not built (pip install . or hatch_build.py makes it)")
    return VIEWER


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of its own, with the example study in it."""
    with serving(tmp_path_factory.mktemp("archive")) as ready:
        address = f"http://{ready['http']}"
        for _, part10 in example_study(size=128, slices=12):
            send(address, part10)
        yield address


@contextmanager
def serving(data: Path, *options: str) -> Iterator[dict[str, str]]:
    """What a server of its own says when it is ready."""
    viewer_files()
    chromium_path()
    command = [sys.executable, "-m", "gantry", "serve", "--data", str(data), "--json", *options]
    ports = ["--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, "gantry serve ended before it was ready; what it said stands above"
        yield json.loads(ready)
    finally:
        process.terminate()
        process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()


def send(address: str, part10: bytes) -> None:
    request = Request(f"{address}/api/upload", part10, {"Content-Type": "application/dicom"})
    with urlopen(request, timeout=30) as answer:
        assert json.load(answer)["stored"] == 1


@pytest.fixture(scope="module")
def tab(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests: starting it is what takes longest."""
    with open_page(tmp_path_factory.mktemp("profile")) as opened:
        opened.go(server)
        yield opened


@pytest.fixture
def page(tab: Page, server: str) -> Iterator[Page]:
    """A desk-sized page at the list, as on the first visit. What it logs as an error fails the test."""
    tab.command("Page.bringToFront")
    tab.size(*DESK)
    tab.evaluate("localStorage.clear()")
    tab.go(server)
    tab.errors.clear()
    yield tab
    assert tab.errors == []


STUDY_SHOWN = "document.querySelector('a.study strong')?.innerText"
SLICE = "document.querySelector('.corner.bottom-left .strong')?.innerText"
WINDOW = "document.querySelector('.corner.bottom-right .strong')?.innerText"
NO_LONGER_LOADING = "!document.querySelector('.loading')"


# Draws the picture in small, so that what two looks differ in is seen whole and cheaply.
LOOK = """new Promise((resolve) => {
    const small = new OffscreenCanvas(96, 64);
    const context = small.getContext('2d', { willReadFrequently: true });
    const look = () => {
        const canvas = document.querySelector('.viewport canvas');
        context.drawImage(canvas, 0, 0, 96, 64);
        return [...context.getImageData(0, 0, 96, 64).data].filter((_, at) => at % 4 === 0);
    };
    let before = [], left = 200;
    const again = () => {
        const now = look();
        const same = now.every((grey, at) => grey === before[at]);
        if ((same && new Set(now).size > 8) || (left -= 1) === 0) return resolve(now);
        before = now;
        setTimeout(() => requestAnimationFrame(again), 30);
    };
    again();
})"""


def settled(page: Page) -> list[int]:
    """Greys of the image once two looks in a row agree and it shows something."""
    seen = list(page.evaluate(LOOK))
    assert len(set(seen)) > 8, f"the image shows {len(set(seen))} greys"
    return seen


def changed(page: Page, before: list[int]) -> list[int]:
    """Greys of the image once it is another one than before."""
    for _ in range(50):
        seen = settled(page)
        if seen != before:
            return seen
    raise AssertionError("the image stayed as it was")


def open_study(page: Page) -> None:
    page.wait_until(STUDY_SHOWN)
    page.click("a.study")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def open_series(page: Page, modality: str) -> None:
    """Open the series whose rail item begins with a modality."""
    page.wait_until(
        f"""(() => {{
            const items = [...document.querySelectorAll('.rail-item')];
            const item = items.find((one) => one.innerText.includes({json.dumps(modality)}));
            item?.click();
            return item;
        }})()"""
    )
    page.wait_until(
        f"document.querySelector('.rail-item[aria-current=\"true\"]')?.innerText.includes('{modality}')"
    )


@pytest.mark.peer
def test_list_shows_the_stored_study(page: Page) -> None:
    assert page.wait_until(STUDY_SHOWN)
    assert "1 study" in page.wait_until("document.querySelector('.amount').innerText")
    page.wait_until("document.querySelector('.study .thumbnail img.shown')")
    page.screenshot(ARTIFACTS / "list-desk.png")


@pytest.mark.peer
def test_search_finds_and_says_when_it_does_not(page: Page) -> None:
    name = page.wait_until(STUDY_SHOWN)
    page.key("/")
    page.type(name.split(",")[0].lower()[:4])
    page.wait_until("!document.querySelector('.amount.waiting')")
    assert page.wait_until(STUDY_SHOWN) == name
    page.type("zzz no such patient")
    assert "No study fits" in page.wait_until("document.querySelector('.empty')?.innerText")
    page.click(".empty .button")
    assert page.wait_until(STUDY_SHOWN) == name


@pytest.mark.peer
def test_no_answer_is_said_and_old_rows_do_not_stand_under_a_new_search(page: Page) -> None:
    name = page.wait_until(STUDY_SHOWN)
    page.wait_until("document.querySelector('.study .thumbnail img.shown')")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", offline=True, **offline)
    page.key("/")
    page.type("phantom")
    assert "cannot be reached" in page.wait_until("document.querySelector('.note')?.innerText")
    assert page.evaluate("document.querySelectorAll('a.study').length") == 0
    page.command("Network.emulateNetworkConditions", offline=False, **offline)
    page.click(".note .button")
    assert page.wait_until(STUDY_SHOWN) == name
    assert all("ERR_INTERNET_DISCONNECTED" in error for error in page.errors)
    page.errors.clear()


@pytest.mark.peer
def test_an_empty_archive_says_where_to_send(page: Page, server: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--aet", "WARD7") as ready:
        page.go(f"http://{ready['http']}")
        said = page.wait_until("document.querySelector('.empty .command')?.innerText")
        port = ready["dicom"].rpartition(":")[2]
        assert said == f"storescu -aec WARD7 +sd +r 127.0.0.1 {port} folder/"
        page.screenshot(ARTIFACTS / "empty-archive.png")
        page.go(server)


@pytest.mark.peer
def test_filters_narrow_the_list(page: Page) -> None:
    page.wait_until(STUDY_SHOWN)
    page.click("[aria-label='Modality'] .segment:nth-child(5)")
    page.wait_until("document.querySelector('.empty')")
    page.click("[aria-label='Modality'] .segment:nth-child(5)")
    page.wait_until(STUDY_SHOWN)
    page.click("[aria-label='Modality'] .segment:nth-child(1)")
    page.wait_until("!document.querySelector('.amount.waiting')")
    assert page.wait_until(STUDY_SHOWN)


@pytest.mark.peer
def test_keys_open_a_study_and_come_back(page: Page) -> None:
    page.wait_until(STUDY_SHOWN)
    page.key("ArrowDown")
    page.wait_until("document.activeElement.matches('a.study')")
    page.key("Enter")
    page.wait_until(SLICE)
    assert page.evaluate("location.pathname").startswith("/studies/")
    page.evaluate("history.back()")
    page.wait_until("location.pathname === '/' && !document.querySelector('.viewer')")
    assert page.wait_until(STUDY_SHOWN)


@pytest.mark.peer
def test_image_is_drawn_and_follows_the_hands(page: Page) -> None:
    open_study(page)
    first = settled(page)
    page.screenshot(ARTIFACTS / "image-desk.png")

    shown = page.evaluate(SLICE)
    page.wheel(".viewport", 120)
    page.wait_until(f"{SLICE} !== {json.dumps(shown)}")
    scrolled = changed(page, first)

    window = page.evaluate(WINDOW)
    page.drag(".viewport", 120, 40)
    page.wait_until(f"{WINDOW} !== {json.dumps(window)}")
    windowed = changed(page, scrolled)

    page.key("i")
    inverted = changed(page, windowed)
    page.key("0")
    assert page.wait_until(f"{WINDOW} === {json.dumps(window)}")
    assert changed(page, inverted) == scrolled


@pytest.mark.peer
def test_zoom_pan_rotate_flip_and_reset(page: Page) -> None:
    open_study(page)
    seen = [settled(page)]
    for key in ("+", "r", "h"):
        page.key(key)
        seen.append(changed(page, seen[-1]))
    page.key("p")
    page.drag(".viewport", 90, 60)
    moved = changed(page, seen[-1])
    page.key("0")
    assert changed(page, moved) == seen[0]


@pytest.mark.peer
def test_every_kind_of_object_has_a_face(page: Page) -> None:
    open_study(page)
    for modality in ("MR", "US"):
        open_series(page, modality)
        page.wait_until(f"{SLICE} && {NO_LONGER_LOADING}")
        settled(page)
    page.screenshot(ARTIFACTS / "ultrasound-desk.png")
    for modality, part in (("SR", ".report li .value"), ("DOC", ".sheet .button"), ("ECG", ".sheet p")):
        open_series(page, modality)
        page.wait_until(f"document.querySelector('.sheet') && document.querySelector('{part}')")
        page.screenshot(ARTIFACTS / f"{modality.lower()}-desk.png")


@pytest.mark.peer
def test_a_multi_frame_image_plays(page: Page) -> None:
    open_study(page)
    open_series(page, "US")
    page.wait_until(f"{SLICE} && {NO_LONGER_LOADING}")
    at_start = page.evaluate(SLICE)
    page.click("[aria-label='Play']")
    page.wait_until("document.querySelector('.cine')")
    page.wait_until(f"{SLICE} !== {json.dumps(at_start)}")
    page.click(".cine .button")
    page.wait_until("!document.querySelector('.cine')")


@pytest.mark.peer
def test_phone(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    page.go(server)
    page.wait_until("document.querySelector('.study .thumbnail img.shown')")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.screenshot(ARTIFACTS / "list-phone.png")
    open_study(page)
    first = settled(page)
    page.screenshot(ARTIFACTS / "image-phone.png")

    shown = page.evaluate(SLICE)
    page.touch_drag(".viewport", ((0, 0), (4, 60)))
    page.wait_until(f"{SLICE} !== {json.dumps(shown)}")
    scrolled = changed(page, first)
    page.touch_drag(".viewport", ((-30, 0), (-110, 0)), ((30, 0), (110, 0)))
    changed(page, scrolled)
    assert page.evaluate(SLICE) != shown
    targets = page.evaluate(
        "[...document.querySelectorAll('.tools .tool')].map((tool) => tool.getBoundingClientRect().height)"
    )
    assert min(targets) >= 44


@pytest.mark.peer
def test_light_theme_is_kept(page: Page) -> None:
    page.wait_until(STUDY_SHOWN)
    page.click("[aria-label='Light theme']")
    page.command("Page.reload")
    page.wait_until(f"document.documentElement.dataset.theme === 'light' && {STUDY_SHOWN}")
    page.screenshot(ARTIFACTS / "list-light.png")


@pytest.mark.peer
def test_upload_tells_what_became_of_each_file(page: Page, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.dcm", tmp_path / "letter.txt"
    good.write_bytes(next(part10 for _, part10 in example_study(size=64, slices=2)))
    bad.write_text("not an image\n" * 40)
    page.wait_until(STUDY_SHOWN)
    page.choose_files("input[type=file]", [good, bad])
    page.wait_until("document.querySelector('.uploads')?.innerText.includes('1 file in the archive, 1 not')")
    failed = page.evaluate("document.querySelector('.uploads .failed').innerText")
    assert "letter.txt" in failed
    page.screenshot(ARTIFACTS / "upload-desk.png")
    # The browser itself logs the refusal of the second file; that is the one error there may be.
    assert all("/api/upload" in error for error in page.errors)
    page.errors.clear()


@pytest.mark.peer
def test_an_unknown_study_is_said_in_place(page: Page, server: str) -> None:
    page.go(f"{server}/studies/1.2.3.4")
    assert "not in the archive" in page.wait_until("document.querySelector('.note')?.innerText")
    page.errors.clear()  # the 404, where the server answers so


@pytest.mark.peer
def test_a_document_is_fetched_to_be_opened(page: Page) -> None:
    open_study(page)
    open_series(page, "DOC")
    page.click(".sheet .button")
    page.wait_until(
        "performance.getEntriesByType('resource').some("
        "(entry) => entry.name.includes('00420011') && entry.responseStatus === 200)"
    )
    assert page.evaluate("document.querySelector('.sheet .note')") is None


@pytest.mark.peer
def test_what_arrives_is_told_and_moves_nothing(page: Page, server: str) -> None:
    shown = page.wait_until(STUDY_SHOWN)
    send(server, another_study())
    page.click(".newer")
    page.wait_until("document.querySelectorAll('a.study').length === 2")
    assert shown in page.evaluate("document.querySelector('.studies').innerText")


def another_study() -> bytes:
    """A CT image of somebody else, newer than the example."""
    ds = dcmread(io.BytesIO(next(part10 for _, part10 in example_study(size=64, slices=2))))
    ds.PatientName, ds.PatientID, ds.StudyDate = "Later^Somebody", "LATER-1", "20261101"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "2.25.1", "2.25.2", "2.25.3"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    dcmwrite(buffer, ds)
    return buffer.getvalue()


def test_code_of_the_list_is_small() -> None:
    page = viewer_files() / "index.html"
    scripts = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page.read_text())
    assert scripts
    compressed = [gzip.compress((page.parent / name).read_bytes()) for name in scripts]
    assert sum(map(len, compressed)) < LIST_BUDGET_BYTES


def test_page_needs_no_outside_and_no_inline_script() -> None:
    html = (viewer_files() / "index.html").read_text()
    assert "http://" not in html
    assert "https://" not in html
    assert "<script>" not in html
    assert "style=" not in html
