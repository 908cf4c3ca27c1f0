"""Lookup tables and palettes: what the descriptor says, what the data is, and what is true (PS3.3 C.7.9, C.11)."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.lut import LookupTable, read_tables
from gantry.pixels.palette import read_palette, through_palette
from image_values import image_object
from support import shared_data

BIG_ENDIAN = "1.2.840.10008.1.2.2"
VOI_LUT_SEQUENCE = 0x00283010


def scanned(syntax: str = "1.2.840.10008.1.2.1", **attributes: object) -> DataSet:
    return read_part10(image_object(np.zeros((1, 4, 4), np.uint8), syntax, **attributes))[1]


def table(descriptor: list[int], data: bytes, vr: str = "OW") -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "SS" if min(descriptor) < 0 else "US", descriptor)
    item.add_new(0x00283003, "LO", "BONE")
    item.add_new(0x00283006, vr, data)
    return item


def read(item: Dataset, *, signed: bool = False, syntax: str = "1.2.840.10008.1.2.1") -> LookupTable:
    ds = scanned(syntax, VOILUTSequence=[item])
    (found,) = read_tables(ds.sequence(VOI_LUT_SEQUENCE), signed_input=signed)
    return found


def test_values_beyond_the_ends_take_the_entries_there() -> None:
    found = read(table([3, 100, 12], np.array([10, 20, 4095], "<u2").tobytes()))
    values = np.array([-1e9, 99, 100, 101, 102, 103, np.inf, np.nan])
    assert found.look_up(values).tolist() == [10, 10, 10, 20, 4095, 4095, 4095, 10]
    assert (found.explanation, found.top) == ("BONE", 4095)


def test_no_entries_in_the_descriptor_are_65536() -> None:
    found = read(table([0, 0, 16], np.arange(65536, dtype="<u2").tobytes()))
    assert found.count == 65536
    assert found.look_up(np.array([65535])).tolist() == [65535]


@pytest.mark.parametrize("first", [0xFFF0, -16])
def test_a_first_value_below_zero_whatever_its_vr(first: int) -> None:
    found = read(table([4, first, 8] if first > 0 else [4, -16, 8], bytes([1, 2, 3, 4])), signed=True)
    assert found.first_mapped == -16
    assert found.look_up(np.array([-16, -13])).tolist() == [1, 4]


def test_entries_of_8_bits_two_in_a_word_and_one_in_a_word() -> None:
    assert read(table([4, 0, 8], bytes([1, 2, 3, 4]))).entries().tolist() == [1, 2, 3, 4]
    assert read(table([4, 0, 8], bytes([1, 0, 2, 0, 3, 0, 4, 0]))).entries().tolist() == [1, 2, 3, 4]


def test_big_endian_entries_are_the_same_numbers() -> None:
    item = Dataset()
    item.add_new(0x00283002, "US", [2, 0, 16])
    item.add_new(0x00283006, "US", [0x0102, 0x0304])
    assert read(item, syntax=BIG_ENDIAN).entries().tolist() == [0x0102, 0x0304]


def test_b57_tables_longer_and_shorter_than_declared() -> None:
    longer = read(table([2, 0, 16], np.array([5, 6, 7, 8, 9], "<u2").tobytes()))
    assert longer.entries().tolist() == [5, 6]
    shorter = read(table([200, 0, 16], np.array([5, 6, 7], "<u2").tobytes()))
    assert shorter.look_up(np.array([0, 2, 199])).tolist() == [5, 7, 7]


def test_b57_a_descriptor_with_fewer_bits_than_its_entries() -> None:
    assert read(table([2, 0, 8], np.array([5, 4000], "<u2").tobytes())).top == 4095


@pytest.mark.parametrize("item", [table([2, 0, 16], b""), Dataset()])
def test_b57_tables_that_are_none_are_left_out(item: Dataset) -> None:
    ds = scanned(VOILUTSequence=[item])
    assert read_tables(ds.sequence(VOI_LUT_SEQUENCE), signed_input=False) == ()


def palette(tables: list[bytes], bits: int, count: int = 256, *, segmented: bool) -> dict[str, object]:
    out: dict[str, object] = {}
    for color, data in zip(("Red", "Green", "Blue"), tables, strict=True):
        out[f"{color}PaletteColorLookupTableDescriptor"] = [count, 0, bits]
        out[("Segmented" if segmented else "") + f"{color}PaletteColorLookupTableData"] = data
    return out


SEGMENTS = {
    "discrete and linear": [0, 3, 10, 20, 30, 1, 100, 60000, 0, 1, 7, 1, 152, 1],
    "falling": [0, 1, 65535, 1, 255, 0],
    "level": [0, 1, 500, 1, 255, 500],
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_expand_as_another_reader_expands_them(name: str) -> None:
    data = np.array(SEGMENTS[name], "<u2").tobytes()
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    file = image_object(
        pixels, PhotometricInterpretation="PALETTE COLOR", **palette([data] * 3, 16, segmented=True)
    )
    found = read_palette(read_part10(file)[1])
    assert found is not None
    theirs = apply_color_lut(pixels[0], pydicom.dcmread(io.BytesIO(file)))
    # Halves are rounded either way: floats.
    assert np.abs(found[0].entries().astype(int) - theirs[..., 0].ravel()).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_an_indirect_segment_repeats_what_stands_before_it(bits: int) -> None:
    kind = "u1" if bits == 8 else "<u2"
    size = bits // 8
    offset = 3 * size  # in bytes: the linear segment behind the first discrete one
    words = [0, 1, 0, 1, 10, 100, *([2, 1, offset, 0, 0, 0] if bits == 8 else [2, 1, offset, 0])]
    data = np.array(words, kind).tobytes()
    ds = scanned(**palette([data + bytes(len(data) % 2)] * 3, bits, 21, segmented=True))
    found = read_palette(ds)
    assert found is not None
    # From the last value, 100, to the 100 of the linear segment: it stays there.
    assert found[0].entries().tolist() == [0, *range(10, 101, 10), *[100] * 10]


@pytest.mark.parametrize(
    "words",
    [[1, 5, 100], [7, 1, 2], [0, 200, 1, 2], [2, 1, 0, 0], [0, 1, 5, 2, 1, 6, 0], [0, 1, 5, 2, 1, 400, 0], [0, 1, 5, 2, 9]],
)  # fmt: skip
def test_b57_segments_that_cannot_be_expanded(words: list[int]) -> None:
    with pytest.raises(DataSetError, match="palette segment"):
        read_palette(scanned(**palette([np.array(words, "<u2").tobytes()] * 3, 16, segmented=True)))


@given(st.binary(min_size=2, max_size=64), st.sampled_from([8, 16]), st.integers(1, 65535))
def test_any_segments_give_a_table_no_longer_than_declared_or_an_error(
    data: bytes, bits: int, count: int
) -> None:
    ds = scanned(**palette([data + bytes(len(data) % 2)] * 3, bits, count, segmented=True))
    try:
        found = read_palette(ds)
    except DataSetError:
        return
    assert found is None or found[0].count <= count


def test_16_bit_entries_of_which_none_is_above_255_were_meant_as_8() -> None:
    channel = LookupTable(0, 16, np.array([0, 128, 255], "<u2").tobytes())
    assert through_palette(np.array([[0, 1, 2]]), (channel,) * 3)[0, :, 0].tolist() == [0, 128, 255]


def test_the_well_known_palettes_read_as_another_reader_has_them() -> None:
    for path in sorted((shared_data() / "palette").glob("*.dcm")):
        found = read_palette(read_part10(path.read_bytes())[1])
        assert found is not None
        ds = pydicom.dcmread(path)
        pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        theirs = apply_color_lut(pixels, ds)
        ours = np.stack([one.look_up(pixels) for one in found], axis=-1)
        assert (ours == theirs).all(), path.name
