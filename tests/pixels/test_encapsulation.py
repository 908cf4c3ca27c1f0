"""Where frames lie: native and encapsulated, with good tables, wrong ones, and none."""

from __future__ import annotations

import random
import resource
from collections import Counter
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_bytes import EXPLICIT, JPEG, PIXEL_DATA, UNDEFINED, encapsulated, end_of_sequence, long, short
from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import DataSet, scan
from gantry.errors import DataSetError
from gantry.pixels.encapsulation import FrameTable, Kind, Source, frame_table
from gantry.standard.transfer_syntaxes import RLE_LOSSLESS, TransferSyntax, transfer_syntax
from support import examples, shared_data

RLE = transfer_syntax(RLE_LOSSLESS)
H264 = transfer_syntax("1.2.840.10008.1.2.4.102")
SOI = b"\xff\xd8\xff\xe0"


def number(tag: int, value: int) -> bytes:
    return short(tag, "US", pack("<H", value))


def header(
    rows: int = 4,
    columns: int = 4,
    frames: int | str | None = None,
    bits: int = 8,
    samples: int = 1,
    photo: str = "",
) -> bytes:
    data = number(0x00280002, samples)
    if photo:
        data += short(0x00280004, "CS", photo.encode() + b" " * (len(photo) % 2))
    if frames is not None:
        text = str(frames).encode()
        data += short(0x00280008, "IS", text + b" " * (len(text) % 2))
    return data + number(0x00280010, rows) + number(0x00280011, columns) + number(0x00280100, bits)


def native(pixels: bytes, **kwargs) -> DataSet:
    return scan(header(**kwargs) + long(PIXEL_DATA, "OW", pixels), EXPLICIT)


def compressed(
    fragments: list[bytes],
    frames: int | None,
    table: list[int] | bytes = b"",
    syntax: TransferSyntax = JPEG,
    before=b"",
) -> DataSet:
    raw = table if isinstance(table, bytes) else pack(f"<{len(table)}L", *table)
    return scan(header(frames=frames) + before + encapsulated(raw, *fragments), syntax)


def frames_of(ds: DataSet) -> list[bytes]:
    """The bytes of each frame, through the serialised table."""
    table = frame_table(ds)
    assert table is not None
    again = FrameTable.from_bytes(table.to_bytes())
    assert again == table
    return [
        b"".join(bytes(ds.buffer[offset : offset + length]) for offset, length in again.frame(n))
        for n in range(len(again))
    ]


def source_of(ds: DataSet) -> Source:
    table = frame_table(ds)
    assert table is not None
    return table.source


def starts(fragments: list[bytes]) -> list[int]:
    """The offset of each fragment as offset tables count them."""
    return [sum(len(one) + 8 for one in fragments[:n]) for n in range(len(fragments))]


def test_no_pixel_data_no_table() -> None:
    assert frame_table(scan(header(), EXPLICIT)) is None


def test_native_frames_lie_one_after_the_other() -> None:
    pixels = bytes(range(48))
    ds = native(pixels, frames=3)
    assert frames_of(ds) == [pixels[:16], pixels[16:32], pixels[32:]]
    table = frame_table(ds)
    assert table is not None
    assert (table.kind, table.source, table.declared, table.frame_bits) == (
        Kind.NATIVE,
        Source.ARITHMETIC,
        3,
        128,
    )
    assert all(table.is_complete(n) for n in range(3))
    assert not table.is_complete(3)
    assert not table.is_complete(-1)


@pytest.mark.parametrize("frames", [None, "", 1, 0, -5, "1A"])
def test_one_frame_where_the_number_says_nothing(frames: int | str | None) -> None:
    assert frames_of(native(bytes(range(16)), frames=frames)) == [bytes(range(16))]


def test_samples_and_bits_count() -> None:
    assert [len(one) for one in frames_of(native(bytes(192), frames=2, samples=3, bits=16))] == [96, 96]
    assert len(frames_of(native(bytes(64), bits=32, photo="MONOCHROME2"))[0]) == 64


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009])
def test_float_pixel_data(tag: int) -> None:
    bits = 32 if tag == 0x7FE00008 else 64
    ds = scan(header(bits=bits, frames=2) + long(tag, "OF", bytes(4 * bits)), EXPLICIT)
    assert [len(one) for one in frames_of(ds)] == [2 * bits, 2 * bits]


