"""Attributes as bytes that move between Data Sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import scan
from gantry.dataset.values import (
    Values,
    decimal,
    encode_values,
    floats_of,
    in_charset,
    number_value,
    put,
    text_value,
    texts_of,
    values_of,
)
from gantry.errors import DataSetError
from gantry.standard.transfer_syntaxes import transfer_syntax
from serving import dataset, part10

EXPLICIT = transfer_syntax("1.2.840.10008.1.2.1")
BIG = transfer_syntax("1.2.840.10008.1.2.2")


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_taken_apart_and_put_together_it_is_the_same(uid: str) -> None:
    item = Dataset()
    item.PatientComments = "odd"
    ds = dataset(1, RequestAttributesSequence=Sequence([item]), PixelAspectRatio=[1, 2])
    ds.private_block(0x0029, "MAKER", create=True).add_new(1, "US", 515)
    found = read_part10(part10(ds, uid))[1]
    values = values_of(found, found.syntax)
    again = scan(encode_values(values, found.syntax), found.syntax)
    assert values_of(again, again.syntax) == values
    assert len(again) == len(found)
    assert not values_of(found, found.syntax, found.elements)


def test_words_change_places_with_the_byte_order() -> None:
    found = read_part10(part10(dataset(1)))[1]
    assert values_of(found, EXPLICIT)[0x00280010] == number_value("US", EXPLICIT, found.ints(0x00280010)[0])
    assert values_of(found, BIG)[0x00280010] == number_value("US", BIG, found.ints(0x00280010)[0])


def test_a_private_attribute_goes_where_its_creator_is() -> None:
    target: Values = {0x00290010: text_value("LO", "A"), 0x00291001: text_value("LO", "old")}
    source: Values = {
        0x00290010: text_value("LO", "B"), 0x00291001: text_value("LO", "b"),
        0x00290011: text_value("LO", "A"), 0x00291101: text_value("LO", "new"),
    }  # fmt: skip
    put(target, source)
    assert target == {
        0x00290010: text_value("LO", "A"), 0x00291001: text_value("LO", "new"),
        0x00290011: text_value("LO", "B"), 0x00291101: text_value("LO", "b"),
    }  # fmt: skip


def test_with_no_private_block_free_it_says_so() -> None:
    target: Values = {0x00290000 | block: text_value("LO", f"M{block}") for block in range(0x10, 0x100)}
    with pytest.raises(DataSetError, match="no private block is free"):
        put(target, {0x00290010: text_value("LO", "another")})


def test_text_moves_into_another_character_set_or_is_refused() -> None:
    values: Values = {0x00080005: ("CS", b"ISO_IR 100"), 0x00104000: ("LT", "Schädel".encode("latin-1"))}
    moved = in_charset(values, ("ISO_IR 100",), ("ISO_IR 192",))
    assert moved == {0x00104000: ("LT", "Schädel".encode())}
    assert in_charset(values, ("ISO_IR 100",), ("ISO_IR 100",)) == {0x00104000: values[0x00104000]}
    with pytest.raises(DataSetError, match="does not hold"):
        in_charset(values, ("ISO_IR 100",), ("ISO_IR 144",))
    with pytest.raises(DataSetError, match="cannot be moved"):
        in_charset({0x00400275: ("SQ", b"\xff")}, ("ISO_IR 100",), ("ISO_IR 192",))


@given(st.floats(-1e300, 1e300))
def test_a_decimal_fits_and_is_as_near_as_it_can_be(number: float) -> None:
    text = decimal(number)
    assert len(text) <= 16
    assert float(text) == pytest.approx(number, rel=1e-8, abs=1e-300)


def test_what_is_no_number_is_left_out() -> None:
    values: Values = {
        1: ("DS", b"1.5\\x\\\\nan\\-2 "),
        2: number_value("FD", BIG, 0.25, float("inf")),
        3: ("OB", b"\x01"),
    }
    assert floats_of(values, 1, BIG) == [1.5, -2]
    assert floats_of(values, 2, BIG) == [0.25]
    assert floats_of(values, 3, BIG) == []
    assert floats_of(values, 4, BIG) == []
    assert texts_of(values, 4) == []
