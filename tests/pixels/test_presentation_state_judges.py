"""DCMTK shows the same by the same presentation state, within one grey level; dciodvfy and dcmpschk find no fault
in what is written.

What dcmp2pgm draws is the image through the lookup tables, turned, with a bitmap shutter. It leaves out the
displayed area, graphics, texts, overlays, and shutters of shapes: here ours leaves them out too.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dcmtk import run
from gantry.dataset.part10 import read_part10
from gantry.pixels.decode import decode
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.geometry import place
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.pixels.overlay import Overlay
from gantry.pixels.presentation import Presentation, Shadow
from gantry.pixels.presentation_state import applied
from gantry.pixels.render import to_picture
from gantry.pixels.shutter import Shutter
from gantry.pixels.transcode import stored_frame
from gantry.toolkit.presentation_state import About, Look, Superimposed, write_presentation_state
from image_values import image_object
from state_values import (
    COLUMNS,
    CT_LIKE,
    GREEN,
    MADE,
    RED,
    ROWS,
    TWELVE,
    VALUES,
    WINDOW,
    changed,
    graphic,
    line,
    palette,
    scanned,
    state_for,
    table,
    text,
)
from support import shared_data

pytestmark = [pytest.mark.peer]

RANDOM = np.random.default_rng(5)
BITS = np.packbits(RANDOM.random(ROWS * COLUMNS) < 0.3, bitorder="little").tobytes()
PLANE = Overlay(0x6000, ROWS, COLUMNS, (1, 1), BITS)
DRAWN = Presentation(
    graphics=(
        line((5.0, 5.0), (70.0, 50.0), color=RED, thickness=2.0, dashed=True, shadow=Shadow((0, 0, 0), 0.5, (1.0, 1.0))),
        graphic("CIRCLE", (0.5, 0.5), (0.6, 0.5), units="DISPLAY", color=GREEN, filled=True, fill=RED, fill_opacity=0.5),
        graphic("ELLIPSE", (20.0, 30.0), (60.0, 30.0), (40.0, 20.0), (40.0, 40.0)),
        graphic("POINT", (5.0, 5.0)),
        graphic("INTERPOLATED", (5.0, 5.0), (9.0, 9.0), (20.0, 5.0)),
    ),
    texts=(text("Größe: 12.3 cm²\nline two", anchor=(40.0, 40.0), anchor_visible=True),),
)  # fmt: skip

LOOKS = {
    "nothing": Look(),
    "window": Look(window=WINDOW),
    "narrow window": Look(window=Window(500, 1)),
    "window of two": Look(window=Window(500, 2)),
    "inverse": Look(window=WINDOW, inverse=True),
    "rescale": Look(rescale=(2.5, -300, "US"), window=Window(3000, 5000)),
    "VOI LUT": Look(voi_lut=table(-1000, 16, RANDOM.integers(0, 65536, 2000))),
    "VOI LUT of 8 bits": Look(voi_lut=table(-1000, 8, RANDOM.integers(0, 256, 4096))),
    "VOI LUT of 12 bits": Look(voi_lut=table(-1000, 12, RANDOM.integers(0, 4096, 4096))),
    "Modality LUT": Look(modality_lut=table(0, 16, np.sqrt(np.arange(4096)) * 1000), window=Window(30000, 60000)),
    "Modality LUT alone": Look(modality_lut=table(0, 16, 65535 - np.arange(4096) * 16)),
    "Presentation LUT": Look(window=WINDOW, presentation_lut=table(0, 12, np.linspace(0, 1, 4096) ** 2 * 4095)),
    "Presentation LUT alone": Look(presentation_lut=table(0, 16, np.linspace(0, 1, 4096) * 65535)),
    "quarter turn": Look(window=WINDOW, presentation=Presentation(rotation=90)),
    "half turn": Look(window=WINDOW, presentation=Presentation(rotation=180)),
    "turned and flipped": Look(window=WINDOW, presentation=Presentation(rotation=270, flip=True)),
    "flipped": Look(window=WINDOW, presentation=Presentation(flip=True)),
    "area": Look(window=WINDOW, presentation=Presentation(area=(10.0, 5.0, 30.0, 40.0), magnification=2.0)),
    "spacing": Look(window=WINDOW, presentation=Presentation(pixel_aspect=(0.3, 0.3))),
    "shutters": Look(
        window=WINDOW,
        shutter=Shutter((10, 60, 5, 50), (30, 40, 20), ((5, 5), (50, 10), (40, 70)), color=(128, 128, 128)),
    ),
    "bitmap shutter": Look(
        window=WINDOW, overlays=(PLANE,), shutter=Shutter(overlay_group=0x6000, color=(128, 128, 128))
    ),
    "overlay": Look(window=WINDOW, overlays=(PLANE, replace(PLANE, group=0x6002, origin=(5, -3)))),
    "drawn": Look(window=WINDOW, presentation=DRAWN),
}  # fmt: skip


def ours(file: bytes, state: bytes, frame: int = 1) -> np.ndarray:
    """The picture without what dcmp2pgm does not draw."""
    meta, ds = read_part10(file)
    frames = frame_table(ds)
    assert frames is not None
    stored = stored_frame(ds, frames, frame - 1)
    decoded = decode(stored, meta.transfer_syntax_uid, ImageHeader.from_dataset(ds, frame))
    header = applied(decoded.header, ds, scanned(state), frame)
    shutter, presentation = header.shutter, header.presentation
    assert presentation is not None
    bitmap = None if shutter is None else shutter.overlay_group
    header = replace(
        header,
        shutter=None if shutter is None else Shutter(overlay_group=bitmap, color=shutter.color),
        overlays=tuple(overlay for overlay in header.overlays if overlay.group == bitmap),
        pixel_aspect=(1.0, 1.0),
        presentation=replace(presentation, area=None, magnification=None, pixel_aspect=None),
    )
    picture = to_picture(decoded.pixels, header.photometric_interpretation, header, Rendering())
    return place(picture, header, Rendering())[0].astype(int)


def theirs(file: bytes, state: bytes, folder: Path, frame: int = 1) -> np.ndarray:
    for name, content in (("image.dcm", file), ("state.dcm", state)):
        (folder / name).write_bytes(content)
    out = folder / "out.pgm"
    done = run("dcmp2pgm", "-f", frame, "-p", folder / "state.dcm", folder / "image.dcm", out)
    assert done.returncode == 0, done.stderr
    data = out.read_bytes()
    columns, rows = map(int, data.split(maxsplit=4)[1:3])
    return np.frombuffer(data[-rows * columns :], np.uint8).reshape(rows, columns).astype(int)


@pytest.mark.parametrize("name", LOOKS)
def test_dcmtk_shows_the_same(name: str, tmp_path: Path) -> None:
    state = state_for(CT_LIKE, LOOKS[name])
    assert np.abs(ours(CT_LIKE, state) - theirs(CT_LIKE, state, tmp_path)).max() <= 1


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dcmtk_shows_the_same_of_any_depth(bits: int, signed: bool, photometric: str, tmp_path: Path) -> None:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    kind = f"{'i' if signed else 'u'}{1 if bits == 8 else 2}"
    pixels = RANDOM.integers(low, high, (3, ROWS, COLUMNS), endpoint=True).astype(kind)
    file = image_object(pixels, BitsStored=bits, HighBit=bits - 1, PhotometricInterpretation=photometric)
    window = Window((low + high) / 2, (high - low) / 2)
    for look in (Look(), Look(window=window), Look(window=window, inverse=True)):
        state = state_for(file, look)
        assert np.abs(ours(file, state, 2) - theirs(file, state, tmp_path, 2)).max() <= 1


def test_dcmtk_takes_every_window_for_a_linear_one(tmp_path: Path) -> None:
    """It does not know VOI LUT Function in states: what it shows of SIGMOID is our LINEAR."""
    state = state_for(CT_LIKE, Look(window=WINDOW, voi_function="SIGMOID"))
    linear = ours(CT_LIKE, state_for(CT_LIKE, Look(window=WINDOW)))
    shown = theirs(CT_LIKE, state, tmp_path)
    assert np.abs(shown - linear).max() <= 1
    values = VALUES - 1000.0
    share = 1 / (1 + np.exp(-4 * (values - WINDOW.center) / WINDOW.width))  # PS3.3 C.11.2.1.3.1
    assert np.abs(ours(CT_LIKE, state) - share * 255).max() <= 0.51


@pytest.mark.parametrize("count", [16, 256])
def test_dcmtk_takes_the_entry_before_where_ours_is_the_nearest(count: int, tmp_path: Path) -> None:
    """Between two entries of a short Presentation LUT it cuts, ours rounds; the standard says neither."""
    look = Look(window=WINDOW, presentation_lut=table(0, 16, np.linspace(0, 65535, count)))
    state = state_for(CT_LIKE, look)
    difference = ours(CT_LIKE, state) - theirs(CT_LIKE, state, tmp_path)
    step = 255 / (count - 1)
    assert difference.min() >= -1
    assert difference.max() <= step + 1


SHARED: dict[str, tuple[str, Callable[[pydicom.Dataset], object] | None]] = {
    "pr/prLUTs.dcm": ("pr/imageForPrLUTs.dcm", None),
    "pr/prOverlay.dcm": ("pr/overlay.dcm", None),
    # dcmp2pgm refuses a state whose patient has no name.
    "synthetic/pr/gsps_lidc_annotated.dcm": (
        "ct/lidc_0314_22_slices/000267.dcm",
        lambda ds: setattr(ds, "PatientName", "Doe"),
    ),
}


@pytest.mark.parametrize("name", SHARED)
def test_dcmtk_shows_the_same_of_the_shared_data(name: str, tmp_path: Path) -> None:
    root = shared_data()
    image, change = SHARED[name]
    file, state = (root / image).read_bytes(), (root / name).read_bytes()
    if change is not None:
        state = changed(state, change)
    assert np.abs(ours(file, state) - theirs(file, state, tmp_path)).max() <= 1


def validated(file: bytes, folder: Path) -> list[str]:
    """The faults that dciodvfy finds."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    path = folder / "written.dcm"
    path.write_bytes(file)
    done = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    assert "PresentationState" in done.stderr
    return [one for one in done.stderr.splitlines() if one.startswith("Error")]


