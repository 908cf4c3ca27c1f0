"""The plan of a picture by a presentation state: all the stored frames that it takes.

    plan = presented(Coded(image, syntax_uid), state, frame)
    coded = render_presented(plan, [stored bytes of each frame of plan.frames], Rendering())

It is made of headers, without pixels, and is plain values, so that it travels to the process that decodes
and calls `render_presented`. For a blending state `above` says which image and frame comes on top:
`superimposed` finds it by the planes of those that the state names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gantry.dataset.scan import DataSet
from gantry.pixels.blending import relative_opacity
from gantry.pixels.image import ImageHeader
from gantry.pixels.plane import Plane, nearest, read_plane
from gantry.pixels.presentation_state import BLENDING, SUPERIMPOSED, UNDERLYING, applied
from gantry.pixels.subtraction import Subtraction, subtraction_of


@dataclass(frozen=True, slots=True)
class Coded:
    """An image: its whole Data Set, and the transfer syntax of its frames."""

    ds: DataSet
    syntax_uid: str


@dataclass(frozen=True, slots=True)
class Source:
    """One frame, from 1: how it is coded, its header as the state wants it, and where it lies."""

    frame: int
    syntax_uid: str
    header: ImageHeader
    plane: Plane | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """What a picture is made of: a frame, those whose mean is subtracted from it, one that lies above."""

    below: Source
    subtraction: Subtraction | None = None
    above: Source | None = None
    opacity: float = 0.0

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames of the image below whose bytes are needed, itself first; then that of `above`."""
        return self.below.frame, *(self.subtraction.mask_frames if self.subtraction else ())


def presented(
    image: Coded, state: DataSet, frame: int = 1, above: tuple[Coded, int] | None = None
) -> Presented:
    """The plan of one picture. `frame`, from 1, is of `image`; so is that of `above`.

    Raises DataSetError for a state that is not for these images, or that is not applied.
    """
    is_blending = state.text(0x00080016) == BLENDING
    below = _source(image, state, frame, UNDERLYING if is_blending else "")
    subtraction = subtraction_of(state, frame)
    if subtraction is not None:
        count = below.header.number_of_frames
        masks = tuple(number for number in subtraction.mask_frames if number <= count)
        subtraction = replace(subtraction, mask_frames=masks) if masks else None
    if not is_blending or above is None:
        return Presented(below, subtraction)
    over = _source(above[0], state, above[1], SUPERIMPOSED)
    return Presented(below, subtraction, over, relative_opacity(state))


def superimposed(plan: Presented, planes: Sequence[Plane | None]) -> int | None:
    """Which frame of the superimposed set shows the slice of the plan; None where none does.

    `planes` are theirs, as `read_plane` finds them. Where there is one frame and positions are missing, it is
    that one.
    """
    if plan.below.plane is None or not any(planes):
        return 0 if len(planes) == 1 else None
    return nearest(plan.below.plane, planes)


def _source(image: Coded, state: DataSet, frame: int, position: str) -> Source:
    header = ImageHeader.from_dataset(image.ds, frame)
    shown = applied(header, image.ds, state, frame, position)
    return Source(frame, image.syntax_uid, shown, read_plane(image.ds, frame))
