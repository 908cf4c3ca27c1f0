"""Gray images painted by the processor are those that the graphics card draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from chromium import Page
from serving import ROOT
from viewing import NO_LONGER_LOADING, SLICE, ct_image, filled, open_series, open_study, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

# What hands and keys do one after the other: nothing, a window, larger and aside, turned, mirrored, inverted.
STEPS = ((), ("2",), ("+", "+", "+"), ("r",), ("h",), ("i",), ("r",))


def looks(page: Page, server: str, drawn_by: str) -> list[list[int]]:
    page.evaluate(f"localStorage.setItem('gantry.drawn-by', '{drawn_by}')")
    page.go(server)
    open_study(page)
    open_series(page, "CT")
    page.wait_until(f"{SLICE}?.includes('/ 12')")
    seen = []
    for keys in STEPS:
        for key in keys:
            page.key(key)
        seen.append(settled(page))
    return seen


def test_processor_and_card_make_the_same_picture(page: Page, server: str) -> None:
    card, processor = (np.array(looks(page, server, one)) for one in ("card", "processor"))
    away = np.abs(card - processor)
    assert float(np.percentile(away, 99)) <= 2, np.percentile(away, [50, 90, 99, 100], axis=1)
    for one, other in itertools.pairwise(processor):
        assert (one != other).any()


STEPPED = f"{ROOT}.17"


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Sixteen images, each all of one gray, sixteen brighter than the one before."""
    window = {"WindowCenter": 128, "WindowWidth": 256, "RescaleIntercept": 0}
    images = [
        ct_image(np.full((512, 512), 16 * number, np.int16), STEPPED, 1, number + 1, **window)
        for number in range(16)
    ]
    with filled(tmp_path_factory.mktemp("steps"), images) as address:
        yield address


SCROLLED = """new Promise((resolve) => {
    const target = document.querySelector('.viewport'), box = target.getBoundingClientRect();
    const small = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const drawn = [];
    document.addEventListener('CORNERSTONE_IMAGE_RENDERED', ({ target }) => {
        const canvas = target.querySelector('canvas');
        small.drawImage(canvas, canvas.width / 2, canvas.height / 2, 1, 1, 0, 0, 1, 1);
        drawn.push(small.getImageData(0, 0, 1, 1).data[0]);
    }, true);
    let frame = 0;
    const turn = () => {
        if (frame === FRAMES) return resolve(drawn);
        const deltaY = frame % 20 < 10 ? 50 : -50;
        frame += 1;
        target.dispatchEvent(new WheelEvent('wheel', { deltaY, bubbles: true, cancelable: true,
            clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
        requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
})"""
FRAMES = 60


@pytest.mark.parametrize("drawn_by", ["card", "processor"])
def test_who_goes_on_from_frame_to_frame_sees_each_image(page: Page, steps: str, drawn_by: str) -> None:
    page.go(steps)
    page.evaluate(f"localStorage.setItem('gantry.drawn-by', '{drawn_by}')")
    page.go(f"{steps}/view/{STEPPED}?frame=1")
    page.wait_until(f"{SLICE} === '1 / 16'")
    page.wait_until(NO_LONGER_LOADING)
    drawn = page.evaluate(SCROLLED.replace("FRAMES", str(FRAMES)))
    seen = [grey for grey, _ in itertools.groupby(drawn)]
    steps = [abs(after - before) for before, after in itertools.pairwise(seen)]
    # A busy machine leaves out a frame now and then.
    assert steps.count(16) >= 0.95 * len(steps), seen
    # Were each drawn in the frame after the one it is asked for in, it would be every other.
    assert len(seen) > 0.8 * FRAMES
