"""Links and details are copied, also on plain http to another machine, where browsers keep the clipboard from pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chromium import Page
from gantry.toolkit.example import example_study
from viewing import NO_LONGER_LOADING, SLICE, STUDY_SHOWN, open_study, send, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

SAID = "document.querySelector('.said').innerText"
PERMISSIONS = ["clipboardReadWrite", "clipboardSanitizedWrite"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that other machines could call, by the address that this one calls it by."""
    data = tmp_path_factory.mktemp("archive")
    with serving(data, http="0.0.0.0:0", GANTRY_INSECURE_EXPOSE="true") as ready:
        address = f"http://127.0.0.1:{ready['http'].rpartition(':')[2]}"
        for _, part10 in example_study(size=64, slices=4):
            send(address, part10)
        yield address


@pytest.fixture
def elsewhere(page: Page, server: str) -> Iterator[str]:
    """The same server by an address that no browser trusts: there is no `navigator.clipboard`."""
    address = server.replace("127.0.0.1", "0.0.0.0")
    page.go(address)
    assert page.evaluate("[isSecureContext, navigator.clipboard === undefined]") == [False, True]
    yield address
    page.errors[:] = [
        error for error in page.errors if "Cross-Origin-Opener-Policy header has been ignored" not in error
    ]


def clipboard(page: Page, server: str) -> str:
    """What it holds, as a page that browsers trust reads it."""
    page.command("Browser.grantPermissions", permissions=PERMISSIONS)
    page.go(server)
    page.command("Page.bringToFront")
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_link_is_copied_on_plain_http(page: Page, server: str, elsewhere: str) -> None:
    open_study(page)
    page.key("y")
    page.wait_until(f"{SAID} === 'Link copied'")
    # The keys are still for the images.
    shown = page.evaluate(SLICE)
    page.key("ArrowUp")
    page.wait_until(f"{SLICE} !== '{shown}'")
    assert clipboard(page, server).startswith(f"{elsewhere}/view/")


def test_the_detail_of_an_error_is_copied_on_plain_http(page: Page, server: str, elsewhere: str) -> None:
    page.go(f"{elsewhere}/view/1.2.3.4")
    page.wait_until("document.querySelector('.note')")
    page.click(".note-actions .button.plain")
    page.wait_until("document.querySelector('.note-actions').innerText.includes('Copied')")
    page.errors.clear()  # the 404, where the server answers so
    assert "1.2.3.4" in clipboard(page, server)


def test_a_value_is_copied_on_plain_http(page: Page, server: str, elsewhere: str) -> None:
    open_study(page)
    page.wait_until(NO_LONGER_LOADING)
    page.command("Input.dispatchKeyEvent", type="keyDown", key="I", code="KeyI", modifiers=8)
    row = "[...document.querySelectorAll('.info-row')].find((one) => one.innerText.includes('Patient ID'))"
    page.wait_until(row)
    page.evaluate(f"{row}.dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))")
    value = page.wait_until("document.querySelector('.attribute-value pre').innerText")
    page.click(".attribute-value .copy")
    page.wait_until("document.querySelector('.attribute-value .copy').ariaLabel === 'Copied'")
    assert clipboard(page, server) == value


def test_what_no_browser_lets_be_copied_is_said(page: Page, elsewhere: str) -> None:
    """A page that nobody has touched may not write to the clipboard."""
    page.wait_until(STUDY_SHOWN)
    study = page.evaluate("document.querySelector('a.study').getAttribute('href')")
    page.go(f"{elsewhere}{study}")
    page.wait_until(SLICE)
    page.evaluate("dispatchEvent(new KeyboardEvent('keydown', { key: 'y', bubbles: true }))")
    assert f"Select it instead: {elsewhere}/view/" in page.wait_until(SAID)
