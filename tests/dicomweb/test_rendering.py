from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.accept import choose, parse_accept
from gantry.dicomweb.rendering import (
    Region,
    RenderingParameters,
    Viewport,
    Window,
    check_profile,
    moving_offers,
    parse_rendering,
    parse_thumbnail,
    picture_offers,
    refuse_mixture,
)
from gantry.errors import WebRequestError


def test_all_parameters_are_read() -> None:
    asked = parse_rendering(
        "viewport=100,200&window=40,400,linear&quality=75&annotation=technique,patient"
        "&iccprofile=displayp3&charset=utf-8,iso-8859-1;q=0.5&accept=image/png&unknown=1"
    )
    assert asked == RenderingParameters(
        Viewport(100, 200),
        window=Window(40.0, 400.0),
        quality=75,
        annotations=("patient", "technique"),
        icc_profile="displayp3",
    )
    assert parse_rendering("window=0.5,1,sigmoid").window == Window(0.5, 1.0, "sigmoid")
    assert parse_rendering("window=-5e1,1.5,linear-exact").window == Window(-50.0, 1.5, "linear-exact")
    assert parse_rendering("voi=BONE").voi == "BONE"
    assert parse_rendering("") == RenderingParameters()


@pytest.mark.parametrize("word", ["no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"])
def test_colour_spaces(word: str) -> None:
    assert parse_rendering(f"iccprofile={word}").icc_profile == word


@pytest.mark.parametrize(
    ("viewport", "region", "flips"),
    [
        ("10,20,1,2,3,4", Region(1, 2, 3, 4), (False, False)),
        ("10,20,,,3,4", Region(0, 0, 3, 4), (False, False)),
        ("10,20,1.5", Region(1.5), (False, False)),
        ("10,20,,2", Region(0, 2), (False, False)),
        ("10,20,-1,-2,-3,4", Region(1, 2, 3, 4), (True, False)),
        ("10,20,,,3,-4.5", Region(0, 0, 3, 4.5), (False, True)),
    ],
)
def test_a_region_of_the_source(viewport: str, region: Region, flips: tuple[bool, bool]) -> None:
    asked = parse_rendering(f"viewport={viewport}")
    assert asked.viewport == Viewport(10, 20)
    assert asked.region == region
    assert (asked.flip_horizontal, asked.flip_vertical) == flips


def test_a_region_reaches_to_the_edge_where_its_size_is_left_out() -> None:
    assert Region(10, 20).in_image(100, 50) == (10, 20, 90, 30)
    assert Region(0, 0, 3, None).in_image(100, 50) == (0, 0, 3, 50)
    assert Region(0.25, 0, 0.5, 1, is_relative=True).in_image(100, 50) == (25, 0, 50, 50)


@pytest.mark.parametrize(
    "region",
    [Region(100, 0), Region(0, 50), Region(50, 0, 51, 1), Region(0, 1, 1, 50), Region(1e300, 0, 1, 1)],
)
def test_a_region_outside_of_the_image_is_400(region: Region) -> None:
    with pytest.raises(WebRequestError) as caught:
        region.in_image(100, 50)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "query",
    [
        "viewport=1000000000,1000000000",
        "viewport=0,10",
        "viewport=10",
        "viewport=",
        "viewport=a,b",
        "viewport=-1,5",
        "viewport=1.5,5",
        "viewport=1,1,a,b,c,d",
        "viewport=1,1,0,0,0,1",
        "viewport=1,1,0,0,1,0",
        "viewport=1,1,",
        "viewport=1,1,1,1,1,",
        "viewport=1,1,1,1,1,1,1",
        "viewport=1,1,nan",
        "window=1",
        "window=1,2",
        "window=,,linear",
        "window=a,b,linear",
        "window=nan,1,linear",
        "window=inf,1,linear",
        "window=1,0,linear",
        "window=1,-5,sigmoid",
        "window=1,2,cubic",
        "window=1,2,LINEAR",
        "window=1,2,linear,3",
        "quality=0",
        "quality=101",
        "quality=x",
        "quality=1.5",
        "quality=",
        "quality=1&quality=2",
        "annotation=",
        "annotation=patient,",
        "iccprofile=",
        "iccprofile=SRGB",
        "iccprofile=cmyk",
        "charset=",
        "charset=*",
        "charset=utf-8,",
        "charset=utf-8;x=1",
        "voi=",
        "voi=" + "x" * 65,
        "voi=1&window=1,2,linear",
        "window=%FF,1,linear",
    ],
)
def test_b68_what_cannot_be_is_400(query: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse_rendering(query)
    assert caught.value.status == 400
    assert str(caught.value)


def test_annotations_that_nobody_knows_are_told_and_change_nothing() -> None:
    asked = parse_rendering("annotation=weather,patient,weather")
    assert asked.unknown_annotations == ("weather",)
    assert asked == parse_rendering("annotation=patient")
    assert repr(asked) == repr(parse_rendering("annotation=patient"))  # what the entity tag is made of


def test_a_thumbnail_has_a_viewport_and_nothing_else() -> None:
    asked = parse_thumbnail("viewport=64,32&window=nonsense")
    assert asked == RenderingParameters(Viewport(64, 32), is_thumbnail=True)
    assert parse_thumbnail("").viewport == Viewport(128, 128)
    for query in ("viewport=64,64,1,1,2,2", "viewport=64,64,,,-5,5", "viewport=0,1", "charset="):
        with pytest.raises(WebRequestError) as caught:
            parse_thumbnail(query)
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("field", "chosen"),
    [
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png, image/jpeg;q=0.5", "image/png"),
        ("image/png;q=0.2, */*;q=0.1", "image/png"),
        ("image/jpeg;q=0, image/*", "image/gif"),
        ("image/jp2", "image/jp2"),
        ("image/jxl;q=0.9, image/jp2;q=0.8", "image/jxl"),
        ("video/mp4", "video/mp4"),
        ("video/*", "video/mp4"),
        ("image/webp", None),
        ("image/jpeg;q=0", None),
        ("text/html", None),
    ],
)
def test_the_form_that_the_client_prefers(field: str, chosen: str | None) -> None:
    offers = [*picture_offers(), *moving_offers(video=True)]
    form = choose(parse_accept(field), offers)
    assert (form and form.media_type) == chosen


def test_there_is_no_video_without_an_encoder() -> None:
    assert choose(parse_accept("video/mp4"), moving_offers(video=False)) is None


def test_dicom_and_rendered_types_exclude_each_other() -> None:
    for field in ("image/jpeg, application/dicom", 'multipart/related;type="application/dicom", video/mp4'):
        with pytest.raises(WebRequestError) as caught:
            refuse_mixture(parse_accept(field))
        assert caught.value.status == 409
    refuse_mixture(parse_accept("image/jpeg, */*;q=0.1, text/html"))


def test_a_named_colour_space_needs_a_format_that_can_say_it() -> None:
    for media_type in ("image/gif", "image/jxl", "video/mp4"):
        check_profile("srgb", media_type)
        with pytest.raises(WebRequestError):
            check_profile("adobergb", media_type)
    check_profile("adobergb", "image/png")


@given(st.text(max_size=80))
def test_any_text_is_rendering_parameters_or_a_web_request_error(query: str) -> None:
    for name in ("", "viewport=", "window=", "quality=", "annotation=", "iccprofile=", "charset=", "voi="):
        try:
            parse_rendering(name + query)
        except WebRequestError as error:
            assert error.status == 400
