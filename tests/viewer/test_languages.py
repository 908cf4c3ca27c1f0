"""The page in other languages than English: chosen by the browser's, and by a person, at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from chromium import DESK, PHONE, Page
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, STUDY_SHOWN, open_series, open_study

pytestmark = [pytest.mark.timeout(240), pytest.mark.peer]

LANGUAGE = "document.documentElement.lang"
AMOUNT = "document.querySelector('.amount').innerText"
LABELS = "[...document.querySelectorAll('.tools [aria-label]')].map((tool) => tool.ariaLabel)"

# Words that need more room than their button, and a page wider than its window.
TOO_WIDE = """[
    ...[...document.querySelectorAll('button')].filter((one) => one.scrollWidth > one.clientWidth + 1),
    ...(document.documentElement.scrollWidth > innerWidth ? [document.documentElement] : []),
].map((one) => one.innerText.slice(0, 40))"""


@pytest.fixture
def german(page: Page, server: str) -> Iterator[Page]:
    """The page in a browser that asks for German as Austrians do."""
    agent = page.evaluate("navigator.userAgent")
    page.command("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage="de-AT,de,en")
    page.go(server)
    yield page
    page.command("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage="en-US,en")


def speak(page: Page, server: str, language: str) -> None:
    page.evaluate(f"localStorage.setItem('gantry.language', {json.dumps(language)})")
    page.go(server)
    page.wait_until(STUDY_SHOWN)


def choose(page: Page, tag: str) -> None:
    page.click(f".languages[open] [lang='{tag}']")
    page.wait_until(f"{LANGUAGE} === '{tag}' && !document.querySelector('.languages[open]')")


def test_the_browser_asks_for_german(german: Page) -> None:
    german.wait_until(STUDY_SHOWN)
    assert german.evaluate(LANGUAGE) == "de"
    assert german.evaluate(AMOUNT).split() == ["1", "Untersuchung"]
    assert german.evaluate("document.title") == "Untersuchungen · Gantry"
    assert german.evaluate("document.querySelector('.search input').placeholder").startswith("Name, ID")
    german.wait_until("document.querySelector('.study .thumbnail img.shown')")
    german.screenshot(ARTIFACTS / "list-desk-de.png")
    open_study(german)
    labels = german.evaluate(LABELS)
    assert {"Fensterung", "Invertieren", "Zurücksetzen", "Weitere Werkzeuge"} <= set(labels)
    assert "Serie" in german.evaluate("document.querySelector('.corner.top-right').innerText")
    assert "Bilder" in german.evaluate("document.querySelector('.rail').innerText")
    german.screenshot(ARTIFACTS / "image-desk-de.png")
    german.key("?")
    assert "Nächstes Bild" in german.wait_until("document.querySelector('.keys[open]')?.innerText")
    german.screenshot(ARTIFACTS / "keys-desk-de.png")


def test_what_a_person_chooses_is_spoken_at_once_and_kept(german: Page) -> None:
    german.wait_until(STUDY_SHOWN)
    german.evaluate("globalThis.isStillHere = true")
    german.click(".head-end [aria-label='Sprache']")
    assert german.wait_until("document.activeElement.lang") == "de"
    german.screenshot(ARTIFACTS / "languages-desk.png")
    choose(german, "ja")
    assert german.wait_until(f"{AMOUNT}.includes('検査') && {AMOUNT}") == "1件の検査"
    assert "マンモ" in german.evaluate("document.querySelector('.filters').innerText")
    assert german.evaluate("document.title") == "検査一覧 · Gantry"
    assert german.evaluate("globalThis.isStillHere")
    german.screenshot(ARTIFACTS / "list-desk-ja.png")

    german.command("Page.reload")
    german.wait_until(f"{LANGUAGE} === 'ja' && {STUDY_SHOWN} && {AMOUNT} === '1件の検査'")


def test_the_viewer_has_the_choice_too(page: Page) -> None:
    open_study(page)
    first = page.evaluate(SLICE)
    page.wheel(".viewport", 120)
    shown = page.wait_until(f"{SLICE} !== {json.dumps(first)} && {SLICE}")
    page.click("[aria-label='More tools']")
    page.wait_until("document.querySelector('.menu')")
    page.evaluate(
        "[...document.querySelectorAll('.menu-item')].find((one) => one.innerText.includes('Language')).id = 'wanted'"
    )
    page.click("#wanted")
    page.wait_until("document.querySelector('.languages[open]') && !document.querySelector('.menu')")
    page.key("ArrowDown")
    page.key("ArrowDown")
    assert page.evaluate("document.activeElement.lang") == "fr"
    choose(page, "ja")
    page.wait_until(f"{LABELS}.includes('白黒反転')")
    assert page.evaluate(SLICE) == shown, "keys of the dialog reached the image, or it was opened anew"
    assert "シリーズ" in page.evaluate("document.querySelector('.corner.top-right').innerText")
    page.screenshot(ARTIFACTS / "image-desk-ja.png")
    open_series(page, "SR")
    page.wait_until("document.querySelector('.sheet')")
    assert "作成日時" in page.evaluate("document.querySelector('.facts').innerText")


def test_a_language_that_cannot_be_fetched_is_said(page: Page) -> None:
    page.wait_until(STUDY_SHOWN)
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    # The service worker's own fetching may have put the file into the browser's cache.
    page.command("Network.setBlockedURLs", urls=["*/assets/fr-*"])
    page.command("Network.emulateNetworkConditions", offline=True, **offline)
    page.click(".head-end [aria-label='Language']")
    page.click(".languages[open] [lang='fr']")
    assert "cannot be reached" in page.wait_until(
        "document.querySelector('.languages [role=alert]')?.innerText"
    )
    assert page.evaluate(LANGUAGE) == "en"
    page.command("Network.emulateNetworkConditions", offline=False, **offline)
    page.command("Network.setBlockedURLs", urls=[])
    choose(page, "fr")
    assert page.evaluate(AMOUNT).split() == ["1", "examen"]
    assert all("ERR_INTERNET_DISCONNECTED" in e or "ERR_BLOCKED_BY_CLIENT" in e for e in page.errors)
    page.errors.clear()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_language_needs_more_room_than_there_is(page: Page, server: str, size: tuple[int, int]) -> None:
    page.size(*size, touch=size == PHONE)
    for language in ("de", "fr", "es", "zh", "ja"):
        speak(page, server, language)
        assert page.evaluate(TOO_WIDE) == [], language
        if size == PHONE:
            page.screenshot(ARTIFACTS / f"list-phone-{language}.png")
        open_study(page)
        page.wait_until(NO_LONGER_LOADING)
        assert page.evaluate(TOO_WIDE) == [], language
        if size == PHONE:
            page.screenshot(ARTIFACTS / f"image-phone-{language}.png")
