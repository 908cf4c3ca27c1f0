"""The viewport shows what the server renders: tables, functions, polarity, planes and shutters, over many files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from chromium import Page
from compared import Difference, difference
from image_values import image_object
from serving import ROOT
from support import shared_root
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, filled, send

pytestmark = [pytest.mark.peer, pytest.mark.timeout(900)]

STUDY = f"{ROOT}.11"
SIDE = 32


def ramp(top: int = 4095) -> np.ndarray:
    """From 0 to `top`, rising along rows and down columns, in steps that a screen shows."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return ((x + y) * top // (2 * SIDE - 2)).astype(np.uint16)


def table(first: int, entries: np.ndarray, bits: int = 16, **more: Any) -> Dataset:
    ds = Dataset()
    ds.add_new(0x00283002, "US", [len(entries), first, bits])
    ds.add_new(0x00283006, "OW", entries.astype("<u2").tobytes())
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def packed(mask: np.ndarray) -> bytes:
    data = np.packbits(mask.astype(np.uint8).ravel(), bitorder="little").tobytes()
    return data + b"\0" * (len(data) % 2)


def with_overlays(file: bytes, *planes: tuple[int, np.ndarray, dict[int, tuple[str, Any]]]) -> bytes:
    """The file with overlay groups: each a group, a mask (or frames of it), and what else its group says."""
    ds = pydicom.dcmread(io.BytesIO(file))
    for group, mask, more in planes:
        base = group << 16
        ds.add_new(base | 0x10, "US", mask.shape[-2])
        ds.add_new(base | 0x11, "US", mask.shape[-1])
        ds.add_new(base | 0x40, "CS", "G")
        ds.add_new(base | 0x50, "SS", [1, 1])
        ds.add_new(base | 0x100, "US", 1)
        ds.add_new(base | 0x102, "US", 0)
        ds.add_new(base | 0x3000, "OW", packed(mask))
        for element, (vr, value) in more.items():
            ds.add_new(base | element, vr, value)
    written = io.BytesIO()
    ds.save_as(written)
    return written.getvalue()


def made(name: str, pixels: np.ndarray, **attributes: Any) -> bytes:
    number = sorted(MADE).index(name) + 1 if name in MADE else 99
    usual = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "Modality": "OT",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.{number}",
        "SOPInstanceUID": f"{STUDY}.{number}.1",
        "SeriesNumber": number,
        "InstanceNumber": 1,
        "SeriesDescription": name,
        "BitsStored": 12,
        "HighBit": 11,
    }
    return image_object(pixels if pixels.ndim == 3 else pixels[None], **(usual | attributes))


def gamma(count: int) -> np.ndarray:
    return (np.linspace(0, 1, count) ** 3 * 65535).astype(np.uint16)


CROSS = np.zeros((SIDE, SIDE), bool)
CROSS[SIDE // 2, 4:-4] = CROSS[4:-4, SIDE // 2] = True
SHUTTER: dict[str, Any] = {"ShutterPresentationValue": 20000}
WIDE = {"WindowCenter": 2048, "WindowWidth": 4096}


def embedded() -> bytes:
    """An overlay in bit 12 of the pixels, which a value without it must not show."""
    file = made("overlay in unused bits", ramp() | (CROSS.astype(np.uint16) << 12), **WIDE)
    ds = pydicom.dcmread(io.BytesIO(file))
    for element, value in ((0x10, SIDE), (0x11, SIDE), (0x100, 16), (0x102, 12)):
        ds.add_new(0x60000000 | element, "US", value)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])
    written = io.BytesIO()
    ds.save_as(written)
    return written.getvalue()


MADE: dict[str, Callable[[], bytes]] = {}


