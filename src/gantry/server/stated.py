"""Pictures of the images that a presentation state is for (PS3.18 9.5.2.3, 10.4.1.1.3).

The plan of a picture is made of headers in a thread, the picture of its frames under guard. Of a blending
state the images below are those that it is for; the one above is found by where it lies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.errors import DataSetError, NotFound
from gantry.pixels.blending import blending_sets
from gantry.pixels.functional_groups import FunctionalGroups
from gantry.pixels.image import Rendering
from gantry.pixels.plane import Plane, read_plane
from gantry.pixels.presentation_state import BLENDING, STATES
from gantry.pixels.presented import Coded, Presented, presented, superimposed
from gantry.pixels.references import ReferencedImage, referenced_images
from gantry.server.decoders import Decoders

MAX_CANDIDATES = 5000
"""Frames of the superimposed set whose place is read to find one slice: five PET of the whole body."""

Frame = tuple[Location, int]


def is_state(location: Location) -> bool:
    """Whether the object is a presentation state that is applied."""
    return location.sop_class_uid in STATES


@dataclass(frozen=True, slots=True)
class Shown:
    """What a state is for: the frames that the archive holds, in its order, and how many images it lacks."""

    frames: tuple[Frame, ...]
    missing: int


class StatedPictures:
    """Reads presentation states of an archive, and has pictures made by them."""

    def __init__(self, archive: Archive, decoders: Decoders) -> None:
        self._archive = archive
        self._decoders = decoders

    async def shown(self, state: Location) -> Shown:
        """The images and frames that a state is for. Raises DataSetError, NotFound where there are none."""
        found = await asyncio.to_thread(self._shown, state)
        if not found.frames:
            raise NotFound("none of the images that the presentation state is for is here")
        return found

    async def picture(self, state: Location, image: Location, frame: int, wanted: Rendering) -> bytes:
        """The picture of a frame, from 1, by a state; DataSetError where it is not for that or cannot be."""
        plan, frames = await asyncio.to_thread(self._planned, state, image, frame)
        return await self._decoders.present(frames, plan, wanted)

    def _shown(self, state: Location) -> Shown:
        with self._archive.dataset(state) as ds:
            images = blending_sets(ds)[0] if state.sop_class_uid == BLENDING else referenced_images(ds)
        found = [(image, self._located(state, image)) for image in images]
        frames = tuple(
            (location, frame)
            for image, location in found
            if location is not None
            for frame in self._frames(image, location)
        )
        return Shown(frames, sum(location is None for _, location in found))

    def _planned(self, state: Location, image: Location, frame: int) -> tuple[Presented, list[bytes]]:
        with self._archive.dataset(state) as state_ds, self._archive.dataset(image) as image_ds:
            coded = Coded(image_ds, image.transfer_syntax_uid)
            plan = presented(coded, state_ds, frame)
            above = None
            if state.sop_class_uid == BLENDING:
                above = self._above(state, blending_sets(state_ds)[1], plan)
            if above is not None:
                location, number = above
                with self._archive.dataset(location) as above_ds:
                    over = Coded(above_ds, location.transfer_syntax_uid), number
                    plan = presented(coded, state_ds, frame, over)
        frames = [self._archive.read_frame(image, number) for number in plan.frames]
        if above is not None:
            frames.append(self._archive.read_frame(*above))
        return plan, frames

    def _above(self, state: Location, images: Sequence[ReferencedImage], plan: Presented) -> Frame | None:
        candidates: list[Frame] = []
        planes: list[Plane | None] = []
        for image in images:
            location = self._located(state, image)
            if location is None:
                continue
            with self._archive.dataset(location) as ds:
                groups = FunctionalGroups(ds)
                for frame in self._frames(image, location):
                    if len(candidates) >= MAX_CANDIDATES:
                        raise DataSetError(f"more than {MAX_CANDIDATES} frames to lay above", tag=0x00700402)
                    candidates.append((location, frame))
                    planes.append(read_plane(ds, frame, groups))
        best = superimposed(plan, planes)
        return None if best is None else candidates[best]

    def _located(self, state: Location, image: ReferencedImage) -> Location | None:
        """The current version of an image, in the study that it is said to be in."""
        study = image.study_uid or state.key.study_uid
        if not image.sop_instance_uid:
            return None
        found = self._archive.locate(study, image.series_uid or None, image.sop_instance_uid)
        return next((one for one in found if one.pixel is not None), None)

    def _frames(self, image: ReferencedImage, location: Location) -> Iterator[int]:
        count = self._archive.frames(location).count
        yield from (frame for frame in image.frames or range(1, count + 1) if 1 <= frame <= count)
