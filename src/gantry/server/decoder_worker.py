"""The process that runs codecs: reads one request, answers it, reads the next, until its input ends.

It is started by `gantry.server.decoders` and holds nothing but the frame in hand, and the video that the last
frame came from, so that the next one need not be sought: a video is read from its file, piece by piece. Its
limits are set before a codec is loaded: memory, no file larger than nothing, no core dump. A codec that
breaks them takes this process with it and nothing else (architecture, "Pixels under guard").

A message either way: 4 bytes length of the envelope, 4 bytes length of the payload, both little endian,
then the MessagePack envelope and the payload.
"""

from __future__ import annotations

import itertools
import os
import resource
import struct
import sys
from dataclasses import dataclass

import msgspec

from gantry.errors import CallerError, DataSetError
from gantry.pixels.codecs.codec import Decoded
from gantry.pixels.image import ImageHeader, Rendering
from gantry.pixels.states.presented import Presented
from gantry.pixels.stretches import Stretches
from gantry.pixels.transcode import FrameJob, encode_frame, transcode_frame
from gantry.pixels.video import VideoFrame, VideoReader
from gantry.server.allocator import FRAME_MAPPING_BYTES, keep_buffers

LENGTHS = struct.Struct("<II")

# Room for one frame at the limit (512 MB) as stored, decoded, and as float while it is windowed,
# above what the interpreter and the codec libraries map.
MEMORY_LIMIT_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class Request:
    """Decode the payload, one frame; `rendering` None gives the plain samples, little endian.

    With `job` the frame comes back in another transfer syntax. With `picture`, a media type, the payload is a
    PNG or GIF, whose samples are wanted. With `plan` the payload is all frames of a picture by a presentation
    state, as long as `lengths` say, and `rendering` is there. With `video` there is no payload.
    """

    syntax_uid: str
    header: ImageHeader
    rendering: Rendering | None
    job: FrameJob | None = None
    picture: str = ""
    plan: Presented | None = None
    lengths: tuple[int, ...] = ()
    video: VideoFrame | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """`error` is empty where the payload is the answer; else it says why there is none."""

    error: str = ""
    photometric: str = ""
    tag: int | None = None


def main() -> None:
    """Answer requests from standard input on standard output."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a codec prints must not reach the answers
    _limit_resources()
    keep_buffers(FRAME_MAPPING_BYTES)
    videos = Videos()
    with os.fdopen(answers, "wb", buffering=0) as out:
        while (request := _read(sys.stdin.fileno())) is not None:
            reply, payload = answer(*request, videos)
            envelope = msgspec.msgpack.encode(reply)
            _write(out.fileno(), [LENGTHS.pack(len(envelope), len(payload)) + envelope, payload])


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


class Videos:
    """The video that was asked for last, kept open."""

    def __init__(self) -> None:
        self._key: object = None
        self._reader: VideoReader | None = None
        self._file = -1

    def frame(self, wanted: VideoFrame, header: ImageHeader) -> Decoded:
        """One frame, decoded. Raises DataSetError, OSError."""
        key = (wanted.path, wanted.spans, header.rows, header.columns, header.samples_per_pixel)
        if key != self._key or self._reader is None:
            self._close()
            self._file = file = os.open(wanted.path, os.O_RDONLY | os.O_CLOEXEC)
            stream = Stretches(lambda offset, length: os.pread(file, length, offset), wanted.spans)
            self._reader, self._key = VideoReader(stream, header), key
        return self._reader.frame(wanted.index)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._file >= 0:
            os.close(self._file)
        self._key, self._reader, self._file = None, None, -1


def answer(request: Request, data: bytes, videos: Videos | None = None) -> tuple[Reply, bytes]:
    """What is made of one frame, or why nothing is; `videos` is where frames of videos come from."""
    from gantry.pixels import pictures
    from gantry.pixels.codecs import native
    from gantry.pixels.decode import decode
    from gantry.pixels.display.render import render
    from gantry.pixels.states.render_presented import render_presented

    try:
        if request.picture:
            return Reply(), pictures.read(data, request.picture)
        if request.plan is not None and request.rendering is not None:
            return Reply(), render_presented(request.plan, _cut(data, request.lengths), request.rendering)
        if request.video is None and request.job is not None:
            return Reply(), transcode_frame(data, request.job)[0]
        if request.video is not None and videos is not None:
            decoded = videos.frame(request.video, request.header)
        else:
            decoded = decode(data, request.syntax_uid, request.header)
        if request.job is not None:
            return Reply(), encode_frame(decoded, request.job)
        photometric = decoded.header.photometric_interpretation
        if request.rendering is not None:
            return Reply(photometric=photometric), render(
                decoded.pixels, photometric, decoded.header, request.rendering
            )
        return Reply(photometric=photometric), native.octets(decoded.pixels, decoded.header)
    except CallerError as error:
        return Reply(error=str(error)), b""
    except DataSetError as error:
        return Reply(error=error.cause, tag=error.tag), b""
    except OSError as error:
        return Reply(error=f"the video cannot be read: {error.strerror}"), b""
    except MemoryError:
        return Reply(error="decoding took more memory than a frame may"), b""
    except (ValueError, IndexError, OverflowError, TypeError) as error:
        # A header that contradicts itself in a way nobody thought of: an error of this frame only.
        return Reply(error=f"the frame does not fit its header: {error}"), b""


def _cut(data: bytes, lengths: tuple[int, ...]) -> list[bytes]:
    starts = itertools.accumulate(lengths, initial=0)
    return [data[start : start + length] for start, length in zip(starts, lengths, strict=False)]


def _read(source: int) -> tuple[Request, bytes] | None:
    lengths = _read_exactly(source, LENGTHS.size)
    if lengths is None:
        return None
    envelope_length, payload_length = LENGTHS.unpack(lengths)
    envelope = _read_exactly(source, envelope_length)
    payload = _read_exactly(source, payload_length)
    if envelope is None or payload is None:
        return None
    return msgspec.msgpack.decode(envelope, type=Request), payload


def _read_exactly(source: int, length: int) -> bytes | None:
    parts: list[bytes] = []
    missing = length
    while missing:
        part = os.read(source, min(missing, 1 << 20))
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write(target: int, buffers: list[bytes]) -> None:
    for buffer in buffers:
        view = memoryview(buffer)
        while view:
            view = view[os.write(target, view) :]


if __name__ == "__main__":
    main()
