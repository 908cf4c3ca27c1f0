"""Data Sets written from the DICOM JSON model, in every layout, and read back."""

from __future__ import annotations

import base64
import io
import math
import warnings
from struct import pack
from typing import Any

import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataset_bytes import BIG, EXPLICIT, IMPLICIT, JPEG, NAME, explicit, implicit, item, long, short
from gantry.dataset.encode import encode, encode_element, encode_encapsulated
from gantry.dataset.scan import DataSet, scan
from gantry.errors import DataSetError
from gantry.standard.transfer_syntaxes import TransferSyntax
from support import examples

SYNTAXES = [EXPLICIT, IMPLICIT, BIG]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_an_element_of_each_layout() -> None:
    model = {"00280010": {"vr": "US", "Value": [512]}}
    assert encode(model, EXPLICIT) == short(0x00280010, "US", b"\0\2")
    assert encode(model, IMPLICIT) == implicit(0x00280010, b"\0\2")
    assert encode(model, BIG) == explicit(0x00280010, "US", b"\2\0", order=">")


def test_elements_are_sorted_and_padded() -> None:
    model = {
        "00100020": {"vr": "LO", "Value": ["123"]},
        "00080018": {"vr": "UI", "Value": ["1.2"]},
        "00091001": {"vr": "OB", "InlineBinary": b64(b"abc")},
        "00080000": {"vr": "UL", "Value": [4]},
    }
    assert encode(model, EXPLICIT) == (
        short(0x00080018, "UI", b"1.2\0")
        + long(0x00091001, "OB", b"abc\0")
        + short(0x00100020, "LO", b"123 ")
    )


def test_sequences() -> None:
    model = {
        "0040A730": {
            "vr": "SQ",
            "Value": [{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}, {}],
        }
    }
    assert encode(model, EXPLICIT) == long(0x0040A730, "SQ", item(NAME) + item(b""))
    assert encode({"0040A730": {"vr": "SQ"}}, EXPLICIT) == long(0x0040A730, "SQ", b"")


@pytest.mark.parametrize(
    ("vr", "values", "raw"),
    [
        ("PN", [{"Alphabetic": "A", "Phonetic": "C"}, None, "D"], b"A==C\\\\D "),
        ("DS", [0.1, 12, "1.50", 1 / 3, -1e-300 / 3], b"0.1\\12\\1.50\\0.33333333333333\\-3.33333333e-301"),
        ("IS", [1, 2.0, "3", None], b"1\\2\\3\\"),
        ("AT", ["00100020", None], pack("<2H", 0x10, 0x20)),
        ("FD", [1.5, "NaN", 2], None),
        ("US", [1, None, "2", 3.0], pack("<3H", 1, 2, 3)),
        ("SV", [-(1 << 63)], pack("<q", -(1 << 63))),
        ("LO", [], b""),
        ("UT", ["a"], b"a "),
        ("CS", [None], b""),
    ],
)
def test_values_of_each_kind(vr: str, values: list[Any], raw: bytes | None) -> None:
    data = encode({"00091001": {"vr": vr, "Value": values}}, EXPLICIT)
    found = scan(data, EXPLICIT).raw(0x00091001)
    if raw is None:
        assert found[:8] == pack("<d", 1.5)
        assert math.isnan(scan(data, EXPLICIT).floats(0x00091001)[1])
    else:
        assert found == raw + b" " * (len(raw) % 2)


def test_a_ds_has_at_most_16_characters() -> None:
    for value in (
        math.pi,
        -math.pi * 1e-200,
        1e300 / 3,
        123456789012345680.0,
        5e-324,
        -1.7976931348623157e308,
    ):
        text = scan(encode({"00280030": {"vr": "DS", "Value": [value]}}, EXPLICIT), EXPLICIT).text(0x00280030)
        assert text is not None
        assert len(text) <= 16
        assert float(text) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    "attribute",
    [
        {"vr": "US", "Value": [70000]},
        {"vr": "US", "Value": [-1]},
        {"vr": "US", "Value": ["x"]},
        {"vr": "US", "Value": [1.5]},
        {"vr": "US", "Value": [True]},
        {"vr": "FD", "Value": ["x"]},
        {"vr": "FL", "Value": [1e300]},
        {"vr": "DS", "Value": [float("nan")]},
        {"vr": "DS", "Value": [float("inf")]},
        {"vr": "AT", "Value": ["0010002"]},
        {"vr": "AT", "Value": [12]},
        {"vr": "LO", "Value": [{"a": 1}]},
        {"vr": "LO", "Value": "text"},
        {"vr": "LO", "Value": [True]},
        {"vr": "PN", "Value": [[1]]},
        {"vr": "OB", "Value": [1]},
        {"vr": "OB", "InlineBinary": "not base64!"},
        {"vr": "OB", "InlineBinary": 5},
        {"vr": "OB", "BulkDataURI": "http://example.com"},
        {"vr": "SQ", "Value": [5]},
        {"vr": "ZZ", "Value": []},
        [],
    ],
)
def test_what_cannot_be_written_is_refused_with_its_tag(attribute: Any) -> None:
    with pytest.raises(DataSetError) as caught:
        encode({"00091001": attribute}, EXPLICIT)
    if attribute != {"vr": "SQ", "Value": [5]}:
        assert caught.value.tag == 0x00091001


