"""What a video says of itself, read in Python before any library sees it: container, codec, size, rate.

DICOM wraps MPEG-2, H.264 and HEVC in an MPEG transport stream or an MP4 file (PS3.5 8.2.5 to 8.2.11), old
devices MPEG-2 in a program stream or in nothing. The container leads to the codec's own header: the
sequence header of MPEG-2 (ISO/IEC 13818-2 6.2.2.1), the sequence parameter set of H.264 (ISO/IEC 14496-10
7.3.2.1) and HEVC (ISO/IEC 23008-2 7.3.2.2). No more than the first megabyte of a stream, and the tables of an
MP4, is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from struct import Struct, error
from typing import Final

from gantry.errors import DataSetError
from gantry.pixels.stretches import Stretches
from gantry.standard.dictionary import PIXEL_DATA

HEAD_BYTES: Final = 1 << 20
"""Where the header of a stream must begin; encoders write it in the first packets."""

MAX_TABLE_BYTES: Final = 64 << 20
"""Largest moov box of an MP4: 12 hours of 60 frames a second take 40 MB."""

MAX_BOXES: Final = 10_000
"""Most boxes side by side; a fragmented MP4 of an hour has 3,600 at the top."""

_MOST_RUNS: Final = 100_000
"""Runs of frames of one duration that are looked at; a camera's video has one or two."""

_TS_PACKET: Final = 188
_BOX: Final = Struct(">I4s")
_TICKS: Final = {1: Fraction(24000, 1001), 2: Fraction(24), 3: Fraction(25), 4: Fraction(30000, 1001),
                 5: Fraction(30), 6: Fraction(50), 7: Fraction(60000, 1001), 8: Fraction(60)}  # fmt: skip


class Container(Enum):
    """What wraps a stream; the value is its name as people know it."""

    MP4 = "MP4"
    TRANSPORT_STREAM = "MPEG-2 transport stream"
    PROGRAM_STREAM = "MPEG-2 program stream"
    ELEMENTARY_STREAM = "elementary stream"


