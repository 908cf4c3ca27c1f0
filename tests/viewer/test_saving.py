"""Measurements are kept on the server as they are made, and become reports."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

from chromium import DESK, Page, open_page
from proxy import naming
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, ct_image, filled, send, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

SIDE = 128
STUDY, SHARED = f"{ROOT}.1", f"{ROOT}.2"
TEXTS = (
    "[...document.querySelectorAll('.measure-layer g:not(.reported) tspan')].map((line) => line.textContent)"
)
STATUS = "document.querySelector('.measure-panel footer p')?.innerText"


PERSON_HEADER = "X-Remote-User"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint16)
    images = [ct_image(ramp, study, 1, 1, PixelSpacing=[0.5, 0.5]) for study in (STUDY, SHARED)]
    with filled(tmp_path_factory.mktemp("archive"), images) as address:
        yield address


def opened(page: Page, server: str, study: str = STUDY) -> None:
    page.go(f"{server}/view/{study}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def draw_line(page: Page, *ends: tuple[float, float]) -> None:
    """A length between two pixels."""
    page.key("d")
    box = page.evaluate(
        "(() => { const b = document.querySelector('.viewport').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    size = min(box[2], box[3]) / SIDE
    at = [
        (box[0] + box[2] / 2 + (x - (SIDE - 1) / 2) * size, box[1] + box[3] / 2 + (y - (SIDE - 1) / 2) * size)
        for x, y in ends
    ]
    held: dict[str, Any] = {"button": "left", "buttons": 1, "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", x=at[0][0], y=at[0][1], **held)
    for x, y in at[1:]:
        page.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, **held)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", x=at[-1][0], y=at[-1][1], button="left")


def asked(server: str, path: str, study: str = STUDY) -> Any:
    with urlopen(f"{server}/api/studies/{study}/{path}", timeout=30) as answer:
        return json.load(answer)


def test_a_measurement_survives_and_becomes_a_report(page: Page, server: str) -> None:
    opened(page, server)
    draw_line(page, (14, 30), (60, 30), (114, 30))
    page.wait_until(f"{TEXTS}.join() === '50.0 mm'")
    page.key("u")
    page.wait_until(f"{STATUS} === 'Saved'")
    (kept,) = asked(server, "draft")["measurements"]
    assert kept["kind"] == "length"
    assert np.allclose(kept["points"], [[14.5, 30.5], [114.5, 30.5]], atol=0.2)
    assert kept["values"][0]["value"] == pytest.approx(50, abs=0.1)

    opened(page, server)  # anew
    page.wait_until(f"{TEXTS}.join() === '50.0 mm'")
    page.key("u")
    draw_line(page, (14, 60), (60, 60), (54, 60))
    page.wait_until(f"{TEXTS}.length === 2")
    page.wait_until(f"{STATUS} === 'Saved'")
    page.screenshot(ARTIFACTS / "measure-saved.png")

    page.click(".measure-panel footer .button")
    page.wait_until(f"{TEXTS}.length === 0")
    page.wait_until("document.querySelector('.said').innerText === 'The report is stored'")
    found = asked(server, "measurements")
    assert (found["reports"], len(found["measurements"]), found["notUnderstood"]) == (1, 2, [])
    assert asked(server, "draft")["measurements"] == []


def test_without_the_server_it_says_so_and_saves_later(page: Page, server: str) -> None:
    opened(page, server)
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", offline=True, **offline)
    page.key("u")
    draw_line(page, (20, 90), (60, 90), (40, 90))
    page.wait_until(f"({STATUS} ?? '').startsWith('Not saved')")
    page.command("Network.emulateNetworkConditions", offline=False, **offline)
    page.wait_until(f"{STATUS} === 'Saved'")
    assert len(asked(server, "draft")["measurements"]) == 1
    assert all("ERR_INTERNET_DISCONNECTED" in error for error in page.errors)
    page.errors.clear()


def sign_in(page: Page, name: str) -> None:
    """What a browser sends once somebody has answered the proxy's question, and more than it should."""
    word = base64.b64encode(f"{name}:of-{name}".encode()).decode()
    page.command(
        "Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {word}", PERSON_HEADER: "mallory"}
    )


def test_each_whom_a_proxy_names_goes_on_with_their_own(page: Page, tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint16)
    with (
        serving(tmp_path / "archive", GANTRY_PERSON_HEADER=PERSON_HEADER) as ready,
        naming(
            tmp_path, f"http://{ready['http']}", PERSON_HEADER, {"anna": "of-anna", "bela": "of-bela"}
        ) as door,
        open_page(tmp_path / "profile") as other,
    ):
        send(f"http://{ready['http']}", ct_image(ramp, STUDY, 1, 1, PixelSpacing=[0.5, 0.5]))
        other.size(*DESK)
        sign_in(page, "anna")
        sign_in(other, "bela")
        for one in (page, other):
            opened(one, door)
            one.key("u")
        draw_line(page, (14, 30), (60, 30), (114, 30))
        page.wait_until(f"{TEXTS}.join() === '50.0 mm' && {STATUS} === 'Saved'")
        draw_line(other, (14, 60), (60, 60), (54, 60))
        other.wait_until(f"{TEXTS}.join() === '20.0 mm' && {STATUS} === 'Saved'")
        opened(page, door)
        page.wait_until(f"{TEXTS}.join() === '50.0 mm'")
        sign_in(other, "anna")  # on another device of hers
        opened(other, door)
        other.wait_until(f"{TEXTS}.join() === '50.0 mm'")
        # The service worker's script is asked for without the names that only a test adds to requests
        assert all(
            "401" in error and "fetching the script" in error for error in [*page.errors, *other.errors]
        )
    page.errors.clear()


def test_two_browsers_at_one_study_keep_what_each_draws(page: Page, server: str, tmp_path: Path) -> None:
    """Nobody is named: who opens the study goes on with what is there, and nobody overwrites anybody."""
    with open_page(tmp_path / "profile") as other:
        other.size(*DESK)
        for one in (page, other):
            opened(one, server, SHARED)
            one.key("u")
        draw_line(page, (20, 20), (60, 20), (40, 20))
        page.wait_until(f"{TEXTS}.length === 1 && {STATUS} === 'Saved'")
        # The other does not know of it yet, and draws its own on the same version.
        assert other.evaluate(f"{TEXTS}.length") == 0
        draw_line(other, (20, 40), (70, 40), (60, 40))
        other.wait_until(f"{TEXTS}.length === 2 && {STATUS} === 'Saved'")
        draw_line(page, (20, 70), (80, 70), (90, 70))
        page.wait_until(f"{TEXTS}.length === 3 && {STATUS} === 'Saved'")
        opened(other, server, SHARED)
        other.wait_until(f"{TEXTS}.length === 3")
        assert len(asked(server, "draft", SHARED)["measurements"]) == 3
        assert all("412" in error for error in (*other.errors, *page.errors))
    page.errors.clear()
