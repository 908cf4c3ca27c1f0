"""Presentation states of an archive, and pictures by them from the guarded decoders."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from gantry.archive.archive import Archive, Options
from gantry.archive.records import Location
from gantry.dicomweb.rendering import RenderingParameters
from gantry.errors import DataSetError, NotFound
from gantry.pixels.image import Window
from gantry.pixels.presentation import Presentation
from gantry.server.decoders import Decoders
from gantry.server.images import Images
from gantry.server.renderer import Renderer
from gantry.server.states import States, is_state
from gantry.toolkit.presentation_state import About, Look, Superimposed, write_presentation_state
from image_values import image_object
from serving import ROOT
from state_values import CT_LIKE, MADE, VALUES, WINDOW, changed, line, palette, scanned, shown, state_for
from web_serving import WebServed, parts_of, web_served

PLACE = {
    "FrameOfReferenceUID": "1.2.3",
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [1, 1],
}
FRAMES = np.stack([VALUES, VALUES[::-1], VALUES[:, ::-1]])
STATE = f"{ROOT}.9"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.open(tmp_path / "archive", Options(reserve_bytes=0)) as held:
        yield held


def stored(archive: Archive, *files: bytes) -> list[Location]:
    for file in files:
        archive.store([file])
    uids = [scanned(file).text(0x00080018) for file in files]
    return [archive.locate(None, None, uid)[0] for uid in uids]


def made(archive: Archive, *pictures: tuple[Location, Location, int]) -> list[np.ndarray]:
    """Pictures of frames by states: state, image, frame."""

    async def journey() -> list[bytes]:
        decoders = Decoders(size=1)
        renderer = Renderer(archive, decoders)
        try:
            return [
                await renderer.picture(
                    image, frame, RenderingParameters(), "image/png", renderer.states.open(state)
                )
                for state, image, frame in pictures
            ]
        finally:
            await decoders.close()

    return [np.asarray(Image.open(io.BytesIO(coded))) for coded in asyncio.run(journey())]


def frames_of(archive: Archive, state: Location) -> tuple[list[tuple[str, int]], bool]:
    found = States(archive, Images(archive)).shown(state)
    return [(location.key.sop_uid, frame) for location, frame in found.frames], found.is_whole


def slice_at(z: float, uid: str, **attributes: Any) -> bytes:
    where = {"ImagePositionPatient": [0, 0, z], "SliceThickness": 1, "SOPInstanceUID": uid}
    return image_object(VALUES[None], **(PLACE | where | attributes))


def test_a_picture_by_a_state_is_that_of_the_pipeline(archive: Archive) -> None:
    look = Look(
        window=WINDOW, presentation=Presentation(rotation=90, graphics=(line((5.0, 5.0), (60.0, 50.0)),))
    )
    file = state_for(CT_LIKE, look, about=About(sop_instance_uid=STATE))
    image, state = stored(archive, CT_LIKE, file)
    assert is_state(state)
    assert not is_state(image)
    assert (made(archive, (state, image, 1))[0] == shown(CT_LIKE, file)).all()


def test_a_state_is_for_the_frames_that_it_names_and_that_are_here(archive: Archive) -> None:
    several = image_object(FRAMES, SOPInstanceUID="1.2.3.1")
    single = slice_at(0, "1.2.3.2")
    away = slice_at(0, "1.2.3.3")
    file = write_presentation_state(
        [scanned(one) for one in (several, single, away)], Look(), About(sop_instance_uid=STATE), made=MADE
    )
    state = stored(archive, file, several, single)[0]
    assert frames_of(archive, state) == ([("1.2.3.1", n) for n in (1, 2, 3)] + [("1.2.3.2", 1)], False)
    chosen = state_for(several, Look(), about=About(sop_instance_uid=f"{STATE}.1"), frames=[3, 1, 7])
    assert frames_of(archive, stored(archive, chosen)[0]) == ([("1.2.3.1", 3), ("1.2.3.1", 1)], True)


def test_a_state_whose_images_are_elsewhere(archive: Archive) -> None:
    state = stored(archive, state_for(CT_LIKE, Look(), about=About(sop_instance_uid=STATE)))[0]
    with pytest.raises(NotFound, match="none of the images"):
        frames_of(archive, state)


def test_a_state_for_another_image_is_refused(archive: Archive) -> None:
    other = slice_at(0, "1.2.3.2")
    file = state_for(CT_LIKE, Look(), about=About(sop_instance_uid=STATE))
    image, state = stored(archive, other, file)
    with pytest.raises(DataSetError, match="other images"):
        made(archive, (state, image, 1))


def test_the_slice_above_is_found_by_where_it_lies(archive: Archive) -> None:
    below = [slice_at(z, f"1.2.3.1{z}") for z in (0, 1, 2)]
    above = [
        slice_at(
            z + 0.25, f"1.2.3.2{z}", SeriesInstanceUID="1.2.3.2", PixelData=(VALUES // (z + 1)).tobytes()
        )
        for z in (2, 1)
    ]
    file = write_presentation_state(
        [scanned(one) for one in below],
        Look(window=Window(2000, 4000)),
        About(sop_instance_uid=STATE),
        made=MADE,
        superimposed=Superimposed(
            [scanned(one) for one in above], Look(window=Window(2000, 4000)), palette(), 0.5
        ),
    )
    state, *images = stored(archive, file, *below, *above)
    assert frames_of(archive, state)[0] == [(f"1.2.3.1{z}", 1) for z in (0, 1, 2)]
    pictures = made(archive, *((state, image, 1) for image in images[:3]))
    # Above 0 there is nothing: the nearest is 1.25 away, a slice is 1 thick.
    assert (pictures[0] == shown(below[0], file)).all()
    assert (pictures[1] == shown(below[1], file, above=above[1])).all()
    assert (pictures[2] == shown(below[2], file, above=above[0])).all()
    assert np.ptp(pictures[2].astype(int), axis=2).max() > 50


def test_a_mask_is_read_with_its_frame(archive: Archive) -> None:
    run = image_object(FRAMES, SOPInstanceUID="1.2.3.1")

    def subtracting(ds: Dataset) -> None:
        item = Dataset()
        item.MaskOperation, item.MaskFrameNumbers = "AVG_SUB", [1, 2]
        ds.MaskSubtractionSequence = [item]

    file = changed(
        state_for(run, Look(window=Window(0, 4000)), about=About(sop_instance_uid=STATE)), subtracting
    )
    image, state = stored(archive, run, file)
    picture = made(archive, (state, image, 3))[0].astype(int)
    difference = FRAMES[2].astype(float) - FRAMES[:2].mean(axis=0)
    assert np.abs(picture - np.clip((difference + 0.5) / 3999 + 0.5, 0, 1) * 255).max() <= 1


# --- over HTTP ----------------------------------------------------------------------------------------------

STUDY = f"/dicom-web/studies/{ROOT}.1"
SINGLE = state_for(
    CT_LIKE,
    Look(window=WINDOW, presentation=Presentation(rotation=90)),
    about=About(sop_instance_uid=STATE, series_uid=STATE),
)
RUN = image_object(FRAMES, SOPInstanceUID="1.2.3.1", SeriesInstanceUID="1.2.3")
SEVERAL = state_for(RUN, Look(), about=About(sop_instance_uid=f"{STATE}.2", series_uid=STATE), frames=[1, 3])
ELSEWHERE = state_for(
    image_object(FRAMES, SOPInstanceUID="1.2.3.9"),
    Look(),
    about=About(sop_instance_uid=f"{STATE}.3", series_uid=STATE),
)
BROKEN = changed(
    state_for(CT_LIKE, Look(), about=About(sop_instance_uid=f"{STATE}.4", series_uid=STATE)),
    lambda ds: setattr(ds, "ImageRotation", 45),
)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        assert served.store(CT_LIKE, RUN, SINGLE, SEVERAL, ELSEWHERE, BROKEN).status_code == 200
        yield served


def instance(suffix: str = "") -> str:
    return f"{STUDY}/series/{STATE}/instances/{STATE}{suffix}"


PNG = {"accept": "image/png"}


def opened(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_state_is_rendered_as_its_image(web: WebServed) -> None:
    assert (opened(web.http.get(f"{instance()}/rendered", headers=PNG)) == shown(CT_LIKE, SINGLE)).all()
    assert opened(web.http.get(f"{instance()}/rendered?viewport=30,40", headers=PNG)).shape == (40, 30)
    assert max(opened(web.http.get(f"{instance()}/thumbnail")).shape) == 128


def test_the_picture_by_a_state_is_another_than_that_of_the_image(web: WebServed) -> None:
    plain = web.http.get(f"{STUDY}/series/{ROOT}.1.1/instances/{ROOT}.1.1.1/rendered", headers=PNG)
    by_state = web.http.get(f"{instance()}/rendered", headers=PNG)
    assert plain.headers["etag"] != by_state.headers["etag"]
    assert opened(plain).shape != opened(by_state).shape
    held = {**PNG, "if-none-match": by_state.headers["etag"]}
    assert web.http.get(f"{instance()}/rendered", headers=held).status_code == 304


def test_all_frames_that_a_state_is_for_are_its_parts(web: WebServed) -> None:
    many = {"accept": 'multipart/related; type="image/png"'}
    answer = web.http.get(f"{instance('.2')}/rendered", headers=many)
    assert answer.status_code == 200
    pictures = [np.asarray(Image.open(io.BytesIO(part))) for _, part in parts_of(answer)]
    assert len(pictures) == 2
    assert all((one == shown(RUN, SEVERAL, frame)).all() for one, frame in zip(pictures, (1, 3), strict=True))
    assert (opened(web.http.get(f"{instance('.2')}/rendered", headers=PNG)) == pictures[0]).all()


@pytest.mark.parametrize(
    "query", ["window=1,2,linear", "viewport=10,10,0,0,5,5", "viewport=10,10,0,0,-80,60"]
)
def test_what_is_the_state_s_own_cannot_be_chosen(web: WebServed, query: str) -> None:
    assert web.http.get(f"{instance()}/rendered?{query}").status_code == 400


@pytest.mark.parametrize(("suffix", "status"), [(".3", 404), (".4", 422)])
def test_b58_states_without_a_picture(web: WebServed, suffix: str, status: int) -> None:
    assert web.http.get(f"{instance(suffix)}/rendered").status_code == status


def test_among_others_states_are_left_out(web: WebServed) -> None:
    many = {"accept": 'multipart/related; type="image/png"'}
    answer = web.http.get(f"{STUDY}/rendered", headers=many)
    assert answer.status_code == 200  # they are no part that is missing
    assert len(parts_of(answer)) == 1 + len(FRAMES)


def uri(**parameters: str) -> dict[str, str]:
    named = {
        "requestType": "WADO", "studyUID": f"{ROOT}.1", "seriesUID": f"{ROOT}.1.1",
        "objectUID": f"{ROOT}.1.1.1", "contentType": "image/png",
    }  # fmt: skip
    return named | parameters


def test_wado_uri_applies_the_state_that_it_names(web: WebServed) -> None:
    by_state = uri(presentationSeriesUID=STATE, presentationUID=STATE)
    assert (opened(web.http.get("/wado", params=by_state)) == shown(CT_LIKE, SINGLE)).all()
    wrong = uri(presentationSeriesUID=f"{ROOT}.1.1", presentationUID=f"{ROOT}.1.1.1")
    assert web.http.get("/wado", params=wrong).status_code == 400
    missing = uri(presentationSeriesUID=STATE, presentationUID="1.2.3.4.5.6")
    assert web.http.get("/wado", params=missing).status_code == 404
    other = uri(presentationSeriesUID=STATE, presentationUID=f"{STATE}.2")
    assert web.http.get("/wado", params=other).status_code == 422


def test_a_blending_state_is_made_anew_when_what_lies_above_changes(archive: Archive) -> None:
    below, above = slice_at(0, "1.2.3.10"), slice_at(0, "1.2.3.20")
    full = Look(window=Window(2000, 4000))
    file = write_presentation_state(
        [scanned(below)], full, About(sop_instance_uid=STATE), made=MADE,
        superimposed=Superimposed([scanned(above)], full, palette(), 0.5),
    )  # fmt: skip
    state, image = stored(archive, file, below)
    states = States(archive, Images(archive))
    alone = states.open(state)
    stored(archive, above)
    assert states.open(state).digest != alone.digest
    assert len(states.planned(alone, image, 1)[1]) == 1
    assert len(states.planned(states.open(state), image, 1)[1]) == 2
