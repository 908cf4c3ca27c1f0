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
from gantry.errors import DataSetError, NotFound
from gantry.pixels.image import Rendering, Window
from gantry.pixels.presentation import Presentation
from gantry.server.decoders import Decoders
from gantry.server.stated import StatedPictures, is_state
from gantry.toolkit.presentation_state import About, Look, Superimposed, write_presentation_state
from image_values import image_object
from serving import ROOT
from state_values import CT_LIKE, MADE, VALUES, WINDOW, changed, line, palette, scanned, shown, state_for

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
    async def journey() -> list[bytes]:
        decoders = Decoders(size=1)
        stated = StatedPictures(archive, decoders)
        try:
            wanted = Rendering(media_type="image/png")
            return [await stated.picture(state, image, frame, wanted) for state, image, frame in pictures]
        finally:
            await decoders.close()

    return [np.asarray(Image.open(io.BytesIO(coded))) for coded in asyncio.run(journey())]


def frames_of(archive: Archive, state: Location) -> tuple[list[tuple[str, int]], int]:
    decoders = Decoders(size=1)
    found = asyncio.run(StatedPictures(archive, decoders).shown(state))
    return [(location.key.sop_uid, frame) for location, frame in found.frames], found.missing


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
    assert frames_of(archive, state) == ([("1.2.3.1", n) for n in (1, 2, 3)] + [("1.2.3.2", 1)], 1)
    chosen = state_for(several, Look(), about=About(sop_instance_uid=f"{STATE}.1"), frames=[3, 1, 7])
    assert frames_of(archive, stored(archive, chosen)[0]) == ([("1.2.3.1", 3), ("1.2.3.1", 1)], 0)


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
