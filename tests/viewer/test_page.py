"""The page, as a person uses it: Chromium on the real server, over an archive that the test itself fills."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite

from chromium import PHONE, Page
from gantry.toolkit.example import example_study
from viewing import (
    ARTIFACTS,
    NO_LONGER_LOADING,
    SLICE,
    STUDY_SHOWN,
    WINDOW,
    changed,
    open_series,
    open_study,
    send,
    serving,
    settled,
    viewer_files,
)

LIST_BUDGET_BYTES = 60_000
"""Code of the study list, compressed: half a second on a poor mobile network."""

pytestmark = pytest.mark.timeout(240)


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
    # A clip plays by itself; it is stopped, and played again.
    for start in (False, True):
        if start:
            page.click("[aria-label='Play']")
        page.wait_until("document.querySelector('.cine')")
        at_start = page.evaluate(SLICE)
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
        ".filter((height) => height > 0)"
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
    page.click(".open-button")
    page.wait_until("document.querySelector(\"input[aria-label='Files to upload']\")")
    page.choose_files("input[aria-label='Files to upload']", [good, bad])
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


def tab_with_pdf(page: Page, within_s: int = 20) -> str:
    """Waits for a tab of a document, sees that it holds a PDF, and gives what names it to the browser."""
    for _ in range(within_s * 10):
        tabs = page.command("Target.getTargets")["targetInfos"]
        found = [tab for tab in tabs if tab["type"] == "page" and tab["url"].startswith("blob:")]
        if found:
            (tab,) = found
            head = page.evaluate(
                f"fetch({json.dumps(tab['url'])}).then((got) => got.text()).then((t) => t.slice(0, 5))"
            )
            assert head == "%PDF-"
            return str(tab["targetId"])
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 100))")
    raise AssertionError(f"no tab holds a document: {[tab['url'] for tab in tabs]}")


@pytest.mark.peer
@pytest.mark.parametrize("latency_ms", [0, 6500], ids=["fast", "slow"])
def test_a_document_opens_in_a_tab(page: Page, latency_ms: int) -> None:
    """Also where it takes longer than the few seconds in which a press may open one."""
    open_study(page)
    open_series(page, "DOC")
    page.wait_until("document.querySelector('.sheet .button')")
    link = {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", latency=latency_ms, **link)
    page.click(".sheet .button")
    tab = tab_with_pdf(page)
    page.command("Network.emulateNetworkConditions", latency=0, **link)
    page.command("Target.closeTarget", targetId=tab)
    page.command("Page.bringToFront")
    assert page.evaluate("document.querySelector('.sheet [role=status]')") is None


@pytest.mark.peer
def test_a_document_is_offered_where_no_tab_may_be_opened(page: Page) -> None:
    open_study(page)
    open_series(page, "DOC")
    page.wait_until("document.querySelector('.sheet .button')")
    page.go(page.evaluate("location.href"))  # nothing was pressed on this page then
    open_series(page, "DOC")
    page.wait_until("document.querySelector('.sheet .button')")
    page.evaluate("document.querySelector('.sheet .button').click()")
    assert "let no tab be opened" in page.wait_until(
        "document.querySelector('.sheet [role=status]')?.innerText"
    )
    page.click(".sheet [role=status] a")
    page.command("Target.closeTarget", targetId=tab_with_pdf(page))
    page.command("Page.bringToFront")


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


@pytest.mark.peer
def test_a_person_chooses_what_the_mouse_does(page: Page, server: str) -> None:
    open_study(page)
    page.key("?")
    page.wait_until("document.querySelector('dialog[open]')")

    def choose(button: str, words: str) -> None:
        group = f"[...document.querySelectorAll('[aria-label=\"{button}\"] [role=radio]')]"
        page.evaluate(f"{group}.find((one) => one.innerText === '{words}').click()")

    choose("Right button", "Brightness and contrast")
    choose("Wheel", "Zoom")
    page.screenshot(ARTIFACTS / "keys.png")
    page.go(server)  # It is kept.
    open_study(page)
    window, shown = page.evaluate(WINDOW), page.evaluate(SLICE)
    x, y = page.middle_of(".viewport")
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 40), ("mouseReleased", 40)):
        page.command(
            "Input.dispatchMouseEvent", type=kind, x=x + dx, y=y, button="right", buttons=2, clickCount=1
        )
    page.wait_until(f"{WINDOW} !== {json.dumps(window)}")
    before = settled(page)
    page.wheel(".viewport", -240)
    changed(page, before)
    assert page.evaluate(SLICE) == shown
