"""How frames come to the page: over HTTP/2 where a proxy speaks it, and through decoders beside its own thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chromium import Page, open_page
from compared import compare
from image_values import made
from proxy import encrypting
from serving import ROOT
from viewing import NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

SIDE, COUNT = 256, 12
STUDY = f"{ROOT}.31"
SYNTAXES = ("explicit-little", "rle", "jpeg-lossless", "jpeg-ls", "jpeg2000-lossless", "htj2k-rpcl")
FRAMES = "performance.getEntriesByType('resource').filter((one) => /frames.\\d+$/.test(one.name))"
WATCHED = """
    window.made = [];
    window.Worker = class extends Worker {
      constructor(address, options) {
        super(address, options);
        const seen = { address: String(address), bytes: 0 };
        window.made.push(seen);
        const own = this.postMessage.bind(this);
        this.postMessage = (message, ...rest) => {
          const look = (value, depth) => {
            if (value instanceof ArrayBuffer) seen.bytes += value.byteLength;
            else if (ArrayBuffer.isView(value)) seen.bytes += value.byteLength;
            else if (value && typeof value === 'object' && depth < 6)
              for (const one of Object.values(value)) look(one, depth + 1);
          };
          look(message, 0);
          return own(message, ...rest);
        };
      }
    };
"""


def picture(number: int) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    noise = np.random.default_rng(number).normal(0, 20, (SIDE, SIDE))
    return (x * 3 + y * 2 + 17 * number + noise - 500).astype(np.int16)


def images() -> Iterator[bytes]:
    for series, syntax in enumerate(SYNTAXES, 1):
        for number in range(1, COUNT + 1):
            file = ct_image(picture(number), STUDY, series, number, WindowCenter=400, WindowWidth=1500)
            yield file if syntax == "explicit-little" else made(file, syntax)[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), images()) as address:
        yield address


def assert_shown(page: Page, series: int) -> None:
    page.wait_until(f"{SLICE} && {NO_LONGER_LOADING}")
    page.wait_until(f"{FRAMES}.length >= {COUNT}")
    found = compare(
        page,
        f"/dicom-web/studies/{STUDY}/series/{STUDY}.{series}/instances/"
        + page.evaluate("document.querySelector('.viewport').dataset.instance")
        + "/frames/1",
        [1.0, 1.0],
        [SIDE, SIDE],
    )
    assert found is not None and found.median <= 1


def test_all_frames_come_over_one_connection_of_http2(server: str, tmp_path: Path) -> None:
    with encrypting(tmp_path, server) as address, open_page(tmp_path / "profile") as page:
        page.command("Security.setIgnoreCertificateErrors", ignore=True)
        page.command("Network.setBypassServiceWorker", bypass=True)
        for series in (1, SYNTAXES.index("htj2k-rpcl") + 1):
            page.go(f"{address}/view/{STUDY}?series={STUDY}.{series}")
            assert_shown(page, series)
            spoken = page.evaluate(f"{FRAMES}.map((one) => one.nextHopProtocol)")
            assert set(spoken) == {"h2"}
            # The second and later ones find it open already
            begun = page.evaluate(f"{FRAMES}.filter((one) => one.connectEnd > one.connectStart).length")
            assert begun <= 1


@pytest.mark.parametrize("syntax", SYNTAXES[1:])
def test_what_is_compressed_is_decoded_by_workers(page: Page, server: str, syntax: str) -> None:
    series = SYNTAXES.index(syntax) + 1
    added = page.command("Page.addScriptToEvaluateOnNewDocument", source=WATCHED)["identifier"]
    try:
        page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
        assert_shown(page, series)
        came = page.evaluate(f"{FRAMES}.reduce((sum, one) => sum + one.encodedBodySize, 0)")
        given = page.evaluate("window.made.reduce((sum, one) => sum + one.bytes, 0)")
        assert came > 0 and given >= 0.9 * came, page.evaluate("window.made")
    finally:
        page.command("Page.removeScriptToEvaluateOnNewDocument", identifier=added)
