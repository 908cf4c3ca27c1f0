"""Frames that are cut, lie or swell: an error of that frame, nothing large allocated, no crash (B54 to B58)."""

from __future__ import annotations

import asyncio
import resource
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from struct import pack

import numpy as np
import pytest

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import NAMES, codec_of
from gantry.pixels.decode import decode, decode_frame
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader
from gantry.pixels.transcode import plan_frames, stored_frame, transcode, transcode_frame
from gantry.server.decoders import Decoders
from image_values import header, image_object, samples

EXPLICIT = "1.2.840.10008.1.2.1"
COMPRESSED = [
    "deflated-frames", "rle", "jpeg", "jpeg-extended", "jpeg-lossless", "jpeg-ls", "jpeg2000-lossless", "jpeg2000",
    "htj2k-lossless", "htj2k", "jpegxl-lossless", "jpegxl",
]  # fmt: skip
SPOILED = [
    *COMPRESSED, "jpeg-lossless-57", "jpeg-ls-near", "htj2k-rpcl", "jpegxl-jpeg", "color jpeg", "color jpeg2000",
    "color htj2k-lossless", "color jpeg-ls", "color rle", "signed jpeg-lossless",
]  # fmt: skip
"""Every transfer syntax that is written, and kinds of pixels that take other ways through a library."""

SMALL = header(rows=64, columns=64, bits_stored=12)
COLOR = header(
    rows=64,
    columns=64,
    bits_allocated=8,
    bits_stored=8,
    pixel_vr="OB",
    samples_per_pixel=3,
    photometric_interpretation="RGB",
)
SMALL_8 = header(rows=64, columns=64, bits_allocated=8, bits_stored=8, pixel_vr="OB")
MOST_MEMORY = 64 << 20
DEADLINE_S = 5.0
"""Far above what a frame of 64x64 takes: who needs so long would need for ever."""


def frame(name: str) -> tuple[bytes, ImageHeader]:
    """A good frame of a codec and the header that goes with it."""
    if name == "jpegxl-jpeg":
        data, image = frame("jpeg")
        return transcode_frame(data, plan_frames(data, NAMES["jpeg"], image, NAMES[name], Compression())[0])[
            0
        ], image
    kind, _, codec = name.rpartition(" ")
    image = {"color": COLOR, "signed": replace(SMALL, signed=True)}.get(
        kind, SMALL_8 if name == "jpeg" else SMALL
    )
    native = samples(image).tobytes()
    job, _ = plan_frames(native, EXPLICIT, image, NAMES[codec], Compression())
    return transcode_frame(native, job)[0], job.target


