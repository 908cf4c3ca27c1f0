"""A Data Set with changes: what changes does, and all else comes out as it went in."""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack
from typing import Any

import pytest

from dataset_bytes import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    encapsulated,
    end_of_sequence,
    explicit,
    item,
    long,
    undefined_item,
    undefined_sequence,
)
from gantry.dataset.encode import encode_element
from gantry.dataset.json_model import to_json_model
from gantry.dataset.part10 import read_part10
from gantry.dataset.rewrite import Changes, rewrite
from gantry.dataset.scan import DataSet, scan
from gantry.errors import DataSetError
from gantry.standard.transfer_syntaxes import TransferSyntax
from real_files import RealFile, packaged_files, shared_files

DESCRIPTION = 0x00081030
NAME = 0x00100010


def written(ds: DataSet, changes: Changes) -> bytes:
    return b"".join(bytes(piece) for piece in rewrite(ds, changes))


def changed(data: bytes, changes: Changes, syntax: TransferSyntax = EXPLICIT) -> bytes:
    return written(scan(data, syntax), changes)


def test_what_is_not_changed_is_the_same_piece_of_bytes() -> None:
    """Undefined lengths, wrong padding, private and unknown elements, group lengths of other groups."""
    before = (
        explicit(0x00080000, "UL", pack("<L", 14))
        + explicit(DESCRIPTION, "LO", b"before")
        + explicit(0x00090010, "LO", b"SOMEBODY")
        + long(0x00091001, "UN", b"\xff\xfe\xfd\xfc")
        + explicit(0x00100000, "UL", pack("<L", 99))
        + explicit(NAME, "PN", b"Doe\0")
        + undefined_sequence(0x00321064, undefined_item(explicit(0x00080104, "LO", b"code")))
        + explicit(0x7FE00010, "OW", bytes(40))
    )
    after = changed(before, Changes({DESCRIPTION: ("LO", b"after ")}))
    assert after == before.replace(b"before", b"after ")[len(explicit(0x00080000, "UL", bytes(4))) :]
    assert changed(before, Changes({})) == before


def test_attributes_are_added_in_order_and_left_out() -> None:
    before = explicit(0x00080060, "CS", b"CT") + explicit(NAME, "PN", b"Doe ")
    added = Changes({DESCRIPTION: ("LO", b"odd"), NAME: None, 0x00100020: ("LO", b"")})
    assert changed(before, added) == (
        explicit(0x00080060, "CS", b"CT")
        + explicit(DESCRIPTION, "LO", b"odd ")
        + explicit(0x00100020, "LO", b"")
    )


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG], ids=lambda one: one.name)
def test_it_is_written_in_the_syntax_that_it_was_in(syntax: TransferSyntax) -> None:
    before = b"".join(
        encode_element(tag, vr, value, syntax)
        for tag, vr, value in (
            (NAME, "PN", b"Doe "),
            (0x00280010, "US", pack("H", 7)),
            (0x7FE00010, "OW", b"ab"),
        )
    )
    after = changed(before, Changes({NAME: ("PN", b"Roe ")}), syntax)
    assert after == before.replace(b"Doe", b"Roe")


def test_compressed_pixels_are_copied() -> None:
    before = explicit(NAME, "PN", b"Doe ") + encapsulated(b"", b"frag", b"ment")
    assert changed(before, Changes({NAME: ("PN", b"Roe ")}), JPEG) == before.replace(b"Doe", b"Roe")


def test_elements_out_of_order_or_twice_are_written_anew_in_order_and_mean_the_same() -> None:
    """Of an attribute that stands twice the last one counts; the changed one must not be overruled by it."""
    name = explicit(NAME, "PN", b"Doe ")
    before = (
        explicit(NAME, "PN", b"Old ") + explicit(0x00100020, "LO", b"7 ") + name + encapsulated(b"", b"fr")
    )
    before += explicit(0x00080060, "CS", b"CT")
    after = scan(changed(before, Changes({NAME: ("PN", b"Roe ")}), JPEG), JPEG)
    assert list(after.elements) == [0x00080060, NAME, 0x00100020, 0x7FE00010]
    assert (after.text(NAME), after.text(0x00080060)) == ("Roe", "CT")
    assert after.pixel_data is not None
    assert after.raw(0x7FE00010) == scan(before, JPEG).raw(0x7FE00010)


def test_uids_are_replaced_wherever_a_sequence_refers_to_them() -> None:
    inner = explicit(0x00081155, "UI", b"1.2.3\0") + undefined_sequence(
        0x00081115,
        undefined_item(explicit(0x0020000D, "UI", b"1.2\0") + explicit(0x0020000E, "UI", b"1.2.34")),
    )
    before = explicit(0x00081110, "SQ", item(inner)) + explicit(0x0020000D, "UI", b"1.2\0")
    after = scan(changed(before, Changes({}, {"1.2": "9.8.7"})), EXPLICIT)
    (study,) = after.sequence(0x00081110)
    (series,) = study.sequence(0x00081115)
    assert (study.text(0x00081155), series.text(0x0020000D), series.text(0x0020000E)) == (
        "1.2.3", "9.8.7", "1.2.34",
    )  # fmt: skip
    assert after.text(0x0020000D) == "1.2"  # that one is for `values` to say