def case(name: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def note(make: Callable[[], bytes]) -> Callable[[], bytes]:
        MADE[name] = make
        return make

    return note


for _name, _attributes in {
    "window": {"WindowCenter": 1000, "WindowWidth": 800},
    "no window": {},
    "monochrome 1": {"PhotometricInterpretation": "MONOCHROME1", **WIDE},
    "inverse": {"PresentationLUTShape": "INVERSE", "WindowCenter": 1000, "WindowWidth": 800},
    "inverse and monochrome 1": {
        "PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE", **WIDE,
    },
    "sigmoid": {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"},
    "linear exact": {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "LINEAR_EXACT"},
    "VOI table": {"VOILUTSequence": Sequence([table(0, gamma(4096))])},
    "VOI table from 1000": {"VOILUTSequence": Sequence([table(1000, gamma(2000)[::-1])]), **WIDE},
    "VOI table inverse": {"VOILUTSequence": Sequence([table(0, gamma(4096))]), "PresentationLUTShape": "INVERSE"},
    "modality table": {
        "ModalityLUTSequence": Sequence([table(0, gamma(4096) // 16, ModalityLUTType="US")]), **WIDE,
    },
    "both tables": {
        "ModalityLUTSequence": Sequence([table(0, np.arange(4096)[::-1], ModalityLUTType="US")]),
        "VOILUTSequence": Sequence([table(0, gamma(4096))]),
    },
    "rescale of fractions": {
        "RescaleSlope": 0.00025, "RescaleIntercept": 0, "WindowCenter": 0.5, "WindowWidth": 1,
    },
    "padding": {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0, **WIDE},
    "rectangle": {
        "ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 5, "ShutterRightVerticalEdge": 25,
        "ShutterUpperHorizontalEdge": 3, "ShutterLowerHorizontalEdge": 28, **SHUTTER, **WIDE,
    },
    "circle": {
        "ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [16, 12], "RadiusOfCircularShutter": 10, **WIDE,
    },
    "polygon": {
        "ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [2, 2, 6, 30, 30, 20, 20, 8], **SHUTTER, **WIDE,
    },
}.items():  # fmt: skip
    MADE[_name] = lambda name=_name, attributes=_attributes: made(name, ramp(), **attributes)  # type: ignore[misc]


@case("overlay")
def _overlay() -> bytes:
    off = {0x50: ("SS", [-3, 5])}
    return with_overlays(made("overlay", ramp(), **WIDE), (0x6000, CROSS, {}), (0x6004, CROSS.T, off))


@case("overlay that is the shutter")
def _bitmap() -> bytes:
    file = made(
        "overlay that is the shutter", ramp(), ShutterShape="BITMAP", ShutterOverlayGroup=0x6000, **WIDE
    )
    return with_overlays(file, (0x6000, CROSS, {}))


@case("overlay of several frames")
def _frames() -> bytes:
    file = made("overlay of several frames", np.stack([ramp()] * 3), **WIDE)
    masks = np.stack([CROSS, np.roll(CROSS, 5, axis=1)])
    return with_overlays(file, (0x6000, masks, {0x15: ("IS", 2), 0x51: ("US", 2)}))


@case("overlay as bulk data")
def _large() -> bytes:
    by = np.ones((8, 8), np.uint16)
    file = made("overlay as bulk data", np.kron(ramp(), by), **WIDE)
    return with_overlays(file, (0x6000, np.kron(CROSS, by), {}))


MADE["overlay in unused bits"] = embedded


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), [make() for make in MADE.values()]) as address:
        yield address


@pytest.mark.parametrize("name", sorted(MADE))
def test_what_the_file_says_of_display_is_done_as_the_server_does(page: Page, server: str, name: str) -> None:
    found = difference(page, server, MADE[name](), frame=2)
    assert found is not None
    assert found.greys > 3
    assert found.median <= 1.5, found
    assert found.most <= 12, found
    assert found.mean <= 2, found


def test_planes_are_taken_off_and_put_on(page: Page, server: str) -> None:
    difference(page, server, MADE["overlay"]())
    page.wait_until("document.querySelector('.plane-layer')")
    page.screenshot(ARTIFACTS / "overlay-desk.png")
    for shown in (False, True):
        page.command(
            "Input.dispatchKeyEvent",
            type="keyDown",
            key="O",
            code="KeyO",
            windowsVirtualKeyCode=79,
            modifiers=8,
        )
        page.wait_until(f"(document.querySelector('.plane-layer') !== null) === {str(shown).lower()}")


def test_planes_that_do_not_come_are_said_to_be_missing(page: Page, server: str) -> None:
    page.command("Network.enable")
    page.command("Network.setBlockedURLs", urls=["*/bulkdata/*"])
    try:
        difference(page, server, MADE["overlay as bulk data"]())
        said = "document.querySelector('.planes-missing')?.innerText"
        assert page.wait_until(said) == "Overlays of this image could not be loaded."
        assert not page.evaluate("document.querySelector('.plane-layer')")
        page.screenshot(ARTIFACTS / "overlay-missing-desk.png")
    finally:
        page.command("Network.setBlockedURLs", urls=[])
    page.errors[:] = [error for error in page.errors if "BLOCKED_BY_CLIENT" not in error]


def test_planes_follow_a_turned_and_larger_image(page: Page, server: str) -> None:
    difference(page, server, MADE["overlay"]())
    transform = "document.querySelector('.plane-layer').style.transform"
    seen = {page.wait_until(transform)}
    for key in ("r", "h", "+"):
        page.key(key)
        page.wait_until(f"!{sorted(seen)!r}.includes({transform})")
        seen.add(page.evaluate(transform))
    assert len(seen) == 4


def test_a_window_takes_the_place_of_a_table_and_reset_brings_it_back(page: Page, server: str) -> None:
    file = MADE["VOI table"]()
    assert difference(page, server, file).median <= 1.5  # type: ignore[union-attr]
    page.drag(".viewport", 150, 0)
    page.key("0")
    page.wait_until(NO_LONGER_LOADING)
    assert page.wait_until(SLICE)
    assert (
        page.evaluate("document.querySelector('.corner.bottom-right .strong').innerText") == "W 4096 L 2048"
    )


# Why a picture is allowed to differ, by its file.
DIFFERENT = {
    "sample-op.dcm": "it is lossy JPEG under the transfer syntax of lossless JPEG, which only the server notices",
}


def real_images(*, every_kind: bool) -> list[tuple[str, bytes]]:
    """pydicom's own files and the shared ones: one for each trait that decides how it is decoded and displayed, or one
    for each set of traits."""
    package = Path(pydicom.__file__).parent / "data"
    paths = [Path(name) for name in get_testdata_files() if package in Path(name).parents]
    shared = shared_root()
    if shared is not None:
        paths += [path for path in sorted((shared / "data").rglob("*")) if path.is_file()]
    kinds: dict[tuple[str, ...], Path] = {}
    for path in paths:
        if "malformed" in path.parts or path.name in DIFFERENT or not path.is_file():
            continue
        with suppress(Exception):  # what pydicom cannot read is a matter of other tests
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            if ds.get("Rows") and ds.get("StudyInstanceUID") and ds.get("SOPInstanceUID"):
                kinds.setdefault(_kind(ds), path)
    if not every_kind:
        seen: set[tuple[int, str]] = set()
        chosen = []
        for kind in kinds:
            traits = set(enumerate(kind))
            if traits - seen:
                chosen.append(kind)
                seen |= traits
        kinds = {kind: kinds[kind] for kind in chosen}
    return [(path.name, path.read_bytes()) for path in kinds.values()]


def _kind(ds: pydicom.Dataset) -> tuple[str, ...]:
    values = ("PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation")
    there = ("VOILUTSequence", "ModalityLUTSequence", "WindowCenter", "ShutterShape", "PixelAspectRatio")
    traits = (
        ds.file_meta.TransferSyntaxUID,
        *(ds.get(keyword) for keyword in values),
        ds.get("PresentationLUTShape"),
        *(keyword in ds for keyword in there),
        any(tag.group >> 8 == 0x60 for tag in ds.keys()),  # noqa: SIM118
    )
    return tuple(str(trait) for trait in traits)


@pytest.mark.parametrize("every_kind", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_images_of_many_makers_look_as_the_server_renders_them(
    page: Page, tmp_path_factory: pytest.TempPathFactory, every_kind: bool
) -> None:
    files = real_images(every_kind=every_kind)
    assert len(files) >= 20
    compared: dict[str, Difference] = {}
    with filled(tmp_path_factory.mktemp("archive"), []) as address:
        for name, file in files:
            try:
                send(address, file)
            except (HTTPError, AssertionError):
                continue  # the archive refuses it, or knows it under another name
            try:
                found = difference(page, address, file)
            except ValueError:
                continue  # a header of which pydicom cannot read the numbers
            # What has no rendition, or none of its own, logs that; so do pictures that are not there.
            page.errors.clear()
            if found is not None:
                compared[name] = found
    assert len(compared) >= 15
    assert {name: found for name, found in compared.items() if found.median > 2 or found.mean > 5} == {}
