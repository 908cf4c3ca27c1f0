"""Videos over DICOMweb: as they are, by byte ranges, and single frames made under guard (PS3.18 8.7.3, 8.7.4)."""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
import numpy as np
import pytest
from PIL import Image

from serving import ROOT
from video_values import (
    COLUMNS,
    FRAMES,
    H264,
    H264_FRAGMENTABLE,
    HEVC,
    MPEG2,
    ROWS,
    all_frames,
    level,
    stream,
    video_object,
)  # fmt: skip
from web_serving import WebServed, parts_of, web_served

SERIES = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1"
MP4, FRAGMENTED, TRANSPORT, MPEG, CUT, LYING = range(1, 7)


def path(number: int) -> str:
    return f"{SERIES}/instances/{ROOT}.1.1.{number}"


def uid(number: int) -> dict[str, str]:
    return {"SOPInstanceUID": f"{ROOT}.1.1.{number}"}


@pytest.fixture(scope="module")
def streams() -> dict[int, bytes]:
    mp4 = stream(H264, "mp4")
    tables = mp4.index(b"mdat")
    return {
        MP4: mp4,
        FRAGMENTED: stream(HEVC, "mp4"),
        TRANSPORT: stream(H264, "mpegts"),
        MPEG: stream(MPEG2, "mpegts"),
        CUT: mp4[: tables + (len(mp4) - tables) // 2 & ~1],
        LYING: mp4,
    }


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, streams: dict[int, bytes]) -> Iterator[WebServed]:
    files = [
        video_object(streams[MP4], H264, **uid(MP4)),
        video_object(streams[FRAGMENTED], "1.2.840.10008.1.2.4.107", fragment=1000, **uid(FRAGMENTED)),
        video_object(streams[TRANSPORT], H264_FRAGMENTABLE, fragment=1 << 12, **uid(TRANSPORT)),
        video_object(streams[MPEG], MPEG2, **uid(MPEG)),
        video_object(streams[CUT], H264, **uid(CUT)),
        video_object(streams[LYING], H264, frames=999_999, **uid(LYING)),
    ]
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        for file in files:
            assert served.store(file).status_code == 200
        yield served


def padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


