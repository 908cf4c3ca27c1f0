"""What a scan finds, in each layout, and what it refuses."""

from __future__ import annotations

import mmap
import resource
import time
from pathlib import Path
from struct import pack

import pytest

from dataset_bytes import (
    BIG,
    CONTENT,
    EXPLICIT,
    IDENTIFIER,
    IMPLICIT,
    JPEG,
    NAME,
    PATIENT_ID,
    PATIENT_NAME,
    PIXEL_DATA,
    UNDEFINED,
    encapsulated,
    end_of_sequence,
    explicit,
    implicit,
    item,
    long,
    nested,
    read,
    short,
    undefined_item,
    undefined_sequence,
)
from gantry.dataset import limits
from gantry.dataset.scan import DataSet, scan
from gantry.errors import DataSetError

ROWS = 0x00280010
PRIVATE = 0x00091001
REFERENCED = 0x00081140  # Referenced Image Sequence
ICON = 0x00880200


def test_elements_are_found_without_reading_them() -> None:
    ds = read(NAME + IDENTIFIER)
    assert ds.elements == {
        PATIENT_NAME: (PATIENT_NAME, "PN", 8, 8, False),
        PATIENT_ID: (PATIENT_ID, "LO", 24, 4, False),
    }
    assert ds.raw(PATIENT_NAME) == b"Doe^Jane"
    assert ds.text(PATIENT_ID) == "4711"
    assert PATIENT_ID in ds
    assert 0x00100030 not in ds
    assert len(ds) == 2


def test_nothing_is_a_data_set_without_elements() -> None:
    assert read(b"").elements == {}


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda b: memoryview(b).cast("b")])
def test_any_buffer_will_do(wrap) -> None:
    assert scan(wrap(NAME), EXPLICIT).text(PATIENT_NAME) == "Doe^Jane"


def test_only_the_part_between_two_offsets_is_read() -> None:
    data = b"before!!" + NAME + IDENTIFIER
    ds = scan(data, EXPLICIT, offset=8, end=8 + len(NAME))
    assert list(ds.elements) == [PATIENT_NAME]
    assert ds.raw(PATIENT_NAME) == b"Doe^Jane"


def test_offsets_outside_the_buffer_are_refused() -> None:
    with pytest.raises(DataSetError):
        scan(NAME, EXPLICIT, offset=4, end=3)
    with pytest.raises(DataSetError):
        scan(NAME, EXPLICIT, end=len(NAME) + 1)


def test_implicit_vr_comes_from_the_dictionary() -> None:
    ds = scan(implicit(PATIENT_NAME, b"Doe^Jane") + implicit(ROWS, b"\x00\x02"), IMPLICIT)
    assert [element[1] for element in ds.elements.values()] == ["PN", "US"]
    assert ds.ints(ROWS) == [512]


def test_big_endian() -> None:
    data = explicit(PATIENT_NAME, "PN", b"Doe^Jane", order=">") + explicit(ROWS, "US", b"\x02\x00", order=">")
    ds = scan(data, BIG)
    assert ds.text(PATIENT_NAME) == "Doe^Jane"
    assert ds.ints(ROWS) == [512]


def test_numbers_of_every_kind() -> None:
    data = (
        short(0x00081115 - 1, "AT", pack("<4H", 0x0010, 0x0020, 0x0028, 0x0010))
        + short(0x00200013, "IS", b"12\\ -3 \\x\\1e2")
        + short(0x00280030, "DS", b" 0.5\\1e3\\nothing\\inf ")
        + short(0x00189073, "FD", pack("<2d", 1.25, -2.5))
        + long(0x7FE00001, "OV", pack("<2Q", 0, 1 << 40))
        + long(0x7FE00003, "SV", pack("<q", -5))
    )
    ds = read(data)
    assert ds.ints(0x00081114) == [0x00100020, 0x00280010]
    assert ds.ints(0x00200013) == [12, -3, 100]
    assert ds.floats(0x00280030) == [0.5, 1000.0, float("inf")]
    assert ds.ints(0x00280030) == [0, 1000]
    assert ds.floats(0x00189073) == [1.25, -2.5]
    assert ds.ints(0x7FE00003) == [-5]
    assert ds.ints(0x00100010) == []
    assert ds.floats(0x00100010) == []


