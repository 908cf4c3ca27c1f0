"""Byte ranges of a frame, as it is stored and as it is made: what a viewer shows from the first bytes (RFC 9110 14)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gantry.pixels.codecs.registry import NAMES
from image_values import gray, image_object, made
from serving import ROOT
from web_serving import WebServed, web_served

PIXELS = gray(2, size=128)
RPCL = NAMES["htj2k-rpcl"]
AS_STORED = "application/octet-stream; transfer-syntax=*"
PLAIN, STORED = (image_object(PIXELS, SOPInstanceUID=f"{ROOT}.1.1.{number}") for number in (1, 2))
FRAMES = {
    "native, as stored": ("1", AS_STORED),
    "native, made HTJ2K": ("1", f"image/jphc; transfer-syntax={RPCL}"),
    "HTJ2K, as stored": ("2", AS_STORED),
    "HTJ2K, decoded": ("2", "application/octet-stream"),
}


def frame(number: str) -> str:
    return f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.{number}/frames/2"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        assert served.store(PLAIN, made(STORED, "htj2k-rpcl")[0]).status_code == 200
        yield served


@pytest.mark.parametrize("kind", FRAMES)
def test_the_first_bytes_and_the_rest_are_the_frame(web: WebServed, kind: str) -> None:
    number, accept = FRAMES[kind]
    whole = web.http.get(frame(number), headers={"accept": accept})
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    size = len(whole.content)
    first = web.http.get(frame(number), headers={"accept": accept, "range": "bytes=0-999"})
    assert first.status_code == 206
    assert first.headers["content-range"] == f"bytes 0-999/{size}"
    assert first.headers["content-type"] == whole.headers["content-type"]
    assert first.headers["etag"] == whole.headers["etag"]
    held = {"accept": accept, "range": "bytes=1000-", "if-range": first.headers["etag"]}
    rest = web.http.get(frame(number), headers=held)
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes 1000-{size - 1}/{size}"
    assert first.content + rest.content == whole.content
    last = web.http.get(frame(number), headers={"accept": accept, "range": "bytes=-7"})
    assert (last.status_code, last.content) == (206, whole.content[-7:])


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("held", ['"another"', 'W/"another"', "Wed, 01 Jan 2025 00:00:00 GMT"])
def test_whoever_holds_another_frame_is_given_all_of_this_one(web: WebServed, kind: str, held: str) -> None:
    number, accept = FRAMES[kind]
    headers = {"accept": accept, "range": "bytes=5-", "if-range": held}
    answer = web.http.get(frame(number), headers=headers)
    assert answer.status_code == 200
    assert "content-range" not in answer.headers
    assert answer.content == web.http.get(frame(number), headers={"accept": accept}).content


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("spec", ["bytes=9999999-", "bytes=7-6", "bytes=0-1,4-5", "bytes=-0"])
def test_b67_other_ranges_of_a_frame_are_416(web: WebServed, kind: str, spec: str) -> None:
    number, accept = FRAMES[kind]
    whole = web.http.get(frame(number), headers={"accept": accept}).content
    answer = web.http.get(frame(number), headers={"accept": accept, "range": spec})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_other_objects_answer_if_range_too(web: WebServed) -> None:
    where = frame("1").rpartition("/frames")[0]
    asked = {"accept": "application/dicom; transfer-syntax=*", "range": "bytes=128-131"}
    tag = web.http.get(where, headers=asked).headers["etag"]
    assert web.http.get(where, headers=asked | {"if-range": tag}).content == b"DICM"
    assert web.http.get(where, headers=asked | {"if-range": '"another"'}).content == PLAIN
