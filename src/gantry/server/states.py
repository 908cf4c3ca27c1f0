"""Presentation states of an archive: the images that they are for, and the plan of a picture by one (PS3.18
8.3.5, 10.4.1.1.3).

Of a blending state the images below are those that it is for; the one above is found by where it lies.
Everything here blocks and belongs into a thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.errors import DataSetError, NotFound
from gantry.pixels.functional_groups import FunctionalGroups
from gantry.pixels.states.blending import blending_sets
from gantry.pixels.states.plane import Plane, read_plane
from gantry.pixels.states.presentation_state import BLENDING, STATES
from gantry.pixels.states.presented import Coded, Presented, presented, superimposed
from gantry.pixels.states.references import ReferencedImage, referenced_images
from gantry.server.images import Images
from gantry.server.order import in_order

MAX_CANDIDATES = 5000
"""Frames of the superimposed set whose place is read to find one slice: five PET of the whole body."""

Frame = tuple[Location, int]


def is_state(location: Location) -> bool:
    """Whether the object is a presentation state that is applied."""
    return location.sop_class_uid in STATES


@dataclass(frozen=True, slots=True)
class State:
    """A presentation state, and what pictures by it are kept by: its bytes and those of all images above."""

    location: Location
    digest: str
    above: tuple[tuple[ReferencedImage, Location], ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a state is for: the frames that the archive holds, and whether those are all."""

    state: State
    frames: tuple[Frame, ...]
    is_whole: bool


class States:
    """Reads the presentation states of an archive."""

    def __init__(self, archive: Archive, images: Images) -> None:
        self._archive = archive
        self._images = images

    def open(self, location: Location) -> State:
        """A state, to make pictures by. Raises DataSetError, Corrupt."""
        digest = hashlib.sha256(location.identity)
        if location.sop_class_uid != BLENDING:
            return State(location, digest.hexdigest())
        with self._archive.dataset(location) as ds:
            images = blending_sets(ds)[1]
        above = tuple((image, found) for image in images if (found := self._located(location, image)))
        for _, found in above:
            digest.update(found.identity)
        return State(location, digest.hexdigest(), above)

    def shown(self, location: Location) -> Shown:
        """The images and frames that a state is for, in the order of their slices, else in its own.

        Raises DataSetError, Corrupt, and NotFound where none of them is here.
        """
        with self._archive.dataset(location) as ds:
            images = blending_sets(ds)[0] if location.sop_class_uid == BLENDING else referenced_images(ds)
        found = [(image, self._located(location, image)) for image in images]
        frames: dict[Location, list[int]] = {}
        for image, one in found:
            if one is not None:
                frames.setdefault(one, []).extend(self._frames(image, one))
        ordered = in_order(self._images, list(frames))
        every = tuple((one, frame) for one in ordered for frame in dict.fromkeys(frames[one]))
        if not every:
            raise NotFound("none of the images that the presentation state is for is here")
        return Shown(self.open(location), every, all(one is not None for _, one in found))

    def planned(self, state: State, image: Location, frame: int) -> tuple[Presented, list[bytes]]:
        """The plan of a picture of a frame, from 1, and the stored bytes of all frames that it takes.

        Raises DataSetError where the state is not for it, Corrupt, NotFound.
        """
        with self._archive.dataset(state.location) as ds, self._archive.dataset(image) as image_ds:
            coded = Coded(image_ds, image.transfer_syntax_uid)
            plan = presented(coded, ds, frame)
            above = self._above(state, plan)
            if above is not None:
                location, number = above
                with self._archive.dataset(location) as above_ds:
                    over = Coded(above_ds, location.transfer_syntax_uid), number
                    plan = presented(coded, ds, frame, over)
        wanted = [(image, number) for number in plan.frames]
        return plan, [self._images.frame(*one) for one in [*wanted, *([above] if above is not None else [])]]

    def _above(self, state: State, plan: Presented) -> Frame | None:
        candidates: list[Frame] = []
        planes: list[Plane | None] = []
        for image, location in state.above:
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
        return next((one for one in found if self._images.frame_count(one)), None)

    def _frames(self, image: ReferencedImage, location: Location) -> Iterator[int]:
        count = self._images.frame_count(location)
        yield from (frame for frame in image.frames or range(1, count + 1) if 1 <= frame <= count)
