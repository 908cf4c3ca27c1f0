from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.media_types import MAX_ENTRIES, parse_media_type, parse_media_types
from gantry.errors import WebRequestError


def test_essence_is_lower_case_and_parameters_keep_their_value() -> None:
    media = parse_media_type('Multipart/Related; Type="application/dicom"; boundary=AbC')
    assert media.essence == "multipart/related"
    assert (media.type, media.subtype) == ("multipart", "related")
    assert dict(media.parameters) == {"type": "application/dicom", "boundary": "AbC"}


def test_a_quoted_value_may_hold_commas_semicolons_and_escapes() -> None:
    (first, second) = parse_media_types(r'a/b; x="1,2;\"3\"", c/d')
    assert first.parameters["x"] == '1,2;"3"'
    assert second.essence == "c/d"


def test_unquoted_types_are_read_as_clients_write_them() -> None:
    assert parse_media_type("multipart/related;type=image/jpeg").parameters["type"] == "image/jpeg"


@pytest.mark.parametrize(
    "text", ["", "a", "a/", "/b", "a/b; x", "a/b; x=", 'a/b; x="1', "a/b c/d", "a b/c", "a/b,c/d"]
)
def test_what_is_not_one_media_type_is_refused(text: str) -> None:
    with pytest.raises(WebRequestError) as caught:
        parse_media_type(text)
    assert caught.value.status == 400


def test_a_list_has_a_limit() -> None:
    parse_media_types(",".join(["a/b"] * MAX_ENTRIES))
    with pytest.raises(WebRequestError):
        parse_media_types(",".join(["a/b"] * (MAX_ENTRIES + 1)))


@given(st.text(max_size=200))
def test_any_text_is_media_types_or_a_web_request_error(text: str) -> None:
    try:
        parse_media_types(text)
    except WebRequestError as error:
        assert error.status == 400
