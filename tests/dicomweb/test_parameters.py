from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.parameters import boolean, decode_component, single, split_query, unsigned
from gantry.errors import WebRequestError


def test_pairs_keep_their_order_and_escapes_are_undone() -> None:
    assert split_query("a=1&b=%C3%A4+x&a=&&c") == [("a", "1"), ("b", "ä x"), ("a", ""), ("c", "")]


def test_a_parameter_that_stands_once() -> None:
    assert single([("a", "1")], "a") == "1"
    assert single([], "a") is None
    with pytest.raises(WebRequestError):
        single([("a", "1"), ("a", "2")], "a")


@pytest.mark.parametrize("text", ["-1", "", " 1", "1_0", "²", "9" * 20])
def test_b70_what_is_no_unsigned_integer_is_400(text: str) -> None:
    with pytest.raises(WebRequestError):
        unsigned("limit", text)


def test_b70_more_than_a_thousand_parameters_are_400() -> None:
    with pytest.raises(WebRequestError):
        split_query("&".join("a=1" for _ in range(1001)))


def test_true_and_false_are_the_only_booleans() -> None:
    assert boolean("x", "true")
    assert not boolean("x", "false")
    with pytest.raises(WebRequestError):
        boolean("x", "True")


@given(st.text(max_size=60))
def test_any_text_is_decoded_or_a_web_request_error(text: str) -> None:
    try:
        decode_component(text)
    except WebRequestError as error:
        assert error.status == 400
