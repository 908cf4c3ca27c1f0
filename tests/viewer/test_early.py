"""The first image comes from the first bytes, where a frame begins with the picture in small (HTJ2K by resolution)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pydicom
import pytest

from chromium import Page
from compared import compare
from image_values import made
from relay import relayed
from serving import ROOT
from viewing import ARTIFACTS, SLICE, ct_image, filled, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

ROWS, COLUMNS, COUNT = 1024, 1280, 4
STUDY, WARM, BROKEN = f"{ROOT}.21", f"{ROOT}.22", f"{ROOT}.23"
AS_STORED, SPOILED, PLAIN, CUT = 1, 2, 3, 4
BYTES_A_SECOND, FASTER = 60_000, 400_000
COMING = "document.querySelector('.corner .coming')?.innerText"
CAME = (
    "performance.getEntriesByType('resource').filter((one) => one.name.endsWith(PATH))"
    ".map((one) => one.encodedBodySize)"
)
MEASURED = "[...document.querySelectorAll('.measure-layer tspan')].map((one) => one.textContent).join(' ')"


def picture(number: int) -> np.ndarray[Any, Any]:
    """Discs, edges and noise, so that all resolutions hold something; another one for each number."""
    noise = np.random.default_rng(number).normal(0, 12, (ROWS, COLUMNS))
    y, x = np.mgrid[:ROWS, :COLUMNS]
    disc = (x - 500 - 60 * number) ** 2 + (y - 400) ** 2 < 250**2
    bars = (y > 750) & (x // 40 % 2 == 0)
    return np.asarray(np.clip(disc * 600 + bars * 900 + x // 4 + noise - 200, -1024, 2047), np.int16)


def image(series: int, number: int) -> bytes:
    file = ct_image(
        picture(number), BROKEN if series in (SPOILED, CUT) else STUDY, series, number, WindowCenter=500, WindowWidth=1600, RescaleIntercept=-24,
        BitsStored=12, HighBit=11,
    )  # fmt: skip
    return file if series == PLAIN else made(file, "htj2k-rpcl")[0]


def broken(series: int) -> bytes:
    """Of its stream only the first third is there, or anything else than nothing."""
    ds = pydicom.dcmread(io.BytesIO(image(series, 1)))
    (stream,) = pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)
    kept = stream[: len(stream) // 6 * 2]
    rest = b"\xff" * (len(stream) - len(kept)) if series == SPOILED else b""
    ds.PixelData = pydicom.encaps.encapsulate([kept + rest])
    written = io.BytesIO()
    ds.save_as(written)
    return written.getvalue()


def warm() -> bytes:
    return made(ct_image(picture(1)[:64, :64], WARM, 1, 1), "htj2k-rpcl")[0]


def path(series: int, number: int) -> str:
    return f"/dicom-web/studies/{STUDY}/series/{STUDY}.{series}/instances/{STUDY}.{series}.{number}/frames/1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    def images() -> Iterator[bytes]:
        for number in range(1, COUNT + 1):
            yield image(AS_STORED, number)
            yield image(PLAIN, number)
        yield warm()

    with filled(tmp_path_factory.mktemp("archive"), images()) as address:
        yield address


@contextmanager
def slow(page: Page, address: str, bytes_a_second: int = BYTES_A_SECOND) -> Iterator[None]:
    """A link that takes a quarter of a minute for the rest of an image, so that a busy machine can look at what came
    first; the browser knows from before that it is slow, and has nothing in its cache but the program."""
    page.command("Network.clearBrowserCache")
    # The decoder is to be there, as it is on every day but the first.
    page.go(f"{address}/view/{WARM}")
    page.wait_until(SLICE)
    page.evaluate("localStorage.setItem('gantry.slow-link', '1')")
    link(page, bytes_a_second, 20)
    try:
        yield
    finally:
        link(page, -1)


def link(page: Page, bytes_a_second: int, latency: int = 0) -> None:
    """What is asked for from here on comes so fast (-1: as it can); what is on its way comes at once."""
    page.command(
        "Network.emulateNetworkConditions", offline=False, latency=latency,
        downloadThroughput=bytes_a_second, uploadThroughput=bytes_a_second,
    )  # fmt: skip


def frame_bytes(address: str, series: int, number: int, accept: str) -> bytes:
    request = Request(f"{address}{path(series, number)}", headers={"Accept": accept})
    with urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


def came(page: Page, series: int, number: int) -> list[int]:
    return list(page.evaluate(CAME.replace("PATH", repr(path(series, number)))))


def probed(page: Page, column: int, row: int) -> str:
    box = page.evaluate(
        "(() => { const b = document.querySelector('.viewport').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    pixel = min(box[2] / COLUMNS, box[3] / ROWS)
    x = box[0] + box[2] / 2 + (column - (COLUMNS - 1) / 2) * pixel
    y = box[1] + box[3] / 2 + (row - (ROWS - 1) / 2) * pixel
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    return str(page.evaluate("document.querySelector('.probe').innerText"))


@pytest.mark.parametrize(
    ("series", "accept"),
    [
        (AS_STORED, "application/octet-stream; transfer-syntax=*"),
        (PLAIN, "image/*; transfer-syntax=*"),
    ],
)
def test_the_first_image_is_seen_from_its_first_bytes(
    page: Page, server: str, series: int, accept: str
) -> None:
    whole = len(frame_bytes(server, series, 2, accept))
    with slow(page, server):
        page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}&frame=2")
        page.wait_until(COMING, 60)
        first = came(page, series, 2)
        early = settled(page)
        page.screenshot(ARTIFACTS / f"early-{series}.png")
        assert page.evaluate(SLICE) == f"2 / {COUNT}"
        assert sum(first) < whole / 5, (first, whole)
        assert probed(page, 300, 300) == ""
        window = page.evaluate("document.querySelector('.corner .window').innerText")
        link(page, -1)
        page.wait_until(f"!({COMING})", 60)
        assert page.evaluate("document.querySelector('.corner .window').innerText") == window
    all_parts = came(page, series, 2)
    assert sum(all_parts[-2:]) == whole, "the rest is fetched, and nothing twice"
    assert all_parts[-2] == first[-1]
    late = settled(page)
    apart = np.abs(np.subtract(early, late))
    assert 0 < apart.mean() < 6, "the same picture at the same place"
    values = picture(2)
    for column, row in ((300, 300), (620, 400), (1200, 900)):
        page.wait_until(f"!({COMING})")
        probed(page, column, row)
        page.wait_until(
            f"document.querySelector('.probe').innerText === '{column}, {row}: {values[row, column] - 24} HU'",
            5,
        )
    found = compare(page, path(series, 2), [1, 1], [ROWS, COLUMNS])
    assert found is not None
    assert found.median <= 1
    assert found.most <= 4


def test_whoever_scrolls_on_sees_the_next_from_its_first_bytes(page: Page, server: str) -> None:
    with slow(page, server):
        page.go(f"{server}/view/{STUDY}?series={STUDY}.{AS_STORED}&frame=1")
        page.wait_until(f"{COMING} && {SLICE} === '1 / {COUNT}'", 60)
        page.key("ArrowDown")
        page.wait_until(f"{COMING} && {SLICE} === '2 / {COUNT}'", 60)
        page.screenshot(ARTIFACTS / "early-scrolled.png")
        link(page, -1)
        page.wait_until(f"!({COMING}) && {SLICE} === '2 / {COUNT}'", 60)
        page.key("ArrowUp")
        page.wait_until(f"!({COMING}) && {SLICE} === '1 / {COUNT}'", 60)
    assert not page.evaluate("document.querySelector('.note')")


def test_what_is_measured_early_is_counted_when_all_has_come(page: Page, server: str) -> None:
    with slow(page, server):
        page.go(f"{server}/view/{STUDY}?series={STUDY}.{AS_STORED}&frame=3")
        page.wait_until(COMING, 60)
        page.key("e")
        page.drag(".viewport", 60, 60)
        page.screenshot(ARTIFACTS / "early-measured.png")
        assert page.evaluate(COMING)
        assert "HU" not in page.evaluate(MEASURED)
        link(page, -1)
        page.wait_until(f"!({COMING})", 60)
    page.wait_until(f"({MEASURED}).includes('HU')", 10)
    page.screenshot(ARTIFACTS / "early-counted.png")


@pytest.mark.parametrize("series", [SPOILED, CUT])
def test_what_lacks_its_rest_is_never_shown_as_if_it_were_whole(
    page: Page, tmp_path: Path, series: int
) -> None:
    with filled(tmp_path, [broken(series), warm()]) as address, slow(page, address, FASTER):
        page.go(f"{address}/view/{BROKEN}?series={BROKEN}.{series}")
        page.wait_until(COMING, 60)
        page.wait_until("document.querySelector('.stage-note')", 60)
        page.screenshot(ARTIFACTS / f"early-broken-{series}.png")
        # What came is seen, and says of itself that it is not all.
        assert page.evaluate(COMING)
        assert page.evaluate("document.querySelector('.stage-note').innerText").startswith("Image 1")
        assert probed(page, 300, 300) == ""
    page.errors.clear()


def test_a_server_that_gives_no_ranges_gives_the_whole(page: Page, server: str) -> None:
    with relayed(server, (b"\r\nRange: ", b"\r\nX-Rng: ")) as relay, slow(page, relay.address, FASTER):
        page.go(f"{relay.address}/view/{STUDY}?series={STUDY}.{AS_STORED}&frame=2")
        page.wait_until(SLICE, 60)
        assert not page.evaluate(COMING)
    values = picture(2)
    probed(page, 300, 300)
    page.wait_until(
        f"document.querySelector('.probe').innerText === '300, 300: {values[300, 300] - 24} HU'", 5
    )
    accept = "application/octet-stream; transfer-syntax=*"
    assert came(page, AS_STORED, 2)[-1:] == [len(frame_bytes(server, AS_STORED, 2, accept))]
