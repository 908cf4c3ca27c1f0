"""The DICOM JSON Model: values by VR, bulk data, and what from_json accepts and refuses (PS3.18 Annex F)."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_bytes import (
    BIG,
    CONTENT,
    IMPLICIT,
    NAME,
    PATIENT_NAME,
    PIXEL_DATA,
    encapsulated,
    explicit,
    implicit,
    item,
    long,
    nested,
    read,
    short,
)
from gantry.dataset.json_model import from_json, list_from_json, to_json, to_json_model
from gantry.dataset.scan import Element, scan
from gantry.errors import DataSetError

PRIVATE = 0x00091001


def value_of(vr: str, raw: bytes, tag: int = PRIVATE) -> Any:
    """What one element of this VR and these bytes becomes, less its VR."""
    attribute = dict(to_json_model(read(explicit(tag, vr, raw)))[f"{tag:08X}"])
    assert attribute.pop("vr") == vr
    return attribute


@pytest.mark.parametrize(
    ("vr", "raw", "values"),
    [
        ("AE", b" ONE \\ TWO", ["ONE", "TWO"]),
        ("AS", b"042Y", ["042Y"]),
        ("AT", b"\x10\x00\x20\x00\xe0\x7f\x10\x00", ["00100020", "7FE00010"]),
        ("CS", b"ORIGINAL\\\\AXIAL ", ["ORIGINAL", "", "AXIAL"]),
        ("DA", b"20200101", ["20200101"]),
        ("DS", b"1.50\\-2e3 \\\\0", [1.5, -2000.0, None, 0.0]),
        ("DS", b"abc ", ["abc"]),
        ("DS", b"1e999 ", ["1e999"]),
        ("DS", b"nan\\1_0 ", ["nan", "1_0"]),
        ("IS", b"12 \\-3\\1.0", [12, -3, 1]),
        ("IS", b"x\\12", ["x", 12]),
        ("IS", b"99999999999999999999", ["99999999999999999999"]),
        ("FD", pack("<2d", 1.5, float("nan")), [1.5, "NaN"]),
        ("FL", pack("<2f", float("inf"), -float("inf")), ["Infinity", "-Infinity"]),
        ("LO", b"one \\two  ", ["one", "two"]),
        ("LT", b" a\\b  ", [" a\\b"]),
        ("PN", b"Doe^Jane\\Roe", [{"Alphabetic": "Doe^Jane"}, {"Alphabetic": "Roe"}]),
        ("PN", b"A=B=C ", [{"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C"}]),
        ("PN", b"A==", [{"Alphabetic": "A"}]),
        ("PN", b"=B", [{"Alphabetic": "", "Ideographic": "B"}]),
        ("SL", pack("<l", -5), [-5]),
        ("SS", pack("<2h", -5, 5), [-5, 5]),
        ("SV", pack("<q", -(1 << 63)), [-(1 << 63)]),
        ("UI", b"1.2.3\x00", ["1.2.3"]),
        ("UL", pack("<L", 1 << 31), [1 << 31]),
        ("UR", b"http://a/b?c\\d ", ["http://a/b?c\\d"]),
        ("US", pack("<3H", 1, 2, 3), [1, 2, 3]),
        ("UV", pack("<Q", (1 << 64) - 1), [(1 << 64) - 1]),
    ],
)
def test_values_by_vr(vr: str, raw: bytes, values: list[Any]) -> None:
    assert value_of(vr, raw) == {"Value": values}
    ds = read(explicit(PRIVATE, vr, raw))
    assert from_json(to_json(ds)) == to_json_model(ds)


@pytest.mark.parametrize("vr", ["AE", "CS", "DS", "IS", "LO", "LT", "PN", "UI", "UR", "US", "FD", "OB", "UN"])
def test_an_empty_value_has_no_value(vr: str) -> None:
    assert value_of(vr, b"") == {}


@pytest.mark.parametrize("vr", ["AE", "CS", "DA", "DS", "IS", "LO", "LT", "PN", "UI", "UR"])
def test_nothing_but_padding_has_no_value(vr: str) -> None:
    assert value_of(vr, b"  ") == {}


@pytest.mark.parametrize("vr", ["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
def test_binary_values_are_base64(vr: str) -> None:
    assert value_of(vr, b"\x00\x01\xfe\xff") == {"InlineBinary": "AAH+/w=="}


@pytest.mark.parametrize(("vr", "raw"), [("US", b"abc"), ("FD", b"1234"), ("AT", b"ab"), ("SL", b"x")])
def test_b44_bytes_that_do_not_fit_their_vr_leave_as_unknown(vr: str, raw: bytes) -> None:
    model = to_json_model(read(explicit(PRIVATE, vr, raw)))
    assert model == {"00091001": {"vr": "UN", "InlineBinary": b64encode(raw).decode()}}


def test_big_endian_numbers() -> None:
    ds = scan(explicit(0x00280010, "US", b"\x02\x00", order=">"), BIG)
    assert to_json_model(ds) == {"00280010": {"vr": "US", "Value": [512]}}


def test_sequences_hold_models_and_attributes_ascend() -> None:
    items = item(NAME) + item(b"")
    ds = read(NAME + long(0x00081140, "SQ", items) + long(CONTENT, "SQ", b""))
    model = to_json_model(ds)
    name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}
    assert model["00081140"] == {"vr": "SQ", "Value": [name, {}]}
    assert model[f"{CONTENT:08X}"] == {"vr": "SQ", "Value": []}
    assert list(model) == sorted(model)
    assert from_json(to_json(ds)) == model


@pytest.mark.parametrize("raw", [b"\xff\xfe\xfd", b"\x1b$B\x21", b"\x1b", b"\xed\xa0\x80"])
@pytest.mark.parametrize(
    "term", [b"ISO_IR 192", b"ISO 2022 IR 87", b"GB18030", b"NONSENSE", b"\\ISO 2022 IR 149 "]
)
def test_b39_text_that_cannot_be_decoded_is_shown_all_the_same(term: bytes, raw: bytes) -> None:
    ds = read(short(0x00080005, "CS", term) + short(PATIENT_NAME, "PN", raw) + short(0x00104000, "LT", raw))
    model = to_json_model(ds)
    assert from_json(to_json(ds)) == model


# Bulk data


def uri(path: str, element: Element) -> str:
    return f"bulk/{path}"


def test_binary_values_above_the_limit_are_bulk_data() -> None:
    ds = read(explicit(PRIVATE, "OB", bytes(100)))
    assert to_json_model(ds, bulk_uri=uri, inline_limit=100)["00091001"]["InlineBinary"]
    assert to_json_model(ds, bulk_uri=uri, inline_limit=99) == {
        "00091001": {"vr": "OB", "BulkDataURI": "bulk/00091001"}
    }
    assert to_json_model(ds, inline_limit=0)["00091001"]["InlineBinary"]


def test_pixel_data_is_bulk_data_of_any_size_or_inline_or_left_out() -> None:
    ds = read(NAME + explicit(PIXEL_DATA, "OW", b"ab"))
    assert to_json_model(ds, bulk_uri=uri)["7FE00010"] == {"vr": "OW", "BulkDataURI": "bulk/7FE00010"}
    assert "7FE00010" not in to_json_model(ds)
    assert to_json_model(ds, inline_pixel_data=True)["7FE00010"] == {"vr": "OW", "InlineBinary": "YWI="}


def test_compressed_pixel_data_is_bulk_data_too() -> None:
    ds = read(encapsulated(b"", b"abcd"))
    assert to_json_model(ds, bulk_uri=uri)["7FE00010"] == {"vr": "OB", "BulkDataURI": "bulk/7FE00010"}


def test_the_path_of_bulk_data_names_items_from_one() -> None:
    inner = long(0x54001010, "OW", bytes(2000))
    ds = read(long(0x54000100, "SQ", item(NAME) + item(long(0x00081140, "SQ", item(inner)))))
    model = to_json_model(ds, bulk_uri=uri)
    attribute = model["54000100"]["Value"][1]["00081140"]["Value"][0]["54001010"]
    assert attribute["BulkDataURI"] == "bulk/54000100/2/00081140/1/54001010"


def test_b38_a_text_of_more_than_a_megabyte_is_bulk_data_where_somebody_serves_it() -> None:
    ds = read(explicit(0x0040A160, "UT", b"a" * ((1 << 20) + 2)))
    assert to_json_model(ds, bulk_uri=uri)["0040A160"] == {"vr": "UT", "BulkDataURI": "bulk/0040A160"}
    assert len(to_json_model(ds)["0040A160"]["Value"][0]) == (1 << 20) + 2


# VRs that are not written


def test_implicit_vr_is_resolved_by_what_stands_around() -> None:
    signed = implicit(0x00280103, b"\x01\x00") + implicit(0x00280106, b"\xff\xff")
    assert to_json_model(scan(signed, IMPLICIT))["00280106"] == {"vr": "SS", "Value": [-1]}
    unsigned = implicit(0x00280103, b"\x00\x00") + implicit(0x00280106, b"\xff\xff")
    assert to_json_model(scan(unsigned, IMPLICIT))["00280106"] == {"vr": "US", "Value": [65535]}
    inside = implicit(0x00280103, b"\x01\x00") + implicit(0x00289145, item(implicit(0x00280120, b"\xff\xff")))
    model = to_json_model(scan(inside, IMPLICIT))
    assert model["00289145"]["Value"][0]["00280120"] == {"vr": "SS", "Value": [-1]}


def test_lut_data_is_words_unless_it_has_one_entry() -> None:
    one = implicit(0x00283002, pack("<3H", 1, 0, 16)) + implicit(0x00283006, b"\x05\x00")
    assert to_json_model(scan(one, IMPLICIT))["00283006"] == {"vr": "US", "Value": [5]}
    many = implicit(0x00283002, pack("<3H", 2, 0, 16)) + implicit(0x00283006, b"\x05\x00\x06\x00")
    assert to_json_model(scan(many, IMPLICIT))["00283006"] == {"vr": "OW", "InlineBinary": "BQAGAA=="}


def test_private_attributes_take_the_vr_of_their_creator() -> None:
    known = implicit(0x00090010, b"GEMS_IDEN_01") + implicit(0x00091004, b"MR01")
    assert to_json_model(scan(known, IMPLICIT))["00091004"] == {"vr": "SH", "Value": ["MR01"]}
    unknown = implicit(0x00090010, b"NOBODY") + implicit(0x00091004, b"MR01")
    assert to_json_model(scan(unknown, IMPLICIT))["00091004"] == {"vr": "UN", "InlineBinary": "TVIwMQ=="}


def test_a_public_attribute_written_as_unknown_is_read_by_the_dictionary() -> None:
    assert to_json_model(read(explicit(0x00100020, "UN", b"4711")))["00100020"] == {
        "vr": "LO",
        "Value": ["4711"],
    }


# From JSON


def refused(data: Any) -> DataSetError:
    with pytest.raises(DataSetError) as caught:
        from_json(data if isinstance(data, (bytes, dict)) else json.dumps(data).encode())
    return caught.value


def one(vr: str, *values: Any) -> dict[str, Any]:
    return {"00091001": {"vr": vr, "Value": list(values)}}


@pytest.mark.parametrize("opening", [b"[", b'{"00081140":', b'{"00081140":{"vr":"SQ","Value":['])
def test_b61_json_of_depth_100_000_is_refused(opening: bytes) -> None:
    assert "JSON" in refused(opening * 100_000).cause


@pytest.mark.parametrize(("depth", "fine"), [(64, True), (65, False), (90, False)])
def test_b40_sequences_nest_to_the_limit_and_no_deeper(depth: int, fine: bool) -> None:
    model: dict[str, Any] = {}
    for _ in range(depth):
        model = {"0040A730": {"vr": "SQ", "Value": [model]}}
    if fine:
        assert from_json(json.dumps(model).encode()) == model
        assert to_json_model(read(nested(depth))) == model
    else:
        assert refused(model).tag == CONTENT


@pytest.mark.parametrize(
    "number", [b"1e400", b"-1e400", b"NaN", b"Infinity", b"-Infinity", b"1" * 400, b"9" * 5000]
)
def test_b61_a_number_that_is_none_is_refused(number: bytes) -> None:
    refused(b'{"00091001":{"vr":"DS","Value":[' + number + b"]}}")
    refused(b'{"00091001":{"vr":"FD","Value":[' + number + b"]}}")
    refused(b'{"00091001":{"vr":"US","Value":[' + number + b"]}}")


def test_b61_names_that_come_twice_are_refused() -> None:
    refused(b'{"00100020":{"vr":"LO"},"00100020":{"vr":"LO"}}')
    refused(b'{"00100020":{"vr":"LO","vr":"SH"}}')
    assert refused(b'{"7fe00010":{"vr":"OB"},"7FE00010":{"vr":"OB"}}').tag == PIXEL_DATA


@pytest.mark.parametrize("text", [b"\\ud800", b"\\udfff", b"a\\ud83d"])
def test_b61_half_a_surrogate_pair_is_refused(text: bytes) -> None:
    assert refused(b'{"00091001":{"vr":"LO","Value":["' + text + b'"]}}').tag == PRIVATE
    refused(b'{"00091001":{"vr":"PN","Value":[{"Alphabetic":"' + text + b'"}]}}')
    refused(b'{"00091001":{"vr":"OB","BulkDataURI":"' + text + b'"}}')
    refused(b'{"' + text + b'":{"vr":"OB"}}')


@pytest.mark.parametrize(
    "text", ["a", "ab", "abc", "ab!=", "YWI", "YWI==", "YW I=", "YWI=\n", "=", "é", "YR=="[:3]]
)
def test_b61_inline_binary_that_is_not_base64_is_refused(text: str) -> None:
    assert refused({"00091001": {"vr": "OB", "InlineBinary": text}}).tag == PRIVATE


def test_b61_a_text_beyond_the_cap_is_refused() -> None:
    refused(one("LO", "a" * ((1 << 20) + 1)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"5",
        b'"x"',
        b"[]",
        b"[5]",
        b"[{},{}]",
        b"{",
        b"\xff\xfe{",
        b"{}x",
        b'{"a":1}',
        b"{'a':1}",
    ],
)
def test_what_is_no_model_is_refused(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize(
    "attribute",
    [
        None, 5, [], {}, {"vr": None}, {"vr": "XX"}, {"vr": "lo"}, {"vr": "US or SS"}, {"vr": ["LO"]},
        {"vr": "LO", "Value": "x"}, {"vr": "LO", "Value": {"a": 1}}, {"vr": "LO", "Value": [5]},
        {"vr": "LO", "Value": [["x"]]}, {"vr": "LO", "Value": [True]}, {"vr": "OB", "Value": ["x"]},
        {"vr": "OB", "InlineBinary": 5}, {"vr": "OB", "InlineBinary": ["YWI=", "YWI="]},
        {"vr": "OB", "InlineBinary": "YWI=", "BulkDataURI": "x"}, {"vr": "OB", "BulkDataURI": 5},
        {"vr": "US", "Value": [-1]}, {"vr": "US", "Value": [65536]}, {"vr": "US", "Value": [1.5]},
        {"vr": "US", "Value": ["1"]}, {"vr": "US", "Value": [None]}, {"vr": "US", "Value": [True]},
        {"vr": "UV", "Value": ["x"]}, {"vr": "UV", "Value": [1 << 64]}, {"vr": "SV", "Value": ["9" * 5000]},
        {"vr": "FD", "Value": ["1"]}, {"vr": "FD", "Value": [None]}, {"vr": "DS", "Value": [True]},
        {"vr": "DS", "Value": [[1]]}, {"vr": "AT", "Value": ["1"]}, {"vr": "AT", "Value": [5]},
        {"vr": "PN", "Value": [5]}, {"vr": "PN", "Value": [{"Alphabetic": 5}]}, {"vr": "SQ", "Value": [5]},
        {"vr": "SQ", "Value": [[]]}, {"vr": "SQ", "Value": [{"x": 5}]}, {"vr": "SQ", "InlineBinary": "YWI=x"},
    ],
)  # fmt: skip
def test_an_attribute_that_is_none_is_refused_with_its_tag(attribute: Any) -> None:
    assert refused({"00091001": attribute}).tag == PRIVATE


@pytest.mark.parametrize(
    "name", ["PatientName", "0010001", "001000100", "0010,0010", "0010001G", "00１00010", ""]
)
def test_a_name_that_is_no_tag_is_refused(name: str) -> None:
    refused({name: {"vr": "LO"}})


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"00091001": {"vr": "LO", "Value": []}}, {"00091001": {"vr": "LO"}}),
        ({"00091001": {"vr": "LO", "Value": [None]}}, {"00091001": {"vr": "LO"}}),
        ({"00091001": {"vr": "LO", "Value": None}}, {"00091001": {"vr": "LO"}}),
        ({"00091001": {"vr": "CS", "Value": ["A", None]}}, {"00091001": {"vr": "CS", "Value": ["A", ""]}}),
        ({"00091001": {"vr": "PN", "Value": ["Doe"]}}, one("PN", {"Alphabetic": "Doe"})),
        ({"00091001": {"vr": "PN", "Value": [{}, {"Phonetic": "x"}]}},
         one("PN", {"Alphabetic": ""}, {"Alphabetic": "", "Ideographic": "", "Phonetic": "x"})),
        ({"00091001": {"vr": "SQ"}}, one("SQ")),
        ({"00091001": {"vr": "SQ", "Value": [None, {}]}}, one("SQ", {}, {})),
        ({"00091001": {"vr": "US", "Value": [5.0]}}, one("US", 5)),
        ({"00091001": {"vr": "UV", "Value": ["18446744073709551615"]}}, one("UV", (1 << 64) - 1)),
        ({"00091001": {"vr": "DS", "Value": ["", 5, "6.0"]}}, one("DS", None, 5, "6.0")),
        ({"00091001": {"vr": "OB", "InlineBinary": ["YWI="]}}, {"00091001": {"vr": "OB", "InlineBinary": "YWI="}}),
        ({"00091001": {"vr": "OB", "InlineBinary": ""}}, {"00091001": {"vr": "OB"}}),
        ({"00091001": {"vr": "LO", "keyword": "x"}}, {"00091001": {"vr": "LO"}}),
        ({"7fe00010": {"vr": "OB"}, "00100020": {"vr": "LO"}}, {"00100020": {"vr": "LO"}, "7FE00010": {"vr": "OB"}}),
    ],
)  # fmt: skip
def test_what_is_meant_well_is_brought_into_one_form(sent: Any, kept: Any) -> None:
    assert from_json(json.dumps(sent).encode()) == kept
    assert list(from_json(sent)) == list(kept)
    assert from_json(kept) == kept


def test_an_array_holds_several_models() -> None:
    assert list_from_json(b"[]") == []
    assert list_from_json(b'[{},{"00100020":{"vr":"LO"}}]') == [{}, {"00100020": {"vr": "LO"}}]
    assert from_json(b'\xef\xbb\xbf[{"00100020":{"vr":"LO"}}]') == {"00100020": {"vr": "LO"}}


def test_b62_a_bulk_data_uri_is_kept_as_text_and_never_followed() -> None:
    model = {"00091001": {"vr": "OB", "BulkDataURI": "file:///etc/passwd"}}
    assert from_json(model) == model


@given(st.binary(max_size=200))
def test_any_bytes_are_a_model_or_refused(data: bytes) -> None:
    with suppress(DataSetError):
        from_json(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["vr", "Value", "InlineBinary", "BulkDataURI", "00091001", "x"]), inner
        )
    ),
    max_leaves=12,
)
VRS = st.sampled_from(["LO", "PN", "SQ", "OB", "DS", "US", "AT", "FD", "UV", "zz"])


@given(st.dictionaries(st.sampled_from(["vr", "Value", "InlineBinary", "BulkDataURI"]), JSON), VRS)
def test_any_json_is_a_model_that_stays_the_same_or_refused(attribute: dict[str, Any], vr: str) -> None:
    try:
        model = from_json({"00091001": {**attribute, "vr": vr}})
    except DataSetError:
        return
    assert from_json(model) == model
    assert from_json(json.dumps(model).encode()) == model
