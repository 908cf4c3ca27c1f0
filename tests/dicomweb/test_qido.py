from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.qido import SearchRequest, attribute_path, parse
from gantry.errors import WebRequestError
from gantry.standard.query_keys import Level


def search(query: str, level: Level = Level.STUDY, **bound: str) -> SearchRequest:
    return parse(level, query, max_results=100, **bound)


def test_keys_by_keyword_and_tag_become_one_model() -> None:
    assert search("PatientID=11235813&00080020=20130509").keys == {
        "00100020": {"vr": "LO", "Value": ["11235813"]},
        "00080020": {"vr": "DA", "Value": ["20130509"]},
    }


def test_a_person_name_has_its_component_groups() -> None:
    assert search("PatientName=Yamada^Tarou%3D%E5%B1%B1%E7%94%B0").keys == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田"}]}
    }


def test_keys_inside_one_sequence_share_an_item() -> None:
    keys = search("RequestAttributesSequence.ScheduledProcedureStepID=S1&00400275.00401001=R1").keys
    assert keys == {
        "00400275": {
            "vr": "SQ",
            "Value": [{"00400009": {"vr": "SH", "Value": ["S1"]}, "00401001": {"vr": "SH", "Value": ["R1"]}}],
        }
    }


@pytest.mark.parametrize("separator", ["%2C", ",", "%5C", "&StudyInstanceUID="])
def test_uids_are_a_list_however_they_are_joined(separator: str) -> None:
    assert search(f"StudyInstanceUID=1.2{separator}1.3").keys["0020000D"]["Value"] == ["1.2", "1.3"]


def test_numbers_are_numbers() -> None:
    keys = search("InstanceNumber=5&Rows=512&SliceThickness=1.5", Level.IMAGE).keys
    assert keys["00200013"]["Value"] == [5]
    assert keys["00280010"]["Value"] == [512]
    assert keys["00180050"]["Value"] == [1.5]


def test_an_empty_value_matches_everything() -> None:
    assert search("PatientName=&StudyDate").keys == {"00100010": {"vr": "PN"}, "00080020": {"vr": "DA"}}


def test_values_are_split_only_where_multiple_value_matching_is_asked_for() -> None:
    assert search("Modality=CT%5CMR").keys["00080060"]["Value"] == ["CT\\MR"]
    asked = search("Modality=CT%5CMR&multiplevaluematching=true")
    assert asked.keys["00080060"]["Value"] == ["CT", "MR"]
    assert asked.multiple_value


def test_controls_are_read_and_absent_ones_have_their_default() -> None:
    asked = search("limit=5&offset=10&fuzzymatching=true&emptyvaluematching=true")
    assert (asked.limit, asked.offset, asked.fuzzy, asked.empty_value) == (5, 10, True, True)
    plain = search("")
    assert (plain.limit, plain.offset, plain.fuzzy, plain.empty_value) == (100, 0, False, False)


def test_includefield_takes_tags_keywords_paths_lists_and_all() -> None:
    asked = search("includefield=00081048,StudyDescription&includefield=00400275.00400009")
    assert asked.include == ((0x00081048,), (0x00081030,), (0x00400275, 0x00400009))
    assert search("includefield=all").include_all


def test_uids_of_the_path_become_keys() -> None:
    asked = search("", Level.IMAGE, study_uid="1.2", series_uid="1.3")
    assert asked.keys["0020000D"]["Value"] == ["1.2"]
    assert asked.keys["0020000E"]["Value"] == ["1.3"]
    assert search("StudyInstanceUID=1.2,1.4", study_uid="1.2").keys["0020000D"]["Value"] == ["1.2"]
    with pytest.raises(WebRequestError):
        search("StudyInstanceUID=1.4", study_uid="1.2")


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=ten",
        "limit=1.5",
        "limit=",
        "limit=1&limit=2",
        "limit=99999999999999999999",
        "offset=-1",
        "offset=%31%20",
        "fuzzymatching=yes",
        "NoSuchAttribute=1",
        "foo.bar=1",
        "0010001=1",
        "PatientID=1&PatientID=2",
        "InstanceNumber=five",
        "SliceThickness=nan",
        "SliceThickness=1e999",
        "SliceThickness=1_0",
        "RequestAttributesSequence=1",
        "PixelData=1",
        "PatientName=%ff%fe",
        "PatientID=%00",
        "PatientName.PatientID=1",
    ],
)
def test_b70_a_search_that_cannot_be_is_400(query: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        search(query)
    assert caught.value.status == 400


def test_b70_a_limit_above_the_servers_is_clamped_with_a_warning() -> None:
    asked = search("limit=1000000000&offset=1000000000000")
    assert (asked.limit, asked.offset) == (100, 1_000_000_000_000)
    assert "reduced to 100" in asked.warnings[0]


def test_b70_an_unknown_includefield_is_skipped_with_a_warning_fit_for_a_header() -> None:
    asked = search("includefield=NoSuch%0D%0ASet-Cookie")
    assert asked.include == ()
    assert "ignored: NoSuch\\r\\nSet-Cookie" in asked.warnings[0]


def test_b70_a_thousand_includefields_are_400() -> None:
    with pytest.raises(WebRequestError):
        search("&".join("includefield=PatientName" for _ in range(1000)))


def test_b71_a_path_of_a_hundred_sequences_is_400() -> None:
    began = perf_counter()
    with pytest.raises(WebRequestError):
        search(".".join(["00400275"] * 100) + "=1")
    with pytest.raises(WebRequestError):
        search("StudyInstanceUID=" + ",".join(["1.2"] * 5000))
    with pytest.raises(WebRequestError):
        search("PatientName=" + "*" * 5000)
    assert perf_counter() - began < 1


def test_a_query_longer_than_a_head_may_be_is_414() -> None:
    with pytest.raises(WebRequestError) as caught:
        search("PatientID=" + "1" * 40_000)
    assert caught.value.status == 414


@given(st.text(max_size=120))
def test_any_text_is_a_search_or_a_web_request_error(query: str) -> None:
    try:
        search(query)
    except WebRequestError as error:
        assert error.status in (400, 414)


@given(
    st.sampled_from(["PatientName", "00100010", "StudyDate", "InstanceNumber", "StudyInstanceUID", "limit"]),
    st.text(max_size=40).map(lambda t: t.replace("&", "")),
)
def test_any_value_of_a_key_is_a_search_or_a_web_request_error(name: str, value: str) -> None:
    try:
        search(f"{name}={value}")
    except WebRequestError as error:
        assert error.status == 400


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("PatientName", (0x00100010,)),
        ("0020000d", (0x0020000D,)),
        ("00101002.00100024.00400032", (0x00101002, 0x00100024, 0x00400032)),
        ("(0010,0010)", None),
        ("Patient Name", None),
        ("", None),
        ("00100010.", None),
    ],
)
def test_attribute_paths(text: str, path: tuple[int, ...] | None) -> None:
    assert attribute_path(text) == path
