"""The address of a study brings what the page asks for first along with the page, once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from urllib.request import urlopen

import numpy as np
import pytest

from chromium import Page
from relay import Relay, relayed
from serving import ROOT
from viewing import NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(180)]

STUDY = f"{ROOT}.41"
COUNT = 3

ALL_CAME = (
    "new Set(performance.getEntriesByType('resource').map(({ name }) => name)"
    f".filter((name) => /frames.\\d+$/.test(name))).size >= {COUNT}"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    images = (ct_image(pixels, STUDY, series, n + 1) for series in (2, 10) for n in range(COUNT))
    with filled(tmp_path_factory.mktemp("archive"), images) as address:
        yield address


def asked_before_frames(relay: Relay, end: str) -> int:
    """How often something was asked for to show the first image; when all have come, the page asks again
    whether the series is still as it was."""
    before = list(takewhile(lambda request: "/frames/" not in request, relay.requests))
    assert len(before) < len(relay.requests), "no frame was asked for"
    return sum(request.partition("?")[0].endswith(end) for request in before)


@pytest.mark.parametrize("first", [2, 10])
def test_what_comes_along_is_what_the_page_asks_for(page: Page, server: str, first: int) -> None:
    other = 12 - first
    address = f"/view/{STUDY}" + (f"?series={STUDY}.{first}" if first == 10 else "")
    with relayed(server) as relay:
        page.go(relay.address + address)
        page.wait_until(f"({SLICE} ?? '').endsWith('/ {COUNT}')")
        page.wait_until(NO_LONGER_LOADING)
        listed = [one for one in relay.requests if "/series?" in one]
        series = [f"/series/{STUDY}.{one}/metadata" for one in (first, other)]
        page.wait_until(f"document.querySelectorAll('.rail-item').length === 2 && {SLICE}")
        assert len(listed) == 1, listed
        assert asked_before_frames(relay, series[0]) == 1, relay.requests
        order = [one for one in relay.requests if "/metadata" in one]
        assert order[0].endswith(series[0])
    with urlopen(server + address, timeout=10) as answer:
        link = answer.headers["Link"]
    assert series[0] in link
    assert series[1] not in link


def test_a_study_that_was_read_opens_from_this_device(page: Page, server: str) -> None:
    """The page, the picture and the frames; only whether the study is still as it was is asked, once."""
    page.command("Network.setBypassServiceWorker", bypass=False)
    with relayed(server) as relay:
        # The first makes the worker, the second keeps the page, the third finds all of it
        for _ in range(3):
            relay.requests.clear()
            page.go(f"{relay.address}/view/{STUDY}")
            page.wait_until(f"({SLICE} ?? '').endsWith('/ {COUNT}')")
            page.wait_until(NO_LONGER_LOADING)
            page.wait_until(ALL_CAME)  # a page that is left meanwhile keeps none of what was on its way
            page.wait_until(
                "window.ready || (navigator.serviceWorker.ready.then(() => { window.ready = true; }), false)"
            )
            page.wait_until("localStorage.getItem('gantry.kept-series')")
        asked = [request.partition("?")[0] for request in relay.requests]
        assert asked.count(f"GET /view/{STUDY}") == 1, asked  # for the next time
        assert asked.index(f"GET /dicom-web/studies/{STUDY}/series") >= 0
        assert sum(one.endswith(f"/series/{STUDY}.2/metadata") for one in asked) == 1
        assert not [one for one in asked if "/rendered" in one or "/assets/" in one]
        # The first frame was asked for from its beginning on, and is no whole entry of the browser's cache
        assert sum("/frames/" in one for one in asked) <= 1
        names = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
        picture, program = (
            next(at for at, name in enumerate(names) if part in name) for part in ("/rendered", "/StudyPage-")
        )
        assert picture < program, names  # begun before it is known which one it is
    page.command("Network.setBypassServiceWorker", bypass=True)


@pytest.mark.parametrize("path", ["/view/abc", "/view/..%0d%0aX: y", "/view/1.2%22", "/studies/1.2/3"])
def test_what_names_no_study_brings_nothing_along(server: str, path: str) -> None:
    with urlopen(server + path.replace(" ", "%20"), timeout=10) as answer:
        assert answer.headers["Link"] is None


def test_of_an_unknown_study_only_its_list_comes_along(server: str) -> None:
    with urlopen(f"{server}/view/1.2.3?series=%00", timeout=10) as answer:
        link = answer.headers["Link"]
    assert "/studies/1.2.3/series?" in link
    assert "metadata" not in link