def test_a_number_in_a_un_is_read_by_the_dictionary() -> None:
    assert read(long(ROWS, "UN", b"\x00\x02")).ints(ROWS) == [512]


def test_a_number_with_a_stray_byte_is_read_as_far_as_it_goes() -> None:
    assert read(short(ROWS, "US", b"\x00\x02\x01")).ints(ROWS) == [512]


def test_text_is_split_and_stripped() -> None:
    ds = read(short(0x00080008, "CS", b"ORIGINAL\\PRIMARY ") + short(0x00204000, "LT", b"a\\b  "))
    assert ds.texts(0x00080008) == ["ORIGINAL", "PRIMARY"]
    assert ds.texts(0x00204000) == ["a\\b"]
    assert ds.text(0x00100010) is None
    assert read(short(PATIENT_ID, "LO", b"  ")).text(PATIENT_ID) is None


def test_a_second_byte_of_gbk_is_no_backslash() -> None:
    value = "\u9686".encode("gb18030") + "誠".encode("gb18030")
    assert b"\\" in "誠".encode("gb18030") or b"\\" in "鎈".encode("gb18030")
    ds = read(short(0x00080005, "CS", b"GB18030 ") + short(PATIENT_ID, "LO", value + "鎈".encode("gb18030")))
    assert ds.texts(PATIENT_ID) == ["\u9686誠鎈"]


@pytest.mark.parametrize("make_item", [item, undefined_item])
@pytest.mark.parametrize("defined", [True, False])
def test_sequences_are_read_item_by_item(make_item, defined: bool) -> None:
    items = make_item(NAME) + make_item(IDENTIFIER) + make_item(b"")
    sequence = long(CONTENT, "SQ", items) if defined else undefined_sequence(CONTENT, items)
    ds = read(sequence + short(0x00500004, "CS", b"YES "))
    assert [list(one.elements) for one in ds.sequence(CONTENT)] == [[PATIENT_NAME], [PATIENT_ID], []]
    assert ds.sequence(CONTENT)[0].text(PATIENT_NAME) == "Doe^Jane"
    assert ds.sequence(CONTENT)[0].parent is ds
    assert ds.text(0x00500004) == "YES"
    assert ds.elements[CONTENT][3] == len(items)
    assert ds.elements[CONTENT][4] is not defined


def test_no_items_where_there_is_no_sequence() -> None:
    ds = read(NAME + long(CONTENT, "SQ", b""))
    assert ds.sequence(PATIENT_NAME) == []
    assert ds.sequence(CONTENT) == []
    assert ds.sequence(0x00081140) == []


def test_items_inherit_the_character_set_unless_they_have_one() -> None:
    inner = item(short(PATIENT_NAME, "PN", "Müller".encode("latin-1") + b" ")) + item(
        short(0x00080005, "CS", b"ISO_IR 192") + short(PATIENT_NAME, "PN", "Müller".encode() + b" ")
    )
    ds = read(short(0x00080005, "CS", b"ISO_IR 100") + long(CONTENT, "SQ", inner))
    assert [one.text(PATIENT_NAME) for one in ds.sequence(CONTENT)] == ["Müller", "Müller"]


def test_un_of_undefined_length_is_an_implicit_sequence() -> None:
    """PS3.5 6.2.2 note 2."""
    content = undefined_item(implicit(PATIENT_NAME, b"Doe^Jane") + implicit(CONTENT, item(b""), 8))
    ds = read(long(PRIVATE, "UN", content, UNDEFINED) + end_of_sequence() + NAME)
    (one,) = ds.sequence(PRIVATE)
    assert ds.elements[PRIVATE][1] == "SQ"
    assert one.syntax.implicit_vr
    assert one.text(PATIENT_NAME) == "Doe^Jane"
    assert len(one.sequence(CONTENT)) == 1


