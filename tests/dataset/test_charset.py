"""Texts of every repertoire, read and written; wrong ones read too."""

from __future__ import annotations

import codecs
import json

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dataset.charset import CHARSET_VRS, can_encode, decode_text, encode_text, normal_term
from gantry.dataset.part10 import read_part10
from support import examples, shared_data

# PS3.5 Annexes H to K, and one text for each single-byte repertoire: (terms, text, bytes of a PN)
EXAMPLES = [
    (["ISO_IR 100"], "Buc^Jérôme", b"Buc^J\xe9r\xf4me"),
    (["ISO_IR 101"], "Wałęsa", b"Wa\xb3\xeasa"),
    (["ISO_IR 109"], "Ĝ", b"\xd8"),
    (["ISO_IR 110"], "Šķ", b"\xa9\xf3"),
    (["ISO_IR 126"], "Διονυσιος", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"),
    (["ISO_IR 127"], "قباني^لنزار", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1"),
    (["ISO_IR 138"], "שרון^דבורה", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4"),
    (["ISO_IR 144"], "Люкceмбypг", b"\xbb\xee\xdace\xdc\xd1yp\xd3"),
    (["ISO_IR 148"], "Çavuşoğlu", b"\xc7avu\xfeo\xf0lu"),
    (["ISO_IR 166"], "ไทย", b"\xe4\xb7\xc2"),
    (["ISO_IR 203"], "œuvre €", b"\xbduvre \xa4"),
    (["ISO_IR 13"], "ﾔﾏﾀﾞ^ﾀﾛｳ", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
    (["ISO_IR 192"], "Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^小东".encode()),
    (["GB18030"], "Wang^XiaoDong=王^小东", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"),
    (["GBK"], "王^小东", b"\xcd\xf5^\xd0\xa1\xb6\xab"),
    (
        ["", "ISO 2022 IR 87"],
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    (
        ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    ),
    (
        ["", "ISO 2022 IR 149"],
        "Hong^Gildong=洪^吉洞=홍^길동",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    (
        ["", "ISO 2022 IR 58"],
        "Zhang^XiaoDong=张^小东",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    ),
    (
        ["ISO 2022 IR 100", "ISO 2022 IR 144"],
        "Jérôme^Люкс",
        b"J\xe9r\xf4me^\x1b-L\xbb\xee\xda\xe1",
    ),
    (["", "ISO 2022 IR 159"], "丂", b"\x1b$(D0!\x1b(B"),
]


@pytest.mark.parametrize(("terms", "text", "raw"), EXAMPLES, ids=lambda value: repr(value)[:30])
def test_examples_are_read_and_written(terms: list[str], text: str, raw: bytes) -> None:
    assert decode_text(raw, terms, "PN") == text
    assert can_encode(text, terms)
    assert encode_text(text, terms, "PN") == raw


@pytest.mark.parametrize(("terms", "text", "raw"), EXAMPLES, ids=lambda value: repr(value)[:30])
def test_pydicom_reads_what_is_written(terms: list[str], text: str, raw: bytes) -> None:
    if terms in (["ISO_IR 203"], ["", "ISO 2022 IR 58"]):
        pytest.skip("pydicom does not know ISO_IR 203, and leaves the escapes of IR 58 in the text")
    encodings = pydicom.charset.convert_encodings(terms)
    name = pydicom.valuerep.PersonName(encode_text(text, terms, "PN"), encodings).decode()
    assert str(name) == text


def test_g0_is_single_bytes_again_before_a_set_of_g1_is_written() -> None:
    terms = ["", "ISO 2022 IR 87", "ISO 2022 IR 159", "ISO 2022 IR 149"]
    assert decode_text(encode_text("¿¼Ù", terms, "PN"), terms, "PN") == "¿¼Ù"


def test_a_delimiter_inside_a_two_byte_character_is_none() -> None:
    """JIS X 0208 uses all of 21 to 7E, the equals sign, the caret and the backslash among them."""
    text = "春日^表"
    raw = encode_text(text, ["", "ISO 2022 IR 87"], "PN")
    assert b"\x3d" in raw
    assert decode_text(raw, ["", "ISO 2022 IR 87"], "PN") == text


def test_code_extensions_fall_back_at_delimiters() -> None:
    terms = ["ISO 2022 IR 100", "ISO 2022 IR 144"]
    raw = b"\x1b-L\xbb\xee^\xe9=\x1b-L\xbb\\\xe9\r\n\xe9"
    assert decode_text(raw, terms, "PN") == "Лю^é=Л\\é\r\né"
    assert (
        decode_text(b"\x1b-L\xbb^\xbb\\\xe9", terms, "LO") == "Л^Л\\é"
    )  # the caret is nothing special in LO


def test_a_two_byte_set_that_is_never_switched_back() -> None:
    assert decode_text(b"\x1b$B;3ED\r\nabc", ["", "ISO 2022 IR 87"], "LT") == "山田\r\nabc"
    assert decode_text(b"\x1b$B;", ["", "ISO 2022 IR 87"], "LO") == ";"


@pytest.mark.parametrize("term", ["ISO-IR 100", "ISO IR 100", "iso_ir_100", "ISO_IR_100", "ISO_IR100"])
def test_b39_misspelt_terms_are_understood(term: str) -> None:
    assert normal_term(term) == "ISO_IR 100"
    assert decode_text(b"J\xe9r\xf4me", [term], "LO") == "Jérôme"


@pytest.mark.parametrize("term", ["UTF-8", "utf8", "UTF_8", "ISO IR 192", "ISO-IR 192"])
def test_b39_utf_8_by_other_names(term: str) -> None:
    assert decode_text("Jérôme".encode(), [term], "LO") == "Jérôme"


@pytest.mark.parametrize(
    "term", ["nonsense", "ISO_IR 999", "ISO 2022 IR 999", "\0\0", "rot13", "idna", "hex"]
)
def test_b39_unknown_terms_keep_every_byte_apart(term: str) -> None:
    assert decode_text(b"J\xe9r\xf4me", [term], "LO") == "Jérôme"
    assert encode_text("J\xe9r\xf4me", [term], "LO") in (b"J\xe9r\xf4me", b"J?r?me")


def test_b39_invalid_utf_8_becomes_replacement_characters() -> None:
    assert decode_text(b"a\xffb\xed\xa0\x80", ["ISO_IR 192"], "LO").startswith("a\ufffdb")
    assert "\ufffd" in decode_text(b"\xc0\xaf", ["ISO_IR 192"], "LO")


@pytest.mark.parametrize(
    "raw", [b"\x1b", b"a\x1b", b"\x1b$", b"\x1b$(", b"\x1bQ\xe9", b"\x1b$B", b"\x1b$B;3\x1b"]
)
def test_b39_unfinished_and_unknown_escapes(raw: bytes) -> None:
    assert isinstance(decode_text(raw, ["", "ISO 2022 IR 87"], "PN"), str)


def test_b39_escapes_that_were_not_declared_are_followed() -> None:
    assert decode_text(b"\x1b$B;3ED\x1b(B", [], "PN") == "山田"


def test_other_vrs_are_not_of_the_character_set() -> None:
    assert decode_text(b"caf\xe9", ["ISO_IR 192"], "CS") == "café"
    assert encode_text("café", ["ISO_IR 192"], "CS") == b"caf?"


def test_what_a_repertoire_lacks() -> None:
    assert not can_encode("王", ["ISO_IR 100"])
    assert not can_encode("é", [])
    assert not can_encode("é", [""])
    assert encode_text("王é", ["ISO_IR 100"], "LO") == b"?\xe9"
    assert encode_text("a王b", ["", "ISO 2022 IR 144"], "LO") == b"a?b"


@given(
    raw=st.binary(max_size=60)
    | st.lists(st.sampled_from([b"\x1b", b"$B", b"$)C", b"(B", b"-A", b"\xe9", b";3", b"^", b"="])).map(
        b"".join
    ),
    terms=st.lists(
        st.sampled_from(["", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO_IR 192", "GB18030", "ISO_IR 13", "x"])
        | st.text(max_size=8),
        max_size=3,
    ),
    vr=st.sampled_from([*sorted(CHARSET_VRS), "CS", "UI", "UN"]),
)
@examples(1500)
def test_any_bytes_are_read(raw: bytes, terms: list[str], vr: str) -> None:
    decode_text(raw, terms, vr)


@given(
    text=st.text(max_size=30),
    terms=st.sampled_from(
        [terms for terms, _, _ in EXAMPLES] + [["", "ISO 2022 IR 87", "ISO 2022 IR 159", "ISO 2022 IR 149"]]
    ),
    vr=st.sampled_from(["PN", "LO", "UT"]),
)
@examples(1500)
def test_what_can_be_encoded_is_read_back(text: str, terms: list[str], vr: str) -> None:
    if "\x1b" in text or not can_encode(text, terms):
        return
    raw = encode_text(text, terms, vr)
    if any(0x80 <= ord(char) < 0xA0 for char in text):
        return  # C1 controls are no graphic characters of any repertoire
    assert decode_text(raw, terms, vr) == text


def test_names_of_the_shared_files() -> None:
    folder = shared_data() / "synthetic"
    expected = json.loads((folder / "charset" / "expected_names.json").read_text())
    assert expected
    for name, value in expected.items():
        _, ds = read_part10((folder / name).read_bytes())
        assert ds.text(0x00100010) == value["PatientName"], name
        assert ds.text(0x00081030) == value.get("StudyDescription", ds.text(0x00081030)), name


@pytest.mark.parametrize("term", sorted(pydicom.charset.python_encoding))
def test_codec_of_a_term_is_the_one_pydicom_reads_with(term: str) -> None:
    upper_half = bytes(range(0xA1, 0xFF))
    theirs = pydicom.charset.python_encoding[term]
    if codecs.lookup(theirs).name in ("iso2022_jp", "iso2022_jp_2"):
        theirs = "latin-1"  # a text cannot begin in a two-byte set of G0
    if theirs == "iso_ir_58":
        theirs = "gb2312"
    assert decode_text(upper_half, [term], "LO") == upper_half.decode(theirs, errors="replace")
