"""Displayed pictures as an encoder of video takes them: luminance and halved chrominance by ITU-R BT.709.

Through PyAV (`gantry[video]`), which whoever calls this has found to be installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gantry.pixels.display.pnm import Picture

_LUMA = np.round(16 + np.arange(256) * 219 / 255).astype(np.uint8)


def say_bt709(context: Any) -> None:
    """Primaries, curve and matrix, which players otherwise guess by the size of the picture."""
    context.color_primaries = context.color_trc = context.colorspace = 1
    context.color_range = 1  # 16 to 235


def video_frame(picture: Picture) -> Any:
    """An `av.VideoFrame` of (rows, columns) or (rows, columns, 3), 8 bits, both sides even."""
    import av

    if picture.ndim == 3:
        return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709"
        )
    # The library rounds gray down, which makes it up to three levels darker.
    rows, columns = picture.shape
    planes = np.full((rows + rows // 2, columns), 128, np.uint8)
    planes[:rows] = _LUMA[picture]
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