def spoiled(data: bytes, rng: np.random.Generator) -> bytes:
    """The same with some of it changed: single bits, whole bytes, a piece left out, doubled, or the end cut off."""
    out = bytearray(data)
    kind = int(rng.integers(0, 4))
    if kind == 0:
        for place in rng.integers(0, len(out), 4):
            out[place] ^= 1 << int(rng.integers(0, 8))
    elif kind == 1:
        out = out[: int(rng.integers(1, len(out) + 1))]
        for place in rng.integers(0, len(out), int(rng.integers(1, 9))):
            out[place] = int(rng.integers(0, 256))
    elif kind == 2:  # headers are where lies hurt
        for place in rng.integers(0, min(len(out), 80), 2):
            out[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
    else:
        first, last = sorted(int(n) for n in rng.integers(0, len(out), 2))
        out[first:last] = out[first:last] * int(rng.integers(0, 3))
    return bytes(out)


async def spoil(name: str, count: int, seed: int) -> tuple[int, int]:
    """Decode so many spoiled frames under guard; how many were errors, and how many ran into the deadline."""
    decoders = Decoders(size=1, deadline_s=DEADLINE_S)
    data, image = frame(name)
    uid = NAMES[name.rpartition(" ")[2]]
    rng = np.random.default_rng(seed)
    good = (await decoders.decode(data, uid, image))[1]
    errors = stalls = 0
    memory: list[int] = []
    for _ in range(count):
        try:
            _, octets = await decoders.decode(spoiled(data, rng), uid, image)
            # Depth and number of components are the stream's; rows and columns are not.
            assert len(octets) % (image.rows * image.columns) == 0
        except DataSetError as error:
            errors += 1
            stalls += "longer than" in error.cause
        memory += [_resident(worker) for worker in decoders._all]
    assert (await decoders.decode(data, uid, image))[1] == good
    await decoders.close()
    assert max(memory) - memory[0] < MOST_MEMORY, "memory grows with spoiled frames"
    return errors, stalls


def _resident(worker: object) -> int:
    pid = worker._process.pid  # type: ignore[attr-defined]
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def refused_in_little_memory(decode_it: Callable[[], object], match: str | None = None) -> None:
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with pytest.raises(DataSetError, match=match):
            decode_it()
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY >> 10
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize(
    ("rows", "columns"), [(65535, 65535), (0, 64), (65535, 1), (63, 64), (10_000, 10_000)]
)
def test_b54_rows_and_columns_that_lie_are_refused_before_memory_is_taken(
    name: str, rows: int, columns: int
) -> None:
    data, image = frame(name)
    lying = header(
        rows=rows, columns=columns, bits_allocated=image.bits_allocated, bits_stored=image.bits_stored
    )
    if name in ("rle", "deflated-frames") and rows * columns in (65535, 63 * 64):
        return  # it has no size of its own: what is missing is B55
    refused_in_little_memory(lambda: decode_frame(data, NAMES[name], lying))


def test_b54_frames_that_are_not_there_are_told_before_anything_is_made() -> None:
    _, ds = read_part10(image_object(np.zeros((2, 8, 8), np.uint8), NumberOfFrames=999_999))
    with pytest.raises(DataSetError, match="2 frames where 999999 are declared"):
        transcode(ds, NAMES["rle"])


@pytest.mark.parametrize("name", COMPRESSED)
def test_b55_a_stream_larger_than_the_header_says_is_an_error(name: str) -> None:
    if name in ("deflated-frames", "rle"):
        return
    data, image = frame(name)
    with pytest.raises(DataSetError, match="the stream holds 64x64 pixels, the header says 32x64"):
        decode_frame(data, NAMES[name], header(columns=32, rows=64, bits_allocated=image.bits_allocated))


@pytest.mark.parametrize("name", COMPRESSED)
def test_b55_a_stream_smaller_than_the_header_says_fills_a_part_and_that_is_told(name: str) -> None:
    if name in ("deflated-frames", "rle"):
        return
    data, image = frame(name)
    found = decode(data, NAMES[name], replace(image, rows=80, columns=70))
    assert found.pixels.shape[:2] == (80, 70)
    assert (found.pixels[:64, :64] == decode(data, NAMES[name], image).pixels).all()
    assert not found.pixels[64:].any()
    assert not found.pixels[:, 64:].any()
    assert "the stream holds 64x64 pixels, the header says 70x80" in found.notes


def test_b55_missing_samples_are_zero_in_native_and_rle() -> None:
    pixels = decode_frame(b"\x01\x02\x03", EXPLICIT, SMALL)
    assert pixels[0, :3].tolist() == [0x0201, 0, 0]
    data, image = frame("rle")
    half = decode_frame(data[: len(data) - len(data) // 4], NAMES["rle"], image)
    assert (half[:8] >> 8 == samples(SMALL)[:8] >> 8).all()
    assert half[-1].max() <= samples(SMALL).max()


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits_stored": 16, "high_bit": 255},
        {"bits_stored": 12, "high_bit": 3},
        {"photometric_interpretation": "NONSENSE"},
        {"bits_allocated": 8, "bits_stored": 8},
        {"samples_per_pixel": 3},
        {"signed": True},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", COMPRESSED)
def test_b56_headers_that_contradict_themselves_end_in_pixels_or_an_error(
    name: str, wrong: dict[str, object]
) -> None:
    data, image = frame(name)
    lying = header(**({"rows": 64, "columns": 64, "bits_allocated": image.bits_allocated} | wrong))
    try:
        found = decode(data, NAMES[name], lying)
    except DataSetError:
        return
    assert found.pixels.shape[:2] == (64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPRESSED)
def test_b57_truncated_streams_are_errors_or_pixels_of_the_right_size(name: str) -> None:
    data, image = frame(name)
    for length in (0, 1, 2, 10, 40, 64, 65, len(data) // 4, len(data) // 2, len(data) - 3):
        try:
            pixels = decode_frame(data[:length], NAMES[name], image)
        except DataSetError:
            continue
        assert pixels.shape == (64, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPOILED)
def test_b57_spoiled_frames_are_errors_or_pixels_and_the_next_frame_is_fine(name: str) -> None:
    """In a guarded process, because a codec of ours is somebody's: 200 a codec here, thousands in the soak."""
    errors, stalls = asyncio.run(spoil(name, 200, 57))
    assert errors > 20
    assert stalls == 0, "a spoiled frame keeps a worker from its work until its deadline"


def test_b57_a_jpeg_ls_stream_without_its_end_does_not_make_the_library_wait() -> None:
    data, image = frame("jpeg-ls")
    found = decode(data[:-2], NAMES["jpeg-ls"], image)
    assert (found.pixels == decode_frame(data, NAMES["jpeg-ls"], image)).all()
    assert found.notes == ("the JPEG-LS stream has no end marker",)
    for length in range(60, len(data) - 4, 97):
        with pytest.raises(DataSetError):
            decode_frame(data[:length], NAMES["jpeg-ls"], image)


def test_b57_jpeg_of_80_000_scans_is_refused_at_once() -> None:
    data, image = frame("jpeg")
    start = data.index(b"\xff\xda")
    refused_in_little_memory(
        lambda: decode_frame(data + data[start : start + 12] * 80_000, NAMES["jpeg"], image), "80001 scans"
    )


def test_b57_rle_offsets_out_of_range_are_refused() -> None:
    data, image = frame("rle")
    for offsets in ((64, len(data) + 1), (64, 0xFFFFFFFF), (0, 64), (100, 80)):
        lying = pack("<3L", 2, *offsets) + data[12:]
        with pytest.raises(DataSetError, match="segments that are not there"):
            decode_frame(lying, NAMES["rle"], image)
    with pytest.raises(DataSetError, match="4294967295 segments where 2 belong"):
        decode_frame(b"\xff" * 200, NAMES["rle"], image)


def test_b57_an_rle_segment_that_swells_is_unpacked_as_far_as_the_image_goes() -> None:
    bomb = b"\x81\x55" * 500_000  # 64 MB of the same octet
    data = pack("<3L", 2, 64, 64 + len(bomb)).ljust(64, b"\0") + bomb + bomb
    tracemalloc.start()
    try:
        assert (decode_frame(data, NAMES["rle"], SMALL) == 0x5555).all()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_b57_a_deflated_frame_that_swells_is_refused_at_its_size() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(bytes(200 << 20)) + deflater.flush()
    assert len(bomb) < 1 << 20
    refused_in_little_memory(
        lambda: decode_frame(bomb, NAMES["deflated-frames"], SMALL), "holds more than the 8192 bytes"
    )


def _siz(data: bytes, **changed: int) -> bytes:
    """A codestream with other sizes in its SIZ segment."""
    names = ("right", "bottom", "left", "top", "tile_width", "tile_height", "tile_left", "tile_top")
    out = bytearray(data)
    for name, value in changed.items():
        place = 8 + 4 * names.index(name)
        out[place : place + 4] = value.to_bytes(4, "big")
    return bytes(out)


@pytest.mark.parametrize("name", ["jpeg2000-lossless", "htj2k-lossless"])
def test_b57_jpeg_2000_with_huge_or_countless_tiles_is_refused(name: str) -> None:
    data, image = frame(name)
    sizes = [
        {"right": 0xFFFFFFFF, "bottom": 0xFFFFFFFF, "tile_width": 0xFFFFFFFF, "tile_height": 0xFFFFFFFF},
        {"right": 1 << 20, "bottom": 1 << 20, "tile_width": 1, "tile_height": 1},
        {"tile_width": 0},
        {"left": 64},
    ]
    for changed in sizes:
        lying = _siz(data, **changed)
        refused_in_little_memory(lambda lying=lying: decode_frame(lying, NAMES[name], image))
    components = data[:40] + (16384).to_bytes(2, "big") + data[42:]
    with pytest.raises(DataSetError, match="16384 components"):
        decode_frame(components, NAMES[name], image)


def test_b57_a_truncated_htj2k_stream_says_so_or_gives_the_right_size() -> None:
    data, image = frame("htj2k-lossless")
    for length in range(60, len(data), len(data) // 20):
        try:
            assert decode_frame(data[:length], NAMES["htj2k-lossless"], image).shape == (64, 64)
        except DataSetError as error:
            assert error.tag == 0x7FE00010


def test_b57_jpeg_ls_that_may_be_wrong_by_more_than_a_sample_is_refused() -> None:
    data, image = frame("jpeg-ls")
    place = data.index(b"\xff\xda") + 7
    with pytest.raises(DataSetError, match="more than a sample holds"):
        narrow = data.replace(b"\xff\xf7\x00\x0b\x10", b"\xff\xf7\x00\x0b\x08")
        decode_frame(narrow[:place] + b"\xff" + narrow[place + 1 :], NAMES["jpeg-ls"], image)


@pytest.mark.parametrize(
    ("uid", "words"),
    [
        ("1.2.840.10008.1.2.4.102", "no frame of it has bytes of its own"),
        ("1.2.840.10008.1.2.4.100", "no frame of it has bytes of its own"),
        ("1.2.840.10008.1.2.4.107", "no frame of it has bytes of its own"),
        ("1.2.840.10008.1.2.4.94", "JPIP server"),
        ("1.2.840.10008.1.2.4.95", "JPIP server"),
        ("1.2.840.10008.1.2.4.204", "JPIP server"),
        ("1.2.840.10008.1.2.4.205", "JPIP server"),
        ("1.2.3.4", "not known"),
    ],
)
def test_what_cannot_be_decoded_says_why(uid: str, words: str) -> None:
    with pytest.raises(DataSetError, match=words):
        decode_frame(b"ten bytes!", uid, SMALL)
    with pytest.raises(CallerError, match="nothing is written"):
        _, ds = read_part10(image_object(np.zeros((1, 8, 8), np.uint8)))
        transcode(ds, uid)


def test_b58_offset_tables_that_lie_leave_the_frames_where_they_are() -> None:
    pixels = np.stack([samples(SMALL_8, seed) for seed in range(3)])
    _, ds = read_part10(image_object(pixels))
    made = b"".join(bytes(piece) for piece in transcode(ds, NAMES["rle"]).pieces)
    table = made.index(b"\xfe\xff\x00\xe0") + 8
    from gantry.dataset.scan import scan
    from gantry.standard.transfer_syntaxes import transfer_syntax

    for lie in (pack("<3L", 0, 7, 9), pack("<3L", 0, 0xFFFFFFFE, 0xFFFFFFFF), pack("<3L", 5, 5, 5)):
        lying = scan(made[:table] + lie + made[table + 12 :], transfer_syntax(NAMES["rle"]))
        places = frame_table(lying)
        assert places is not None
        image = ImageHeader.from_dataset(lying)
        for index in range(3):
            found = decode_frame(stored_frame(lying, places, index), NAMES["rle"], image)
            assert (found == pixels[index]).all()


def test_one_corrupt_frame_is_named_and_is_an_error_of_that_frame_only() -> None:
    pixels = np.stack([samples(SMALL, seed) for seed in range(3)])
    _, ds = read_part10(image_object(pixels))
    made = b"".join(bytes(piece) for piece in transcode(ds, NAMES["jpeg-lossless"]).pieces)
    from gantry.dataset.scan import scan
    from gantry.standard.transfer_syntaxes import transfer_syntax

    uid = NAMES["jpeg-lossless"]
    table = frame_table(scan(made, transfer_syntax(uid)))
    assert table is not None
    ((offset, _),) = table.frame(1)
    broken = scan(made[:offset] + b"\0\0\0\0" + made[offset + 4 :], transfer_syntax(uid))
    with pytest.raises(DataSetError, match="frame 2: the frame does not begin like JPEG"):
        list(transcode(broken, EXPLICIT).pieces)
    image = ImageHeader.from_dataset(broken)
    for index in (0, 2):
        assert (decode_frame(stored_frame(broken, table, index), uid, image) == pixels[index]).all()


@pytest.mark.soak
@pytest.mark.parametrize("name", SPOILED)
def test_b57_thousands_of_spoiled_frames(name: str) -> None:
    errors, stalls = asyncio.run(spoil(name, 3000, 58))
    assert errors > 300
    assert stalls < 10


def test_every_codec_has_a_case_here() -> None:
    assert {name.rpartition(" ")[2] for name in SPOILED} == set(NAMES) - {
        "implicit", "explicit", "deflated", "big-endian", "encapsulated",  # native: nothing to be spoiled
    }  # fmt: skip
    families = {codec_of(NAMES[name]).name for name in COMPRESSED}
    assert families == {"deflated frame", "RLE", "JPEG", "JPEG-LS", "JPEG 2000", "HTJ2K", "JPEG XL"}