@pytest.mark.parametrize(
    ("number", "accept", "answered"),
    [
        (MP4, "video/mp4", "video/mp4"),
        (MP4, "video/*", "video/mp4"),
        (MP4, "image/jpeg;q=0.5, video/mp4", "video/mp4"),
        (FRAGMENTED, "video/mp4", "video/mp4"),
        (FRAGMENTED, "video/H265", "video/h265"),
        (TRANSPORT, "video/mp2t", "video/mp2t"),
        (MPEG, "video/mpeg", "video/mpeg"),
    ],
)
def test_a_player_gets_the_stream_as_it_is(
    web: WebServed, streams: dict[int, bytes], number: int, accept: str, answered: str
) -> None:
    answer = web.http.get(f"{path(number)}/rendered", headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == answered
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.content == padded(streams[number])
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("number", "content_type", "answered"),
    [
        (MP4, "video/mp4", "video/mp4"),
        (MPEG, "video/mpeg", "video/mpeg"),
        (MP4, "image/jpeg", "image/jpeg"),
        (MP4, "", "image/jpeg"),
    ],
)
def test_wado_uri_plays_it_too(
    web: WebServed, streams: dict[int, bytes], number: int, content_type: str, answered: str
) -> None:
    uids = {"studyUID": f"{ROOT}.1", "seriesUID": f"{ROOT}.1.1", "objectUID": f"{ROOT}.1.1.{number}"}
    asked = {"requestType": "WADO", **uids} | ({"contentType": content_type} if content_type else {})
    answer = web.http.get("/wado", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == answered
    if answered.startswith("video/"):
        assert answer.content == padded(streams[number])
        part = web.http.get("/wado", params=asked, headers={"range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, streams[number][5:10])


def test_a_transport_stream_becomes_an_mp4_for_who_plays_nothing_else(web: WebServed) -> None:
    answer = web.http.get(f"{path(TRANSPORT)}/rendered", headers={"accept": "video/mp4"})
    assert answer.status_code == 200, answer.text
    assert answer.content[4:8] == b"ftyp"
    assert len(all_frames(answer.content)) == FRAMES


@pytest.mark.parametrize("number", [MP4, FRAGMENTED])
def test_ranges_are_cut_across_fragments(web: WebServed, streams: dict[int, bytes], number: int) -> None:
    data = padded(streams[number])
    rng = np.random.default_rng(7)
    for _ in range(25):
        start = int(rng.integers(0, len(data)))
        stop = min(len(data), start + int(rng.integers(1, 3000)))
        answer = web.http.get(
            f"{path(number)}/rendered", headers={"accept": "video/mp4", "range": f"bytes={start}-{stop - 1}"}
        )
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(data)}"
        assert answer.content == data[start:stop]
    past = {"accept": "video/mp4", "range": f"bytes={len(data)}-"}
    assert web.http.get(f"{path(number)}/rendered", headers=past).status_code == 416
    last = {"accept": "video/mp4", "range": "bytes=-10"}
    assert web.http.get(f"{path(number)}/rendered", headers=last).content == data[-10:]


def test_a_video_that_the_client_holds_is_304_and_another_is_sent_whole(web: WebServed) -> None:
    first = web.http.get(f"{path(MP4)}/rendered", headers={"accept": "video/mp4"})
    tag = first.headers["etag"]
    held = {"accept": "video/mp4", "if-none-match": tag}
    assert web.http.get(f"{path(MP4)}/rendered", headers=held).status_code == 304
    same = {"accept": "video/mp4", "range": "bytes=0-9", "if-range": tag}
    assert web.http.get(f"{path(MP4)}/rendered", headers=same).status_code == 206
    other = same | {"if-range": '"another"'}
    assert web.http.get(f"{path(MP4)}/rendered", headers=other).content == first.content


def test_a_video_library_plays_what_the_server_gives_by_ranges(web: WebServed) -> None:
    """As a player does it: the container is opened over HTTP, jumps, and reads on."""
    url = f"http://127.0.0.1:{web.port}{path(FRAGMENTED)}/rendered"
    with av.open(url, options={"headers": "Accept: video/mp4\r\n"}) as played:
        assert sum(1 for _ in played.decode(video=0)) == FRAMES
        played.seek(0)
        first = next(played.decode(video=0))
        assert (first.height, first.width) == (ROWS, COLUMNS)


def test_a_picture_is_given_where_anything_is_taken(web: WebServed) -> None:
    answer = web.http.get(f"{path(MP4)}/rendered")
    assert Image.open(io.BytesIO(answer.content)).size == (COLUMNS, ROWS)


@pytest.mark.parametrize("number", [MP4, FRAGMENTED, TRANSPORT, MPEG])
@pytest.mark.parametrize("frame", [1, 30, FRAMES])
def test_any_frame_is_had_as_samples_and_as_a_picture(
    web: WebServed, streams: dict[int, bytes], number: int, frame: int
) -> None:
    expected = all_frames(streams[number])[frame - 1]
    octets = web.http.get(f"{path(number)}/frames/{frame}", headers={"accept": "application/octet-stream"})
    assert octets.status_code == 200, octets.text
    assert octets.content == expected.tobytes()
    shown = web.http.get(f"{path(number)}/frames/{frame}/rendered", headers={"accept": "image/png"})
    picture = np.asarray(Image.open(io.BytesIO(shown.content)).convert("RGB"))
    assert (picture == expected).all()


def test_a_frame_is_had_in_a_lossless_form(web: WebServed, streams: dict[int, bytes]) -> None:
    answer = web.http.get(f"{path(MP4)}/frames/9", headers={"accept": "image/jls"})
    assert answer.status_code == 200, answer.text
    import imagecodecs

    assert (imagecodecs.jpegls_decode(answer.content) == all_frames(streams[MP4])[8]).all()


def test_frames_have_no_stream_of_their_own(web: WebServed) -> None:
    answer = web.http.get(f"{path(MP4)}/frames/1", headers={"accept": "video/mp4"})
    assert answer.status_code == 406
    assert web.http.get(f"{path(MP4)}/frames/{FRAMES + 1}").status_code == 404


def test_the_pixel_data_is_the_stream_bare_or_as_a_part(web: WebServed, streams: dict[int, bytes]) -> None:
    value = f"{path(FRAGMENTED)}/bulkdata/7FE00010"
    for accept in ("video/mp4", f"application/octet-stream; transfer-syntax={HEVC}"):
        answer = web.http.get(value, headers={"accept": accept, "range": "bytes=990-1009"})
        assert answer.status_code == 206, answer.text
        assert answer.content == streams[FRAGMENTED][990:1010]
        assert answer.headers["content-type"].endswith(f"; transfer-syntax={HEVC}")
    for where in (value, f"{path(FRAGMENTED)}/pixeldata"):
        wrapped = web.http.get(where, headers={"accept": 'multipart/related; type="video/mp4"'})
        ((headers, data),) = parts_of(wrapped)
        assert headers["content-type"] == f"video/mp4; transfer-syntax={HEVC}"
        assert data == padded(streams[FRAGMENTED])


def test_the_object_is_given_back_as_it_is_and_in_nothing_else(
    web: WebServed, streams: dict[int, bytes]
) -> None:
    stored = {"accept": "application/dicom; transfer-syntax=*"}
    assert web.http.get(path(MP4), headers=stored).content == video_object(streams[MP4], H264, **uid(MP4))
    native = {"accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    assert web.http.get(path(MP4), headers=native).status_code == 406


def test_thumbnails_and_the_pictures_of_a_series(web: WebServed) -> None:
    thumbnail = web.http.get(f"{path(MP4)}/thumbnail", headers={"accept": "image/png"})
    picture = np.asarray(Image.open(io.BytesIO(thumbnail.content)).convert("RGB"))
    assert picture.shape[1] == 128
    assert abs(int(np.median(picture)) - level(FRAMES // 2)) < 12  # of its middle frame


def test_b57_a_video_that_is_cut_costs_the_frames_that_are_lost_and_no_others(web: WebServed) -> None:
    for _ in range(2):
        assert web.http.get(f"{path(CUT)}/frames/2/rendered").status_code == 200
        assert web.http.get(f"{path(CUT)}/frames/{FRAMES}/rendered").status_code == 422
    assert web.http.get(f"{path(MP4)}/frames/{FRAMES}/rendered").status_code == 200


def test_b54_frames_that_are_not_there_are_told(web: WebServed) -> None:
    answer = web.http.get(f"{path(LYING)}/frames/900000/rendered")
    assert answer.status_code == 422
    assert "frame 900000 of a stream that holds 40; Number of Frames is 999999" in answer.text
