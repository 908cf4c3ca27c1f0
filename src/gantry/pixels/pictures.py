"""PNG and GIF: pictures that no transfer syntax carries, read as plain samples (PS3.18 10.5.2).

As with codecs, `look` reads the size in Python before a library sees anything, and `read` is for guarded
processes. Transparency is left out: DICOM has none. Palettes become RGB.
"""

from __future__ import annotations

import io
import warnings
from struct import unpack_from

from gantry.pixels.codecs.codec import broken
from gantry.pixels.image import MAX_FRAME_BYTES, ImageHeader

PNG, GIF = "image/png", "image/gif"
MAX_GIF_FRAMES = 10_000

_PNG_BEGIN = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_COLORS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_PNG_PALETTE = 3


def look(data: bytes, media_type: str) -> ImageHeader:
    """One frame as it will be read. Raises DataSetError."""
    header = _look_at_png(data) if media_type == PNG else _look_at_gif(data)
    header.check_size()
    return header


def _look_at_png(data: bytes) -> ImageHeader:
    if data[: len(_PNG_BEGIN)] != _PNG_BEGIN or len(data) < 29:
        raise broken("the picture does not begin like PNG")
    columns, rows, depth, color = unpack_from(">IIBB", data, 16)
    if color not in _PNG_COLORS:
        raise broken(f"PNG has no color type {color}")
    return _header(rows, columns, _PNG_COLORS[color], 16 if depth == 16 and color != _PNG_PALETTE else 8)


def _look_at_gif(data: bytes) -> ImageHeader:
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 10:
        raise broken("the picture does not begin like GIF")
    columns, rows = unpack_from("<HH", data, 6)
    return _header(rows, columns, 3, 8)


def _header(rows: int, columns: int, samples: int, bits: int) -> ImageHeader:
    return ImageHeader(
        rows=rows, columns=columns, samples_per_pixel=samples,
        photometric_interpretation="RGB" if samples == 3 else "MONOCHROME2", planar_configuration=0,
        bits_allocated=bits, bits_stored=bits, high_bit=bits - 1, signed=False, number_of_frames=1,
        rescale_slope=1.0, rescale_intercept=0.0, windows=(), voi_lut_function="LINEAR",
        presentation_lut_shape="", pixel_padding_value=None, palette=None, pixel_aspect=(1.0, 1.0),
        pixel_vr="OW" if bits > 8 else "OB",
    )  # fmt: skip


def frame_bytes(header: ImageHeader) -> int:
    """Bytes of one frame that was read."""
    return header.frame_samples * header.bits_allocated // 8


def read(data: bytes, media_type: str) -> bytes:
    """The samples of all frames, little endian, color by pixel. Raises DataSetError."""
    header = look(data, media_type)
    samples = _read_png(data, header) if media_type == PNG else _read_gif(data, header)
    if not samples or len(samples) % frame_bytes(header):
        raise broken("the picture is not of the size that it says")
    return samples


def _read_png(data: bytes, header: ImageHeader) -> bytes:
    import imagecodecs

    try:
        pixels = imagecodecs.png_decode(data)
    except (imagecodecs.PngError, ValueError) as error:
        raise broken(f"the PNG picture cannot be read: {error}") from error
    if pixels.ndim == 3:  # without what is transparent
        pixels = pixels[:, :, : header.samples_per_pixel]
    return bytes(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes())


def _read_gif(data: bytes, header: ImageHeader) -> bytes:
    from PIL import Image, ImageSequence

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    frames = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("GIF",)) as picture:
                for number, frame in enumerate(ImageSequence.Iterator(picture)):
                    if number == MAX_GIF_FRAMES or frames.tell() + frame_bytes(header) > MAX_FRAME_BYTES:
                        raise broken("the GIF picture has more frames than are taken")
                    frames.write(frame.convert("RGB").tobytes())
    except (OSError, SyntaxError, EOFError, ValueError, IndexError, *bombs) as error:
        raise broken(f"the GIF picture cannot be read: {error}") from error
    return frames.getvalue()
