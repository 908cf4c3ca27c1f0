"""Decoding under guard: a few long-lived worker processes, one frame a call, killed past the deadline.

`Decoders` hands each frame to an idle worker and waits. A worker that dies, or is killed because
its time is up, costs the frame it held (DataSetError) and is replaced at the next call.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import msgspec

from gantry.errors import DataSetError
from gantry.pixels import pictures
from gantry.pixels.image import ImageHeader, Rendering
from gantry.pixels.states.presented import Presented
from gantry.pixels.transcode import FrameJob
from gantry.pixels.video import VideoFrame
from gantry.server.decoder_worker import LENGTHS, Reply, Request
from gantry.server.traces import DECODE, part
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES

StoredFrame = bytes | memoryview | VideoFrame
"""A frame as it is kept: its bytes, or which one it is of a video."""

DEADLINE_S = 20.0
_PIPE_BYTES = 1 << 20


def syntax_name(request: Request) -> str:
    """What the frame is kept in, in the standard's words and never in the object's own."""
    if request.picture:
        return request.picture
    known = TRANSFER_SYNTAXES.get(request.syntax_uid)
    return "unknown" if known is None else known.name


class _Worker:
    """One child process and the pipes to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gantry.server.decoder_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_PIPE_BYTES,
            start_new_session=True,  # a Ctrl-C at the terminal is for the server, which then ends its workers
        )
        return cls(process)

    async def call(self, request: Request, data: bytes | memoryview) -> tuple[Reply, bytes]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        envelope = msgspec.msgpack.encode(request)
        self._process.stdin.writelines([LENGTHS.pack(len(envelope), len(data)) + envelope, data])
        await self._process.stdin.drain()
        lengths = await self._process.stdout.readexactly(LENGTHS.size)
        envelope_length, payload_length = LENGTHS.unpack(lengths)
        answer = await self._process.stdout.readexactly(envelope_length + payload_length)
        return msgspec.msgpack.decode(answer[:envelope_length], type=Reply), answer[envelope_length:]

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Decoders:
    """At most `size` workers, started as they are first needed."""

    def __init__(self, size: int | None = None, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._free = asyncio.Semaphore(size or max(1, os.cpu_count() or 1))
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def warm(self) -> None:
        """Start one worker ahead of the first request."""
        async with self._worker():
            pass

    async def render(
        self, data: StoredFrame, syntax_uid: str, header: ImageHeader, rendering: Rendering
    ) -> bytes:
        """An encoded picture of one stored frame; DataSetError where it cannot be made."""
        _, picture = await self._call(Request(syntax_uid, header, rendering), data)
        return picture

    async def present(self, frames: Sequence[bytes], plan: Presented, rendering: Rendering) -> bytes:
        """An encoded picture by a presentation state; `frames` as in `pixels.presented.render_presented`."""
        lengths = tuple(map(len, frames))
        request = Request(plan.below.syntax_uid, plan.below.header, rendering, plan=plan, lengths=lengths)
        _, picture = await self._call(request, b"".join(frames))
        return picture

    async def decode(self, data: StoredFrame, syntax_uid: str, header: ImageHeader) -> tuple[str, bytes]:
        """Photometric interpretation and plain samples, little endian and colour by pixel, of one frame."""
        reply, samples = await self._call(Request(syntax_uid, header, None), data)
        return reply.photometric, samples

    async def transcode(self, data: StoredFrame, job: FrameJob) -> bytes:
        """One stored frame in another transfer syntax."""
        _, frame = await self._call(Request(job.source_uid, job.source, None, job), data)
        return frame

    async def read_picture(self, data: bytes, media_type: str) -> tuple[ImageHeader, bytes]:
        """A PNG or GIF: the header of one frame, and the samples of all. Raises DataSetError."""
        header = pictures.look(data, media_type)
        _, samples = await self._call(Request("", header, None, picture=media_type), data)
        return header, samples

    def run_frame(self) -> Callable[[bytes, FrameJob], bytes]:
        """`transcode` for threads, which wait for the loop that runs now."""
        loop = asyncio.get_running_loop()

        def run(data: bytes, job: FrameJob) -> bytes:
            return asyncio.run_coroutine_threadsafe(self.transcode(data, job), loop).result()

        return run

    async def close(self) -> None:
        """End all workers."""
        workers, self._all = self._all, set()
        self._idle.clear()
        await asyncio.gather(*(worker.kill() for worker in workers))

    async def _call(self, request: Request, data: StoredFrame) -> tuple[Reply, bytes]:
        if isinstance(data, VideoFrame):
            request, data = replace(request, video=data), b""
        request.header.check_size()  # before any memory is taken for it
        with part(DECODE) as span:
            if span is not None:
                span.note("gantry.transfer_syntax", syntax_name(request))
            async with self._worker() as worker:
                try:
                    async with asyncio.timeout(self._deadline_s):
                        reply, payload = await worker.call(request, data)
                except TimeoutError:
                    raise DataSetError(
                        f"decoding took longer than {self._deadline_s:g} s and was ended"
                    ) from None
                except (asyncio.IncompleteReadError, ConnectionError):
                    raise DataSetError("the decoder ended on this frame") from None
            if reply.error:
                raise DataSetError(reply.error, tag=reply.tag)
            return reply, payload

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[_Worker]:
        """An idle worker, or a new one; given back only when its call went through."""
        async with self._free:
            worker = self._idle.pop() if self._idle else await _Worker.start()
            self._all.add(worker)
            try:
                yield worker
            except BaseException:
                self._all.discard(worker)
                await worker.kill()
                raise
            self._idle.append(worker)
