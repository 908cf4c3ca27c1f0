"""Videos: what their streams say held against the header, and single frames taken out of them.

A video is one stream for all frames (PS3.5 A.4.5 to A.4.9), often gigabytes, so that it is never held:
`VideoReader` reads it as a file. Which frame is the n-th is told by the times at which frames are shown,
which it collects once, without decoding. Then a frame costs decoding from the key frame before it, or from
the frame given last, whichever is nearer.

Frames come as RGB, since nothing else holds them without the video (PS3.5 8.2.5: YBR_PARTIAL_420 is changed
to RGB), and as gray values where Samples per Pixel is 1. The library runs inside a guarded worker, is told
which container it has, and opens nothing but that: what a stream refers to elsewhere is not followed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import Decoded, Pixels, broken
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader
from gantry.pixels.stretches import Span, Stretches, in_buffer
from gantry.pixels.video_stream import Container, VideoCodec, VideoFacts, look
from gantry.standard.transfer_syntaxes import is_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame as Picture

MAX_FRAMES: Final = 2_000_000
"""Most frames of a video that are told apart: nine hours of 60 a second. Each costs 16 bytes."""

_READ_BYTES: Final = 1 << 18
_FORMATS: Final = {
    Container.MP4: "mp4",
    Container.TRANSPORT_STREAM: "mpegts",
    Container.PROGRAM_STREAM: "mpeg",
}
_ELEMENTARY: Final = {VideoCodec.MPEG2: "mpegvideo", VideoCodec.H264: "h264", VideoCodec.HEVC: "hevc"}
_HIGH_DEFINITION_ROWS: Final = 720

_CINE_RATE: Final = 0x00180040
_FRAME_TIME: Final = 0x00181063


def codec_named(syntax_uid: str) -> VideoCodec:
    """The codec that a transfer syntax of videos stands for."""
    number = int(syntax_uid.removesuffix(".1").rpartition(".")[2])
    return VideoCodec.MPEG2 if number < 102 else VideoCodec.H264 if number < 107 else VideoCodec.HEVC


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One frame, from 0, of a video that lies in a file: what takes the place of a frame's bytes."""

    path: str
    spans: tuple[Span, ...]
    index: int


@dataclass(frozen=True, slots=True)
class Description:
    """What a video is, and where stream and header disagree."""

    facts: VideoFacts
    notes: tuple[str, ...]


def describe(ds: DataSet) -> Description | None:
    """What the video of an object says of itself, held against the header; None where it has none.

    Nothing is decoded. Raises DataSetError for a stream that cannot be read.
    """
    table = frame_table(ds) if is_video(ds.syntax.uid) else None
    if table is None or not len(table):
        return None
    facts = look(Stretches(in_buffer(ds.buffer), table.frame(0)))
    return Description(facts, tuple(_disagreements(facts, ds, ImageHeader.from_dataset(ds))))


def _disagreements(facts: VideoFacts, ds: DataSet, header: ImageHeader) -> Iterator[str]:
    named = codec_named(ds.syntax.uid)
    if facts.codec is not named:
        yield f"the stream is {facts.codec.value} where the transfer syntax is {ds.syntax.name}"
    if (facts.rows, facts.columns) != (header.rows, header.columns):
        yield (f"the stream is {facts.columns}x{facts.rows}, the header says {header.columns}x{header.rows}")
    if facts.bits != header.bits_stored:
        yield f"the stream has {facts.bits} bits where Bits Stored is {header.bits_stored}"
    if facts.frames is not None and facts.frames != header.number_of_frames:
        yield f"the stream has {facts.frames} frames where Number of Frames is {header.number_of_frames}"
    told = _told_rate(ds)
    if facts.rate is not None and told is not None and abs(facts.rate / told - 1) > Fraction(1, 100):
        yield f"the stream has {float(facts.rate):.5g} frames a second, the header says {float(told):.5g}"