def test_all_texts_come_to_utf_8_together_those_of_items_with_their_own_character_set_too() -> None:
    greek = explicit(0x00080005, "CS", b"ISO_IR 126") + explicit(0x00080104, "LO", "μ ".encode("iso8859_7"))
    latin = explicit(0x00080104, "LO", "ü ".encode("latin-1"))
    japanese = explicit(0x00080005, "CS", b"\\ISO 2022 IR 87") + explicit(
        0x00080104, "LO", b"\x1b$B;3ED\x1b(B"
    )
    before = (
        explicit(0x00080005, "CS", b"ISO_IR 100")
        + explicit(DESCRIPTION, "LO", "Schädel ".encode("latin-1"))
        + explicit(0x00081032, "SQ", item(greek) + undefined_item(latin) + item(japanese))
        + explicit(NAME, "PN", "Müller".encode("latin-1"))
        + explicit(0x00104000, "LT", b"plain ")
        + explicit(0x00880200, "SQ", item(explicit(0x7FE00010, "OB", b"\xe4\xf6")))
    )
    after = changed(before, Changes({0x00080090: ("PN", "山田".encode())}, to_utf_8=True))
    ds = scan(after, EXPLICIT)
    assert ds.charset == ("ISO_IR 192",)
    assert [one.text(0x00080104) for one in ds.items(0x00081032)] == ["μ", "ü", "山田"]
    assert all(0x00080005 not in one for one in ds.items(0x00081032))
    assert (ds.text(DESCRIPTION), ds.text(NAME), ds.text(0x00080090)) == ("Schädel", "Müller", "山田")
    assert ds.sequence(0x00880200)[0].raw(0x7FE00010) == b"\xe4\xf6"
    assert explicit(0x00104000, "LT", b"plain ") in after


def test_text_that_cannot_be_read_is_refused_with_its_tag() -> None:
    before = explicit(0x00080005, "CS", b"ISO_IR 192") + explicit(DESCRIPTION, "LO", b"\xff\xfe")
    with pytest.raises(DataSetError, match=r"\(0008,1030\)"):
        changed(before, Changes({}, to_utf_8=True))


def test_an_icon_that_is_compressed_like_the_whole_stays_as_it_is() -> None:
    icon = item(explicit(0x0020000D, "UI", b"1.2\0") + encapsulated(b"", b"icon"))
    before = explicit(0x00880200, "SQ", icon) + encapsulated(b"", b"frag") + b""
    after = scan(changed(before, Changes({}, {"1.2": "3.4"}), JPEG), JPEG)
    (made,) = after.sequence(0x00880200)
    assert made.text(0x0020000D) == "3.4"
    assert made.raw(0x7FE00010) == item(b"") + item(b"icon")
    assert end_of_sequence() in changed(before, Changes({}, {"1.2": "3.4"}), JPEG)


def each(files: list[RealFile]) -> Iterator[tuple[str, DataSet]]:
    """Those of some files that we read."""
    for file in files:
        try:
            yield file.name, read_part10(file.data)[1]
        except DataSetError:
            continue


def assert_only_one_attribute_changes(files: list[RealFile]) -> None:
    seen = 0
    for name, ds in each(files):
        made = scan(written(ds, Changes({DESCRIPTION: ("LO", b"edited")})), ds.syntax)
        before, after = without_lengths(ds), without_lengths(made)
        assert after.pop("00081030") == {"vr": "LO", "Value": ["edited"]}, name
        before.pop("00081030", None)
        assert after == before, name
        assert made.raw(0x7FE00010) == ds.raw(0x7FE00010), name
        seen += 1
    assert seen > 60


def assert_utf_8_says_the_same(files: list[RealFile]) -> None:
    """In UTF-8 every text reads as before, or the object is refused because one cannot be read."""
    seen = refused = 0
    for name, ds in each(files):
        if name.endswith("nested_priv_SQ.dcm"):
            continue  # a private value of odd length in an Item, which is padded (PS3.5 7.1.1)
        try:
            made = scan(written(ds, Changes({}, to_utf_8=True)), ds.syntax)
        except DataSetError as error:
            assert "its character set does not explain" in str(error), name
            refused += 1
            continue
        assert made.charset == ("ISO_IR 192",)
        assert without_charsets(without_lengths(made)) == without_charsets(without_lengths(ds)), name
        seen += 1
    assert seen > 60
    assert refused < seen / 10


def without_lengths(ds: DataSet) -> dict[str, Any]:
    """The model without group lengths, which are retired."""
    return {tag: value for tag, value in to_json_model(ds).items() if not tag.endswith("0000")}


def without_charsets(model: dict[str, Any]) -> dict[str, Any]:
    """The model without what says how its texts were written, and group lengths of Items."""
    kept = {}
    for tag, attribute in model.items():
        if tag == "00080005" or tag.endswith("0000"):
            continue
        if attribute["vr"] == "SQ":
            attribute = {
                **attribute,
                "Value": [without_charsets(item) for item in attribute.get("Value", [])],
            }
        kept[tag] = attribute
    return kept


def test_files_that_pydicom_ships_come_out_with_one_attribute_changed_and_no_other() -> None:
    assert_only_one_attribute_changes(packaged_files())


def test_files_that_pydicom_ships_say_the_same_in_utf_8() -> None:
    assert_utf_8_says_the_same(packaged_files())


def test_files_of_real_devices_come_out_with_one_attribute_changed_and_no_other() -> None:
    assert_only_one_attribute_changes(shared_files())


def test_files_of_real_devices_say_the_same_in_utf_8() -> None:
    assert_utf_8_says_the_same(shared_files())
