"""What is encoded without loss is decoded as it was, for each codec, depth, sign and number of samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.errors import CallerError
from gantry.pixels.codecs.codec import Compression, stored_values
from gantry.pixels.codecs.registry import NAMES, codec_of, is_lossy_encoder
from gantry.pixels.decode import decode
from gantry.pixels.image import ImageHeader
from gantry.pixels.transcode import FrameJob, plan_frames, transcode_frame
from image_values import header, samples
from support import examples

EXPLICIT = "1.2.840.10008.1.2.1"
LOSSLESS = sorted(name for name, uid in NAMES.items() if not is_lossy_encoder(uid) and name != "big-endian")
LOSSY = sorted(name for name, uid in NAMES.items() if is_lossy_encoder(uid))
MOST_BITS = {"jpeg2000-lossless": 24}


def encoded(pixels: np.ndarray, image: ImageHeader, name: str, **how: float) -> tuple[bytes, FrameJob]:
    native = NATIVE.encode(pixels, EXPLICIT, image, Compression())
    job, _ = plan_frames(native, EXPLICIT, image, NAMES[name], Compression(**how))
    return transcode_frame(native, job)[0], job


NATIVE = codec_of(EXPLICIT)


@st.composite
def images(draw: st.DrawFn) -> ImageHeader:
    allocated = draw(st.sampled_from([1, 8, 16, 32]))
    stored = draw(st.integers(1, allocated))
    color = allocated in (8, 16) and draw(st.booleans())
    return header(
        rows=draw(st.integers(1, 20)),
        columns=draw(st.integers(1, 20)),
        bits_allocated=allocated,
        bits_stored=stored,
        signed=allocated > 1 and not color and draw(st.booleans()),
        samples_per_pixel=3 if color else 1,
        photometric_interpretation=draw(st.sampled_from(["RGB", "YBR_FULL"])) if color else "MONOCHROME1",
    )


@pytest.mark.parametrize("name", LOSSLESS)
@examples(60)
@given(image=images(), seed=st.integers(0, 1000))
def test_lossless_is_the_identity(name: str, image: ImageHeader, seed: int) -> None:
    pixels = samples(image, seed)
    try:
        data, job = encoded(pixels, image, name)
    except CallerError:
        assert image.bits_allocated in (1, 32) or image.photometric_interpretation == "YBR_FULL"
        return
    found = decode(data, NAMES[name], job.target)
    assert found.pixels.dtype == pixels.dtype
    assert (stored_values(found.pixels, found.header) == pixels).all()
    assert found.header.photometric_interpretation == image.photometric_interpretation
    assert (job.target.bits_stored, job.target.signed) == (image.bits_stored, image.signed)


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_lossy_stays_near(name: str, bits: int, signed: bool) -> None:
    image = header(
        rows=64, columns=48, bits_allocated=8 if bits == 8 else 16, bits_stored=bits, signed=signed
    )
    slope = np.add.outer(np.arange(64), np.arange(48)) / 112 * ((1 << bits) - 1)
    pixels = (slope - (1 << (bits - 1)) * signed).astype(samples(image).dtype)
    try:
        data, job = encoded(pixels, image, name)
    except CallerError as error:
        assert signed or bits > 8
        assert "cannot carry these pixels" in str(error)
        return
    found = decode(data, NAMES[name], job.target)
    most = 2 if name == "jpeg-ls-near" else (1 << bits) // 32
    assert np.abs(found.pixels.astype(int) - pixels).max() <= most


def test_near_lossless_does_not_wrap_at_the_ends() -> None:
    image = header(bits_stored=12, signed=True)
    data, job = encoded(samples(image), image, "jpeg-ls-near", near=5)
    found = decode(data, NAMES["jpeg-ls-near"], job.target)
    assert np.abs(found.pixels.astype(int) - samples(image)).max() <= 5
    full = header(signed=True)
    data, job = encoded(samples(full), full, "jpeg-ls-near", near=5)
    assert (
        np.abs(decode(data, NAMES["jpeg-ls-near"], job.target).pixels.astype(int) - samples(full)).max() <= 10
    )


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "htj2k", "jpegxl"])
def test_a_ratio_is_reached(name: str) -> None:
    image = header(rows=128, columns=128, bits_allocated=8, bits_stored=8)
    noise = np.random.default_rng(1).integers(0, 32, (128, 128))
    pixels = (np.add.outer(np.arange(128), np.arange(128)) // 2 + noise).astype(np.uint8)
    data, _ = encoded(pixels, image, name, ratio=8.0)
    assert 6 < pixels.nbytes / len(data) < 11


@pytest.mark.parametrize("name", ["rle", "jpeg-lossless", "jpeg-ls", "jpeg2000-lossless", "htj2k-lossless"])
def test_what_lies_in_bits_that_are_not_stored_is_kept(name: str) -> None:
    image = header(bits_stored=12)
    words = samples(image) | (np.arange(256, dtype=np.uint16).reshape(16, 16) & 1) << 15
    data, job = encoded(words, image, name)
    assert (decode(data, NAMES[name], job.target).pixels == words).all()
    high = replace(image, high_bit=15)
    data, job = encoded(words, high, name)
    found = decode(data, NAMES[name], job.target)
    assert (stored_values(found.pixels, found.header) == words >> 4).all()


@pytest.mark.parametrize("name", LOSSLESS)
def test_colour_by_plane_becomes_colour_by_pixel(name: str) -> None:
    image = header(
        rows=3, columns=3, bits_allocated=8, bits_stored=8, samples_per_pixel=3,
        photometric_interpretation="RGB", planar_configuration=1,
    )  # fmt: skip
    planes = np.arange(27, dtype=np.uint8)
    job, _ = plan_frames(planes.tobytes(), EXPLICIT, image, NAMES[name], Compression())
    found = decode(transcode_frame(planes.tobytes(), job)[0], NAMES[name], job.target)
    assert (found.pixels == np.moveaxis(planes.reshape(3, 3, 3), 0, -1)).all()
    assert job.target.planar_configuration == 0


@pytest.mark.parametrize(("kind", "bits"), [("OF", 32), ("OD", 64)])
def test_floating_point_stays_native(kind: str, bits: int) -> None:
    image = header(bits_allocated=bits, bits_stored=bits, pixel_vr=kind)
    values = np.random.default_rng(0).normal(size=(16, 16)).astype(f"f{bits // 8}")
    assert (decode(values.tobytes(), EXPLICIT, image).pixels == values).all()
    for name in ("rle", "htj2k-lossless", "jpegxl-lossless", "deflated-frames"):
        with pytest.raises(CallerError, match="floating point"):
            plan_frames(values.tobytes(), EXPLICIT, image, NAMES[name], Compression())