def _told_rate(ds: DataSet) -> Fraction | None:
    """Frames a second as Frame Time or Cine Rate have it (PS3.3 C.7.6.5)."""
    for tag, turn in ((_FRAME_TIME, True), (_CINE_RATE, False)):
        try:
            value = Fraction(ds.text(tag) or "0")
        except (ValueError, ZeroDivisionError):
            continue
        if value > 0:
            return 1000 / value if turn else value
    return None


def native_header(header: ImageHeader, facts: VideoFacts) -> ImageHeader:
    """The header of a video's frames once they are decoded (PS3.5 8.2.5). Raises DataSetError.

    Rows and columns must agree, as in `codecs.codec.fits`.
    """
    if (facts.rows, facts.columns) != (header.rows, header.columns):
        raise broken(
            f"the stream holds {facts.columns}x{facts.rows} pixels, "
            f"the header says {header.columns}x{header.rows}"
        )
    gray = header.samples_per_pixel == 1
    if facts.bits not in (8, 10, 12):
        raise broken(f"the stream has {facts.bits} bits a sample")
    return replace(
        header,
        samples_per_pixel=1 if gray else 3,
        photometric_interpretation="MONOCHROME2" if gray else "RGB",
        planar_configuration=0,
        bits_allocated=8 if facts.bits == 8 else 16,
        bits_stored=facts.bits,
        high_bit=facts.bits - 1,
        signed=False,
        pixel_vr="OB" if facts.bits == 8 else "OW",
    )


