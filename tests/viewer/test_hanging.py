"""Studies open as the readers of their modality expect them, unless a link asks otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from chromium import PHONE, Page
from image_values import image_object
from serving import ROOT
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

MAMMOGRAMS, RADIOGRAPHS, CLIP, COUNTS, ENHANCED, RUN, SLOW_RUN = (f"{ROOT}.2{n}" for n in range(7))
FRAMES, FAST_S, SLOW_S = 12, 0.05, 0.25
"""Of the clip and of the slow run."""


def made(study: str, number: int, pixels: np.ndarray, **attributes: Any) -> bytes:
    usual = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{attributes.get('SeriesNumber', 1)}",
        "SOPInstanceUID": f"{study}.9.{number}",
        "SeriesNumber": 1,
        "InstanceNumber": number,
    }
    return image_object(pixels, **(usual | attributes))


def breast(rows: int, columns: int, *, chest_is_right: bool) -> np.ndarray:
    """A half disc that lies at the chest wall, brighter there."""
    y, x = np.mgrid[:rows, :columns]
    away = columns - 1 - x if chest_is_right else x
    inside = (away / (columns * 0.7)) ** 2 + ((y - rows / 2) / (rows * 0.45)) ** 2 < 1
    return np.where(inside, 3000 - away * 10, 20).astype(np.uint16)[None]


def mammograms() -> Iterator[bytes]:
    """In an order and in directions in which no reader wants them; one is smaller, one lies the other way round."""
    views = [("L", "MLO", 200, 160, "A"), ("R", "MLO", 200, 160, "P"), ("L", "CC", 200, 160, "P")]
    for n, (side, view, rows, columns, along) in enumerate([*views, ("R", "CC", 150, 120, "P")], 1):
        yield made(
            MAMMOGRAMS, n, breast(rows, columns, chest_is_right=along == "P"),
            Modality="MG", ImageLaterality=side, ViewPosition=view, PatientOrientation=[along, "F"],
            ImagerPixelSpacing=[0.5, 0.5], SeriesNumber=n, WindowCenter=1500, WindowWidth=3000,
        )  # fmt: skip


def enhanced() -> bytes:
    """Two times at each of three places; frames come time after time at each place."""

    def frame(place: int, time: int) -> Dataset:
        ds, content = Dataset(), Dataset()
        content.DimensionIndexValues = [place, time]
        ds.FrameContentSequence = Sequence([content])
        return ds

    pixels = np.stack([np.full((16, 16), 100 * place + time) for place in (1, 2, 3) for time in (1, 2)])
    pixels[:, :8] = 0
    pointers = []
    for tag in (0x00209057, 0x00209128):
        ds = Dataset()
        ds.DimensionIndexPointer = tag
        pointers.append(ds)
    return made(
        ENHANCED, 1, pixels.astype(np.uint16), Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
        DimensionIndexSequence=Sequence(pointers), WindowCenter=150, WindowWidth=400,
        PerFrameFunctionalGroupsSequence=Sequence([frame(p, t) for p in (1, 2, 3) for t in (1, 2)]),
    )  # fmt: skip


def run() -> bytes:
    """A body that is in all frames, and a vessel that is dark in all but the first."""
    mask = Dataset()
    mask.MaskOperation, mask.MaskFrameNumbers = "AVG_SUB", 1
    body = np.random.default_rng(2).integers(1000, 3000, (64, 64))
    frames = np.stack([body] * 4)
    frames[1:, 28:36] -= 400
    return made(
        RUN, 1, frames.astype(np.uint16), Modality="XA", SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1",
        MaskSubtractionSequence=Sequence([mask]), WindowCenter=2000, WindowWidth=2400,
    )  # fmt: skip


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    objects = [
        *mammograms(),
        made(RADIOGRAPHS, 1, noise(1, 64, 48), Modality="DX", ViewPosition="LL"),
        made(RADIOGRAPHS, 2, noise(1, 64, 48), Modality="DX", ViewPosition="PA"),
        made(CLIP, 1, noise(FRAMES, 48, 64), Modality="US", FrameTime=1000 * FAST_S),
        made(
            SLOW_RUN,
            1,
            noise(FRAMES, 48, 64),
            Modality="XA",
            SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1",
            FrameIncrementPointer=0x00181065,
            FrameTimeVector=[0, *[1000 * SLOW_S] * (FRAMES - 1)],
        ),
        made(COUNTS, 1, noise(2, 64, 32), Modality="NM", ImageType=["ORIGINAL", "PRIMARY", "STATIC"]),
        enhanced(),
        run(),
    ]
    with filled(tmp_path_factory.mktemp("archive"), objects) as address:
        yield address


def open_study(page: Page, server: str, study: str, query: str = "") -> None:
    page.go(f"{server}/view/{study}{query}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


TITLES = f"{CELLS}.map((cell) => cell.querySelector('.corner.top-right')?.innerText ?? '')"

# Where bright pixels lie in each cell: the leftmost and rightmost, as shares of its width, and their height.
BRIGHT = f"""{CELLS}.map((cell) => {{
    const canvas = cell.querySelector('.viewport canvas'), [w, h] = [canvas.width, canvas.height];
    const small = new OffscreenCanvas(w, h), context = small.getContext('2d');
    context.drawImage(canvas, 0, 0);
    const data = context.getImageData(0, 0, w, h).data;
    let [left, right, top, bottom] = [w, 0, h, 0];
    for (let y = 0; y < h; y += 2) for (let x = 0; x < w; x += 2) if (data[(y * w + x) * 4] > 120) {{
        left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
    }}
    return [left / w, right / w, bottom - top];
}})"""


def test_mammograms_hang_with_chest_walls_together_in_one_scale(page: Page, server: str) -> None:
    open_study(page, server, MAMMOGRAMS)
    page.wait_until(f"{CELLS}.length === 4 && {SHOWN}.every((words) => words === '1 image')")
    page.wait_until(f"{BRIGHT}.every(([left, right]) => right > left)")
    page.screenshot(ARTIFACTS / "mammograms-desk.png")
    placed = page.evaluate(BRIGHT)
    for at, (left, right, _) in enumerate(placed):
        if at % 2 == 0:
            assert right > 0.98, placed  # a right breast, its chest wall at the right edge of the left cell
            assert left > 0.2, placed
        else:
            assert left < 0.02, placed
            assert right < 0.8, placed
    heights = [height for *_, height in placed]
    assert heights[0] / heights[1] == pytest.approx(150 / 200, abs=0.03)
    assert heights[2] == pytest.approx(heights[3], abs=4)


def test_a_link_asks_for_one_image_and_gets_it(page: Page, server: str) -> None:
    open_study(page, server, MAMMOGRAMS, f"?series={MAMMOGRAMS}.2")
    assert page.evaluate(f"{CELLS}.length") == 1


def test_a_phone_shows_one_mammogram_at_a_time(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    open_study(page, server, MAMMOGRAMS)
    assert page.evaluate(f"{CELLS}.length") == 1
    page.screenshot(ARTIFACTS / "mammograms-phone.png")


def test_a_frontal_radiograph_hangs_left_of_the_lateral_one(page: Page, server: str) -> None:
    open_study(page, server, RADIOGRAPHS)
    page.wait_until(f"{CELLS}.length === 2")
    items = page.evaluate("[...document.querySelectorAll('.rail-item small')].map((one) => one.innerText)")
    assert [words.split(" · ")[1] for words in items] == ["LL", "PA"]
    # The active cell is the left one, and shows the frontal image, which is second in the rail.
    page.wait_until("document.querySelectorAll('.rail-item')[1].getAttribute('aria-current') === 'true'")
    assert page.evaluate(f"{CELLS}[0].classList.contains('active')")


def test_a_clip_plays_by_itself_at_its_rate(page: Page, server: str) -> None:
    open_study(page, server, CLIP)
    page.wait_until("document.querySelector('.cine')")
    assert "20" in page.evaluate("document.querySelector('.cine').innerText")
    at = page.evaluate(SLICE)
    page.wait_until(f"{SLICE} !== '{at}'")
    page.key(" ")
    page.wait_until("!document.querySelector('.cine')")


# How long eight images take to follow one another, in seconds by the page's clock.
EIGHT_S = """new Promise((resolve) => {
    const words = () => document.querySelector('.corner.bottom-left .strong').innerText;
    let [seen, count, began] = [words(), -1, 0];
    const look = () => {
        if (words() !== seen) [seen, count] = [words(), count + 1];
        if (count === 0) began ||= performance.now();
        if (count === 8) return resolve((performance.now() - began) / 1000);
        requestAnimationFrame(look);
    };
    look();
})"""


def test_a_run_plays_as_its_vector_of_times_says(page: Page, server: str) -> None:
    """A busy machine plays slower than is told; after a halt it catches up by two or three images, and no more."""
    open_study(page, server, SLOW_RUN)
    page.wait_until("document.querySelector('.cine')")
    assert "4 images/s" in page.evaluate("document.querySelector('.cine').innerText")
    slow_s = page.evaluate(EIGHT_S)
    assert slow_s > 5 * SLOW_S
    open_study(page, server, CLIP)
    page.wait_until("document.querySelector('.cine')")
    assert 5 * FAST_S * 0.9 < page.evaluate(EIGHT_S) < slow_s


def test_frames_of_counts_lie_side_by_side_black_on_white(page: Page, server: str) -> None:
    open_study(page, server, COUNTS)
    page.wait_until(f"{CELLS}.length === 2 && {SHOWN}[0] === '1 / 2' && {SHOWN}[1] === '2 / 2'")
    page.wait_until("document.querySelector('[aria-label=Invert]').getAttribute('aria-pressed') === 'true'")
    page.screenshot(ARTIFACTS / "scintigram-desk.png")


def test_times_of_an_enhanced_object_are_stacks_of_their_own(page: Page, server: str) -> None:
    open_study(page, server, ENHANCED)
    page.wait_until("document.querySelectorAll('.rail-item').length === 2")
    assert page.evaluate(SLICE) == "1 / 3"
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '2 / 3'")
    page.key("ArrowRight")
    page.wait_until("document.querySelectorAll('.rail-item')[1].getAttribute('aria-current') === 'true'")
    page.wait_until(f"{SLICE} === '1 / 3'")
    open_study(page, server, ENHANCED, f"?series={ENHANCED}.1&instance={ENHANCED}.9.1~2&frame=3")
    assert page.wait_until(SLICE) == "3 / 3"
    page.wait_until("document.querySelectorAll('.rail-item')[1].getAttribute('aria-current') === 'true'")


# Greys in the middle of the picture's pixels: how many of them there are, and that of the first and the middle row.
GREYS = """(() => {
    const canvas = document.querySelector('.viewport canvas'), { width, height } = canvas;
    const small = new OffscreenCanvas(width, height), context = small.getContext('2d');
    context.drawImage(canvas, 0, 0);
    const data = context.getImageData(0, 0, width, height).data;
    const pixel = Math.min(width, height) / 64, left = (width - 64 * pixel) / 2;
    const at = (row, column) => data[(Math.floor((row + 0.5) * pixel) * width + Math.floor(left + (column + 0.5) * pixel)) * 4];
    const all = Array.from({ length: 64 * 64 }, (_, n) => at(Math.floor(n / 64), n % 64));
    return [new Set(all).size, at(2, 2), at(32, 32)];
})()"""


def test_the_mask_is_subtracted_and_put_back(page: Page, server: str) -> None:
    open_study(page, server, RUN, f"?series={RUN}.1&frame=2")
    page.wait_until(f"{GREYS}[0] > 50")
    page.command("Input.dispatchKeyEvent", type="keyDown", key="D", code="KeyD", modifiers=8)
    # Nothing is left but the vessel, dark on white.
    page.wait_until(f"{GREYS}[0] <= 4 && {GREYS}[1] > 240 && {GREYS}[2] < 15")
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '3 / 4' && {GREYS}[0] <= 4")
    page.screenshot(ARTIFACTS / "subtraction-desk.png")
    page.command("Input.dispatchKeyEvent", type="keyDown", key="D", code="KeyD", modifiers=8)
    page.wait_until(f"{GREYS}[0] > 50")
    page.control("z")
    page.wait_until(f"{GREYS}[0] <= 4")
    page.control("z")
    page.wait_until(f"{GREYS}[0] > 50")
