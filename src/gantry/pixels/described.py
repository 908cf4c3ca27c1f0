"""What a compressed stream says of the image in it, for headers that do not say it themselves.

Who stores metadata with compressed bulk data may leave out transfer syntax and Image Pixel Description Macro
(PS3.3 C.7.6.3.3): the archive has them from the stream (PS3.18 10.5.2). Nothing is decoded. Where a stream
leaves something open, the header says what PS3.5 8.2 has for its kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import broken
from gantry.pixels.codecs.jpeg_2000_stream import read_codestream
from gantry.pixels.codecs.jpeg_stream import JpegHeader, read_jpeg
from gantry.standard import transfer_syntaxes as ts

HEAD_BYTES = 4 << 20
"""What is read of a stream to describe it: more than ICC profiles and thumbnails put before an image."""

_MAX_BOXES = 4096
_JPEG_FULL_PROGRESSION = "1.2.840.10008.1.2.4.55"
_MPEG2_MAIN = "1.2.840.10008.1.2.4.100"
_MPEG2_HIGH = "1.2.840.10008.1.2.4.101"
_MPEG4_HIGH = "1.2.840.10008.1.2.4.102"
_HEVC_MAIN = "1.2.840.10008.1.2.4.107"
_HEVC_MAIN_10 = "1.2.840.10008.1.2.4.108"
_MPEG2_SEQUENCE = b"\x00\x00\x01\xb3"
_MAIN_LEVEL_COLUMNS = 720
_TO_SAMPLE_ENTRIES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_JP2 = b"\x00\x00\x00\x0cjP  "


@dataclass(frozen=True, slots=True)
class Described:
    """An image: its transfer syntax, the Image Pixel Description Macro, and where its stream lies.

    `start` and `stop` are bytes of what was described, without the file format around a codestream, which
    PS3.5 A.4.4 does not allow.
    """

    transfer_syntax_uid: str
    rows: int
    columns: int
    samples: int
    photometric: str
    precision: int
    signed: bool = False
    start: int = 0
    stop: int | None = None

    def attributes(self) -> dict[str, dict[str, Any]]:
        """The macro in the DICOM JSON model."""
        return pixel_description(
            self.rows, self.columns, self.samples, self.photometric, self.precision, signed=self.signed
        )


def pixel_description(
    rows: int, columns: int, samples: int, photometric: str, precision: int, *, signed: bool = False
) -> dict[str, dict[str, Any]]:
    """The Image Pixel Description Macro (PS3.3 C.7.6.3.3) in the DICOM JSON model; `precision` in bits."""
    values = {
        "00280002": samples,
        "00280010": rows,
        "00280011": columns,
        "00280100": 8 if precision <= 8 else 16,
        "00280101": precision,
        "00280102": precision - 1,
        "00280103": int(signed),
    }
    if samples > 1:
        values["00280006"] = 0  # color by pixel, as all these streams give it
    model: dict[str, dict[str, Any]] = {tag: {"vr": "US", "Value": [value]} for tag, value in values.items()}
    return model | {"00280004": {"vr": "CS", "Value": [photometric]}}


def describe(data: Any, media_type: str) -> Described:
    """The image in a stream of a media type of PS3.18 Table 8.7.3-5; `data` is bytes, or a map of a file.

    Raises DataSetError where the stream does not tell.
    """
    if media_type in ("image/jpeg", "image/jll", "image/jls", "image/x-jls"):
        return _jpeg(read_jpeg(bytes(data[:HEAD_BYTES])))
    if media_type in ("image/jp2", "image/j2c", "image/jpx", "image/jph", "image/jphc"):
        return _jpeg_2000(data, multi_component=media_type == "image/jpx")
    if media_type in ("video/mpeg", "video/mpeg2"):
        return _mpeg2(bytes(data[:HEAD_BYTES]))
    if media_type in ("video/mp4", "video/h265"):
        return _mp4(data)
    raise broken(f"a stream of {media_type} does not say enough of its image")


def _jpeg(stream: JpegHeader) -> Described:
    samples = len(stream.component_ids)
    return Described(
        _jpeg_syntax(stream),
        stream.rows,
        stream.columns,
        samples,
        _jpeg_photometric(stream, samples),
        stream.precision,
    )


def _jpeg_syntax(stream: JpegHeader) -> str:
    if stream.is_ls:
        return ts.JPEG_LS_NEAR_LOSSLESS if stream.near else ts.JPEG_LS_LOSSLESS
    if stream.process == 0xC3:
        return ts.JPEG_LOSSLESS_SV1 if stream.predictor == 1 else ts.JPEG_LOSSLESS
    known = {0xC0: ts.JPEG_BASELINE_8_BIT, 0xC1: ts.JPEG_EXTENDED_12_BIT, 0xC2: _JPEG_FULL_PROGRESSION}
    if stream.process not in known:
        raise broken(f"no transfer syntax has JPEG process {stream.process:02X}")
    return known[stream.process]


def _jpeg_photometric(stream: JpegHeader, samples: int) -> str:
    if samples == 1:
        return "MONOCHROME2"
    space = stream.color_space
    if stream.is_ls or stream.is_lossless:
        return "YBR_FULL" if space == "YBR" else "RGB"
    return "RGB" if space == "RGB" else "YBR_FULL_422"  # PS3.5 8.2.1


def _jpeg_2000(data: Any, *, multi_component: bool) -> Described:
    head = bytes(data[:HEAD_BYTES])
    stream = read_codestream(head)
    start, stop = (0, None) if not head.startswith(_JP2) else _codestream_in(data)
    lossless = bool(stream.is_reversible)
    if stream.is_high_throughput:
        syntax = ts.HTJ2K_LOSSLESS if lossless else ts.HTJ2K
    elif multi_component:
        syntax = ts.JPEG_2000_MC_LOSSLESS if lossless else ts.JPEG_2000_MC
    else:
        syntax = ts.JPEG_2000_LOSSLESS if lossless else ts.JPEG_2000
    photometric = "MONOCHROME2" if stream.components < 3 else "RGB"
    if stream.has_color_transform and stream.components >= 3:
        photometric = "YBR_RCT" if lossless else "YBR_ICT"  # PS3.5 8.2.4
    return Described(
        syntax, stream.rows, stream.columns, stream.components, photometric, stream.precision,
        stream.signed, start, stop,
    )  # fmt: skip


def _codestream_in(data: Any) -> tuple[int, int]:
    for kind, start, stop in _boxes(data, 0, len(data)):
        if kind == b"jp2c":
            return start, stop
    raise broken("the JP2 file holds no codestream")


def _mpeg2(head: bytes) -> Described:
    """The sequence header (ISO 13818-2 6.2.2.1)."""
    pos = head.find(_MPEG2_SEQUENCE)
    if pos < 0 or len(head) < pos + 8:
        raise broken("the MPEG-2 stream has no sequence header at its beginning")
    sizes = int.from_bytes(head[pos + 4 : pos + 7], "big")
    columns, rows = sizes >> 12, sizes & 0xFFF
    if not rows or not columns:
        raise broken("the MPEG-2 stream has no size")
    syntax = _MPEG2_HIGH if columns > _MAIN_LEVEL_COLUMNS else _MPEG2_MAIN
    return Described(syntax, rows, columns, 3, "YBR_PARTIAL_420", 8)


def _mp4(data: Any) -> Described:
    """The first picture track's sample description (ISO 14496-12 8.5.2, 12.1.3)."""
    for start, stop in _at(data, 0, len(data), _TO_SAMPLE_ENTRIES):
        for kind, entry, end in _boxes(data, start + 8, stop):
            if kind in (b"avc1", b"avc3", b"hvc1", b"hev1") and end - entry >= _SAMPLE_ENTRY_BYTES:
                columns = int.from_bytes(data[entry + 24 : entry + 26], "big")
                rows = int.from_bytes(data[entry + 26 : entry + 28], "big")
                if rows and columns:
                    return _video(data, kind, entry, end, rows, columns)
    raise broken("the MP4 file has no track of H.264 or H.265 pictures")