@pytest.mark.parametrize(
    "key", ["", "0010001", "PatientName", "0010001G", "00020010", "00000002", "FFFEE000", "FFFF0001"]
)
def test_b46_keys_that_are_no_tags_of_a_data_set(key: str) -> None:
    with pytest.raises(DataSetError):
        encode({key: {"vr": "LO"}}, EXPLICIT)


def test_b40_a_model_nested_too_deep_is_refused() -> None:
    def nest(depth: int) -> dict[str, Any]:
        model: dict[str, Any] = {}
        for _ in range(depth):
            model = {"0040A730": {"vr": "SQ", "Value": [model]}}
        return model

    assert len(scan(encode(nest(64), EXPLICIT), EXPLICIT)) == 1
    with pytest.raises(DataSetError, match="nested deeper"):
        encode(nest(65), EXPLICIT)


def test_a_short_vr_too_long_for_its_length_becomes_un() -> None:
    text = "x" * 70_000
    for syntax, vr in ((EXPLICIT, "UN"), (BIG, "UN"), (IMPLICIT, "LO")):
        ds = scan(encode({"00100020": {"vr": "LO", "Value": [text]}}, syntax), syntax)
        assert ds.elements[0x00100020][1] == vr
        assert ds.text(0x00100020) == text
    assert encode_element(0x00100020, "LO", b"x" * 0xFFFE, EXPLICIT)[4:6] == b"LO"
    assert encode_element(0x00100020, "LO", b"x" * 0xFFFF, EXPLICIT)[4:6] == b"UN"


def test_bulk_data_is_asked_for_and_swapped() -> None:
    model = {
        "7FE00010": {"vr": "OW", "BulkDataURI": "some/where"},
        "60003000": {"vr": "OW", "InlineBinary": b64(b"\1\2")},
    }
    bulk = {"some/where": b"\1\2\3\4"}.__getitem__
    assert scan(encode(model, EXPLICIT, bulk_data=bulk), EXPLICIT).raw(0x7FE00010) == b"\1\2\3\4"
    big = scan(encode(model, BIG, bulk_data=bulk), BIG)
    assert big.raw(0x7FE00010) == b"\2\1\4\3"
    assert big.raw(0x60003000) == b"\2\1"


def test_text_keeps_the_character_set_that_holds_it() -> None:
    model = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Jérôme"}]},
    }
    ds = scan(encode(model, EXPLICIT), EXPLICIT)
    assert ds.charset == ("ISO_IR 100",)
    assert ds.raw(0x00100010) == b"J\xe9r\xf4me"


@pytest.mark.parametrize("terms", [None, [], ["ISO_IR 100"], ["", "ISO 2022 IR 149"]])
def test_text_that_the_character_set_lacks_turns_everything_to_utf_8(terms: list[str] | None) -> None:
    model: dict[str, Any] = {
        "00080005": {"vr": "CS", "Value": terms},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Jérôme", "Ideographic": "东"}]},
        "0040A730": {
            "vr": "SQ",
            "Value": [
                {
                    "00080005": {"vr": "CS", "Value": ["ISO_IR 144"]},
                    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Люк"}]},
                }
            ],
        },
    }
    if terms is None:
        del model["00080005"]
    for syntax in SYNTAXES:
        ds = scan(encode(model, syntax), syntax)
        assert ds.charset == ("ISO_IR 192",)
        assert ds.text(0x00100010) == "Jérôme=东"
        assert ds.sequence(0x0040A730)[0].text(0x00100010) == "Люк"


