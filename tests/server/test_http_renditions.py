"""Every parameter and every media type of rendered resources, opened by other programs (PS3.18 8.3.5, 8.7.4)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from pictured import COLUMNS, DEFLATED, ROWS, color, enhanced, gray, path, single_bits
from serving import ROOT, dataset, part10
from web_serving import WebServed, parts_of, web_served

PNG = {"accept": "image/png"}


def series(study: int) -> list[Any]:
    """Three slices, stored in an order that is not that of their numbers, and a report."""
    slices = [gray(study, instance=n, InstanceNumber=10 - n) for n in (1, 2, 3)]
    for n, ds in enumerate(slices):
        ds.PixelData = bytes([100 * n]) * (ROWS * COLUMNS)
    report = dataset(4, study=study)
    del report.PixelData
    return [*slices, report]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    windows = {
        "WindowCenter": [60, 150],
        "WindowWidth": [1, 1],
        "WindowCenterWidthExplanation": ["LOW", "HIGH"],
    }
    named = gray(5, PatientName="Doe^Jane", PatientBirthDate="19700102", **windows)
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        files = [part10(ds) for ds in (gray(1), color(2), gray(3, 5, FrameTime="50"), enhanced(4), named)]
        files += [part10(single_bits(6)), *map(part10, series(7)), part10(gray(8, 2), DEFLATED)]
        assert served.store(*files).status_code == 200
        yield served


def opened(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def array(answer: Any) -> Any:
    return np.asarray(opened(answer)).astype(int)


def ramp(frame: int = 1) -> Any:
    return np.arange(COLUMNS)[None, :] + 2 * np.arange(ROWS)[:, None] + 20 * (frame - 1)


# Media types


@pytest.mark.parametrize("study", [1, 2])
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/gif", "image/png", "image/jp2", "image/jxl"])
def test_a_frame_in_every_format(web: WebServed, study: int, media_type: str) -> None:
    answer = web.http.get(f"{path(study)}/rendered?quality=100", headers={"accept": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    if media_type == "image/jxl":
        shown = imagecodecs.jpegxl_decode(answer.content)
    else:
        image = opened(answer)
        assert image.get_format_mimetype() == media_type
        shown = np.asarray(image.convert("RGB" if study == 2 else "L"))
    expected = ramp() if study == 1 else np.broadcast_to([255, 0, 0], (ROWS, COLUMNS, 3))
    assert np.abs(shown.astype(int) - expected).max() <= (3 if media_type == "image/jpeg" else 0)


def test_the_query_parameter_goes_before_the_field(web: WebServed) -> None:
    where = f"{path(1)}/rendered?accept=image/png;q%3D0.2,image/jp2"
    assert web.http.get(where).headers["content-type"] == "image/jp2"
    assert web.http.get(where, headers={"accept": "image/gif"}).headers["content-type"] == "image/jp2"


@pytest.mark.parametrize(
    ("where", "accept", "status"),
    [
        ("rendered", "image/webp", 406),
        ("rendered", "image/jpeg;q=0", 406),
        ("rendered", "video/mp4", 406),  # one frame does not move
        ("rendered", "application/dicom", 406),
        ("rendered", "application/dicom, image/png", 409),
        ("rendered", "image/jpeg;q=2", 400),
        ("rendered", "nonsense", 400),
        ("thumbnail", "video/mp4", 406),
    ],
)
def test_what_cannot_be_had(web: WebServed, where: str, accept: str, status: int) -> None:
    answer = web.http.get(f"{path(1)}/{where}", headers={"accept": accept})
    assert answer.status_code == status
    assert answer.json()["error"]


# Many frames


def test_one_picture_of_many_frames_is_the_first_or_the_representative_one(web: WebServed) -> None:
    assert (array(web.http.get(f"{path(3)}/rendered", headers=PNG)) == ramp(1)).all()
    second = web.http.get(f"{path(4)}/frames/2/rendered", headers=PNG)
    assert web.http.get(f"{path(4)}/rendered", headers=PNG).content == second.content


def test_many_frames_are_a_part_each(web: WebServed) -> None:
    answer = web.http.get(f"{path(3)}/rendered", headers={"accept": 'multipart/related; type="image/png"'})
    assert answer.status_code == 200
    parts = parts_of(answer)
    shown = [np.asarray(Image.open(io.BytesIO(body))) for _, body in parts]
    assert [(one == ramp(n)).all() for n, one in enumerate(shown, 1)] == [True] * 5
    assert parts[2][0]["content-location"].endswith(f"{path(3)}/frames/3/rendered")
    listed = web.http.get(
        f"{path(3)}/frames/5,2/rendered", headers={"accept": 'multipart/related; type="image/png"'}
    )
    assert [body for _, body in parts_of(listed)] == [parts[4][1], parts[1][1]]


def test_many_frames_move_as_gif(web: WebServed) -> None:
    image = opened(web.http.get(f"{path(3)}/rendered", headers={"accept": "image/gif"}))
    assert image.get_format_mimetype() == "image/gif"
    assert image.n_frames == 5  # type: ignore[attr-defined]
    for n in range(5):
        image.seek(n)
        assert image.info["duration"] == 50
        assert (np.asarray(image.convert("L")).astype(int) == ramp(n + 1)).all()


def test_a_study_is_rendered_in_parts_without_what_is_no_image(web: WebServed) -> None:
    for where in (f"/dicom-web/studies/{ROOT}.7", f"/dicom-web/studies/{ROOT}.7/series/{ROOT}.7.1"):
        answer = web.http.get(f"{where}/rendered", headers={"accept": 'multipart/related; type="image/png"'})
        assert answer.status_code == 206  # the report is not among them
        means = [np.asarray(Image.open(io.BytesIO(body))).mean() for _, body in parts_of(answer)]
        assert means == [200, 100, 0]  # by Instance Number
    assert (
        web.http.get(f"/dicom-web/studies/{ROOT}.7/rendered", headers={"accept": "image/gif"}).status_code
        == 406
    )
    moving = opened(web.http.get(f"{where}/rendered", headers={"accept": "image/gif"}))
    assert moving.n_frames == 3  # type: ignore[attr-defined]


def video(answer: Any) -> list[Any]:
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'gantry[video]'")
    with av.open(io.BytesIO(answer.content)) as container:
        return list(container.decode(video=0))


def test_many_frames_move_as_mp4(web: WebServed) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'gantry[video]'")
    where = f"{path(3)}/rendered?viewport=161,97"
    answer = web.http.get(where, headers={"accept": "video/mp4"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    frames = video(answer)
    assert [round(frame.time * 1000) for frame in frames] == [0, 50, 100, 150, 200]
    assert {(frame.width, frame.height) for frame in frames} == {(162, 98)}  # padded to even sides
    for n, frame in enumerate(frames, 1):
        shown = frame.to_ndarray(format="rgb24").astype(int)[:97, :161].mean()
        assert abs(shown - ramp(n).mean()) < 3
    held = {"accept": "video/mp4", "if-none-match": answer.headers["etag"]}
    assert web.http.get(where, headers=held).status_code == 304
    ranged = web.http.get(where, headers={"accept": "video/mp4", "range": "bytes=10-19"})
    assert (ranged.status_code, ranged.content) == (206, answer.content[10:20])
    assert ranged.headers["content-range"] == f"bytes 10-19/{len(answer.content)}"
    head = web.http.head(where, headers={"accept": "video/mp4"})
    assert int(head.headers["content-length"]) == len(answer.content)


def test_a_series_moves_as_mp4_in_its_order(web: WebServed) -> None:
    answer = web.http.get(
        f"/dicom-web/studies/{ROOT}.7/series/{ROOT}.7.1/rendered", headers={"accept": "video/mp4"}
    )
    shown = [frame.to_ndarray(format="rgb24").mean() for frame in video(answer)]
    assert np.abs(np.array(shown) - [200, 100, 0]).max() < 3


# Parameters


def test_a_region_is_cropped_scaled_and_flipped(web: WebServed) -> None:
    def shown(viewport: str) -> Any:
        return array(web.http.get(f"{path(1)}/rendered?viewport={viewport}", headers=PNG))

    whole = ramp()
    assert (shown("20,10,5,7,20,10") == whole[7:17, 5:25]).all()
    assert (shown("20,10,-5,-7,-20,10") == whole[7:17, 5:25][:, ::-1]).all()
    assert (shown("20,10,5,7,20,-10") == whole[7:17, 5:25][::-1]).all()
    assert (shown("75,41,5,7") == whole[7:, 5:]).all()
    assert shown("40,40,,,20,10").shape == (20, 40)
    assert shown("160,960").shape == (96, 160)


@pytest.mark.parametrize("viewport", ["10,10,80,0,1,1", "10,10,0,0,81,1", "10,10,0,40,1,9", "10,10,90"])
def test_a_region_outside_of_the_image_is_400(web: WebServed, viewport: str) -> None:
    answer = web.http.get(f"{path(1)}/rendered?viewport={viewport}")
    assert answer.status_code == 400
    assert "80 by 48" in answer.json()["error"]


def test_windows_of_each_function(web: WebServed) -> None:
    for function in ("linear", "linear-exact", "sigmoid"):
        shown = array(web.http.get(f"{path(1)}/rendered?window=80,100,{function}", headers=PNG))
        values = ramp().astype(float)
        share = {
            "linear": np.clip((values - 79.5) / 99 + 0.5, 0, 1),
            "linear-exact": np.clip((values - 80) / 100 + 0.5, 0, 1),
            "sigmoid": 1 / (1 + np.exp(-4 * (values - 80) / 100)),
        }[function]
        assert np.abs(shown - share * 255).max() <= 1


def test_windows_of_the_image_by_name_and_number(web: WebServed) -> None:
    for voi, edge in (("LOW", 60), ("high", 150), ("1", 60), ("2", 150)):
        shown = array(web.http.get(f"{path(5)}/rendered?voi={voi}", headers=PNG))
        assert (shown > 0).sum() == (ramp() > edge - 0.5).sum()


def test_quality_changes_what_loses(web: WebServed) -> None:
    for media_type in ("image/jpeg", "image/jp2", "image/jxl"):
        sizes = [
            len(web.http.get(f"{path(1)}/rendered?quality={q}", headers={"accept": media_type}).content)
            for q in (1, 100)
        ]
        assert sizes[0] < sizes[1]


def test_annotations_are_burnt_in(web: WebServed) -> None:
    def shown(query: str) -> Any:
        return array(web.http.get(f"{path(5)}/rendered?viewport=400,240&{query}", headers=PNG))

    plain, patient, technique = shown(""), shown("annotation=patient"), shown("annotation=technique")
    assert (patient[:60] != plain[:60]).any()
    assert (patient[150:] == plain[150:]).all()
    assert (technique[150:] != plain[150:]).any()
    assert (technique[:60] == plain[:60]).all()
    assert (shown("annotation=technique,patient") == np.where(patient != plain, patient, technique)).all()


def test_an_unknown_annotation_is_told(web: WebServed) -> None:
    answer = web.http.get(f"{path(1)}/rendered?annotation=patient,weather")
    assert answer.status_code == 200
    assert answer.headers["warning"].startswith("299 ")
    assert "weather" in answer.headers["warning"]
    assert "warning" not in web.http.get(f"{path(1)}/rendered?annotation=patient").headers


def jp2_profile(data: bytes) -> bytes:
    """The profile in the colour specification box of a JP2, which Pillow reads over; empty without one."""
    start = data.find(b"colr\2\0\0")
    return b"" if start < 0 else data[start + 7 : start - 4 + int.from_bytes(data[start - 4 : start])]


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/jp2"])
@pytest.mark.parametrize("space", ["yes", "srgb", "adobergb", "rommrgb", "displayp3", "no", ""])
def test_colour_spaces_are_said_in_the_file(web: WebServed, space: str, media_type: str) -> None:
    query = f"iccprofile={space}" if space else ""
    answer = web.http.get(f"{path(2)}/rendered?quality=100&{query}", headers={"accept": media_type})
    image = opened(answer)
    profile = image.info.get("icc_profile") or jp2_profile(answer.content)
    red = np.asarray(image.convert("RGB"))[5, 5]
    if space in ("no", ""):
        assert not profile
        assert abs(int(red[0]) - 255) < 4
        return
    assert profile
    named = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    word = {"adobergb": "Adobe", "rommrgb": "ROMM", "displayp3": "P3"}.get(space, "sRGB")
    assert word in named
    # The reddest red of sRGB is a weaker one in the wider spaces.
    assert (red[0] > 250) == (space in ("yes", "srgb"))


def test_a_colour_space_in_a_format_that_cannot_say_it_is_400(web: WebServed) -> None:
    answer = web.http.get(f"{path(2)}/rendered?iccprofile=adobergb", headers={"accept": "image/gif"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "viewport=1,1,",
        "window=1,2",
        "quality=0",
        "annotation=",
        "iccprofile=x",
        "charset=*",
        "voi=",
        "quality=1&quality=2",
    ],
)
def test_b68_what_cannot_be_is_400_with_a_message(web: WebServed, query: str) -> None:
    for where in (path(1), f"/dicom-web/studies/{ROOT}.7", f"{path(3)}/frames/1,2"):
        answer = web.http.get(f"{where}/rendered?{query}")
        assert answer.status_code == 400
        assert query.partition("=")[0] in answer.json()["error"]


# Thumbnails


@pytest.mark.parametrize("where", [path(3), f"{path(3)}/frames/4", f"/dicom-web/studies/{ROOT}.3"])
def test_thumbnails(web: WebServed, where: str) -> None:
    assert opened(web.http.get(f"{where}/thumbnail")).size == (128, 77)
    assert opened(web.http.get(f"{where}/thumbnail?viewport=40,40&window=ignored", headers=PNG)).size == (
        40,
        24,
    )
    assert web.http.get(f"{where}/thumbnail?viewport=40,40,1,1,2,2").status_code == 400


def test_a_thumbnail_is_of_a_frame_that_represents(web: WebServed) -> None:
    def mean(where: str) -> float:
        return float(array(web.http.get(f"{where}/thumbnail", headers=PNG)).mean())

    assert abs(mean(path(3)) - ramp(3).mean()) < 1  # the middle one
    assert abs(mean(f"/dicom-web/studies/{ROOT}.7") - 100) < 1


def test_a_broken_object_does_not_stand_for_its_series(web: WebServed) -> None:
    slices = [gray(9, instance=n, InstanceNumber=n) for n in (1, 2, 3)]
    slices[1].BitsAllocated = 24
    assert web.store(*map(part10, slices)).status_code == 200
    assert web.http.get(f"{path(9, 2)}/thumbnail").status_code == 422
    assert opened(web.http.get(f"/dicom-web/studies/{ROOT}.9/thumbnail")).size == (128, 77)


# Headers of each frame


def test_each_frame_is_shown_by_its_own_functional_groups(web: WebServed) -> None:
    for frame in (1, 2, 3, 2):
        shown = array(web.http.get(f"{path(4)}/frames/{frame}/rendered", headers=PNG))
        assert (shown == np.where(ramp(frame) > 100 * (frame - 1), 255, 0)).all()


def test_frames_of_single_bits_begin_inside_of_a_byte(web: WebServed) -> None:
    for frame in (1, 2, 3, 4):
        shown = array(web.http.get(f"{path(6)}/frames/{frame}/rendered", headers=PNG))
        assert shown.shape == (3, 5)
        assert np.flatnonzero(shown.ravel()).tolist() == [frame - 1]


def test_a_deflated_object_is_rendered_too(web: WebServed) -> None:
    assert (array(web.http.get(f"{path(8)}/frames/2/rendered", headers=PNG)) == ramp(2)).all()
    assert opened(web.http.get(f"{path(8)}/thumbnail")).size == (128, 77)


# What is kept


def test_the_same_picture_at_once_is_made_once(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    from gantry.server.decoders import Decoders

    calls: list[int] = []
    real = Decoders.render

    async def counted(self: Decoders, *arguments: Any) -> bytes:
        calls.append(1)
        return await real(self, *arguments)

    monkeypatch.setattr(Decoders, "render", counted)
    where = f"{path(2)}/rendered?viewport=33,33"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: web.http.get(where).content, range(16)))
    assert len(set(answers)) == 1
    assert len(calls) == 1


def test_an_answer_is_kept_but_asked_for_again(web: WebServed) -> None:
    answer = web.http.get(f"{path(1)}/rendered")
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "Accept" in answer.headers["vary"]
    other = web.http.get(f"{path(1)}/rendered", headers=PNG)
    assert other.headers["etag"] != answer.headers["etag"]


# WADO-URI


def uri(study: int = 1, instance: int = 1) -> dict[str, str]:
    return {
        "requestType": "WADO",
        "studyUID": f"{ROOT}.{study}",
        "seriesUID": f"{ROOT}.{study}.1",
        "objectUID": f"{ROOT}.{study}.1.{instance}",
    }


def test_wado_uri_moves_an_object_with_many_frames(web: WebServed) -> None:
    def get(**more: str) -> Any:
        return web.http.get("/wado", params=uri(3) | more)

    gif = get(contentType="image/gif")
    assert opened(gif).n_frames == 5  # type: ignore[attr-defined]
    assert gif.content == web.http.get(f"{path(3)}/rendered", headers={"accept": "image/gif"}).content
    assert opened(get(contentType="image/gif", frameNumber="2")).format == "GIF"
    assert getattr(opened(get(contentType="image/gif", frameNumber="2")), "n_frames", 1) == 1
    assert get().headers["content-type"] == "image/jpeg"
    assert web.http.get("/wado", params=uri(1) | {"contentType": "video/mp4"}).status_code == 406
    pytest.importorskip("av", reason="PyAV (gantry[video]) is not installed")
    assert get(contentType="video/mp4").headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/gif", "image/png", "image/jp2"])
def test_wado_uri_in_every_format(web: WebServed, media_type: str) -> None:
    answer = web.http.get("/wado", params=uri() | {"contentType": media_type})
    assert answer.headers["content-type"] == media_type
    assert opened(answer).get_format_mimetype() == media_type


def test_wado_uri_renders_by_its_parameters(web: WebServed) -> None:
    def shown(study: int = 1, **more: str) -> Any:
        return array(web.http.get("/wado", params=uri(study) | {"contentType": "image/png"} | more))

    assert (shown(region="0.25,0.5,0.75,1") == ramp()[24:, 20:60]).all()
    assert shown(rows="24").shape == (24, 40)
    assert shown(columns="160").shape == (96, 160)
    assert shown(rows="24", columns="16").shape == (10, 16)
    assert set(np.unique(shown(windowCenter="80", windowWidth="1"))) == {0, 255}
    assert (shown(3, frameNumber="4") == ramp(4)).all()
    assert (shown(5, annotation="patient", columns="400")[:60] != shown(5, columns="400")[:60]).any()


@pytest.mark.parametrize(
    ("study", "more", "status"),
    [
        (1, {"contentType": "application/dicom"}, 200),
        (1, {"contentType": "application/dicom", "rows": "5"}, 400),
        (1, {"contentType": "application/dicom", "windowCenter": "5", "windowWidth": "5"}, 400),
        (1, {"contentType": "application/dicom", "frameNumber": "1"}, 400),
        (1, {"contentType": "application/dicom,image/jpeg"}, 409),
        (1, {"contentType": "text/html"}, 406),
        (1, {"contentType": "image/png", "transferSyntax": "1.2.840.10008.1.2.1"}, 400),
        (1, {"anonymize": "yes"}, 406),
        (1, {"anonymize": "no"}, 400),
        (1, {"frameNumber": "2"}, 400),
        (1, {"region": "0,0,2,2"}, 400),
        (1, {"imageQuality": "0"}, 400),
    ],
)
def test_wado_uri_refuses_what_excludes_each_other(
    web: WebServed, study: int, more: dict[str, str], status: int
) -> None:
    assert web.http.get("/wado", params=uri(study) | more).status_code == status


def test_wado_uri_has_no_picture_of_a_report(web: WebServed) -> None:
    assert web.http.get("/wado", params=uri(7, 4)).headers["content-type"].startswith("application/dicom")
    assert web.http.get("/wado", params=uri(7, 4) | {"contentType": "image/jpeg"}).status_code == 406
    assert web.http.get("/wado", params=uri(7, 4) | {"rows": "5"}).status_code == 400
