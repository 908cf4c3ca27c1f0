"""A picture by a presentation state, from all the stored frames that it takes.

    plan = presented(Coded(image, syntax_uid), state, frame)
    coded = render_presented(plan, [stored bytes of each frame of plan.frames], Rendering())

`plan` is made of headers, without pixels; `render_presented` runs codecs, and is for a guarded process. All
that goes in between is plain values. For a blending state `above` says which image and frame comes on top:
`superimposed` finds it among those that the state names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.blending import blended, is_image, relative_opacity
from gantry.pixels.codecs.codec import Pixels
from gantry.pixels.decode import decode
from gantry.pixels.image import ImageHeader, Rendering
from gantry.pixels.plane import Plane, nearest, read_plane, resampled
from gantry.pixels.presentation_state import BLENDING, SUPERIMPOSED, UNDERLYING, applied
from gantry.pixels.render import Picture, finished, to_picture
from gantry.pixels.subtraction import Subtraction, subtracted, subtraction_of


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


def superimposed(plan: Presented, candidates: Sequence[tuple[DataSet, int]]) -> int | None:
    """Which image and frame of the superimposed set shows the slice of the plan; None where none does.

    Where there is one candidate and positions are missing, it is that one.
    """
    planes = [read_plane(ds, frame) for ds, frame in candidates]
    if plan.below.plane is None or not any(planes):
        return 0 if len(candidates) == 1 else None
    return nearest(plan.below.plane, planes)


def render_presented(plan: Presented, frames: Sequence[bytes], wanted: Rendering) -> bytes:
    """An encoded picture. `frames` are the stored bytes of `plan.frames`, then that of `plan.above`.

    Raises DataSetError where one cannot be decoded or shown, or some are missing.
    """
    own = len(plan.frames)
    if len(frames) != own + (plan.above is not None):
        raise DataSetError(f"{len(frames)} frames for a picture that takes {own + (plan.above is not None)}")
    picture, header, _ = _shown(plan.below, frames[:own], wanted, plan.subtraction)
    if plan.above is not None:
        above, above_header, pixels = _shown(plan.above, frames[own:], Rendering(), None)
        covers = is_image(pixels, above_header)
        if plan.below.plane is not None and plan.above.plane is not None:
            rows, columns = picture.shape[:2]
            places = plan.above.plane, plan.below.plane, (rows, columns)
            mask, inside = resampled(covers.astype("u1") * 255, *places)
            above, covers = resampled(above, *places)[0], inside & (mask > 127)
        picture = blended(picture, above, plan.opacity, covers)
    return finished(picture, header, wanted)


def _source(image: Coded, state: DataSet, frame: int, position: str) -> Source:
    header = ImageHeader.from_dataset(image.ds, frame)
    shown = applied(header, image.ds, state, frame, position)
    return Source(frame, image.syntax_uid, shown, read_plane(image.ds, frame))


def _shown(
    source: Source, frames: Sequence[bytes], wanted: Rendering, subtraction: Subtraction | None
) -> tuple[Picture, ImageHeader, Pixels]:
    decoded = [decode(frame, source.syntax_uid, source.header) for frame in frames]
    pixels, header = decoded[0].pixels, decoded[0].header
    if subtraction is not None:
        masks = [one.pixels for one in decoded[1:]]
        pixels, header = subtracted(pixels, masks, header, subtraction)
    return to_picture(pixels, header.photometric_interpretation, header, wanted), header, pixels