def test_un_of_undefined_length_in_big_endian_is_little_endian() -> None:
    content = item(implicit(ROWS, b"\x00\x02"))
    data = long(PRIVATE, "UN", content, UNDEFINED, ">") + end_of_sequence()
    ds = scan(data + explicit(ROWS, "US", b"\x02\x00", order=">"), BIG)
    assert ds.sequence(PRIVATE)[0].ints(ROWS) == [512]
    assert ds.ints(ROWS) == [512]


def test_un_of_defined_length_is_a_sequence_where_its_bytes_are_one() -> None:
    ds = read(long(PRIVATE, "UN", item(NAME)) + long(0x00091002, "UN", b"\xfe\xff\x00\xe0opaque"))
    assert ds.sequence(PRIVATE)[0].text(PATIENT_NAME) == "Doe^Jane"
    assert ds.sequence(0x00091002) == []


def test_items_of_a_vendor_that_are_implicit_in_an_explicit_data_set() -> None:
    ds = read(
        undefined_sequence(CONTENT, undefined_item(implicit(PATIENT_NAME, b"Doe^Jane"))) + IDENTIFIER[:0]
    )
    assert ds.sequence(CONTENT)[0].text(PATIENT_NAME) == "Doe^Jane"


def test_private_sequence_in_implicit_vr() -> None:
    content = undefined_item(implicit(PATIENT_NAME, b"Doe^Jane"))
    ds = scan(implicit(PRIVATE, content, UNDEFINED) + end_of_sequence(), IMPLICIT)
    assert ds.elements[PRIVATE][1] == "SQ"
    assert ds.sequence(PRIVATE)[0].text(PATIENT_NAME) == "Doe^Jane"


def test_delimiters_at_the_end_of_defined_lengths_are_accepted() -> None:
    content = NAME + implicit(0xFFFEE00D, b"")
    ds = read(long(CONTENT, "SQ", item(content) + end_of_sequence()))
    assert ds.sequence(CONTENT)[0].text(PATIENT_NAME) == "Doe^Jane"
    assert len(ds.sequence(CONTENT)) == 1
    old = scan(
        implicit(CONTENT, item(implicit(PATIENT_NAME, b"Doe^Jane") + implicit(0xFFFEE00D, b""))), IMPLICIT
    )
    assert list(old.sequence(CONTENT)[0].elements) == [PATIENT_NAME]


def test_zeros_after_the_data_set_are_padding() -> None:
    for syntax, data in ((EXPLICIT, NAME), (IMPLICIT, implicit(PATIENT_NAME, b"Doe^Jane"))):
        for zeros in (2, 6, 8, 512, 200_000):
            assert list(scan(data + bytes(zeros), syntax).elements) == [PATIENT_NAME]
        with pytest.raises(DataSetError):
            scan(data + bytes(1), syntax)


def test_encapsulated_pixel_data() -> None:
    ds = scan(NAME + encapsulated(pack("<L", 0), b"\xff\xd8\xff\xd9", b"\xff\xd8ab\xff\xd9"), JPEG)
    pixels = ds.pixel_data
    assert pixels is not None
    assert pixels.tag == PIXEL_DATA
    assert pixels.fragments is not None
    assert [bytes(ds.buffer[o : o + n]) for o, n in pixels.fragments] == [
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8ab\xff\xd9",
    ]
    assert pixels.basic_offset_table is not None
    offset, length = pixels.basic_offset_table
    assert bytes(ds.buffer[offset : offset + length]) == pack("<L", 0)
    assert pixels.fragments[1:] == pixels.fragments[1:2]
    assert pixels.fragments != pixels.fragments[1:]


def test_encapsulated_pixel_data_without_any_item() -> None:
    pixels = scan(long(PIXEL_DATA, "OB", b"", UNDEFINED) + end_of_sequence(), JPEG).pixel_data
    assert pixels is not None
    assert pixels.basic_offset_table is None
    assert list(pixels.fragments or ()) == []


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, PIXEL_DATA])
def test_native_pixel_data_of_three_kinds(tag: int) -> None:
    pixels = read(NAME + long(tag, "OW", bytes(16))).pixel_data
    assert pixels is not None
    assert (pixels.tag, pixels.offset, pixels.length, pixels.fragments) == (tag, len(NAME) + 12, 16, None)


def test_no_pixel_data() -> None:
    assert read(NAME).pixel_data is None


