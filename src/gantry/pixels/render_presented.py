"""A picture by a presentation state, from the stored bytes of all frames that its plan names.

Runs codecs, and is for a guarded process.
"""

from __future__ import annotations

from collections.abc import Sequence

from gantry.errors import DataSetError
from gantry.pixels.blending import blended, is_image
from gantry.pixels.codecs.codec import Pixels
from gantry.pixels.decode import decode
from gantry.pixels.image import ImageHeader, Rendering
from gantry.pixels.plane import resampled
from gantry.pixels.presented import Presented, Source
from gantry.pixels.render import Picture, finished, to_picture
from gantry.pixels.subtraction import Subtraction, subtracted


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


def _shown(
    source: Source, frames: Sequence[bytes], wanted: Rendering, subtraction: Subtraction | None
) -> tuple[Picture, ImageHeader, Pixels]:
    decoded = [decode(frame, source.syntax_uid, source.header) for frame in frames]
    pixels, header = decoded[0].pixels, decoded[0].header
    if subtraction is not None:
        masks = [one.pixels for one in decoded[1:]]
        pixels, header = subtracted(pixels, masks, header, subtraction)
    return to_picture(pixels, header.photometric_interpretation, header, wanted), header, pixels
