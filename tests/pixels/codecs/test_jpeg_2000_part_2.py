"""JPEG 2000 Part 2 multi-component: what Part 1 can read of it is read, the rest is said (PS3.5 8.2.4, A.4.4)."""

from __future__ import annotations

from struct import pack

import imagecodecs
import numpy as np
import pytest

from gantry.errors import DataSetError
from gantry.pixels.codecs.registry import can_encode
from gantry.pixels.decode import decode
from image_values import header, samples

MULTI_COMPONENT = ["1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93"]
COLOR = header(rows=32, columns=32, bits_allocated=8, bits_stored=8, samples_per_pixel=3, photometric_interpretation="RGB")  # fmt: skip


def stream(components: int = 3) -> tuple[bytes, np.ndarray]:
    pixels = np.stack(
        [samples(header(rows=32, columns=32, bits_allocated=8, bits_stored=8), n) for n in range(components)],
        -1,
    )
    return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, mct=False)), pixels


def part_2(data: bytes, transformation: int) -> bytes:
    """The same stream announced as Part 2, with an array for a multiple component transformation (A.3.7)."""
    out = bytearray(data)
    out[6:8] = b"\x81\x00"
    out[out.index(b"\xff\x52") + 8] = transformation
    place = out.index(b"\xff\x90")
    array = pack(">HHH9f", 0, 1 | 1 << 8 | 2 << 10, 0, *np.eye(3).flat)
    return bytes(out[:place] + b"\xff\x74" + pack(">H", len(array) + 2) + array + out[place:])


@pytest.mark.parametrize("uid", MULTI_COMPONENT)
def test_streams_that_need_no_more_than_part_1_are_read(uid: str) -> None:
    data, pixels = stream()
    assert (decode(data, uid, COLOR).pixels == pixels).all()
    assert (decode(part_2(data, 0), uid, COLOR).pixels == pixels).all()
    assert not can_encode(uid)


@pytest.mark.parametrize("uid", MULTI_COMPONENT)
@pytest.mark.parametrize("transformation", [2, 4, 6])
def test_a_transformation_of_part_2_is_said_to_be_one(uid: str, transformation: int) -> None:
    data, _ = stream()
    with pytest.raises(DataSetError, match="multiple component transformation of JPEG 2000 Part 2"):
        decode(part_2(data, transformation), uid, COLOR)


def test_a_collection_of_frames_in_one_stream_is_said_to_be_one() -> None:
    data, _ = stream()
    many = data[:40] + (50).to_bytes(2, "big") + data[42:]
    with pytest.raises(DataSetError, match="50 components: frames of a Part 2 collection"):
        decode(many, MULTI_COMPONENT[0], COLOR)