def test_subsampled_colour() -> None:
    assert [len(one) for one in frames_of(native(bytes(64), frames=2, samples=3, photo="YBR_FULL_422"))] == [
        32,
        32,
    ]
    assert [
        len(one) for one in frames_of(native(bytes(48), frames=2, samples=3, photo="YBR_PARTIAL_420"))
    ] == [24, 24]
    # written in full in spite of its name
    assert [len(one) for one in frames_of(native(bytes(96), frames=2, samples=3, photo="YBR_FULL_422"))] == [
        48,
        48,
    ]


def test_frames_of_single_bits_may_begin_inside_a_byte() -> None:
    ds = native(b"\x01\x02\x03\x04\x05\x06", rows=3, columns=5, bits=1, frames=3)
    table = frame_table(ds)
    assert table is not None
    pixels = ds.pixel_data
    assert pixels is not None
    ranges = [(offset - pixels.offset, length) for n in range(3) for offset, length in table.frame(n)]
    assert ranges == [(0, 2), (1, 3), (3, 3)]
    assert [table.first_bit(n) for n in range(3)] == [0, 7, 6]


def test_the_extended_offset_table_leaves_out_the_padding() -> None:
    fragments = [SOI + b"ab", SOI + b"abc\0", SOI]
    lengths = [6, 7, 4]
    before = long(0x7FE00001, "OV", pack("<3Q", *starts(fragments))) + long(
        0x7FE00002, "OV", pack("<3Q", *lengths)
    )
    ds = compressed(fragments, 3, before=before)
    assert source_of(ds) is Source.EXTENDED_OFFSET_TABLE
    assert frames_of(ds) == [SOI + b"ab", SOI + b"abc", SOI]


def test_the_basic_offset_table() -> None:
    fragments = [SOI + b"1", b"1more", SOI + b"2", SOI + b"3", b"3more", b"3end"]
    begins = starts(fragments)
    ds = compressed(fragments, 3, [begins[0], begins[2], begins[3]])
    assert source_of(ds) is Source.BASIC_OFFSET_TABLE
    assert frames_of(ds) == [SOI + b"11more", SOI + b"2", SOI + b"33more3end"]
    table = frame_table(ds)
    assert table is not None
    assert table.kind is Kind.GROUPED
    assert table.frame_bits is None
    assert table.first_bit(1) == 0
    assert [len(table.frame(n)) for n in range(3)] == [2, 1, 3]


def test_as_many_fragments_as_frames() -> None:
    ds = compressed([b"a1", b"b2", b"c3"], 3)
    assert source_of(ds) is Source.FRAGMENT_PER_FRAME
    assert frames_of(ds) == [b"a1", b"b2", b"c3"]


def test_one_frame_in_many_fragments() -> None:
    ds = compressed([b"a1", b"b2", b"c3"], 1)
    assert source_of(ds) is Source.SINGLE_FRAME
    assert frames_of(ds) == [b"a1b2c3"]


