"""HTJ2K as clients stream it: the bytes up to a resolution are that resolution, whole (PS3.5 A.4.8, 8.2.14)."""

from __future__ import annotations

from struct import unpack_from

import imagecodecs
import numpy as np
import pytest

from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import NAMES
from gantry.pixels.decode import decode_frame
from gantry.pixels.transcode import plan_frames, transcode_frame
from image_values import header, samples

EXPLICIT = "1.2.840.10008.1.2.1"
RPCL_ORDER = 2


def encoded(name: str, rows: int, columns: int, **changes: object) -> tuple[bytes, np.ndarray]:
    image = header(rows=rows, columns=columns, **changes)
    pixels = samples(image)
    job, _ = plan_frames(pixels.tobytes(), EXPLICIT, image, NAMES[name], Compression())
    return transcode_frame(pixels.tobytes(), job)[0], pixels


def coding_style(data: bytes) -> tuple[int, int]:
    """Progression order and number of decompositions."""
    place = data.index(b"\xff\x52")
    return data[place + 5], data[place + 9]


def tile_part_lengths(data: bytes) -> list[int]:
    """What the TLM segment says (ISO 15444-1 A.7.1)."""
    place = data.index(b"\xff\x55")
    length, _, size = unpack_from(">HBB", data, place + 2)
    index_bytes, length_bytes = size >> 4 & 3, 4 if size & 0x40 else 2
    step = index_bytes + length_bytes
    entries = data[place + 6 : place + 2 + length]
    return [int.from_bytes(entries[n + index_bytes : n + step], "big") for n in range(0, len(entries), step)]


@pytest.mark.parametrize("name", ["htj2k-lossless", "htj2k-rpcl", "htj2k"])
@pytest.mark.parametrize("color", [False, True])
def test_a_client_may_stop_after_any_resolution(name: str, color: bool) -> None:
    changes = {"samples_per_pixel": 3, "photometric_interpretation": "RGB", "bits_allocated": 8, "bits_stored": 8, "pixel_vr": "OB"} if color else {"bits_stored": 12}  # fmt: skip
    data, pixels = encoded(name, 200, 300, **changes)
    order, decompositions = coding_style(data)
    lengths = tile_part_lengths(data)
    assert order == RPCL_ORDER
    assert len(lengths) == decompositions + 1
    start = data.index(b"\xff\x90")
    assert start + sum(lengths) + 2 == len(data)
    for skipped in range(decompositions, -1, -1):
        stop = start + sum(lengths[: decompositions + 1 - skipped])
        whole = imagecodecs.htj2k_decode(data, planar=False, skipres=skipped)
        assert whole.shape[:2] == (-(-200 >> skipped), -(-300 >> skipped)) or skipped
        part = imagecodecs.htj2k_decode(
            data[:stop] + b"\xff\xd9", planar=False, skipres=skipped, resilient=True
        )
        assert (part == whole).all(), skipped
    if name != "htj2k":
        assert (imagecodecs.htj2k_decode(data, planar=False) == pixels).all()


@pytest.mark.parametrize(
    ("rows", "columns", "decompositions"),
    [(16, 16, 5), (2048, 2048, 5), (2049, 8, 6), (8, 4096, 6), (8, 9000, 8)],
)
def test_the_smallest_resolution_is_a_thumbnail(rows: int, columns: int, decompositions: int) -> None:
    data, pixels = encoded("htj2k-rpcl", rows, columns)
    assert coding_style(data) == (RPCL_ORDER, decompositions)
    assert max(rows, columns) / 2**decompositions <= 64
    assert (imagecodecs.htj2k_decode(data) == pixels).all()


@pytest.mark.parametrize("name", ["htj2k-lossless", "htj2k-rpcl", "htj2k"])
def test_b57_a_stream_that_is_cut_anywhere_is_an_error_and_no_picture(name: str) -> None:
    image = header(rows=96, columns=128, bits_stored=12)
    data, _ = encoded(name, 96, 128, bits_stored=12)
    whole = decode_frame(data, NAMES[name], image)
    if name != "htj2k":  # which OpenJPEG decodes, and it wants the last marker, too
        assert (decode_frame(data[:-2], NAMES[name], image) == whole).all()
    assert (decode_frame(data + b"\0", NAMES[name], image) == whole).all()
    start = data.index(b"\xff\x90")
    ends = [start + sum(tile_part_lengths(data)[:n]) for n in range(6)]
    for cut in [*range(start, len(data) - 3, 211), *ends, len(data) - 3]:
        with pytest.raises(DataSetError):
            decode_frame(data[:cut], NAMES[name], image)


def test_b57_a_stream_that_the_library_gives_up_is_an_error_and_no_picture() -> None:
    """It cannot raise what goes wrong inside of it, and would give zeros."""
    image = header(rows=96, columns=128, bits_stored=12)
    data, _ = encoded("htj2k-lossless", 96, 128, bits_stored=12)
    start, lengths = data.index(b"\xff\x90"), tile_part_lengths(data)
    last = start + sum(lengths[:-1]) + 14
    spoiled = data[:last] + b"\xff" * (len(data) - last - 2) + data[-2:]
    with pytest.raises(DataSetError):
        decode_frame(spoiled, NAMES["htj2k-lossless"], image)
    assert (decode_frame(data, NAMES["htj2k-lossless"], image) == imagecodecs.htj2k_decode(data)).all()
