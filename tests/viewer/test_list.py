"""The study list as a person uses it: thousands of studies, found, scrolled and read by key."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from chromium import DESK, PHONE, Page, open_page
from gantry.archive.archive import Archive
from gantry.archive.outcome import Stored
from viewing import ARTIFACTS, SLICE, STUDY_SHOWN, serving

STUDIES = 3_000
IN_SIGHT = "[...document.querySelectorAll('.studies > li')]"
FOCUSED = "document.activeElement.closest('.studies > li')?.getAttribute('aria-posinset')"
SETTLED = (
    f"!document.querySelector('.amount.waiting') && !{IN_SIGHT}.some((li) => li.querySelector('.ghost'))"
)

pytestmark = [pytest.mark.timeout(240), pytest.mark.peer]

NAMES = ("Smith^Anna", "Smith^Bernhard", "Garcia^Lucia", "Müller^Jörg", "Tanaka^Ichiro", "Okafor^Ngozi")
PARTS = ("Knee", "Chest", "Head", "Abdomen", "Spine")
MODALITIES = ("CT", "MR", "US", "CR")


def study_date(number: int) -> str:
    """Days of eight years, the newest for the lowest number."""
    return f"{2026 - number // 372}{12 - number // 31 % 12:02}{min(28, 31 - number % 31):02}"


def small_study(number: int) -> bytes:
    """A study of one picture, as small as they come."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"2.25.7.{number}.1.1"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"2.25.7.{number}", f"2.25.7.{number}.1"
    ds.StudyDate, ds.StudyTime = study_date(number), "101500"
    ds.Modality = MODALITIES[number % len(MODALITIES)]
    ds.PatientName, ds.PatientID = NAMES[number % len(NAMES)], f"P{number % 600:04}"
    ds.PatientBirthDate, ds.PatientSex = "19650417", "F"
    ds.AccessionNumber = f"ACC{number:05}"
    ds.StudyDescription = f"{PARTS[number % len(PARTS)]} {number}"
    ds.ReferringPhysicianName = "Ward^Paula"
    ds.InstanceNumber = 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = bytes(value * (number % 7 + 1) % 256 for value in range(256))
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with thousands of studies."""
    data = tmp_path_factory.mktemp("thousands")
    with Archive.open(data) as archive:
        for first in range(0, STUDIES, 250):
            arrivals = []
            for number in range(first, first + 250):
                incoming = archive.begin()
                incoming.write(small_study(number))
                arrivals.append(incoming)
            assert all(isinstance(outcome, Stored) for outcome in archive.store_many(arrivals))
        archive.settle()
    with serving(data) as ready:
        yield f"http://{ready['http']}"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_page(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(tab: Page, address: str) -> Iterator[Page]:
    """A desk-sized page at the list, as on the first visit. What it logs as an error fails the test."""
    tab.command("Page.bringToFront")
    tab.size(*DESK)
    tab.go(address)
    tab.evaluate("localStorage.clear()")
    tab.go(address)
    tab.errors.clear()
    tab.wait_until(STUDY_SHOWN)
    yield tab
    assert tab.errors == []


def dates_shown() -> list[str]:
    """Dates of all studies, newest first, as the list writes them."""
    dates = sorted((study_date(number) for number in range(STUDIES)), reverse=True)
    shown = (datetime.strptime(date, "%Y%m%d").strftime("%d %b %Y") for date in dates)
    return [date.replace("Sep ", "Sept ") for date in shown]


def test_only_the_rows_in_sight_exist_and_the_scrollbar_tells_all(page: Page) -> None:
    assert "3,000 studies" in page.evaluate("document.querySelector('.amount').innerText")
    assert page.evaluate("document.querySelector('.list-body').scrollHeight") >= STUDIES * 60
    assert page.evaluate(f"{IN_SIGHT}.length") < 60
    assert page.evaluate(f"{IN_SIGHT}.every((li) => li.ariaSetSize === '{STUDIES}')")
    page.screenshot(ARTIFACTS / "list-thousands.png")


def test_scrolled_anywhere_rows_come_to_their_places_and_nothing_jumps(page: Page) -> None:
    page.evaluate("document.querySelector('.list-body').scrollTop = 90000")
    page.wait_until(f"{IN_SIGHT}.some((li) => li.ariaPosInSet === '1500') && {SETTLED}")
    assert page.evaluate("document.querySelector('.list-body').scrollTop") == 90_000
    places = page.evaluate(
        f"{IN_SIGHT}.filter((li) => li.ariaPosInSet > 1).map((li) => [+li.ariaPosInSet,"
        " li.getBoundingClientRect().top + document.querySelector('.list-body').scrollTop])"
    )
    assert {round(top - 60 * place) for place, top in places} == {round(places[0][1] - 60 * places[0][0])}
    shown = page.evaluate(
        f"{IN_SIGHT}.filter((li) => li.ariaPosInSet > 1)"
        ".map((li) => [+li.ariaPosInSet, li.querySelector('.when > span').innerText])"
    )
    dates = dates_shown()
    assert len(shown) > 15
    assert [date for _, date in shown] == [dates[place - 1] for place, _ in shown]


def test_a_step_of_scrolling_is_little_work(page: Page) -> None:
    """A turn of the wheel makes the rows that come into sight, and leaves those that stay as they are."""
    made, steps = page.evaluate(
        """new Promise((resolve) => {
            const body = document.querySelector('.list-body');
            let made = 0, steps = 0;
            const watch = new MutationObserver((changes) => {
                for (const { addedNodes } of changes)
                    for (const node of addedNodes) made += node.nodeName === 'LI' ? 1 : 0;
            });
            watch.observe(body, { childList: true, subtree: true });
            const step = () => {
                body.scrollTop += 100;
                steps += 1;
                if (steps < 120) requestAnimationFrame(step);
                else setTimeout(() => resolve([made, steps]), 200);
            };
            requestAnimationFrame(step);
        })"""
    )
    row_px = page.evaluate(f"{IN_SIGHT}[0].getBoundingClientRect().height")
    passed = steps * 100 / row_px
    assert 0 < made < 2 * passed, f"{made} rows were made for {passed:.0f} that passed"


def test_keys_go_through_the_list_and_the_focus_stays(page: Page) -> None:
    page.key("ArrowDown")
    assert page.wait_until(FOCUSED) == "1"
    page.key("End")
    page.wait_until(f"{FOCUSED} === '{STUDIES}' && {SETTLED}")
    assert page.evaluate("document.activeElement.querySelector('strong').innerText")
    page.key("PageUp")
    page.key("ArrowUp")
    place = int(page.evaluate(FOCUSED))
    assert STUDIES - 20 < place < STUDIES - 5
    page.evaluate("document.querySelector('.list-body').scrollTop = 0")
    page.wait_until(f"{IN_SIGHT}.some((li) => li.ariaPosInSet === '1')")
    assert page.evaluate(FOCUSED) == str(place)
    page.key("ArrowUp")
    assert page.evaluate(FOCUSED) == str(place - 1)
    page.key("Home")
    assert page.evaluate(FOCUSED) == "1"
    page.key("ArrowUp")
    assert page.evaluate("document.activeElement.matches('.search input')")


def test_typing_anywhere_in_the_list_searches(page: Page) -> None:
    page.key("ArrowDown")
    page.wait_until(FOCUSED)
    for letter in "garcia":
        page.key(letter)
    page.wait_until("document.querySelector('.amount').innerText === '500 studies'")
    assert page.evaluate("document.querySelector('.search input').value") == "garcia"
    assert page.wait_until(STUDY_SHOWN) == "Garcia, Lucia"
    page.key("Enter")
    page.key("End")
    page.wait_until(f"{FOCUSED} === '500' && {SETTLED}")


def test_a_study_opens_and_the_list_is_where_it_was(page: Page) -> None:
    page.evaluate("document.querySelector('.list-body').scrollTop = 60000")
    page.wait_until(f"{IN_SIGHT}.some((li) => li.ariaPosInSet === '1005') && {SETTLED}")
    page.click(".studies > li[aria-posinset='1005'] a")
    page.wait_until("location.pathname.startsWith('/studies/')")
    page.evaluate("history.back()")
    page.wait_until("location.pathname === '/' && !document.querySelector('.viewer')")
    assert page.evaluate("document.querySelector('.list-body').scrollTop") == 60_000
    page.key("ArrowDown")
    assert int(page.evaluate(FOCUSED)) in (1005, 1006)


def test_cards_of_a_phone(page: Page, address: str) -> None:
    page.size(*PHONE, touch=True)
    page.go(address)
    page.wait_until(STUDY_SHOWN)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.evaluate("document.querySelector('.list-body').scrollTop = 150000")
    page.wait_until(f"{IN_SIGHT}.some((li) => li.ariaPosInSet === '1340') && {SETTLED}")
    overlapping = page.evaluate(
        """[...document.querySelectorAll('.studies > li')].filter((li) => li.ariaPosInSet > 1).some((li) => {
            const box = li.firstChild.getBoundingClientRect(), next = li.nextElementSibling?.getBoundingClientRect();
            return (next && next.top < box.bottom) || li.firstChild.scrollHeight > box.height + 1;
        })"""
    )
    assert not overlapping
    page.screenshot(ARTIFACTS / "list-thousands-phone.png")


@pytest.mark.parametrize(
    ("typed", "fits"),
    [
        ("ct 2026-03", lambda n: n % 4 == 0 and study_date(n).startswith("202603")),
        ("ct März 2026", lambda n: n % 4 == 0 and study_date(n).startswith("202603")),
        ("12 March 2026", lambda n: study_date(n) == "20260312"),
        ("smith knee", lambda n: n % 6 in (0, 1) and n % 5 == 0),
        ("12.03.2026", lambda n: study_date(n) == "20260312"),
        ("acc00123", lambda n: n == 123),
        ("p0042", lambda n: n % 600 == 42),
        ("jörg muller mr", lambda n: n % 6 == 3 and n % 4 == 1),
    ],
)
def test_search_understands_what_people_type(page: Page, typed: str, fits: Callable[[int], bool]) -> None:
    expected = sum(fits(number) for number in range(STUDIES))
    assert expected
    page.key("/")
    page.type(typed)
    words = "1 study" if expected == 1 else f"{expected} studies"
    assert page.wait_until(f"{SETTLED} && document.querySelector('.amount').innerText === '{words}'")


HEADS = "[...document.querySelectorAll('.column-heads > span')].slice(1).map((head) => head.innerText)"


def press_in(page: Page, menu: str, words: str) -> None:
    """Click what a menu offers under these words or this label."""
    assert page.wait_until(
        f"""[...document.querySelectorAll('{menu} :is(label, button)')]
            .find((one) => (one.ariaLabel ?? one.innerText).includes({json.dumps(words)}))?.click() === undefined"""
    )


def test_columns_are_chosen_ordered_and_kept(page: Page) -> None:
    usual = ["Name", "Description", "Modality", "Date", "Objects"]
    assert page.evaluate(HEADS) == usual
    page.click(".columns-button")
    page.wait_until("document.querySelector('.columns-menu')")
    for name in ("Referring physician", "ID", "Birth date"):
        press_in(page, ".columns-menu", name)
    for name in ("Description", "Modality"):
        press_in(page, ".columns-menu li", name)
    press_in(page, ".columns-menu", "Move up: ID")
    page.wait_until("document.activeElement.closest('.columns-menu')")
    page.screenshot(ARTIFACTS / "list-columns-menu.png")
    expected = ["Name", "Date", "Objects", "ID", "Referring physician", "Birth date"]
    assert page.wait_until(HEADS) == expected
    page.key("Escape")
    page.command("Page.reload")
    page.wait_until(STUDY_SHOWN)
    assert page.evaluate(HEADS) == expected
    row = page.evaluate("document.querySelector('a.study').innerText")
    assert "Ward, Paula" in row and "17 Apr 1965" in row and row.count("P0") == 1
    assert page.evaluate("document.querySelector('.list-body').scrollWidth <= innerWidth")
    page.screenshot(ARTIFACTS / "list-columns.png")
    page.click(".columns-button")
    press_in(page, ".columns-menu", "Usual columns")
    assert page.wait_until(HEADS) == usual


def test_more_columns_than_fit_scroll_sideways_within_the_list(page: Page) -> None:
    page.size(800, 700)
    page.click(".columns-button")
    page.wait_until("document.querySelector('.columns-menu')")
    for name in ("ID", "Birth date", "Sex", "Accession number", "Referring physician", "Series"):
        press_in(page, ".columns-menu", name)
    page.key("Escape")
    page.wait_until("document.querySelector('.list-body').scrollWidth > 800")
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    page.screenshot(ARTIFACTS / "list-columns-narrow.png")


def test_a_search_is_saved_found_again_and_removed(page: Page) -> None:
    page.key("/")
    page.type("smith knee")
    page.click("[aria-label='Modality'] .segment:nth-child(1)")
    page.wait_until(f"{SETTLED} && document.querySelector('.amount').innerText === '50 studies'")
    page.click(".saved-button")
    page.wait_until("document.querySelector('.save-search input')")
    page.click(".save-search input")
    page.type("Knees on Monday")
    page.screenshot(ARTIFACTS / "list-save-search.png")
    page.key("Enter")
    page.wait_until("!document.querySelector('.searches-menu')")

    page.command("Page.reload")
    page.wait_until("document.querySelector('.amount')?.innerText === '3,000 studies'")
    page.click(".saved-button")
    press_in(page, ".searches-menu", "Knees on Monday")
    page.wait_until(f"{SETTLED} && document.querySelector('.amount').innerText === '50 studies'")
    assert page.evaluate("document.querySelector('.search input').value") == "smith knee"

    page.click(".saved-button")
    page.wait_until("document.querySelector('.saved-search')")
    page.screenshot(ARTIFACTS / "list-searches.png")
    press_in(page, ".searches-menu", "Remove: Knees on Monday")
    page.wait_until("!document.querySelector('.saved-search')")
    press_in(page, ".searches-menu", "Put back “Knees on Monday”")
    page.wait_until("document.querySelector('.saved-search')")
    press_in(page, ".searches-menu", "Remove: Knees on Monday")
    page.key("Escape")
    page.command("Page.reload")
    page.wait_until(STUDY_SHOWN)
    page.click(".saved-button")
    page.wait_until("document.querySelector('.searches-menu')")
    assert page.evaluate("document.querySelector('.saved-search')") is None


def test_menus_in_the_light(page: Page) -> None:
    page.click("[aria-label='Light theme']")
    page.key("/")
    page.type("smith")
    page.click(".saved-button")
    page.wait_until(f"document.querySelector('.save-search') && {SETTLED}")
    page.screenshot(ARTIFACTS / "list-searches-light.png")
    panel, text = page.evaluate(
        """(() => {
            const menu = getComputedStyle(document.querySelector('.searches-menu'));
            return [menu.backgroundColor, menu.color];
        })()"""
    )
    assert (panel, text) == ("rgb(255, 255, 255)", "rgb(23, 23, 26)")
    page.evaluate("localStorage.removeItem('gantry.theme')")


def test_other_studies_of_the_patient_open_from_the_viewer(page: Page, address: str) -> None:
    """P0042 has five studies of five kinds; the middle one is opened, and from it the newest."""
    page.go(f"{address}/studies/2.25.7.1242")
    page.wait_until("document.querySelector('.priors-count')?.innerText === '4'")
    page.wait_until(SLICE)
    page.screenshot(ARTIFACTS / "priors-closed.png")
    page.click(".priors-button")
    page.wait_until("document.querySelector('.prior')")
    links = "[...document.querySelectorAll('.prior')].map((link) => link.getAttribute('href'))"
    assert page.evaluate(links) == [f"/studies/2.25.7.{number}" for number in (42, 642, 1842, 2442)]
    assert "Head 42" in page.evaluate("document.querySelector('.prior').innerText")
    page.screenshot(ARTIFACTS / "priors.png")
    page.wait_until("document.activeElement.matches('li:nth-child(1) > .prior')")
    page.key("ArrowDown")
    page.wait_until("document.activeElement.matches('li:nth-child(2) > .prior')")
    page.key("ArrowUp")
    page.key("Enter")
    page.wait_until("location.pathname === '/studies/2.25.7.42' && !document.querySelector('.prior')")
    assert "Head 42" in page.wait_until("document.querySelector('.viewer-title p')?.innerText")
    page.size(*PHONE, touch=True)
    page.go(f"{address}/studies/2.25.7.42")
    page.wait_until(SLICE)
    page.click(".priors-button")
    page.wait_until("document.querySelector('.prior')")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.screenshot(ARTIFACTS / "priors-phone.png")