@pytest.mark.parametrize(
    "marker", [SOI, b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL "]
)
def test_markers_tell_frames_apart(marker: bytes) -> None:
    ds = compressed([marker + b"1", b"more", marker + b"2", b"more", b"end!"], 2)
    assert source_of(ds) is Source.MARKERS
    assert frames_of(ds) == [marker + b"1more", marker + b"2moreend!"]


def test_rle_headers_tell_frames_apart() -> None:
    one = pack("<16L", 1, 64, *[0] * 14) + b"pixels"
    ds = compressed([one, b"more", one], 2, syntax=RLE)
    assert source_of(ds) is Source.MARKERS
    assert frames_of(ds) == [one + b"more", one]


def test_a_video_is_one_stream() -> None:
    ds = compressed([b"\0\0\0\1video", b"goes on "], 50, syntax=H264)
    table = frame_table(ds)
    assert table is not None
    assert (table.source, len(table), table.declared) == (Source.STREAM, 1, 50)
    assert frames_of(ds) == [b"\0\0\0\1videogoes on "]


def test_more_markers_than_frames() -> None:
    assert frames_of(compressed([SOI, SOI + b"thumbnail", SOI + b"x"], 2)) == [SOI, SOI + b"thumbnail"]


def test_fewer_fragments_than_frames() -> None:
    table = frame_table(compressed([b"a1", b"b2"], 5))
    assert table is not None
    assert (len(table), table.declared) == (2, 5)
    with pytest.raises(IndexError):
        table.frame(2)


def test_fragments_that_show_no_frames() -> None:
    table = frame_table(compressed([b"a1", b"b2", b"c3"], 2))
    assert table is not None
    assert (len(table), table.source) == (0, Source.UNKNOWN)
    assert frames_of(compressed([], 2)) == []
    assert frames_of(scan(header() + long(PIXEL_DATA, "OB", b"", UNDEFINED) + end_of_sequence(), JPEG)) == []


@pytest.mark.parametrize(
    "table",
    [
        [0],
        [0, 13],
        [0, 0],
        [12, 0],
        [1, 12],
        [0, 0xFFFFFFFF],
        [0, 12, 24],
        b"\0\0\0\0\0\0",
        [4, 16],
    ],
    ids=str,
)
def test_b58_a_wrong_basic_offset_table_is_not_believed(table: list[int] | bytes) -> None:
    fragments = [SOI, SOI]
    ds = compressed(fragments, 2, table)
    assert source_of(ds) is Source.FRAGMENT_PER_FRAME
    assert frames_of(ds) == fragments


@pytest.mark.parametrize(
    ("offsets", "lengths"),
    [
        ([0, 1 << 63], [4, 4]),
        ([0, (1 << 64) - 1], [4, 4]),
        ([12, 0], [4, 4]),
        ([0], [4]),
        ([], []),
    ],
)
def test_b58_a_wrong_extended_offset_table_is_not_believed(offsets: list[int], lengths: list[int]) -> None:
    before = long(0x7FE00001, "OV", pack(f"<{len(offsets)}Q", *offsets))
    before += long(0x7FE00002, "OV", pack(f"<{len(lengths)}Q", *lengths))
    ds = compressed([SOI, SOI], 2, before=before)
    assert source_of(ds) is Source.FRAGMENT_PER_FRAME
    assert frames_of(ds) == [SOI, SOI]


@pytest.mark.parametrize("lengths", [[4, 5], [0, 4], [4], [4, (1 << 64) - 1]])
def test_b58_wrong_lengths_in_the_extended_offset_table(lengths: list[int]) -> None:
    before = long(0x7FE00001, "OV", pack("<2Q", 0, 12)) + long(
        0x7FE00002, "OV", pack(f"<{len(lengths)}Q", *lengths)
    )
    ds = compressed([SOI, SOI], 2, before=before)
    assert source_of(ds) is Source.EXTENDED_OFFSET_TABLE
    assert frames_of(ds) == [SOI, SOI]


@pytest.mark.slow
def test_b58_ten_thousand_fragments() -> None:
    fragments = [pack("<L", n) for n in range(10_000)]
    ds = compressed(fragments, 10_000, starts(fragments))
    table = frame_table(ds)
    assert table is not None
    assert table.frame(9_999)[0][1] == 4
    assert bytes(ds.buffer[table.frame(1234)[0][0] :][:4]) == pack("<L", 1234)
    assert len(table.to_bytes()) < 12 * 10_000 + 64


def test_b54_absurd_sizes_allocate_nothing() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for frames in (999_999, 1 << 40, "9" * 60):
        table = frame_table(native(bytes(100), rows=65535, columns=65535, frames=frames, bits=16, samples=3))
        assert table is not None
        assert len(table) == 1
        assert not table.is_complete(0)
        assert table.frame(0)[0][1] == 100
        table = frame_table(compressed([SOI], 2))
        assert table is not None
        assert len(table) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10


@pytest.mark.parametrize("zero", ["rows", "columns", "bits", "samples"])
def test_b54_no_rows_no_frames(zero: str) -> None:
    table = frame_table(native(bytes(100), **{zero: 0}))
    assert table is not None
    assert len(table) == 0


def test_b54_no_size_at_all() -> None:
    table = frame_table(scan(long(PIXEL_DATA, "OW", bytes(10)), EXPLICIT))
    assert table is not None
    assert len(table) == 0


def test_b55_pixel_data_shorter_than_declared() -> None:
    ds = native(bytes(40), frames=3)
    table = frame_table(ds)
    assert table is not None
    assert [len(one) for one in frames_of(ds)] == [16, 16, 8]
    assert [table.is_complete(n) for n in range(3)] == [True, True, False]
    assert len(frames_of(native(bytes(20), frames=3))) == 2


def test_b55_pixel_data_longer_than_declared() -> None:
    assert [len(one) for one in frames_of(native(bytes(400), frames=3))] == [16, 16, 16]


def test_what_is_no_table_is_refused() -> None:
    table = frame_table(compressed([SOI, b"ab", SOI], 2))
    assert table is not None
    data = table.to_bytes()
    for wrong in (b"", data[:-1], data + b"x", b"\x09" + data[1:], data[:1] + b"\x07" + data[2:], data[:20]):
        with pytest.raises(DataSetError):
            FrameTable.from_bytes(wrong)


@given(
    fragments=st.lists(st.sampled_from([SOI, b"more", b"", SOI + b"xy"]), max_size=6),
    frames=st.integers(-2, 8),
    table=st.binary(max_size=24)
    | st.lists(st.sampled_from([0, 8, 12, 14, 24]), max_size=6).map(lambda n: pack(f"<{len(n)}L", *n)),
)
@examples(800)
def test_frames_never_leave_the_fragments_nor_overlap(
    fragments: list[bytes], frames: int, table: bytes
) -> None:
    ds = compressed(fragments, frames, table)
    pixels = ds.pixel_data
    assert pixels is not None
    found = frame_table(ds)
    assert found is not None
    places = [place for n in range(len(found)) for place in found.frame(n)]
    assert len(found) <= max(frames, 1)
    assert set(places) <= set(pixels.fragments or ())
    assert max(Counter(places).values(), default=0) <= 1
    assert places == sorted(places)


@given(
    rows=st.integers(0, 9),
    columns=st.integers(0, 9),
    frames=st.integers(-1, 6),
    bits=st.sampled_from([0, 1, 3, 8, 12, 16, 128]),
    size=st.integers(0, 60),
)
@examples(500)
def test_native_frames_never_leave_the_pixels(
    rows: int, columns: int, frames: int, bits: int, size: int
) -> None:
    ds = native(bytes(size), rows=rows, columns=columns, frames=frames, bits=bits)
    pixels, table = ds.pixel_data, frame_table(ds)
    assert pixels is not None
    assert table is not None
    for n in range(len(table)):
        ((offset, length),) = table.frame(n)
        assert pixels.offset <= offset < offset + length <= pixels.offset + size
        if table.is_complete(n):
            assert length * 8 >= rows * columns * bits


def test_a_table_of_any_bytes_is_read_or_refused() -> None:
    rng = random.Random(11)
    for _ in range(2000):
        data = bytes([1, rng.randrange(4)]) + rng.randbytes(rng.randrange(80))
        try:
            FrameTable.from_bytes(data)
        except DataSetError:
            continue


def test_every_shared_file_has_the_frames_it_declares() -> None:
    found: Counter[Source] = Counter()
    short_of_frames = []
    for path in sorted(shared_data().rglob("*.dcm")):
        try:
            _, ds = read_part10(path.read_bytes())
        except DataSetError:
            continue
        table = frame_table(ds)
        if table is None:
            continue
        found[table.source] += 1
        if len(table) != table.declared and table.source is not Source.STREAM:
            short_of_frames.append(path.name)
    assert set(short_of_frames) == {
        "PX-Im-NewTom_Go.dcm",
        "GH1146.dcm",
        "nested_priv_SQ.dcm",
    }  # emptied on purpose
    assert found[Source.BASIC_OFFSET_TABLE] > 50
    assert found[Source.MARKERS] >= 6
    assert found[Source.UNKNOWN] == 0
