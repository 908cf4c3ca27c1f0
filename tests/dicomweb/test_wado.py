from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.accept import choose, parse_accept
from gantry.dicomweb.wado import (
    Viewport,
    Window,
    fit_within,
    frame_offers,
    media_types_of,
    parse_frame_list,
    parse_rendering,
    syntaxes_of,
)
from gantry.errors import WebRequestError
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES


def test_frames_are_numbers_from_one_in_the_order_asked() -> None:
    assert parse_frame_list("3,1,2,1") == (3, 1, 2, 1)


@pytest.mark.parametrize("name", ["video/H265", "video/h265", "VIDEO/H265"])
def test_media_types_are_the_same_in_any_case(name: str) -> None:
    hevc = "1.2.840.10008.1.2.4.107"
    offers = frame_offers(hevc, decodable=False, single_part=True)
    found = choose(parse_accept(f"{name}; transfer-syntax=*"), offers)
    assert found is not None
    assert found.transfer_syntax == hevc


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1,", ",1", "1,,2", "a", "1.5", "9223372036854775808", "²", " 1", "1,2,0"]
)
def test_b68_a_frame_list_that_cannot_be_is_400(text: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse_frame_list(text)
    assert caught.value.status == 400


def test_b68_ten_thousand_and_one_frames_are_400() -> None:
    assert len(parse_frame_list(",".join(["1"] * 10_000))) == 10_000
    with pytest.raises(WebRequestError):
        parse_frame_list(",".join(["1"] * 10_001))


def test_rendering_parameters_are_read() -> None:
    asked = parse_rendering("viewport=100,200&window=40,400,linear&quality=75&annotation=patient,technique")
    assert asked.viewport == Viewport(100, 200)
    assert asked.window == Window(40.0, 400.0)
    assert asked.quality == 75
    assert asked.annotations == ("patient", "technique")
    assert parse_rendering("viewport=10,20,1,2,3,4").viewport == Viewport(10, 20, (1, 2, 3, 4))
    assert parse_rendering("window=0.5,1,sigmoid").window == Window(0.5, 1.0, "sigmoid")


@pytest.mark.parametrize(
    "query",
    [
        "viewport=1000000000,1000000000",
        "viewport=0,10",
        "viewport=10",
        "viewport=a,b",
        "viewport=-1,5",
        "viewport=1,1,a,b,c,d",
        "window=1",
        "window=a,b",
        "window=nan,1",
        "window=inf,1",
        "window=1,0",
        "window=1,-5,sigmoid",
        "window=1,2,cubic",
        "window=1,2,linear,3",
        "quality=0",
        "quality=101",
        "quality=x",
        "quality=1&quality=2",
    ],
)
def test_b68_rendering_parameters_that_cannot_be_are_400(query: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse_rendering(query)
    assert caught.value.status == 400


def test_every_compressed_syntax_of_images_and_video_has_a_media_type() -> None:
    without = {
        syntax.name
        for uid, syntax in TRANSFER_SYNTAXES.items()
        if syntax.encapsulated and not syntax.retired and not media_types_of(uid)
    }
    # No media type is tabulated for these: they are had as octets with their transfer-syntax named.
    untabulated = ("JPIP", "SMPTE", "Encapsulated", "Deflated")
    assert not {name for name in without if not any(word in name for word in untabulated)}


def test_media_types_and_syntaxes_agree() -> None:
    assert "1.2.840.10008.1.2.4.70" in syntaxes_of("image/jpeg")
    assert media_types_of("1.2.840.10008.1.2.4.80")[0] == "image/jls"


@given(st.integers(1, 20000), st.integers(1, 20000), st.integers(1, 2000), st.integers(1, 2000))
def test_a_fitted_size_is_within_the_viewport_and_touches_it(w: int, h: int, vw: int, vh: int) -> None:
    width, height = fit_within((w, h), Viewport(vw, vh))
    assert 1 <= width <= vw
    assert 1 <= height <= vh
    assert width == vw or height == vh


@given(st.text(max_size=80))
def test_any_text_is_rendering_parameters_or_a_web_request_error(query: str) -> None:
    for name in ("", "viewport=", "window=", "quality="):
        try:
            parse_rendering(name + query)
        except WebRequestError as error:
            assert error.status == 400
