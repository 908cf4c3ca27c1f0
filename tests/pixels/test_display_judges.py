"""DCMTK's dcmj2pnm shows the same picture, within one grey level, of what tests make and of the shared data."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from dcmtk import run
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.errors import DataSetError
from gantry.pixels.decode import decode
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.grayscale import modality_values, padding_mask, stored_values
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.pixels.render import to_picture
from gantry.pixels.transcode import stored_frame, transcode
from gantry.pixels.voi import spanning
from image_values import NEW_UID, image_object
from support import shared_data

pytestmark = [pytest.mark.peer, pytest.mark.slow]

NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")

# Files of the shared data that dcmj2pnm shows differently, and why ours stands.
_SUPPLEMENTAL = (
    "it does not know supplemental palettes: the values above the gray ones are coloured (C.8.16.2)"
)
_YBR = "its tables for YBR_FULL are cut to whole numbers, ours are rounded once at the end: two levels"
_GROUPS = "it takes the rescale of functional groups from Enhanced CT only, this is Enhanced MR"
_SMALL = "it keeps the output of Modality LUT as whole numbers, and with a slope of 6e-8 all are 0"
DIFFERENT = {
    **dict.fromkeys(
        [
            f"enhanced/ct_perfusion_fragments/CT0012.{name}"
            for name in (
                "explicit_little_endian.dcm",
                "fragmented_no_bot_jpeg_lossless.57.dcm",
                "fragmented_no_bot_jpeg_lossless.70.dcm",
                "fragmented_no_bot_jpeg_ls.80.dcm",
                "fragmented_no_bot_jpeg_ls.81.dcm",
                "not_fragmented_bot_rle.dcm",
                "not_fragmented_no_bot_rle.dcm",
            )
        ],
        _SUPPLEMENTAL,
    ),
    "syntax/sc/SC_ybr_full_uncompressed.dcm": _YBR,
    "us/2023-04-21-RLEPlanarConfigurationYBR_FULL.dcm": _YBR,
    "us/YBR_FULL-RLE.dcm": _YBR,
    "pet/GH610.dcm": _SMALL,
    "enhanced/philips_fieldmap/IM_0027_fMAP.dcm": _GROUPS,
}


def _decoded(file: bytes) -> tuple[ImageHeader, np.ndarray] | None:
    """Header and samples of the first frame; None where there are no pixels."""
    meta, ds = read_part10(file, tolerate_missing_preamble=True)
    table = frame_table(ds)
    if table is None or not len(table):
        return None
    header = ImageHeader.from_dataset(ds)
    found = decode(stored_frame(ds, table, 0), meta.transfer_syntax_uid, header)
    return found.header, found.pixels


def _native(file: bytes, path: Path) -> Path:
    """A file that DCMTK decodes without a codec: those are judged elsewhere."""
    meta, ds = read_part10(file, tolerate_missing_preamble=True)
    if meta.transfer_syntax_uid in NATIVE:
        path.write_bytes(file)
        return path
    made = transcode(ds, NATIVE[1], new_sop_instance_uid=NEW_UID)
    head = encode_file_meta(
        sop_class_uid=made.sop_class_uid,
        sop_instance_uid=made.sop_instance_uid,
        transfer_syntax_uid=made.transfer_syntax_uid,
    )
    path.write_bytes(head + b"".join(bytes(piece) for piece in made.pieces))
    return path


def _window(header: ImageHeader, pixels: np.ndarray) -> Window | None:
    """What both are told to use: the header's window, else one from the pixels; None for a VOI LUT or color."""
    if pixels.ndim == 3 or header.photometric_interpretation == "PALETTE COLOR" or header.voi_luts:
        return None
    usable = [window for window in header.windows if window.is_usable]
    if usable:
        return usable[0]
    stored = stored_values(pixels, header)
    padding = padding_mask(stored, header)
    values = modality_values(stored if padding is None or padding.all() else stored[~padding], header)
    return spanning(float(values.min()), float(values.max()))


def _theirs(path: Path, header: ImageHeader, window: Window | None) -> np.ndarray | None:
    options: list[str] = []
    if header.voi_luts:
        options = ["+Wl", "1"]
    elif window is not None:
        options = ["+Ww", repr(window.center), repr(window.width)]
        options += ["+Wfs"] if header.voi_lut_function == "SIGMOID" else []
    out = path.with_suffix(".pnm")
    done = run("dcmj2pnm", "-q", "+F", "1", "+op", *options, path, out, timeout_s=60)
    if done.returncode or not out.exists():
        return None
    return np.asarray(Image.open(io.BytesIO(out.read_bytes())))


def _judged(file: bytes, folder: Path) -> int | None:
    """The largest difference between both pictures, 256 for another shape; None where only one makes any."""
    found = _decoded(file)
    if found is None:
        return None
    header, pixels = found
    window = _window(header, pixels)
    wanted = Rendering(window=window)
    ours = to_picture(pixels, header.photometric_interpretation, header, wanted)
    theirs = _theirs(_native(file, folder / "judged.dcm"), header, window)
    if theirs is None:
        return None
    if ours.ndim == 2 and theirs.ndim == 3:
        ours = np.repeat(ours[..., None], 3, axis=2)
    if ours.shape != theirs.shape:
        return 256
    return int(np.abs(ours.astype(int) - theirs).max())


def _shared(folder: str) -> Iterator[tuple[str, bytes]]:
    root = shared_data()
    for path in sorted((root / folder).rglob("*")):
        if path.suffix == ".dcm" or (path.is_file() and not path.suffix and path.name != "DICOMDIR"):
            yield str(path.relative_to(root)), path.read_bytes()