_SAMPLE_ENTRY_BYTES = 78


def _video(data: Any, kind: bytes, entry: int, end: int, rows: int, columns: int) -> Described:
    if kind in (b"avc1", b"avc3"):
        return Described(_MPEG4_HIGH, rows, columns, 3, "YBR_PARTIAL_420", 8)
    for box, start, _ in _boxes(data, entry + _SAMPLE_ENTRY_BYTES, end):
        if box == b"hvcC" and data[start + 1] & 0x1F == 2:  # general_profile_idc: Main 10
            return Described(_HEVC_MAIN_10, rows, columns, 3, "YBR_PARTIAL_420", 10)
    return Described(_HEVC_MAIN, rows, columns, 3, "YBR_PARTIAL_420", 8)


def _at(data: Any, start: int, stop: int, path: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """Where the boxes at a path of kinds have their contents."""
    for kind, inner, end in _boxes(data, start, stop):
        if kind == path[0]:
            if len(path) == 1:
                yield inner, end
            else:
                yield from _at(data, inner, end, path[1:])


def _boxes(data: Any, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Boxes one after the other: kind, and where the content begins and ends (ISO 14496-12 4.2)."""
    for _ in range(_MAX_BOXES):
        if start + 8 > stop:
            return
        length, kind, head = (
            int.from_bytes(data[start : start + 4], "big"),
            bytes(data[start + 4 : start + 8]),
            8,
        )
        if length == 1:
            length, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        end = stop if length == 0 else start + length
        if end > stop or end < start + head:
            raise DataSetError("a box of the file is cut", offset=start)
        yield kind, start + head, end
        start = end
