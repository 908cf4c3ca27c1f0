from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.rendering import Region, Viewport
from gantry.dicomweb.wado_uri import parse
from gantry.errors import WebRequestError

NAMED = "requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4"


def test_the_object_is_named_by_three_uids() -> None:
    asked = parse(NAMED + "&contentType=image%2Fpng,image/jpeg&frameNumber=2&windowCenter=40&windowWidth=400")
    assert (asked.study_uid, asked.series_uid, asked.sop_uid) == ("1.2", "1.3", "1.4")
    assert [m.essence for m in asked.media_types] == ["image/png", "image/jpeg"]
    assert asked.frame == 2
    assert asked.rendering.window is not None
    assert parse(NAMED).frame is None


def test_what_a_picture_is_to_look_like() -> None:
    asked = parse(NAMED + "&rows=100&region=0.25,0,0.75,1&annotation=technique,patient,x&imageQuality=7")
    assert asked.rendering.viewport == Viewport(0, 100)
    assert asked.rendering.region == Region(0.25, 0, 0.5, 1, is_relative=True)
    assert asked.rendering.annotations == ("patient", "technique")
    assert asked.rendering.unknown_annotations == ("x",)
    assert asked.rendering.quality == 7
    assert asked.asks_of_image == ("annotation", "rows", "region", "imageQuality")
    applied = parse(NAMED + "&presentationSeriesUID=1.5&presentationUID=1.6&rows=9&annotation=patient")
    assert applied.presentation == ("1.5", "1.6")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "requestType=WADO",
        NAMED.replace("WADO", "wado"),
        NAMED.replace("1.3", "../1"),
        NAMED.replace("objectUID=1.4", "objectUID="),
        NAMED + "&objectUID=1.5",
        NAMED + "&frameNumber=0",
        NAMED + "&frameNumber=-1",
        NAMED + "&rows=0",
        NAMED + "&rows=1000000000",
        NAMED + "&windowCenter=1",
        NAMED + "&windowCenter=x&windowWidth=1",
        NAMED + "&imageQuality=0",
        NAMED + "&imageQuality=101",
        NAMED + "&region=0,0,1",
        NAMED + "&region=0,0,0,1",
        NAMED + "&region=0.5,0,0.5,1",
        NAMED + "&region=0,0,1,1.1",
        NAMED + "&region=-0.1,0,1,1",
        NAMED + "&region=0,0,1,nan",
        NAMED + "&region=0,0,1,1,1",
        NAMED + "&annotation=",
        NAMED + "&charset=",
        NAMED + "&presentationUID=1.5",
        NAMED + "&presentationSeriesUID=1.5",
        NAMED + "&presentationUID=x&presentationSeriesUID=1.5",
        NAMED + "&presentationUID=1.5&presentationSeriesUID=1.6&region=0,0,1,1",
        NAMED + "&presentationUID=1.5&presentationSeriesUID=1.6&windowCenter=1&windowWidth=2",
        NAMED + "&presentationUID=1.5&presentationSeriesUID=1.6&frameNumber=1",
        NAMED + "&anonymize=no",
        NAMED + "&contentType=image",
    ],
)
def test_b68_parameters_that_cannot_be_are_400(query: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse(query)
    assert caught.value.status == 400


@given(st.text(max_size=80))
def test_any_text_is_a_request_or_a_web_request_error(query: str) -> None:
    try:
        parse(NAMED + "&" + query)
    except WebRequestError as error:
        assert error.status == 400