@pytest.mark.parametrize(
    ("folder", "fewest"),
    [
        ("cr", 4), ("ct", 28), ("dx", 3), ("dicomdir", 31), ("enhanced", 20), ("lut", 2), ("mg", 6), ("mr", 50),
        ("nm", 3), ("op", 1), ("overlay", 1), ("pet", 37), ("pr", 2), ("rf", 1), ("rt", 5), ("seg", 20),
        ("syntax", 75), ("synthetic/charset", 9), ("us", 12), ("wsi", 7), ("xa", 2),
    ],
)  # fmt: skip
def test_pictures_of_the_shared_data(folder: str, fewest: int, tmp_path: Path) -> None:
    judged, different = 0, {}
    for name, file in _shared(folder):
        try:
            difference = _judged(file, tmp_path)
        except DataSetError:
            continue  # refused with a reason: tests of decoding say which and why
        if difference is None:
            continue
        judged += 1
        if difference > 1:
            different[name] = difference
    assert set(different) == {name for name in DIFFERENT if name.startswith(f"{folder}/")}, different
    assert judged >= fewest


RAMP = (np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)).astype(np.uint16)
TWELVE = {"BitsStored": 12, "HighBit": 11}


def _lut(keyword: str, first: int, bits: int, entries: np.ndarray) -> dict[str, object]:
    item = Dataset()
    item.add_new(0x00283002, "US", [len(entries) & 0xFFFF, first, bits])
    item.add_new(0x00283004, "LO", "OD")
    item.add_new(0x00283006, "OW", entries.astype("<u2").tobytes())
    return {keyword: [item]}


def _palette(entries: np.ndarray, bits: int) -> dict[str, object]:
    out: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for n, color in enumerate(("Red", "Green", "Blue")):
        out[f"{color}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        out[f"{color}PaletteColorLookupTableData"] = np.roll(entries, n * 40).astype("<u2").tobytes()
    return out


def _overlay(**changes: object) -> dict[str, object]:
    return {"overlay": {0x0010: 20, 0x0011: 30, 0x0040: "G", 0x0050: [5, -3], 0x0100: 1, 0x0102: 0} | changes}


MADE: dict[str, tuple[np.ndarray, dict[str, object]]] = {
    "window": (RAMP, TWELVE | {"WindowCenter": "1000", "WindowWidth": "800"}),
    "sigmoid": (RAMP, TWELVE | {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"}),
    "one wide": (RAMP, TWELVE | {"WindowCenter": 1000, "WindowWidth": 1}),
    "fraction": (RAMP, TWELVE | {"WindowCenter": "1000.5", "WindowWidth": "333.25"}),
    "rescaled": (
        RAMP, TWELVE | {"RescaleSlope": "2.5", "RescaleIntercept": "-1024", "WindowCenter": 40, "WindowWidth": 400},
    ),
    "signed": ((RAMP.astype(np.int16) - 2048), {"WindowCenter": "-100", "WindowWidth": "1500"}),
    "high bit": (RAMP << 4, {"BitsStored": 12, "HighBit": 15, "WindowCenter": 1000, "WindowWidth": 800}),
    "monochrome1": (
        RAMP, TWELVE | {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 1000, "WindowWidth": 800},
    ),
    "inverse": (RAMP, TWELVE | {"PresentationLUTShape": "INVERSE", "WindowCenter": 900, "WindowWidth": 700}),
    "monochrome1 inverse": (
        RAMP,
        TWELVE | {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE",
                  "WindowCenter": 900, "WindowWidth": 700},
    ),
    "modality lut": (RAMP, TWELVE | _lut("ModalityLUTSequence", 500, 12, np.arange(3000)[::-1])),
    "voi lut": (RAMP, TWELVE | _lut("VOILUTSequence", 1000, 10, np.arange(1024) ** 2 // 1024)),
    "palette 16": (RAMP.astype(np.uint8), _palette(np.arange(256) * 257, 16)),
    "palette 8": (RAMP.astype(np.uint8), _palette(np.arange(256), 8)),
    "rgb": (np.stack([RAMP % 256, RAMP // 16, 255 - RAMP % 256], axis=-1).astype(np.uint8), {}),
    "overlay": (RAMP, TWELVE | {"WindowCenter": 2000, "WindowWidth": 4000} | _overlay()),
    "embedded overlay": (
        RAMP | np.where(RAMP % 7 == 0, 0x8000, 0).astype(np.uint16),
        TWELVE | {"WindowCenter": 2000, "WindowWidth": 4000}
        | {"overlay": {0x0010: 64, 0x0011: 64, 0x0040: "G", 0x0050: [1, 1], 0x0100: 16, 0x0102: 15}},
    ),
}  # fmt: skip


def _made(name: str) -> bytes:
    pixels, attributes = MADE[name]
    overlay = attributes.get("overlay")
    file = image_object(
        pixels, **{keyword: value for keyword, value in attributes.items() if keyword != "overlay"}
    )
    if overlay is None:
        return file
    assert isinstance(overlay, dict)
    ds = pydicom.dcmread(io.BytesIO(file))
    kinds = {0x0040: "CS", 0x0050: "SS"}
    for element, value in overlay.items():
        ds.add_new(0x60000000 | element, kinds.get(element, "US"), value)
    if overlay[0x0100] == 1:
        rng = np.random.default_rng(7)
        ds.add_new(0x60003000, "OW", rng.integers(0, 256, 76, np.uint8).tobytes())
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize("name", MADE)
def test_pictures_of_what_tests_make(name: str, tmp_path: Path) -> None:
    difference = _judged(_made(name), tmp_path)
    assert difference is not None
    assert difference <= 1
