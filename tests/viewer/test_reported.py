"""What structured reports measured is shown on the images: ours and others', on the right pixels, told apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from chromium import Page
from gantry.dataset.part10 import read_part10
from gantry.toolkit.measurements.model import Image, Kind, Measurement, Value
from gantry.toolkit.measurements.report_write import About, write_report
from real_files import shared_data
from serving import CT, ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, ct_image, filled, send, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY, DRAFTED = f"{ROOT}.21", f"{ROOT}.22"
SIDE = 128
OF_REPORTS = "[...document.querySelectorAll('.measure-layer g.reported')]"
OWN = "[...document.querySelectorAll('.measure-layer g:not(.reported)')]"
WORDS = ".map((one) => [...one.querySelectorAll('tspan')].map((line) => line.textContent).join('|'))"
IN_PANEL = (
    "[...document.querySelectorAll('.reported-list li')].map((one) => one.innerText.split('\\n').join('|'))"
)


def objects(study: str = STUDY) -> Iterator[bytes]:
    ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint16)
    for number in (1, 2, 3):
        yield ct_image(ramp, study, 1, number, PixelSpacing=[0.5, 0.5], SeriesDescription="thorax")


def made_report() -> bytes:
    """By Jane Doe: a rectangle on the second image, and an arrow on the first."""

    def on(number: int) -> Image:
        return Image(f"{STUDY}.1", f"{STUDY}.1.{number}", CT)

    box = ((20.5, 30.5), (60.5, 30.5), (60.5, 50.5), (20.5, 50.5))
    told = (Value("area", 1.987, "cm2"), Value("mean", 40.25, "[hnsf'U]"))
    rectangle = Measurement("1", Kind.RECTANGLE, on(2), box, "Nodule", values=told)
    arrow = Measurement("2", Kind.ARROW, on(1), ((100.5, 40.5), (90.5, 60.5)), text="here")
    about = About(f"{STUDY}.8.1", f"{STUDY}.8", datetime(2026, 1, 2, 3, 4), "Follow-up", observer="Doe^Jane")
    image = read_part10(next(objects()))[1]
    return write_report([rectangle, arrow], image, about, {})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), [*objects(), *objects(DRAFTED)]) as address:
        yield address


def opened(page: Page, server: str, study: str = STUDY) -> None:
    page.go(f"{server}/view/{study}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.key("Home")


def corners(page: Page, shape: str, side: int = SIDE) -> list[tuple[float, float]]:
    """The corners of the first line of a shape, as columns and rows of the image, by where they are on the page."""
    path, box = page.evaluate(
        f"""(() => {{ const b = document.querySelector('.viewport').getBoundingClientRect();
            return [{shape}.querySelector('path').getAttribute('d'), [b.width, b.height]]; }})()"""
    )
    scale = min(box) / side
    found = [tuple(map(float, place.split())) for place in re.findall(r"[ML]([-\d. ]+)", path)]
    return [
        ((x - box[0] / 2) / scale + (side - 1) / 2, (y - box[1] / 2) / scale + (side - 1) / 2)
        for x, y in found
    ]


def test_what_a_report_measured_is_seen_on_its_image(page: Page, server: str) -> None:
    send(server, made_report())
    opened(page, server)
    page.wait_until(f"{OF_REPORTS}{WORDS}.join() === 'here|[Doe, Jane]'")
    # From the corner of a pixel, as reports count, to its centre, as the page does.
    assert np.allclose(corners(page, f"{OF_REPORTS}[0]"), [(100, 40), (90, 60)], atol=0.05)
    page.key("u")
    page.wait_until(f"{IN_PANEL}.length === 2")
    heading = page.evaluate("document.querySelector('.reported-list h4').innerText")
    assert heading.split("\n") == ["Follow-up", "02 Jan 2026 03:04 · Doe, Jane"]
    assert page.evaluate(IN_PANEL) == [
        "Nodule|1.99 cm²|Mean 40.25 HU|thorax, image 2",
        "here|thorax, image 1",
    ]

    page.click(".reported-list .measure-show")
    page.wait_until(f"{SLICE} === '2 / 3'")
    page.wait_until(f"{OF_REPORTS}[0]?.classList.contains('chosen')")
    assert page.evaluate(f"{OF_REPORTS}{WORDS}") == ["Nodule|1.99 cm²|Mean 40.25 HU|[Doe, Jane]"]
    settled(page)
    assert np.allclose(corners(page, f"{OF_REPORTS}[0]"), [(20, 30), (60, 30), (60, 50), (20, 50)], atol=0.05)
    assert (
        page.evaluate(f"getComputedStyle({OF_REPORTS}[0].querySelectorAll('path')[1]).strokeDasharray")
        != "none"
    )
    page.screenshot(ARTIFACTS / "reported.png")
    # It can be looked at, and not be changed.
    page.key("Delete")
    page.click(".reported-list header .tool")
    page.wait_until(f"{OF_REPORTS}.length === 0")
    page.click(".reported-list header .tool")
    page.wait_until(f"{OF_REPORTS}.length === 1")


def test_what_becomes_a_report_is_seen_once(page: Page, server: str) -> None:
    opened(page, server, DRAFTED)
    line: dict[str, Any] = {
        "id": "2.25.77",
        "kind": "length",
        "image": {"seriesInstanceUid": f"{DRAFTED}.1", "sopInstanceUid": f"{DRAFTED}.1.1", "sopClassUid": CT},
        "points": [[14.5, 30.5], [114.5, 30.5]],
        "values": [{"name": "length", "value": 50.0, "unit": "mm"}],
    }
    draft = f"{server}/api/studies/{DRAFTED}/draft"
    httpx.put(draft, json={"measurements": [line]}, headers={"If-None-Match": "*"}).raise_for_status()
    opened(page, server, DRAFTED)
    page.wait_until(f"{OWN}{WORDS}.join() === '50.0 mm'")
    page.key("u")
    page.click(".measure-panel footer .button")
    page.wait_until(f"{OWN}.length === 0 && {OF_REPORTS}.length === 1")
    assert page.evaluate(f"{OF_REPORTS}{WORDS}") == ["50 mm|[Gantry]"]
    assert np.allclose(corners(page, f"{OF_REPORTS}[0]"), [(14, 30), (114, 30)], atol=0.05)
    # Another device had it open, and saves it again: it is in the draft and in the report.
    httpx.put(draft, json={"measurements": [line]}, headers={"If-Match": '"2"'}).raise_for_status()
    opened(page, server, DRAFTED)
    page.wait_until(f"{OWN}.length === 1")
    page.key("u")
    page.wait_until(NO_LONGER_LOADING)
    page.wait_until("document.querySelectorAll('.measure-panel li').length === 1")
    assert page.evaluate(f"{OF_REPORTS}.length") == 0


def of_label(label: str) -> str:
    return f"{OF_REPORTS}.find((one) => one.querySelector('tspan')?.textContent === {json.dumps(label)})"


def test_a_report_on_a_real_image(page: Page, server: str) -> None:
    """A made one on the CT that pydicom brings: the shape is around the pixels that it names."""
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    image_file = Path(path).read_bytes()
    send(server, image_file)
    image = read_part10(image_file)[1]
    series, uid, study = (image.text(tag) or "" for tag in (0x0020000E, 0x00080018, 0x0020000D))
    circle = Measurement("c", Kind.CIRCLE, Image(series, uid, CT), ((58.5, 52.5), (58.5, 41.5)), "Made")
    send(server, write_report([circle], image, About("1.2.3.4", "1.2.3.5", datetime(2026, 1, 2)), {}))
    opened(page, server, study)
    page.wait_until(of_label("Made"))
    ring = corners(page, of_label("Made"))
    assert np.allclose([np.hypot(x - 58, y - 52) for x, y in ring], 11, atol=0.05)


@pytest.mark.parametrize(
    ("name", "label", "column", "row", "radius"),
    [
        ("sr_document", "Spinal cord", 58, 52, 11),
        ("sr_document_with_multiple_groups", "Nodule", 45, 55, 10),
    ],
)
def test_reports_of_highdicom_on_their_image(
    page: Page, server: str, name: str, label: str, column: int, row: int, radius: int
) -> None:
    report = (shared_data() / "sr" / f"{name}.dcm").read_bytes()
    send(server, (shared_data() / "ct" / "CT_small.dcm").read_bytes())
    send(server, report)
    opened(page, server, read_part10(report)[1].text(0x0020000D) or "")
    page.wait_until(of_label(label))
    # SCOORD counts from the corner of the first pixel.
    away = [np.hypot(x + 0.5 - column, y + 0.5 - row) for x, y in corners(page, of_label(label))]
    assert np.allclose(away, radius, atol=0.05)
    page.screenshot(ARTIFACTS / f"reported-{name}.png")
