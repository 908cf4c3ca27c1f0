"""Images as tests make them: a header, samples that use all of their bits, and whole objects."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.errors import DataSetError
from gantry.pixels.codecs.registry import NAMES
from gantry.pixels.decode import decode, stored_values
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader
from gantry.pixels.transcode import Transcoded, stored_frame, transcode
from serving import dataset, part10

SC = "1.2.840.10008.5.1.4.1.1.7"
NEW_UID = "1.2.826.0.1.3680043.10.1.77"


def header(**changes: Any) -> ImageHeader:
    """A grayscale image of 16 bits unless changed; High Bit follows Bits Stored."""
    allocated = changes.get("bits_allocated", 16)
    stored = changes.get("bits_stored", allocated)
    values: dict[str, Any] = {
        "rows": 16, "columns": 16, "samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2",
        "planar_configuration": 0, "bits_allocated": allocated, "bits_stored": stored, "high_bit": stored - 1,
        "signed": False, "number_of_frames": 1, "rescale_slope": 1.0, "rescale_intercept": 0.0, "windows": (),
        "voi_lut_function": "LINEAR", "presentation_lut_shape": "", "pixel_padding_value": None,
        "palette": None, "pixel_aspect": (1.0, 1.0), "pixel_vr": "OW",
    }  # fmt: skip
    return ImageHeader(**(values | changes))


def samples(image: ImageHeader, seed: int = 0) -> np.ndarray[Any, Any]:
    """Random samples over the whole range of what is stored, half of the image in runs."""
    rng = np.random.default_rng(seed)
    low, high = 0, (1 << image.bits_stored) - 1
    if image.signed:
        low, high = -(1 << (image.bits_stored - 1)), (1 << (image.bits_stored - 1)) - 1
    shape: tuple[int, ...] = (image.rows, image.columns)
    if image.samples_per_pixel > 1:
        shape = (*shape, image.samples_per_pixel)
    kind = "i" if image.signed else "u"
    values = rng.integers(low, high, shape, endpoint=True).astype(
        f"{kind}{max(1, image.bits_allocated // 8)}"
    )
    values[: image.rows // 2] = values[0, 0]
    values.flat[0], values.flat[-1] = low, high
    return values


def image_object(
    pixels: np.ndarray[Any, Any], syntax: str = "1.2.840.10008.1.2.1", **attributes: Any
) -> bytes:
    """A Part 10 file of native frames, of shape (frames, rows, columns[, samples])."""
    ds: Dataset = dataset(1, sop_class=SC)
    color = pixels.ndim == 4
    ds.Rows, ds.Columns = pixels.shape[1:3]
    ds.SamplesPerPixel = pixels.shape[3] if color else 1
    ds.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    if color:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    if len(pixels) > 1:
        ds.NumberOfFrames = len(pixels)
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds.PixelData += b"\0" * (len(ds.PixelData) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated <= 8 and order == "<" else "OW"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return part10(ds, syntax)


def decoded(file: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """Stored values of all frames, and where their streams disagree with the header."""
    meta, ds = read_part10(file, tolerate_missing_preamble=True)
    header, table = ImageHeader.from_dataset(ds), frame_table(ds)
    assert table is not None
    frames, notes = [], dict[str, None]()
    for index in range(len(table)):
        frame = decode(stored_frame(ds, table, index), meta.transfer_syntax_uid, header)
        frames.append(stored_values(frame.pixels, frame.header))
        notes |= dict.fromkeys(frame.notes)
    if not frames:
        raise DataSetError("no frames")
    return np.stack(frames), tuple(notes)


def made(file: bytes, name: str, **options: Any) -> tuple[bytes, Transcoded]:
    """A whole file in the transfer syntax of that name."""
    _, ds = read_part10(file)
    found = transcode(ds, NAMES[name], new_sop_instance_uid=NEW_UID, **options)
    head = encode_file_meta(
        sop_class_uid=found.sop_class_uid,
        sop_instance_uid=found.sop_instance_uid,
        transfer_syntax_uid=found.transfer_syntax_uid,
    )
    return head + b"".join(bytes(piece) for piece in found.pieces), found


def reading(file: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(file))


def gray(frames: int = 1, bits: int = 16, *, size: int = 32) -> np.ndarray:
    image = header(rows=size, columns=size, bits_allocated=8 if bits <= 8 else 16, bits_stored=bits)
    return np.stack([samples(image, seed) for seed in range(frames)])


def color(frames: int = 1) -> np.ndarray:
    image = header(
        rows=24,
        columns=32,
        bits_allocated=8,
        bits_stored=8,
        samples_per_pixel=3,
        photometric_interpretation="RGB",
    )
    return np.stack([samples(image, seed) for seed in range(frames)])