def test_an_icon_with_fragments_inside_a_sequence() -> None:
    ds = scan(undefined_sequence(ICON, undefined_item(encapsulated(b"", b"abcd"))) + NAME[:0], JPEG)
    pixels = ds.sequence(ICON)[0].pixel_data
    assert pixels is not None
    assert [bytes(ds.buffer[o : o + n]) for o, n in pixels.fragments or ()] == [b"abcd"]


def test_a_file_of_gigabytes_is_mapped_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    size = 3 << 30
    with path.open("wb") as file:
        file.write(NAME + long(PIXEL_DATA, "OW", b"", size))
        file.truncate(len(NAME) + 12 + size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pixels = scan(mapped, EXPLICIT).pixel_data
        assert pixels is not None
        assert pixels.length == size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


# Bad input, by row of the reliability table


def _refused(data: bytes, syntax=EXPLICIT) -> DataSetError:
    with pytest.raises(DataSetError) as caught:
        scan(data, syntax)
    return caught.value


def test_b38_text_of_a_megabyte_is_kept_and_decoded_to_the_cap() -> None:
    ds = read(long(PATIENT_ID, "UT", b"x" * (2 << 20)))
    assert len(ds.text(PATIENT_ID) or "") == limits.MAX_TEXT_BYTES
    assert len(ds.raw(PATIENT_ID)) == 2 << 20


def test_b40_nesting_of_64_is_read() -> None:
    ds = read(nested(64))
    for _ in range(64):
        (ds,) = ds.sequence(CONTENT)
    assert ds.elements == {}


@pytest.mark.parametrize("depth", [65, 500, 50_000])
def test_b40_deeper_nesting_is_refused(depth: int) -> None:
    assert "nested deeper" in _refused(nested(depth)).cause


def test_b40_nesting_of_defined_lengths_counts_too() -> None:
    data = b""
    for _ in range(64):
        data = long(CONTENT, "SQ", item(data))
    assert len(read(data)) == 1
    assert "nested deeper" in _refused(long(CONTENT, "SQ", item(data))).cause


def test_b40_nesting_cannot_be_hidden_in_un() -> None:
    ds = read(long(PRIVATE, "UN", nested(65)))
    assert ds.sequence(PRIVATE) == []


@pytest.mark.slow
def test_b41_a_million_items_and_no_more() -> None:
    data = undefined_sequence(CONTENT, item(b"") * limits.MAX_ITEMS)
    assert sum(1 for _ in read(data).items(CONTENT)) == limits.MAX_ITEMS
    error = _refused(undefined_sequence(CONTENT, item(b"") * (limits.MAX_ITEMS + 1)))
    assert str(limits.MAX_ITEMS) in error.cause
    assert error.tag == CONTENT


@pytest.mark.slow
def test_b41_a_million_fragments_and_no_more() -> None:
    assert "fragments" in _refused(encapsulated(b"", *[b""] * limits.MAX_ITEMS), JPEG).cause


def test_b41_ten_million_private_elements_are_refused_in_time() -> None:
    one = short(PRIVATE, "LO", b"")
    started = time.process_time()
    assert "elements" in _refused(one * 10_000_000).cause
    assert "elements" in _refused(undefined_sequence(CONTENT, undefined_item(one * 10_000_000))).cause
    assert time.process_time() - started < 5


def test_b42_undefined_length_without_delimiter() -> None:
    for syntax, data in (
        (EXPLICIT, long(CONTENT, "SQ", item(NAME), UNDEFINED)),
        (EXPLICIT, long(CONTENT, "SQ", item(NAME, UNDEFINED), UNDEFINED)),
        (EXPLICIT, long(CONTENT, "SQ", item(NAME, UNDEFINED) + end_of_sequence(), UNDEFINED)),
        (EXPLICIT, long(CONTENT, "SQ", b"", UNDEFINED)),
        (IMPLICIT, implicit(CONTENT, item(b""), UNDEFINED)),
        (JPEG, long(PIXEL_DATA, "OB", item(b"") + item(b"abcd"), UNDEFINED)),
    ):
        error = _refused(data, syntax)
        assert error.tag in (CONTENT, PIXEL_DATA, 0xFFFEE0DD)
        assert error.offset is not None


@pytest.mark.parametrize("tag", [0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD])
def test_b42_stray_delimiters(tag: int) -> None:
    for data in (NAME + implicit(tag, b""), implicit(tag, b"") + NAME, NAME + implicit(tag, b"", UNDEFINED)):
        error = _refused(data)
        assert error.tag == tag
        assert error.offset in (0, len(NAME))
    assert _refused(implicit(PATIENT_NAME, b"A ") + implicit(tag, b""), IMPLICIT).tag == tag


def test_b42_a_delimiter_whose_length_spells_a_vr_is_still_stray() -> None:
    assert _refused(NAME + pack("<HH2sH", 0xFFFE, 0xE00D, b"LO", 0)).tag == 0xFFFEE00D
    inside = undefined_item(pack("<HH2sH", 0xFFFE, 0xE0DD, b"LO", 0))
    assert _refused(undefined_sequence(CONTENT, inside)).tag == 0xFFFEE0DD


def test_b42_what_is_no_item_in_a_sequence() -> None:
    assert _refused(long(CONTENT, "SQ", NAME)).tag == CONTENT
    assert _refused(undefined_sequence(CONTENT, NAME)).tag == CONTENT


@pytest.mark.parametrize("length", [4, 0xFFFE, 0xFFFFFFFE])
def test_b43_a_length_past_the_end(length: int) -> None:
    error = _refused(NAME + long(PIXEL_DATA, "OW", b"abc", length))
    assert error.tag == PIXEL_DATA
    assert error.offset == len(NAME) + 12
    assert f"{length} bytes where 3 are left" in error.cause


def test_b43_lengths_that_leave_their_parent() -> None:
    for data in (
        long(CONTENT, "SQ", item(NAME), 7) + NAME,
        long(CONTENT, "SQ", item(NAME, len(NAME) + 2)) + NAME,
        long(CONTENT, "SQ", item(short(PATIENT_ID, "LO", b"ab", 4))) + NAME,
        long(CONTENT, "SQ", item(long(REFERENCED, "SQ", b"", 20))) + NAME + NAME,
        undefined_sequence(CONTENT, item(b"", 4_000_000_000)),
    ):
        assert _refused(data).offset is not None


def test_b44_odd_lengths_are_kept() -> None:
    ds = read(short(PATIENT_ID, "LO", b"47111") + short(0x00100030, "DA", b"19700101"))
    assert ds.raw(PATIENT_ID) == b"47111"
    assert ds.text(0x00100030) == "19700101"


@pytest.mark.parametrize("vr", [b"ZZ", b"\0\0", b"lo", b"??", b"  ", b"\xff\xff"])
@pytest.mark.parametrize("make", [short, long])
def test_b44_an_unknown_vr_is_read_as_un(vr: bytes, make) -> None:
    ds = read(NAME + make(PATIENT_ID, vr, b"4711") + short(0x00100030, "DA", b"19700101"))
    assert ds.elements[PATIENT_ID][1] in ("UN", "LO")
    assert ds.raw(PATIENT_ID) == b"4711"
    assert ds.text(0x00100030) == "19700101"
    again = read(NAME + undefined_sequence(CONTENT, item(NAME + make(PATIENT_ID, vr, b"4711"))))
    assert again.sequence(CONTENT)[0].raw(PATIENT_ID) == b"4711"


def test_b44_a_run_of_unknown_vrs() -> None:
    data = NAME + b"".join(short(0x00110010 + n, "ZZ", b"abcd") for n in range(20))
    assert len(read(data)) == 21


def test_b44_an_unknown_vr_that_leads_nowhere() -> None:
    error = _refused(NAME + short(PATIENT_ID, "ZZ", b"4711", 3) + short(0x00100030, "DA", b"19700101"))
    assert error.tag == PATIENT_ID
    assert "ZZ" in error.cause


def test_b44_a_vr_that_is_not_the_dictionary_s_is_kept() -> None:
    ds = read(short(PATIENT_ID, "DS", b"4711"))
    assert ds.elements[PATIENT_ID][1] == "DS"
    assert ds.text(PATIENT_ID) == "4711"


def test_b45_the_last_of_two_counts_and_order_does_not_matter() -> None:
    ds = read(IDENTIFIER + NAME + short(PATIENT_NAME, "PN", b"Roe^Rick"))
    assert ds.text(PATIENT_NAME) == "Roe^Rick"
    assert ds.text(PATIENT_ID) == "4711"
    one = read(undefined_sequence(CONTENT, item(NAME + short(PATIENT_NAME, "PN", b"Roe^Rick")))).sequence(
        CONTENT
    )
    assert one[0].text(PATIENT_NAME) == "Roe^Rick"


@pytest.mark.parametrize("group", [0x0000, 0x0002, 0xFFFF])
@pytest.mark.parametrize("first", [True, False])
def test_b46_command_and_meta_groups_are_refused(group: int, first: bool) -> None:
    intruder = short(group << 16 | 0x0010, "UI", b"1.2\0")
    error = _refused(intruder + NAME if first else NAME + intruder)
    assert error.tag == group << 16 | 0x0010
    assert error.offset == (0 if first else len(NAME))
    assert _refused(implicit(group << 16 | 0x0010, b"1.2\0"), IMPLICIT).tag == group << 16 | 0x0010


def test_b46_other_groups_that_old_systems_used_are_kept() -> None:
    assert len(read(short(0x00010010, "LO", b"ab") + NAME + short(0x00030010, "LO", b"ab"))) == 3


def test_b50_declared_explicit_but_implicit() -> None:
    error = _refused(implicit(0x00080060, b"CT") + implicit(PATIENT_NAME, b"Doe^Jane"))
    assert "declared as Explicit VR" in error.cause


def test_b50_declared_implicit_but_explicit() -> None:
    assert "bytes where" in _refused(short(0x00080060, "CS", b"CT") + NAME, IMPLICIT).cause


def test_b50_turning_implicit_for_good() -> None:
    assert (
        _refused(NAME + implicit(PATIENT_ID, b"4711") + implicit(0x00100030, b"19700101")).tag == PATIENT_ID
    )


def test_one_implicit_element_among_explicit_ones_is_read() -> None:
    ds = read(NAME + implicit(PATIENT_ID, b"4711") + short(0x00100030, "DA", b"19700101"))
    assert ds.text(PATIENT_ID) == "4711"
    assert ds.text(0x00100030) == "19700101"


def test_b58_fragments_of_impossible_length() -> None:
    for length in (0xFFFFFFFE, UNDEFINED, 5):
        data = long(PIXEL_DATA, "OB", item(b"") + item(b"abcd", length), UNDEFINED)
        assert _refused(data, JPEG).tag == PIXEL_DATA
    assert (
        _refused(long(PIXEL_DATA, "OB", item(b"") + NAME, UNDEFINED) + end_of_sequence(), JPEG).tag
        == PIXEL_DATA
    )


def test_b58_fragments_of_odd_length_are_kept() -> None:
    pixels = scan(encapsulated(b"", b"abc"), JPEG).pixel_data
    assert pixels is not None
    assert [length for _, length in pixels.fragments or ()] == [3]


def test_b58_ten_thousand_fragments() -> None:
    pixels = scan(encapsulated(b"", *[b"ab"] * 10_000), JPEG).pixel_data
    assert pixels is not None
    assert len(pixels.fragments or ()) == 10_000


def test_errors_name_tag_and_offset() -> None:
    error = _refused(NAME + short(PATIENT_ID, "LO", b"4711", 5))
    assert str(error).endswith("in element (0010,0020) at offset 24")


def test_a_data_set_says_what_it_is() -> None:
    ds = read(NAME)
    assert isinstance(ds, DataSet)
    assert repr(ds) == "DataSet(1 elements, Explicit VR Little Endian)"
    assert bytes(ds.view(PATIENT_NAME)) == b"Doe^Jane"
    assert bytes(ds.view(PATIENT_ID)) == b""
    assert repr(scan(encapsulated(b"", b"ab"), JPEG).pixel_data.fragments) == "Fragments(1, 2 bytes)"  # type: ignore[union-attr]
