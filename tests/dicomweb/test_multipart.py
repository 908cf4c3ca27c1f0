from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dicomweb.media_types import MediaType
from gantry.dicomweb.multipart import (
    MAX_PART_HEADER_BYTES,
    MultipartParser,
    PartBegin,
    PartData,
    boundary_of,
    closing,
    part_head,
)
from gantry.errors import WebRequestError

Parts = list[tuple[dict[str, str], bytes]]


def parts_of(body: bytes, boundary: str = "B", step: int = 1 << 20) -> Parts:
    """All parts of a whole body, fed in pieces of `step` bytes."""
    parser = MultipartParser(boundary)
    parts: Parts = []
    for start in range(0, len(body), step):
        for event in parser.feed(body[start : start + step]):
            if isinstance(event, PartBegin):
                parts.append((dict(event.headers), b""))
            elif isinstance(event, PartData):
                headers, data = parts[-1]
                parts[-1] = headers, data + bytes(event.data)
    parser.finish()
    return parts


BODY = (
    b"preamble\r\n--B\r\nContent-Type: application/dicom\r\nContent-Location: /x\r\n\r\none\r\n-- B\r\n--\r\n"
    b"\r\n--B  \r\n\r\n\r\n--B\r\nA: 1\r\n\r\n\r\n\r\n\r\n--B\r\nB: 2\r\n\r\n--B--\r\nepilogue"
)
EXPECTED: Parts = [
    ({"content-type": "application/dicom", "content-location": "/x"}, b"one\r\n-- B\r\n--\r\n"),
    ({}, b""),
    ({"a": "1"}, b"\r\n\r\n"),
    ({"b": "2"}, b""),
]


@pytest.mark.parametrize("step", range(1, len(BODY) + 1))
def test_a_body_cut_anywhere_gives_the_same_parts(step: int) -> None:
    assert parts_of(BODY, step=step) == EXPECTED


@given(
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from(["a", "b-c"]), st.text("xyz/;=", max_size=9)), st.binary())
    ),
    st.integers(1, 50),
)
def test_what_is_written_is_read_back(parts: Parts, step: int) -> None:
    boundary = "aBoundaryThatNoPartHolds"
    if not parts:
        return
    body = b"".join(
        part_head(boundary, headers, first=n == 0) + data for n, (headers, data) in enumerate(parts)
    ) + closing(boundary)
    assert parts_of(body, boundary, step) == parts


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_are_parts_or_a_web_request_error(body: bytes, step: int) -> None:
    try:
        parts_of(b"--B\r\n" + body, step=step)
    except WebRequestError as error:
        assert error.status == 400


@given(st.lists(st.sampled_from([b"--B", b"\r\n", b"--", b"\r", b"\n", b"A:1", b"x", b"-"]), max_size=40))
def test_any_run_of_delimiters_is_parts_or_a_web_request_error(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    try:
        parts = parts_of(whole)
    except WebRequestError:
        with pytest.raises(WebRequestError):
            parts_of(whole, step=1)
    else:
        assert parts_of(whole, step=1) == parts


def test_a_large_part_passes_through_without_being_held() -> None:
    parser = MultipartParser("B")
    parser.feed(b"--B\r\n\r\nbegun")
    piece = b"\r\n--" * 16384
    for _ in range(20):
        (event,) = parser.feed(piece)
        assert isinstance(event, PartData)
        assert len(event.data) >= len(piece) - len(b"\r\n--B")


def test_b63_no_closing_delimiter_is_400_and_the_whole_parts_were_given() -> None:
    parser = MultipartParser("B")
    events = parser.feed(b"--B\r\n\r\none\r\n--B\r\n\r\ntw")
    assert [type(e).__name__ for e in events] == ["PartBegin", "PartData", "PartEnd", "PartBegin", "PartData"]
    with pytest.raises(WebRequestError, match="closing delimiter"):
        parser.finish()


@pytest.mark.parametrize(
    "body",
    [
        b"no delimiter at all" * 10000,
        b"--B garbage\r\n\r\n\r\n--B--",
        b"--B" + b" " * 1000,
        b"--B\r\nno colon\r\n\r\n",
        b"--B\r\n: no name\r\n\r\n",
        b"--B\r\nName : space\r\n\r\n",
        b"--B\r\nA: \xff\xfe\r\n\r\n",
        b"--B\r\nA: " + b"x" * (MAX_PART_HEADER_BYTES + 100),
    ],
)
def test_b63_a_broken_frame_is_400_with_its_offset(body: bytes) -> None:
    with pytest.raises(WebRequestError, match="offset") as caught:
        parts_of(body)
    assert caught.value.status == 400


def test_b63_more_parts_than_the_limit_are_400() -> None:
    parser = MultipartParser("B", max_parts=3)
    with pytest.raises(WebRequestError, match="more than 3 parts"):
        parser.feed(b"--B\r\n\r\n\r\n" * 5)
    assert sum(isinstance(e, PartBegin) for e in parser.taken()) == 3


@pytest.mark.parametrize(
    ("parameters", "cause"),
    [
        ({}, "no boundary"),
        ({"boundary": ""}, "no boundary"),
        ({"boundary": "x" * 71}, "longer than 70"),
        ({"boundary": "x" * 1_000_000}, "longer than 70"),
        ({"boundary": "a\r\nb"}, "RFC 2046"),
        ({"boundary": "a "}, "RFC 2046"),
        ({"boundary": "ä"}, "RFC 2046"),
    ],
)
def test_b63_a_boundary_that_cannot_be_is_400(parameters: dict[str, str], cause: str) -> None:
    with pytest.raises(WebRequestError, match=cause) as caught:
        boundary_of(MediaType("multipart/related", parameters))
    assert caught.value.status == 400