def test_a_file_set_names_utf_8_after_its_records() -> None:
    record = {
        "00041430": {"vr": "CS", "Value": ["PATIENT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "东"}]},
    }
    ds = scan(encode({"00041220": {"vr": "SQ", "Value": [record]}}, EXPLICIT), EXPLICIT)
    assert list(ds.elements) == [0x00041220, 0x00080005]
    assert ds.sequence(0x00041220)[0].text(0x00100010) == "东"


def test_encapsulated_fragments() -> None:
    data = NAME + b"".join(
        bytes(part) for part in encode_encapsulated([b"abcd", b"xyz"], JPEG, offset_table=[0, 12])
    )
    ds = scan(data, JPEG)
    pixels = ds.pixel_data
    assert pixels is not None
    assert [data[o : o + n] for o, n in pixels.fragments or ()] == [b"abcd", b"xyz\0"]
    assert pixels.basic_offset_table is not None
    offset, length = pixels.basic_offset_table
    assert data[offset : offset + length] == pack("<2L", 0, 12)


PRINTABLE = st.text(
    st.characters(codec="utf-8", exclude_characters="\\^=\x1b", exclude_categories=("C",)), max_size=12
)
TEXT = PRINTABLE.map(lambda text: text.strip())
NAMES = st.builds(lambda a, i: {"Alphabetic": a} | ({"Ideographic": i} if i else {}), TEXT.filter(bool), TEXT)
NUMBERS = {
    "US": st.integers(0, 0xFFFF),
    "SS": st.integers(-0x8000, 0x7FFF),
    "UL": st.integers(0, 0xFFFFFFFF),
    "SL": st.integers(-(1 << 31), (1 << 31) - 1),
    "UV": st.integers(0, (1 << 64) - 1),
    "SV": st.integers(-(1 << 63), (1 << 63) - 1),
    "IS": st.integers(-(1 << 31), (1 << 31) - 1),
}
REALS = {"FD": st.floats(allow_nan=False), "FL": st.floats(allow_nan=False, width=32)}


def _attribute(vr: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(values, min_size=1, max_size=4).map(lambda found: {"vr": vr, "Value": found})


LEAVES = st.one_of(
    *[_attribute(vr, numbers) for vr, numbers in (NUMBERS | REALS).items()],
    *[_attribute(vr, TEXT.filter(bool)) for vr in ("LO", "SH", "UC")],
    _attribute("PN", NAMES),
    st.binary(max_size=20).map(lambda data: {"vr": "OB", "InlineBinary": b64(data + bytes(len(data) % 2))}),
)
# private tags, so that Explicit VR is what says how to read them back
TAGS = st.integers(0x00091001, 0x000910FF).map(lambda tag: f"{tag:08X}")
MODELS = st.recursive(
    st.dictionaries(TAGS, LEAVES, max_size=5),
    lambda models: st.dictionaries(
        TAGS,
        st.lists(models, max_size=3).map(lambda items: {"vr": "SQ", "Value": items}) | LEAVES,
        max_size=4,
    ),
    max_leaves=8,
)


def read_back(ds: DataSet) -> dict[str, Any]:
    """The model again, by the scanner's own means."""
    model: dict[str, Any] = {}
    for tag, (_, vr, *_) in ds.elements.items():
        if tag == 0x00080005:
            continue
        key = f"{tag:08X}"
        if vr == "SQ":
            model[key] = {"vr": vr, "Value": [read_back(one) for one in ds.items(tag)]}
        elif vr == "OB":
            model[key] = {"vr": vr, "InlineBinary": b64(ds.raw(tag))}
        elif vr in NUMBERS:
            model[key] = {"vr": vr, "Value": ds.ints(tag)}
        elif vr in REALS:
            model[key] = {"vr": vr, "Value": ds.floats(tag)}
        elif vr == "PN":
            groups = [
                dict(zip(("Alphabetic", "Ideographic"), name.split("="), strict=False))
                for name in ds.texts(tag)
            ]
            model[key] = {"vr": vr, "Value": groups}
        else:
            model[key] = {"vr": vr, "Value": ds.texts(tag)}
    return model


@given(model=MODELS, syntax=st.sampled_from([EXPLICIT, BIG]))
@examples(400)
def test_what_is_encoded_is_scanned_back(model: dict[str, Any], syntax: TransferSyntax) -> None:
    data = encode(model, syntax)
    assert len(data) % 2 == 0
    assert read_back(scan(data, syntax)) == model


@given(model=MODELS)
@examples(150)
def test_pydicom_reads_what_is_encoded(model: dict[str, Any]) -> None:
    for syntax in SYNTAXES:
        data = encode(model, syntax)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pydicom.filereader.read_dataset(
                io.BytesIO(data), syntax.implicit_vr, syntax.little_endian
            )
        ours = scan(data, syntax)
        assert {int(tag) for tag in theirs.keys()} == set(ours.elements)  # noqa: SIM118


@given(
    model=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda values: (
            st.lists(values, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["00100010", "00280010", "vr", "Value", "InlineBinary", "BulkDataURI", "Alphabetic", "x"]
                ),
                values,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
@example({"00100010": {"vr": [None]}})
@example({"00100010": {"vr": {}, "Value": []}})
@examples(800)
def test_any_json_is_written_or_refused(model: Any) -> None:
    for vr in ("PN", "US", "SQ", "OB", "DS", "AT", "UI", "FD"):
        for candidate in (
            model,
            {"00091001": {"vr": vr, "Value": model}},
            {"00091001": {"vr": vr, "InlineBinary": model}},
        ):
            try:
                data = encode(candidate, EXPLICIT)
            except DataSetError:
                continue
            scan(data, EXPLICIT)