class VideoReader:
    """Frames of one video; to be closed. Raises DataSetError where it cannot be opened.

    `header` is that of the object, `native` that of the frames that are given.
    """

    def __init__(self, stream: Stretches, header: ImageHeader) -> None:
        header.check_size()
        self.facts = look(stream)
        self.native = native_header(header, self.facts)
        self.native.check_size()
        self._stream = stream
        self._container = _opened(stream, self.facts)
        try:
            self._video = self._container.streams.video[0]
            self._video.codec_context.thread_count = 1
            self._times, self._keys, self._places = self._index()
        except Exception as error:
            self.close()
            raise _as_broken(error) from error
        self._frames: Iterator[Picture] = iter(())
        self._next = -1  # what `_frames` gives next; -1 where that must be sought

    def close(self) -> None:
        """Let go of the stream."""
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many frames the stream holds."""
        return len(self._times)

    def frame(self, index: int) -> Decoded:
        """Frame `index`, from 0, decoded. Raises DataSetError where there is none, or it is broken."""
        if not 0 <= index < len(self._times):
            raise broken(
                f"frame {index + 1} of a stream that holds {len(self)}; "
                f"Number of Frames is {self.native.number_of_frames}"
            )
        try:
            frame = self._decoded(index)
            pixels = self._samples(frame)
        except (DataSetError, MemoryError):
            raise
        except Exception as error:
            self._next = -1
            raise _as_broken(error) from error
        return Decoded(pixels, self.native)

    def _index(self) -> tuple[list[int], list[int], list[int]]:
        """When each frame is shown, in order; then the times of the key frames, and what to seek for them.

        In an MP4 that is the time at which they are decoded, elsewhere the offset of their bytes, -1 if not
        known.
        """
        times: list[int] = []
        keys: list[tuple[int, int]] = []
        is_mp4 = self.facts.container is Container.MP4
        for packet in self._container.demux(self._video):
            if not packet.size or packet.is_discard:  # the end; what an edit list leaves out
                continue
            if len(times) == MAX_FRAMES:
                raise broken(f"the video has more than {MAX_FRAMES} frames")
            time = packet.pts if self._is_timed and packet.pts is not None else len(times)
            if packet.is_keyframe:
                place = (time if packet.dts is None else packet.dts) if is_mp4 else packet.pos
                keys.append((time, -1 if place is None else place))
            times.append(time)
        keys.sort()
        return sorted(times), [time for time, _ in keys], [place for _, place in keys]

    @property
    def _is_timed(self) -> bool:
        # Without a container nothing but the order tells frames apart, and that only from the start on.
        return self.facts.container is not Container.ELEMENTARY_STREAM

    def _decoded(self, index: int) -> Picture:
        wanted = self._times[index]
        if self._next < 0 or index < self._next or self._key_before(index) > self._next:
            self._seek(index)
        for frame in self._frames:
            if self._is_timed:
                if frame.pts is None or frame.pts < wanted:
                    continue
                if frame.pts > wanted:
                    self._next = -1
                    raise broken(f"frame {index + 1} of the video cannot be decoded")
            elif self._next < index:
                self._next += 1
                continue
            self._next = index + 1
            return frame
        self._next = -1
        raise broken(f"the video ends before frame {index + 1} is decoded")

    def _key_before(self, index: int) -> int:
        """The frame that decoding would have to begin with, were it to begin anew."""
        if not self._is_timed:
            return 0
        key = bisect_right(self._keys, self._times[index]) - 1
        return bisect_left(self._times, self._keys[key]) if key >= 0 else 0

    def _seek(self, index: int) -> None:
        key = bisect_right(self._keys, self._times[index]) - 1 if self._is_timed else -1
        if self.facts.container is Container.MP4 and key >= 0:
            self._container.seek(self._places[key], stream=self._video, backward=True)
        elif key >= 0 and self._places[key] >= 0:
            # A transport stream has no table of key frames; the library would look for one by guessing.
            self._container.seek(self._places[key], unsupported_byte_offset=True)
        else:
            self._reopen()
            key = -1
        self._frames = self._container.decode(self._video)
        self._next = self._key_before(index) if key >= 0 else 0

    def _reopen(self) -> None:
        self._container.close()
        self._stream.seek(0)
        self._container = _opened(self._stream, self.facts)
        self._video = self._container.streams.video[0]
        self._video.codec_context.thread_count = 1

    def _samples(self, frame: Picture) -> Pixels:
        if (frame.height, frame.width) != (self.native.rows, self.native.columns):
            raise broken(f"a frame of {frame.width}x{frame.height} pixels within the video")
        if frame.is_corrupt:
            raise broken("the frame is broken")
        wide = self.native.bits_allocated == 16
        pixels: Pixels = frame.reformat(
            format="rgb48le" if wide else "rgb24", src_colorspace=_matrix(frame)
        ).to_ndarray()
        if wide:
            pixels = pixels >> (16 - self.native.bits_stored)
        return np.ascontiguousarray(pixels[..., 0] if self.native.samples_per_pixel == 1 else pixels)


def _matrix(frame: Picture) -> Any:
    """How to get RGB: as the stream says, else as pictures of its size have it (ITU-R BT.601, 709)."""
    from av.video.reformatter import Colorspace

    said = int(frame.colorspace)
    if said not in (0, 2):  # RGB and unspecified, ISO/IEC 23091-2
        return said
    return Colorspace.ITU709 if frame.height >= _HIGH_DEFINITION_ROWS else Colorspace.ITU601


def _library() -> Any:
    try:
        import av
    except ImportError:
        raise broken(
            "single frames of a video need the library PyAV: install gantry with its extra, gantry[video]"
        ) from None
    av.logging.set_level(None)
    return av


def _opened(stream: Stretches, facts: VideoFacts) -> InputContainer:
    library = _library()
    name = _FORMATS.get(facts.container) or _ELEMENTARY[facts.codec]
    stream.seek(0)
    try:
        container: InputContainer = library.open(stream, format=name, buffer_size=_READ_BYTES)
    except (OSError, ValueError, EOFError, RuntimeError) as error:
        raise _as_broken(error) from error
    if not container.streams.video:
        container.close()
        raise broken("the video library finds no video in the Pixel Data")
    return container


def _as_broken(error: Exception) -> DataSetError | MemoryError:
    if isinstance(error, DataSetError | MemoryError):
        return error
    return broken(f"the video cannot be decoded: {error}")
