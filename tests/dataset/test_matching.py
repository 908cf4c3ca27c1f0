"""Attribute matching of PS3.4 C.2.2.2, kind by kind."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dataset.date_time import Span
from gantry.dataset.matching import (
    MAX_ALTERNATIVES,
    MAX_DEPTH,
    Condition,
    Kind,
    MatchingOptions,
    classify,
    conditions_from_keys,
    matches,
    matches_all,
    time_tag_of,
)
from gantry.errors import QueryError
from gantry.standard.dictionary import tag_of, vr_of

Model = dict[str, Any]


def attribute(keyword: str, *values: Any) -> Model:
    """One attribute as a DICOM JSON Model, its VR from the dictionary."""
    tag = tag_of(keyword)
    assert tag is not None
    element: Model = {"vr": vr_of(tag)}
    if values:
        element["Value"] = list(values)
    return {f"{tag:08X}": element}


def name(text: str, ideographic: str = "", phonetic: str = "") -> Model:
    groups = {"Alphabetic": text, "Ideographic": ideographic, "Phonetic": phonetic}
    return attribute("PatientName", {group: value for group, value in groups.items() if value})


def found(keys: Model, stored: Model, **options: bool) -> bool:
    return matches_all(stored, conditions_from_keys(keys, MatchingOptions(**options)))


def only(keys: Model, **options: bool) -> Condition:
    (condition,) = conditions_from_keys(keys, MatchingOptions(**options))
    return condition


# Universal matching, C.2.2.2.3

KEYWORDS = ["PatientID", "StudyDate", "StudyTime", "PatientName", "StudyInstanceUID", "Rows", "PatientWeight",
            "ReferencedStudySequence", "PixelData", "Modality", "AcquisitionDateTime"]  # fmt: skip


@pytest.mark.parametrize("keyword", KEYWORDS)
@pytest.mark.parametrize("value", [(), (None,), ("",), ("*",), ("  ",)])
def test_a_key_without_a_value_matches_everything(keyword: str, value: tuple[Any, ...]) -> None:
    if keyword in ("ReferencedStudySequence", "PixelData") and value not in ((), (None,), ("",)):
        return
    keys = attribute(keyword, *value) if keyword != "PixelData" else attribute(keyword)
    assert conditions_from_keys(keys) == []
    assert found(keys, {})


def test_what_steers_the_query_is_no_condition() -> None:
    keys = attribute("SpecificCharacterSet", "ISO_IR 100") | attribute("QueryRetrieveLevel", "STUDY")
    keys |= attribute("TimezoneOffsetFromUTC", "+0100") | {"00080000": {"vr": "UL", "Value": [4]}}
    keys |= {"00090010": {"vr": "LO", "Value": ["ACME"]}}
    assert conditions_from_keys(keys) == []


TEXT = st.text("abcAB *?^-1", max_size=8)


@given(TEXT, TEXT)
def test_more_keys_never_find_more(first: str, second: str) -> None:
    stored = attribute("PatientID", "abc1") | attribute("StudyDescription", "a-b 1")
    one, other = attribute("PatientID", first), attribute("StudyDescription", second)
    assert found(one | other, stored) == (found(one, stored) and found(other, stored))


def test_an_absent_attribute_matches_no_value() -> None:
    assert not found(attribute("PatientID", "1"), {})
    assert not found(attribute("PatientID", "1"), attribute("PatientID"))
    assert not found(attribute("PatientID", "?*"), attribute("PatientID"))


# Single value matching, C.2.2.2.1


@given(st.text("abAB12 ", min_size=1, max_size=10), st.text("abAB12 ", min_size=1, max_size=10))
def test_single_values_are_equal_but_for_padding(asked: str, stored: str) -> None:
    if asked.strip():
        assert found(attribute("PatientID", asked), attribute("PatientID", stored)) == (
            asked.strip() == stored.strip()
        )


def test_single_value_matching_minds_the_case_outside_names() -> None:
    assert not found(attribute("PatientID", "abc"), attribute("PatientID", "ABC"))
    assert found(attribute("PatientID", "ABC"), attribute("PatientID", "ABC"))


def test_any_of_several_stored_values_will_do() -> None:
    stored = attribute("ModalitiesInStudy", "CT", "SR", "")
    assert found(attribute("ModalitiesInStudy", "SR"), stored)
    assert not found(attribute("ModalitiesInStudy", "MR"), stored)


@pytest.mark.parametrize(
    ("asked", "stored", "expected"),
    [
        ("5", 5, True),
        (5, 5.0, True),
        ("5.0", 5, True),
        ("+5", 5, True),
        (5, 6, False),
        ("5", "5", True),
        (5, "x", False),
    ],
)
def test_numbers_are_compared_as_numbers(asked: Any, stored: Any, expected: bool) -> None:
    assert found(attribute("SeriesNumber", asked), attribute("SeriesNumber", stored)) is expected


@pytest.mark.parametrize("asked", ["abc", "1_0", "1e999", "nan", "9" * 100, "٣"])
def test_text_for_a_number_is_refused(asked: str) -> None:
    with pytest.raises(QueryError, match="SeriesNumber"):
        conditions_from_keys(attribute("SeriesNumber", asked))


def test_tags_are_compared_in_any_case() -> None:
    keys = {"00280009": {"vr": "AT", "Value": ["00181063"]}}
    assert found(keys, keys)
    assert found(
        {"00280009": {"vr": "AT", "Value": ["0018106a"]}}, {"00280009": {"vr": "AT", "Value": ["0018106A"]}}
    )


@pytest.mark.parametrize("value", ["%", "_", "a'; DROP TABLE studies; --", "\\", "[a]", "a%"])
def test_b34_signs_of_other_languages_match_themselves_only(value: str) -> None:
    assert found(attribute("StudyDescription", value), attribute("StudyDescription", value)) or value == "\\"
    assert (
        not found(attribute("StudyDescription", value), attribute("StudyDescription", "abc")) or value == "\\"
    )


# List of UID matching, C.2.2.2.2, and several values


@pytest.mark.parametrize("asked", [("1.2", "1.3"), ("1.2\\1.3",), ("1.2,1.3",), ("1.2\\1.3", "1.3")])
def test_a_list_of_uids_matches_any_of_them(asked: tuple[str, ...]) -> None:
    condition = only(attribute("StudyInstanceUID", *asked))
    assert (condition.kind, condition.literals) == (Kind.LIST, ("1.2", "1.3"))
    assert matches(attribute("StudyInstanceUID", "1.3"), condition)
    assert not matches(attribute("StudyInstanceUID", "1.4"), condition)


def test_b71_a_list_of_a_hundred_thousand_uids_is_refused_at_once() -> None:
    started = time.process_time()
    with pytest.raises(QueryError, match=str(MAX_ALTERNATIVES)):
        conditions_from_keys(attribute("SOPInstanceUID", *(f"1.2.{n}" for n in range(100_000))))
    assert time.process_time() - started < 1.0


def test_several_values_of_other_attributes_match_any() -> None:
    assert found(attribute("Modality", "CT\\MR"), attribute("Modality", "MR"))
    assert found(attribute("Modality", "CT,MR"), attribute("Modality", "MR"), multiple_values=True)
    assert not found(attribute("Modality", "CT,MR"), attribute("Modality", "MR"))
    condition = only(attribute("StudyDate", "20200101", "20210101-20211231"))
    assert condition.kind is Kind.ANY_OF
    assert matches(attribute("StudyDate", "20210615"), condition)
    assert not matches(attribute("StudyDate", "20200102"), condition)


def test_a_text_attribute_keeps_its_backslash() -> None:
    assert found(attribute("StudyComments", "a\\b"), attribute("StudyComments", "a\\b"))
    assert not found(attribute("StudyComments", "a\\b"), attribute("StudyComments", "b"))


# Wildcard matching, C.2.2.2.4


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("CHEST*", True),
        ("*THORAX", True),
        ("?HEST/*", True),
        ("chest*", False),
        ("CHEST?", False),
        ("*/*", True),
    ],
)
def test_wildcards_stand_for_any_text(pattern: str, expected: bool) -> None:
    assert (
        found(attribute("StudyDescription", pattern), attribute("StudyDescription", "CHEST/THORAX"))
        is expected
    )


def test_a_uid_takes_no_wildcards() -> None:
    assert only(attribute("StudyInstanceUID", "1.2.*")).kind is Kind.SINGLE
    assert not found(attribute("StudyInstanceUID", "1.2.*"), attribute("StudyInstanceUID", "1.2.3"))


@pytest.mark.parametrize("pattern", ["*" * 63 + "a", "?" * 64, "a*" * 9])
@pytest.mark.parametrize("keyword", ["PatientID", "PatientName"])
def test_b71_too_many_wildcards_are_refused(keyword: str, pattern: str) -> None:
    with pytest.raises(QueryError, match=keyword):
        conditions_from_keys(attribute(keyword, pattern))


# Range matching, C.2.2.2.5

DATES = st.dates().map(lambda day: f"{day.year:04}{day:%m%d}")


@given(DATES, DATES, DATES)
def test_a_range_of_dates_includes_its_ends(low: str, high: str, stored: str) -> None:
    low, high = sorted((low, high))
    for asked, expected in (
        (f"{low}-{high}", low <= stored <= high),
        (f"{low}-", low <= stored),
        (f"-{high}", stored <= high),
        (low, low == stored),
    ):
        assert found(attribute("StudyDate", asked), attribute("StudyDate", stored)) is expected


@pytest.mark.parametrize(
    ("asked", "stored", "expected"),
    [
        ("1000-1100", "105959", True),
        ("1000-1100", "110059.9", True),
        ("1000-1100", "1101", False),
        ("10-11", "115959", True),
        ("-0730", "073059", True),
        ("2200-", "220000.000000", True),
        ("10", "1030", True),
        ("103000", "1030", True),
        ("103000", "10:30:00", True),
        ("103001", "1030", False),
    ],
)
def test_a_range_of_times_includes_what_its_ends_leave_open(asked: str, stored: str, expected: bool) -> None:
    assert found(attribute("StudyTime", asked), attribute("StudyTime", stored)) is expected


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        ("20200101-20200102", "20200101000000000000", "20200102235959999999"),
        ("20200101120000+0100-20200102", "20200101110000000000", "20200102235959999999"),
        ("-2020-0500", "", "20210101045959999999"),
        ("2020-0500", "20200101050000000000", "20210101045959999999"),
        ("1990-2021", "19900101000000000000", "20211231235959999999"),
        ("2020-", "20200101000000000000", ""),
    ],
)
def test_a_hyphen_in_a_date_time_divides_or_is_an_offset(asked: str, low: str, high: str) -> None:
    condition = only(attribute("AcquisitionDateTime", asked))
    assert (condition.kind, condition.span) == (Kind.RANGE, Span(low, high))


@pytest.mark.parametrize(
    ("keyword", "asked"),
    [
        ("StudyDate", "-"),
        ("StudyDate", "99999999"),
        ("StudyDate", "20201231-20200101"),
        ("StudyDate", "2020"),
        ("StudyDate", "20200101-20200102-20200103"),
        ("StudyDate", "20200101-x"),
        ("StudyDate", "2020*"),
        ("StudyDate", "1" * 10_000),
        ("StudyTime", "-"),
        ("StudyTime", "2500-"),
        ("StudyTime", "1100-1000"),
        ("AcquisitionDateTime", "--"),
        ("AcquisitionDateTime", "-" * 64),
    ],
)
def test_b71_a_broken_range_is_refused_with_its_attribute(keyword: str, asked: str) -> None:
    with pytest.raises(QueryError, match=keyword):
        conditions_from_keys(attribute(keyword, asked))


def test_a_stored_date_that_is_none_matches_no_range() -> None:
    assert not found(attribute("StudyDate", "19000101-"), attribute("StudyDate", "UNKNOWN"))
    assert not found(attribute("StudyTime", "00-"), attribute("StudyTime", "??"))


# Combined date and time, C.2.2.2.5.1


def test_dates_and_times_are_compared_apart_unless_combined() -> None:
    keys = attribute("StudyDate", "20200101-20200103") | attribute("StudyTime", "1200-1300")
    night = attribute("StudyDate", "20200102") | attribute("StudyTime", "0300")
    assert not found(keys, night)
    assert found(keys, night, combined_date_time=True)


@pytest.mark.parametrize(
    ("day", "moment", "expected"),
    [
        ("20200101", "1159", False),
        ("20200101", "1200", True),
        ("20200102", "0000", True),
        ("20200103", "130059.999999", True),
        ("20200103", "1301", False),
        ("20200102", None, True),
        ("20200101", None, False),
    ],
)
def test_combined_ranges_run_from_moment_to_moment(day: str, moment: str | None, expected: bool) -> None:
    keys = attribute("StudyDate", "20200101-20200103") | attribute("StudyTime", "1200-1300")
    stored = attribute("StudyDate", day) | (attribute("StudyTime", moment) if moment else {})
    condition = only(keys, combined_date_time=True)
    assert condition.kind is Kind.DATE_TIME_RANGE
    assert condition.span == Span("20200101120000000000", "20200103130059999999")
    assert matches(stored, condition) is expected


def test_combined_ranges_may_be_open_at_one_end() -> None:
    keys = attribute("StudyDate", "20200101-") | attribute("StudyTime", "1200-")
    assert only(keys, combined_date_time=True).span == Span("20200101120000000000", "")
    keys = attribute("StudyDate", "-20200101") | attribute("StudyTime", "-1200")
    assert only(keys, combined_date_time=True).span == Span("", "20200101120059999999")


def test_combined_ranges_that_run_backwards_are_refused() -> None:
    keys = attribute("StudyDate", "20200101-20200101") | attribute("StudyTime", "-1200")
    assert found(keys, attribute("StudyDate", "20200101"), combined_date_time=True)


def test_a_date_has_its_time() -> None:
    assert time_tag_of(0x00080020) == 0x00080030
    assert time_tag_of(0x00100030) == 0x00100032
    assert time_tag_of(0x00400002) == 0x00400003
    assert time_tag_of(0x00100010) == 0


# Person names


@pytest.mark.parametrize(
    "typed",
    [
        "DOE^JANE",
        "doe jane",
        "Jane Doe",
        "doe*",
        "*jane*",
        "Doe, Jane",
        "DOE^*",
        "jane d*",
        "?oe^jane",
        "Doe^Jane^^^",
    ],
)
def test_a_name_is_found_as_people_type_it(typed: str) -> None:
    assert found(attribute("PatientName", {"Alphabetic": typed}), name("Doe^Jane"))
    assert found(attribute("PatientName", typed), name("Doe^Jane"))


@pytest.mark.parametrize("typed", ["doe", "jane", "d", "doe^john", "jane*x", "doe jane mary", "*do"])
def test_a_name_is_not_found_by_another(typed: str) -> None:
    assert not found(attribute("PatientName", typed), name("Doe^Jane"))


@pytest.mark.parametrize(
    "typed", ["Yamada*", "山田*", "山田^太郎", "太郎 山田", "やまだ*", "=山田*", "Yamada^Tarou=山田^太郎"]
)
def test_a_name_is_found_in_each_of_its_component_groups(typed: str) -> None:
    assert found(attribute("PatientName", typed), name("Yamada^Tarou", "山田^太郎", "やまだ^たろう"))


@pytest.mark.parametrize("typed", ["Yamada=鈴木", "鈴木*"])
def test_every_group_that_is_asked_for_has_to_fit(typed: str) -> None:
    assert not found(attribute("PatientName", typed), name("Yamada^Tarou", "山田^太郎"))


def test_accents_do_not_count_and_sounds_only_when_asked() -> None:
    assert found(attribute("PatientName", "MULLER"), name("Müller"))
    assert not found(attribute("PatientName", "Mueller"), name("Müller"))
    assert found(attribute("PatientName", "Mueller"), name("Müller"), fuzzy=True)
    assert found(attribute("PatientName", "katherine"), name("Doe^Catherine"), fuzzy=True)
    assert found(attribute("PatientName", "kath*"), name("Doe^Katherine"), fuzzy=True)
    assert not found(attribute("PatientName", "smith"), name("Jones^Ann"), fuzzy=True)


NAMES = st.text("aeäbdEN^ ", min_size=1, max_size=12)


@given(NAMES, NAMES)
def test_fuzzy_finds_at_least_what_plain_finds(asked: str, stored: str) -> None:
    keys = attribute("PatientName", asked)
    assert found(keys, name(stored), fuzzy=True) >= found(keys, name(stored))


@given(NAMES)
def test_a_name_finds_itself(stored: str) -> None:
    if stored.strip(" ^"):
        assert found(attribute("PatientName", stored), name(stored))


@pytest.mark.parametrize("value", [5, ["a"], {"Alphabetic": 5}])
def test_a_name_key_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(QueryError, match="PatientName"):
        conditions_from_keys(attribute("PatientName", value))


# Sequence matching, C.2.2.2.6


def test_a_sequence_matches_by_the_keys_of_its_item() -> None:
    def step(station: str, day: str) -> Model:
        return attribute("ScheduledStationAETitle", station) | attribute(
            "ScheduledProcedureStepStartDate", day
        )

    keys = attribute("ScheduledProcedureStepSequence", step("CT1", "20200101-20200131"))
    stored = attribute("ScheduledProcedureStepSequence", step("MR1", "20200110"), step("CT1", "20200110"))
    assert only(keys).kind is Kind.SEQUENCE
    assert found(keys, stored)
    # both keys have to fit in the same Item
    apart = attribute("ScheduledProcedureStepSequence", step("MR1", "20200110"), step("CT1", "20200210"))
    assert not found(keys, apart)
    assert not found(keys, {})


def test_a_sequence_of_keys_without_values_is_universal() -> None:
    keys = attribute("ScheduledProcedureStepSequence", attribute("ScheduledStationAETitle"))
    assert conditions_from_keys(keys) == []
    assert conditions_from_keys(attribute("ScheduledProcedureStepSequence", {})) == []


def test_a_sequence_key_with_two_items_is_refused() -> None:
    item = attribute("ScheduledStationAETitle", "CT1")
    with pytest.raises(QueryError, match="one Item"):
        conditions_from_keys(attribute("ScheduledProcedureStepSequence", item, item))


@pytest.mark.parametrize("depth", [MAX_DEPTH, 100])
def test_b71_a_query_of_many_levels_is_refused(depth: int) -> None:
    keys = attribute("CodeValue", "1")
    for _ in range(depth):
        keys = attribute("ReferencedStudySequence", keys)
    with pytest.raises(QueryError, match="levels"):
        conditions_from_keys(keys)


def test_a_query_of_thousands_of_keys_is_refused() -> None:
    keys = {f"0009{element:04X}": {"vr": "LO", "Value": ["a"]} for element in range(0x1000, 0x1500)}
    with pytest.raises(QueryError, match="keys"):
        conditions_from_keys(keys)


# Empty value matching, C.2.2.2.7


@pytest.mark.parametrize("keyword", ["PatientID", "StudyDate", "PatientName", "SeriesNumber"])
def test_two_quotes_match_what_is_empty_where_negotiated(keyword: str) -> None:
    keys = attribute(keyword, '""')
    values = {"StudyDate": "20200101", "PatientName": {"Alphabetic": "Doe"}, "SeriesNumber": 1}
    assert found(keys, {}, empty_value=True)
    assert found(keys, attribute(keyword), empty_value=True)
    assert found(keys, attribute(keyword, None), empty_value=True)
    assert not found(keys, attribute(keyword, values.get(keyword, "1")), empty_value=True)


def test_two_quotes_are_text_where_not_negotiated() -> None:
    assert found(attribute("PatientID", '""'), attribute("PatientID", '""'))
    assert not found(attribute("PatientID", '""'), {})


# What cannot be compared


def test_a_key_that_cannot_be_compared_says_so_and_matches() -> None:
    keys = {"00091001": {"vr": "UN", "InlineBinary": "AAAA"}}
    assert only(keys).kind is Kind.UNSUPPORTED
    assert found(keys, {})


def test_a_key_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(QueryError, match="PatientID"):
        conditions_from_keys(attribute("PatientID", 5))
    with pytest.raises(QueryError, match="characters"):
        conditions_from_keys(attribute("PatientID", "a" * 5_000))
    with pytest.raises(QueryError, match="Item"):
        conditions_from_keys(attribute("ReferencedStudySequence", "x"))


def test_a_private_key_is_compared_like_others() -> None:
    keys = {"00091001": {"vr": "LO", "Value": ["a*"]}}
    assert found(keys, {"00091001": {"vr": "LO", "Value": ["abc"]}})
    with pytest.raises(QueryError, match=r"\(0009,1001\)"):
        classify(0x00091001, {"vr": "DA", "Value": ["x"]})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
VRS = st.sampled_from(
    ["AE", "AT", "CS", "DA", "DT", "DS", "IS", "LO", "PN", "TM", "UI", "US", "SQ", "OB", "FD"]
)
ELEMENTS = st.builds(lambda vr, values: {"vr": vr, "Value": values}, VRS, st.lists(JSON_VALUES, max_size=3))


@given(
    st.sampled_from(["PatientID", "PatientName", "StudyDate", "StudyTime", "Rows", "PatientWeight"]), ELEMENTS
)
def test_whatever_is_stored_is_compared_without_an_exception(keyword: str, stored: Model) -> None:
    asked = {
        "StudyDate": "20200101-",
        "StudyTime": "-10",
        "Rows": 5,
        "PatientWeight": "70",
        "PatientName": "d*",
    }
    keys = attribute(keyword, asked.get(keyword, "1*"))
    tag = next(iter(keys))
    assert found(keys, {tag: stored}) in (True, False)


@given(VRS, st.lists(st.text(max_size=12), max_size=3))
def test_whatever_text_is_asked_is_answered_or_refused(vr: str, values: list[str]) -> None:
    if vr == "SQ":
        return
    try:
        condition = classify(0x00091001, {"vr": vr, "Value": values})
    except QueryError:
        return
    assert matches({}, condition) == (condition.kind in (Kind.UNIVERSAL, Kind.UNSUPPORTED))