class VideoCodec(Enum):
    """How the pictures are compressed."""

    MPEG2 = "MPEG-2"
    H264 = "H.264"
    HEVC = "HEVC"


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a stream says. `level` is in tenths (41 for 4.1), 0 for MPEG-2, whose profile names it.

    `frames` and `rate` (frames a second) are None where they are not told without reading the whole stream.
    """

    container: Container
    codec: VideoCodec
    profile: str
    level: int
    rows: int
    columns: int
    bits: int = 8
    monochrome: bool = False
    frames: int | None = None
    rate: Fraction | None = None

    @property
    def text(self) -> str:
        """The facts in a line."""
        level = f" {self.level // 10}.{self.level % 10}" if self.level else ""
        words = [f"{self.codec.value} {self.profile}{level}", f"{self.columns}x{self.rows}"]
        if self.bits != 8:
            words.append(f"{self.bits} bits")
        if self.frames is not None:
            words.append(f"{self.frames} frames")
        if self.rate is not None:
            words.append(f"{float(self.rate):.5g} a second")
        return f"{', '.join(words)}, in {_article(self.container)}"


def _article(container: Container) -> str:
    return f"an {container.value}" if container.value[0] in "eM" else f"a {container.value}"


def look(stream: Stretches) -> VideoFacts:
    """The facts of a stream. Raises DataSetError where DICOM knows none like it, or it says too little."""
    try:
        facts = _look(stream)
    except (IndexError, error, ValueError) as cut:
        raise _broken("the header of the video is cut or broken") from cut
    if not facts.rows or not facts.columns:
        raise _broken("the video says that its pictures have no pixels")
    return facts


def _broken(cause: str) -> DataSetError:
    return DataSetError(cause, tag=PIXEL_DATA)


def _look(stream: Stretches) -> VideoFacts:
    head = stream.at(0, HEAD_BYTES)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return _look_at_mp4(stream)
    start = _transport_start(head)
    if start is not None:
        codec, data = _of_transport_stream(head, *start)
        return _look_at_stream(Container.TRANSPORT_STREAM, codec, data)
    if head.startswith(b"\0\0\1\xba"):
        data = b"".join(_of_program_stream(head))
        return _look_at_stream(Container.PROGRAM_STREAM, _codec_of(data), data)
    return _look_at_stream(Container.ELEMENTARY_STREAM, _codec_of(head), head)


# --- elementary streams ------------------------------------------------------------------------------


def _codec_of(data: bytes) -> VideoCodec:
    for unit in _units(data):
        if unit[0] == 0xB3:
            return VideoCodec.MPEG2
        if unit[0] & 0x9F == 0x07:
            return VideoCodec.H264
        if unit[0] & 0x81 == 0 and unit[0] >> 1 in (32, 33):
            return VideoCodec.HEVC
    raise _broken("the Pixel Data does not begin like a video in MP4, MPEG-2 transport or program stream")


def _units(data: bytes) -> Iterator[bytes]:
    """What follows each start code, up to the next (ISO/IEC 14496-10 Annex B)."""
    position = data.find(b"\0\0\1")
    while position >= 0:
        following = data.find(b"\0\0\1", position + 3)
        unit = data[position + 3 : following if following >= 0 else len(data)]
        if unit:
            yield unit
        position = following


def _look_at_stream(container: Container, codec: VideoCodec, data: bytes) -> VideoFacts:
    if codec is VideoCodec.MPEG2:
        return _mpeg2(container, data)
    for unit in _units(data):
        if codec is VideoCodec.H264 and unit[0] & 0x1F == 7:
            return _h264(container, unit)
        if codec is VideoCodec.HEVC and unit[0] >> 1 & 0x3F == 33:
            return _hevc(container, unit)
    raise _broken(f"the {codec.value} stream has no sequence parameter set in its first megabyte")


def _mpeg2(container: Container, data: bytes) -> VideoFacts:
    place = data.find(b"\0\0\1\xb3")
    if place < 0:
        raise _broken("the MPEG-2 stream has no sequence header in its first megabyte")
    fields = data[place + 4 : place + 8]
    columns, rows = fields[0] << 4 | fields[1] >> 4, (fields[1] & 15) << 8 | fields[2]
    rate = _TICKS.get(fields[3] & 15)
    extension = data.find(b"\0\0\1\xb5", place)
    profile = "MPEG-1"
    if extension >= 0 and data[extension + 4] >> 4 == 1:
        bits = _Bits(data[extension + 4 : extension + 10])
        bits.skip(4)
        profile = _MPEG2_PROFILES.get(bits.take(8), "unknown profile")
        bits.skip(3)
        columns |= bits.take(2) << 12
        rows |= bits.take(2) << 12
        bits.skip(12 + 1 + 8 + 1)
        if rate is not None:
            rate = rate * (bits.take(2) + 1) / (bits.take(5) + 1)
    return VideoFacts(container, VideoCodec.MPEG2, profile, 0, rows, columns, rate=rate)


# ISO/IEC 13818-2 Table 8-1 to 8-3: escape, profile, level in one octet
_MPEG2_PROFILES: Final = {
    (profile << 4) | level: f"{name} Profile / {height} Level"
    for profile, name in ((5, "Simple"), (4, "Main"), (3, "SNR Scalable"), (2, "Spatial"), (1, "High"))
    for level, height in ((10, "Low"), (8, "Main"), (6, "High 1440"), (4, "High"))
}  # fmt: skip
_H264_PROFILES: Final = {
    66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10", 118: "Multiview High",
    122: "High 4:2:2", 128: "Stereo High", 244: "High 4:4:4",
}  # fmt: skip
_HEVC_PROFILES: Final = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Range Extensions"}
_H264_WITH_CHROMA: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class _Bits:
    """A cursor over bits, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("the header ends too early")
        return self._number >> self._left & (1 << count) - 1

    def skip(self, count: int) -> None:
        self.take(count)

    def unsigned(self) -> int:
        """Exponential-Golomb (ISO/IEC 14496-10 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("a number of more than 32 bits")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        number = self.unsigned()
        return (number + 1) // 2 if number % 2 else -(number // 2)


_MOST_PARAMETER_BYTES: Final = 4096


def _payload(unit: bytes) -> bytes:
    """A NAL unit without the bytes that keep start codes out of it."""
    return unit[:_MOST_PARAMETER_BYTES].replace(b"\0\0\3", b"\0\0")


def _h264(container: Container, unit: bytes) -> VideoFacts:
    bits = _Bits(_payload(unit)[1:])
    profile = bits.take(8)
    bits.skip(8)
    level = bits.take(8)
    bits.unsigned()
    chroma, depth = 1, 8
    if profile in _H264_WITH_CHROMA:
        chroma = bits.unsigned()
        if chroma == 3:
            bits.skip(1)
        depth = 8 + bits.unsigned()
        bits.unsigned()
        bits.skip(1)
        if bits.take(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.unsigned()
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.skip(1)
        bits.signed()
        bits.signed()
        for _ in range(min(bits.unsigned(), 255)):
            bits.signed()
    bits.unsigned()
    bits.skip(1)
    columns, rows = 16 * (bits.unsigned() + 1), 16 * (bits.unsigned() + 1)
    frames_only = bits.take(1)
    rows *= 2 - frames_only
    if not frames_only:
        bits.skip(1)
    bits.skip(1)
    if bits.take(1):
        wide, high = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1) * (2 - frames_only)
        columns -= wide * (bits.unsigned() + bits.unsigned())
        rows -= high * (bits.unsigned() + bits.unsigned())
    name = _H264_PROFILES.get(profile, f"profile {profile}")
    rate = _h264_rate(bits)
    return VideoFacts(
        container, VideoCodec.H264, name, level, max(rows, 0), max(columns, 0), depth, chroma == 0, None, rate
    )


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _h264_rate(bits: _Bits) -> Fraction | None:
    """The rate that the video usability information tells, if any (ISO/IEC 14496-10 E.1.1)."""
    try:
        if not bits.take(1):
            return None
        if bits.take(1) and bits.take(8) == 255:
            bits.skip(32)
        if bits.take(1):
            bits.skip(1)
        if bits.take(1):
            bits.skip(4)
            if bits.take(1):
                bits.skip(24)
        if bits.take(1):
            bits.unsigned()
            bits.unsigned()
        if not bits.take(1):
            return None
        tick, scale = bits.take(32), bits.take(32)
    except ValueError:
        return None
    return Fraction(scale, 2 * tick) if tick and scale else None


def _hevc(container: Container, unit: bytes) -> VideoFacts:
    bits = _Bits(_payload(unit)[2:])
    bits.skip(4)
    layers = bits.take(3)
    bits.skip(1 + 3)
    profile = bits.take(5)
    bits.skip(32 + 48)
    level = bits.take(8)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.skip(2 * (8 - layers))
    for with_profile, with_level in present:
        bits.skip(88 * with_profile + 8 * with_level)
    bits.unsigned()
    chroma = bits.unsigned()
    if chroma == 3:
        bits.skip(1)
    columns, rows = bits.unsigned(), bits.unsigned()
    if bits.take(1):
        wide, high = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1)
        columns -= wide * (bits.unsigned() + bits.unsigned())
        rows -= high * (bits.unsigned() + bits.unsigned())
    depth = 8 + bits.unsigned()
    name = _HEVC_PROFILES.get(profile, f"profile {profile}")
    return VideoFacts(
        container, VideoCodec.HEVC, name, level // 3, max(rows, 0), max(columns, 0), depth, chroma == 0
    )


# --- MPEG-2 systems (ISO/IEC 13818-1) ----------------------------------------------------------------

_STREAM_TYPES: Final = {
    0x01: VideoCodec.MPEG2,
    0x02: VideoCodec.MPEG2,
    0x1B: VideoCodec.H264,
    0x24: VideoCodec.HEVC,
}


def _transport_start(head: bytes) -> tuple[int, int] | None:
    """Where the first packet begins and how far it is to the next: 188 bytes, or 192 with time stamps."""
    for stride, first in ((_TS_PACKET, 0), (_TS_PACKET + 4, 4)):
        count = min(4, (len(head) - first) // stride)
        if count and all(head[first + n * stride] == 0x47 for n in range(count)):
            return first, stride
    return None


def _of_transport_stream(head: bytes, first: int, stride: int) -> tuple[VideoCodec, bytes]:
    tables: set[int] = set()
    video: tuple[int, VideoCodec] | None = None
    parts: list[bytes] = []
    for place in range(first, len(head) - _TS_PACKET + 1, stride):
        packet = head[place : place + _TS_PACKET]
        if packet[0] != 0x47:
            continue
        pid, begins = (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40)
        payload = packet[5 + packet[4] if packet[3] & 0x20 else 4 :] if packet[3] & 0x10 else b""
        if pid == 0 and begins:
            tables |= set(_program_maps(payload))
        elif pid in tables and begins and video is None:
            video = _video_of_program(payload)
        elif video is not None and pid == video[0]:
            parts.append(_behind_pes_header(payload) if begins else payload)
    if video is None:
        raise _broken("the transport stream names no MPEG-2, H.264 or HEVC video")
    return video[1], b"".join(parts)


def _section(payload: bytes) -> bytes:
    """A table from its ID on, without its checksum."""
    table = payload[1 + payload[0] :]
    return table[: max(0, 3 + ((table[1] & 15) << 8 | table[2]) - 4)]


def _program_maps(payload: bytes) -> Iterator[int]:
    entries = _section(payload)[8:]
    for place in range(0, len(entries) - 3, 4):
        if entries[place : place + 2] != b"\0\0":
            yield (entries[place + 2] & 0x1F) << 8 | entries[place + 3]


def _video_of_program(payload: bytes) -> tuple[int, VideoCodec] | None:
    table = _section(payload)
    place = 12 + ((table[10] & 15) << 8 | table[11])
    while place + 5 <= len(table):
        codec = _STREAM_TYPES.get(table[place])
        if codec is not None:
            return (table[place + 1] & 0x1F) << 8 | table[place + 2], codec
        place += 5 + ((table[place + 3] & 15) << 8 | table[place + 4])
    return None


def _behind_pes_header(payload: bytes) -> bytes:
    return payload[9 + payload[8] :] if payload.startswith(b"\0\0\1") and len(payload) > 9 else payload


def _of_program_stream(head: bytes) -> Iterator[bytes]:
    place = head.find(b"\0\0\1")
    while 0 <= place < len(head) - 9:
        kind = head[place + 3]
        length = int.from_bytes(head[place + 4 : place + 6], "big")
        if 0xE0 <= kind <= 0xEF:
            yield _behind_pes_header(head[place : place + 6 + length])
        place = head.find(b"\0\0\1", place + (6 + length if kind >= 0xBC else 4))


# --- MP4 (ISO/IEC 14496-12) --------------------------------------------------------------------------


def _look_at_mp4(stream: Stretches) -> VideoFacts:
    place = 0
    for _ in range(MAX_BOXES):
        head = stream.at(place, 16)
        if len(head) < 8:
            break
        size, kind = _BOX.unpack_from(head)
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if kind == b"moov":
            if not 8 <= size <= MAX_TABLE_BYTES:
                raise _broken(f"the MP4 says that its tables take {size} bytes")
            return _look_at_tables(stream.at(place + 8, size - 8))
        if size < 8:
            break
        place += size
    raise _broken("the MP4 has no tables (moov)")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    for _ in range(MAX_BOXES):
        if place + 8 > len(data):
            return
        size, kind = _BOX.unpack_from(data, place)
        if size < 8:
            return
        yield kind, data[place + 8 : place + size]
        place += size


def _box(data: bytes, *path: bytes) -> bytes:
    """What is in the first box of a path; empty where there is none."""
    for step in path:
        data = next((content for kind, content in _boxes(data) if kind == step), b"")
    return data


def _look_at_tables(moov: bytes) -> VideoFacts:
    for kind, track in _boxes(moov):
        if kind == b"trak" and _box(track, b"mdia", b"hdlr")[8:12] == b"vide":
            return _look_at_track(track)
    raise _broken("the MP4 has no video track")


def _look_at_track(track: bytes) -> VideoFacts:
    tables = _box(track, b"mdia", b"minf", b"stbl")
    entry = _box(tables, b"stsd")[8:]
    _, kind = _BOX.unpack_from(entry)
    # A visual sample entry (ISO/IEC 14496-12 12.1.3): 78 octets, then boxes
    columns, rows = int.from_bytes(entry[32:34], "big"), int.from_bytes(entry[34:36], "big")
    inner = entry[86:]
    if kind in (b"avc1", b"avc3"):
        facts = _of_avc_configuration(_box(inner, b"avcC"))
    elif kind in (b"hvc1", b"hev1"):
        facts = _of_hevc_configuration(_box(inner, b"hvcC"))
    elif kind == b"mp4v":
        facts = VideoFacts(Container.MP4, VideoCodec.MPEG2, "in MP4", 0, rows, columns)
    else:
        raise _broken(f"the MP4 holds a video of kind {kind!r}, which DICOM has no transfer syntax for")
    count = int.from_bytes(_box(tables, b"stsz")[8:12], "big")
    return replace(
        facts, frames=count or None, rate=_mp4_rate(_box(track, b"mdia", b"mdhd"), _box(tables, b"stts"))
    )


def _of_avc_configuration(avcc: bytes) -> VideoFacts:
    if len(avcc) < 8 or not avcc[5] & 0x1F:
        raise _broken("the H.264 track has no sequence parameter set")
    length = int.from_bytes(avcc[6:8], "big")
    return _h264(Container.MP4, avcc[8 : 8 + length])


def _of_hevc_configuration(hvcc: bytes) -> VideoFacts:
    place = 23
    for _ in range(hvcc[22]):
        kind, count = hvcc[place] & 0x3F, int.from_bytes(hvcc[place + 1 : place + 3], "big")
        place += 3
        for _ in range(count):
            length = int.from_bytes(hvcc[place : place + 2], "big")
            if kind == 33:
                return _hevc(Container.MP4, hvcc[place + 2 : place + 2 + length])
            place += 2 + length
            if place >= len(hvcc):
                break
    raise _broken("the HEVC track has no sequence parameter set")


def _mp4_rate(mdhd: bytes, durations: bytes) -> Fraction | None:
    """Ticks a second through the ticks that most frames last (ISO/IEC 14496-12 8.4.2, 8.6.1.2)."""
    place = 20 if mdhd[:1] == b"\1" else 12
    scale = int.from_bytes(mdhd[place : place + 4], "big")
    runs = durations[8 : len(durations) - len(durations) % 8][: 8 * _MOST_RUNS]
    ticks = max(Struct(">II").iter_unpack(runs), default=(0, 0))[1]
    return Fraction(scale, ticks) if scale and ticks else None