def checked(file: bytes, folder: Path) -> None:
    path = folder / "written.dcm"
    path.write_bytes(file)
    done = run("dcmpschk", path)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "Test passed" in told, told


@pytest.mark.parametrize("name", LOOKS)
def test_grayscale_states_are_without_fault(name: str, tmp_path: Path) -> None:
    about = About("my label", "Größe", "Müller^Jörg", instance_number=3)
    state = state_for(CT_LIKE, LOOKS[name], about=about)
    assert validated(state, tmp_path) == []
    checked(state, tmp_path)


def test_states_of_colour_are_without_fault(tmp_path: Path) -> None:
    rgb = image_object(RANDOM.integers(0, 255, (1, ROWS, COLUMNS, 3), np.uint8))
    shutter = Shutter((10, 60, 5, 50), color=(0, 50, 200))
    pseudo = Look(window=WINDOW, shutter=shutter, presentation=replace(DRAWN, palette=palette(), rotation=90))
    color = Look(shutter=shutter, presentation=DRAWN)
    other = image_object(VALUES[None], **TWELVE, SOPInstanceUID="1.2.3.4")
    blending = write_presentation_state(
        [scanned(CT_LIKE)],
        Look(window=WINDOW, presentation=DRAWN),
        made=MADE,
        superimposed=Superimposed([scanned(other)], Look(window=Window(2000, 4000)), palette(), 0.4),
    )
    kinds = set()
    for state in (state_for(CT_LIKE, pseudo), state_for(rgb, color), blending):
        assert validated(state, tmp_path) == []
        checked(state, tmp_path)
        kinds.add(pydicom.dcmread(io.BytesIO(state)).SOPClassUID)
    assert len(kinds) == 3
