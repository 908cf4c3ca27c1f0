"""How large an image is seen: the whole of it, pixel for pixel, true to the screen, and under a magnifying glass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from chromium import Page
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, WINDOW, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.12"
SIDE = 256
PERCENT = "parseFloat(document.querySelector('.corner.bottom-right p:nth-child(2)').innerText)"


def pixels() -> np.ndarray:
    """Noise in the middle of which one block of pixels is white."""
    values = np.random.default_rng(3).integers(0, 80, (SIDE, SIDE)).astype(np.int16)
    values[120:136, 120:136] = 4000
    return values


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    objects = [
        ct_image(pixels(), STUDY, 1, 1, PixelSpacing=[0.5, 0.5]),
        ct_image(
            pixels(), STUDY, 2, 1, Modality="MR", WindowCenter=None, WindowWidth=None, PixelSpacing=None
        ),
    ]
    with filled(tmp_path_factory.mktemp("archive"), objects) as address:
        yield address


def open_series(page: Page, server: str, series: int = 1) -> None:
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def shifted(page: Page, key: str, code: str) -> None:
    for kind in ("keyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key=key, code=code, modifiers=8)


def test_pixel_for_pixel_and_the_whole_image(page: Page, server: str) -> None:
    open_series(page, server)
    whole = page.evaluate(PERCENT)
    shifted(page, "!", "Digit1")
    page.wait_until(f"{PERCENT} === 100")
    page.drag(".viewport", 0, 200)
    shifted(page, "F", "KeyF")
    page.wait_until(f"{PERCENT} === {whole}")


def test_true_size_asks_for_the_screen_once(page: Page, server: str) -> None:
    open_series(page, server)
    shifted(page, "Z", "KeyZ")
    page.wait_until("document.querySelector('.screen-dialog').open")
    page.screenshot(ARTIFACTS / "screen-size-desk.png")
    # A card of 85.6 mm that is 428 pixels wide: 5 pixels for each millimetre.
    page.evaluate(
        "(() => { const r = document.querySelector('.screen-dialog input'); r.value = 5;"
        " r.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    width = "document.querySelector('.card-outline').getBoundingClientRect().width"
    assert page.evaluate(width) == pytest.approx(428, abs=1)
    page.click(".screen-dialog footer .button:not(.plain)")
    # Pixels of half a millimetre are 2.5 pixels of the screen.
    page.wait_until(f"{PERCENT} === 250")
    shifted(page, "F", "KeyF")
    page.wait_until(f"{PERCENT} !== 250")
    shifted(page, "Z", "KeyZ")
    page.wait_until(f"{PERCENT} === 250")
    assert not page.evaluate("document.querySelector('.screen-dialog').open")


def test_without_a_spacing_there_is_no_true_size(page: Page, server: str) -> None:
    open_series(page, server, 2)
    shifted(page, "Z", "KeyZ")
    page.wait_until("document.querySelector('.said').innerText === 'This image does not say its size.'")


WHITE_IN_LENS = """(() => {
    const canvas = document.querySelector('.lens canvas');
    const small = new OffscreenCanvas(canvas.width, canvas.height), context = small.getContext('2d');
    context.drawImage(canvas, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let white = 0;
    for (let at = 0; at < data.length; at += 4) white += data[at] > 250;
    return white / (data.length / 4);
})()"""


def test_the_lens_magnifies_what_is_under_it(page: Page, server: str) -> None:
    open_series(page, server)
    x, y = page.middle_of(".cell .viewport")
    shifted(page, "M", "KeyM")
    page.wait_until("document.querySelector('.lens canvas')")
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=x + 200, y=y)
    page.wait_until(f"{WHITE_IN_LENS} < 0.02")
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    # 16 of 256 pixels, 2.5 times as large: 848 / 256 * 16 * 2.5 = 132 of the 200 pixels of the glass, each way.
    share = page.wait_until(f"{WHITE_IN_LENS} > 0.35 && {WHITE_IN_LENS}")
    assert share == pytest.approx((848 / SIDE * 16 * 2.5 / 197) ** 2, rel=0.12)
    page.screenshot(ARTIFACTS / "lens-desk.png")
    for _ in range(12):
        shifted(page, "ArrowLeft", "ArrowLeft")
    page.wait_until(f"{WHITE_IN_LENS} < 0.02")
    page.key("Escape")
    page.wait_until("!document.querySelector('.lens')")


def test_windows_by_percentiles_and_by_name(page: Page, server: str) -> None:
    open_series(page, server, 2)
    before = page.wait_until(WINDOW)
    page.key("4")
    page.wait_until(f"{WINDOW} === 'W 4000 L 2000'")
    page.key("2")
    page.wait_until(f"{WINDOW} !== 'W 4000 L 2000' && {WINDOW} !== '{before}'")
