"""Which images and frames an object speaks of (PS3.3 Tables 10-3, C.11.11-1b and C.11.14-1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError

_REFERENCED_SERIES, _REFERENCED_IMAGES, _BLENDING = 0x00081115, 0x00081140, 0x00700402
_SOP_CLASS, _SOP_INSTANCE, _FRAMES = 0x00081150, 0x00081155, 0x00081160
_STUDY, _SERIES = 0x0020000D, 0x0020000E

MAX_REFERENCES = 100_000
"""Images of one state: those of a CT of the whole body are some thousands."""


@dataclass(frozen=True, slots=True)
class ReferencedImage:
    """One image that a presentation state is for. No `frames` stands for all of them."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    frames: tuple[int, ...] = ()

    def includes(self, frame: int) -> bool:
        """Whether a frame, from 1, is among them."""
        return not self.frames or frame in self.frames


@dataclass(frozen=True, slots=True)
class Target:
    """The image and frame, from 1, that is shown."""

    sop_instance_uid: str
    frame: int

    @classmethod
    def of(cls, image: DataSet, frame: int) -> Target:
        return cls(image.text(0x00080018) or "", frame)

    def is_in(self, images: tuple[ReferencedImage, ...]) -> bool:
        """Whether it is one of these."""
        return any(
            one.sop_instance_uid == self.sop_instance_uid and one.includes(self.frame) for one in images
        )

    def is_meant_by(self, item: DataSet) -> bool:
        """Whether an Item is for it: one with no Referenced Image Sequence is for all images of the state."""
        found = [_image(image, "", "") for image in item.items(_REFERENCED_IMAGES)]
        return not found or self.is_in(tuple(found))

    def first(self, items: Iterator[DataSet]) -> DataSet | None:
        """The first Item that is for it."""
        return next((item for item in items if self.is_meant_by(item)), None)


def referenced_images(state: DataSet) -> tuple[ReferencedImage, ...]:
    """All images that a presentation state is for, in its order; those of a blending one are of both sets.

    Raises DataSetError where there are more than MAX_REFERENCES.
    """
    found: list[ReferencedImage] = []
    for one in _all_images(state):
        if len(found) >= MAX_REFERENCES:
            raise DataSetError(f"a state of more than {MAX_REFERENCES} images", tag=_REFERENCED_SERIES)
        found.append(one)
    return tuple(found)


def _all_images(state: DataSet) -> Iterator[ReferencedImage]:
    study = state.text(_STUDY) or ""
    yield from _images(state, study)
    for item in state.items(_BLENDING):
        yield from _images(item, item.text(_STUDY) or study)


def _images(holder: DataSet, study: str) -> Iterator[ReferencedImage]:
    for series in holder.items(_REFERENCED_SERIES):
        for image in series.items(_REFERENCED_IMAGES):
            yield _image(image, study, series.text(_SERIES) or "")


def _image(item: DataSet, study: str, series: str) -> ReferencedImage:
    return ReferencedImage(
        study, series, item.text(_SOP_CLASS) or "", item.text(_SOP_INSTANCE) or "", tuple(item.ints(_FRAMES))
    )
