"""The history of a study on its page: who, when, why, before and after; undone by hand and by key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx
import numpy as np
import pytest

from axe import found
from chromium import DESK, PHONE, Page, PageError
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.6"
EDITS = "[...document.querySelectorAll('.history .edit')]"
SHOWN = (
    f"{EDITS}.map((one) => one.querySelector('h3').innerText + ' | ' + one.querySelector('.aside').innerText)"
)
ROWS = f"{EDITS}.map((one) => [...one.querySelectorAll('tbody tr')].map((row) => row.innerText.replace(/\\s+/g, ' ')))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A study of three images that was edited twice."""
    pixels = np.random.default_rng(6).integers(0, 900, (64, 64)).astype(np.int16)
    images = [
        ct_image(pixels + n, STUDY, 1, n, PatientName="Doe^Jane", PatientID="P1", StudyDescription="Head")
        for n in (1, 2, 3)
    ]
    with filled(tmp_path_factory.mktemp("history"), images) as address:
        for why, who, changes in (
            ("the order was for the chest", "Ada", {"StudyDescription": "Thorax", "PatientSex": "F"}),
            ("misspelt at the scanner", "", {"PatientName": "Doe^Johanna"}),
        ):
            asked = {"kind": "modify", "target": {"study": STUDY}, "why": why, "who": who, "changes": changes}
            assert httpx.post(f"{address}/api/edits", json=asked).status_code == 201
        yield address


def opened(page: Page, server: str) -> None:
    page.go(f"{server}/studies/{STUDY}")
    page.wait_until("document.querySelector('.viewport canvas')")
    page.wait_until(NO_LONGER_LOADING)


def history(page: Page) -> None:
    page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'H', shiftKey: true, bubbles: true }))"
    )
    page.wait_until(f"{EDITS}.length > 0")


def test_the_history_tells_who_when_why_and_what(page: Page, server: str) -> None:
    opened(page, server)
    history(page)
    assert [row.split(" | ")[0].split()[1:] for row in page.evaluate(SHOWN)] == [
        ["Attributes", "changed"]
    ] * 2
    assert "local · 3 objects" in page.evaluate(SHOWN)[0]
    assert "Ada · 3 objects" in page.evaluate(SHOWN)[1]
    assert page.evaluate(ROWS) == [
        ["Patient's Name 0010,0010 Doe^Jane Doe^Johanna"],
        ["Study Description 0008,1030 Head Thorax", "Patient's Sex 0010,0040 (empty) F"],
    ]
    assert "misspelt at the scanner" in page.evaluate(f"{EDITS}[0].innerText")
    assert found(page) == []
    page.screenshot(ARTIFACTS / "history-desk.png")
    page.size(*PHONE, touch=True)
    page.wait_until("innerWidth === 390")
    page.screenshot(ARTIFACTS / "history-phone.png")
    assert page.evaluate("document.querySelector('.history-body').scrollWidth") <= 390
    page.size(*DESK)


def test_an_edit_is_undone_after_its_reason_and_the_page_shows_what_is_now(page: Page, server: str) -> None:
    opened(page, server)
    assert page.evaluate("document.querySelector('.viewer-title h1').innerText") == "Doe, Johanna"
    history(page)
    # The earlier one cannot be undone before the later one: that is said, and nothing happens.
    page.evaluate(f"{EDITS}[1].querySelector('header .button').click()")
    page.wait_until("document.activeElement.matches('.edit-undo input')")
    page.type("no reason")
    page.evaluate("document.querySelector('.edit-undo').requestSubmit()")
    page.wait_until("document.querySelector('.edit-undo .error, .edit-undo [role=alert]')")
    assert "undo that first" in page.evaluate("document.querySelector('.edit-undo').innerText")
    page.errors.clear()  # the browser logs the answer 409
    page.evaluate(f"{EDITS}[0].querySelector('header .button').click()")
    page.wait_until("document.activeElement.matches('.edit-undo input')")
    assert page.evaluate("document.querySelector('.edit-undo [type=submit]').disabled")
    page.type("she was right")
    page.screenshot(ARTIFACTS / "history-undo.png")
    page.key("Enter")
    page.wait_until(f"{EDITS}.length === 3")
    first, second, _ = page.evaluate(SHOWN)
    assert "→ 2" in first
    assert "Undone ← 3" in second
    assert page.evaluate("document.querySelector('.history [role=status]').innerText") == "2 · Undone"
    assert page.evaluate(f"{EDITS}[1].querySelector('header .button')") is None
    page.evaluate("window.isOfBefore = true")
    page.click(".history-head .tool")
    with suppress(PageError):  # the page is left meanwhile, and another one comes
        page.wait_until("window.isOfBefore === undefined")
    page.wait_until("document.querySelector('.viewer-title h1')?.innerText === 'Doe, Jane'")
    rows = httpx.get(f"{server}/api/edits").json()["edits"]
    assert [(row["kind"], row["why"]) for row in rows[:1]] == [("revert", "she was right")]


def test_earlier_edits_come_by_key_and_are_told(page: Page, server: str) -> None:
    from viewing import send

    study = f"{ROOT}.8"
    send(server, ct_image(np.zeros((16, 16), np.int16), study, 1, 1, PatientName="Poe^E"))
    for n in range(65):
        asked = {"kind": "modify", "target": {"study": study}, "why": f"why {n}"}
        changed = {"changes": {"StudyDescription": f"text {n}"}}
        assert httpx.post(f"{server}/api/edits", json=asked | changed).status_code == 201
    page.go(f"{server}/studies/{study}")
    page.wait_until("document.querySelector('.viewport canvas')")
    history(page)
    said = "document.querySelector('.history [role=status]').innerText"
    for shown in (60, 65):
        assert page.evaluate("document.querySelector('.history-more').innerText") == "Earlier edits"
        page.evaluate("document.querySelector('.history-more').focus()")
        page.key("Enter")
        page.wait_until(f"{EDITS}.length === {shown}")
        page.wait_until(f"{said} === '{shown} edits shown'")
        first = page.evaluate("document.activeElement.querySelector('.edit-why').innerText")
        assert first == f"why {65 - (30 if shown == 60 else 60) - 1}"
        if shown == 60:
            assert found(page) == []
    assert page.evaluate("document.querySelector('.history-more')") is None
    whys = page.evaluate(f"{EDITS}.map((one) => one.querySelector('.edit-why').innerText)")
    assert whys == [f"why {n}" for n in reversed(range(65))]
    page.screenshot(ARTIFACTS / "history-earlier.png")
    # What is undone leaves all that was shown where it is
    page.evaluate(f"{EDITS}[0].querySelector('header .button').click()")
    page.wait_until("document.activeElement.matches('.edit-undo input')")
    page.type("no")
    page.key("Enter")
    page.wait_until(f"{EDITS}.length === 66")


def test_a_study_that_nobody_edited_says_so(page: Page, server: str) -> None:
    pixels = np.zeros((16, 16), np.int16)
    from viewing import send

    send(server, ct_image(pixels, f"{ROOT}.7", 1, 1, PatientName="Roe^R"))
    page.go(f"{server}/studies/{ROOT}.7")
    page.wait_until("document.querySelector('.viewport canvas')")
    page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown', { key: 'H', shiftKey: true, bubbles: true }))"
    )
    page.wait_until("document.querySelector('.history-body p')?.innerText === 'Nothing was edited.'")
