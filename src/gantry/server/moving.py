"""Several frames as one moving picture: each rendered like a single one, then encoded by a process of its
own.

Frames go through one at a time, a few ahead, into a temporary file that is kept as a rendition; so a
thousand cost no more memory than ten, and who asks again, or for a range, gets what is there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gantry.archive.records import Location
from gantry.dicomweb.rendering import GIF, MP4, RenderingParameters
from gantry.errors import DataSetError, OutOfSpace, WebRequestError
from gantry.pixels.pnm import from_pnm
from gantry.server.ahead import ahead
from gantry.server.flights import Flights
from gantry.server.moving_worker import FRAME_HEAD, MAX_GIF_PIXELS, MAX_SIDE, video_is_there
from gantry.server.renderer import DEFAULT_QUALITY, Renderer, digest_of

MAX_MOVING_FRAMES = 10_000
"""Of one moving picture: a quarter of an hour at ten a second, and minutes of work."""

MAX_AT_ONCE = 2
"""Moving pictures that are made at the same time: each takes all cores while it lasts."""

DEADLINE_S = 600.0
_FRAMES_AHEAD = 4
_MAX_REASON_BYTES = 4096

Frames = Sequence[tuple[Location, int]]


class MovingPictures:
    """Makes moving pictures, and keeps them among the renditions."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._flights = Flights[Path]()
        self._room = asyncio.Semaphore(MAX_AT_ONCE)

    @property
    def has_video(self) -> bool:
        """Whether MP4 can be made, and not only GIF."""
        return video_is_there()

    async def made(self, frames: Frames, asked: RenderingParameters, media_type: str) -> Path:
        """The file with these frames, which somebody may remove at any time.

        Raises DataSetError where one of them cannot be shown, WebRequestError 413 for too many, OutOfSpace.
        """
        if len(frames) > MAX_MOVING_FRAMES:
            raise WebRequestError(
                413, f"{len(frames)} frames in one moving picture; at most {MAX_MOVING_FRAMES}"
            )
        renditions = self._renderer.renditions
        if renditions is None:
            raise WebRequestError(406, "this server makes no moving pictures")
        key = digest_of(list(frames), asked, media_type, "moving")
        found = await asyncio.to_thread(renditions.find, key)
        return found or await self._flights.join(key, lambda: self._make(key, frames, asked, media_type))

    async def _make(self, key: str, frames: Frames, asked: RenderingParameters, media_type: str) -> Path:
        renditions = self._renderer.renditions
        assert renditions is not None
        async with self._room:
            try:
                temporary = await asyncio.to_thread(renditions.temporary)
            except OSError as error:
                raise OutOfSpace(f"no room for a moving picture: {error.strerror}") from error
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await self._encode(frames, asked, media_type, temporary)
                return await asyncio.to_thread(renditions.adopt, temporary, key)
            except TimeoutError:
                raise DataSetError(f"the moving picture took longer than {DEADLINE_S:g} s") from None
            except OSError as error:
                raise OutOfSpace(f"the moving picture cannot be written: {error.strerror}") from error
            finally:
                temporary.unlink(missing_ok=True)

    async def _encode(self, frames: Frames, asked: RenderingParameters, media_type: str, path: Path) -> None:
        durations = await asyncio.to_thread(self._durations, frames)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gantry.server.moving_worker",
            media_type, str(asked.quality or DEFAULT_QUALITY), str(path),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # An encoder that gives up stops reading; its reason is what matters then.
            with suppress(ConnectionError):
                await self._feed(process.stdin, frames, durations, asked, media_type)
                process.stdin.close()
            reason = await process.stdout.read(_MAX_REASON_BYTES)
            status = await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if reason:
            raise DataSetError(reason.decode(errors="replace"))
        if status:
            raise DataSetError(f"the encoder ended with status {status}")

    async def _feed(
        self,
        encoder: asyncio.StreamWriter,
        frames: Frames,
        durations: Sequence[float],
        asked: RenderingParameters,
        media_type: str,
    ) -> None:
        async def plain(one: tuple[Location, int]) -> bytes:
            return await self._renderer.plain(*one, asked, MAX_SIDE)

        n = 0
        async for task in ahead(frames, plain, _FRAMES_AHEAD):
            try:
                picture = task.result()
            except DataSetError as error:
                raise DataSetError(f"frame {frames[n][1]} of {frames[n][0].key.sop_uid}: {error}") from error
            if n == 0 and media_type == GIF:
                self._check_gif(picture, len(frames))
            encoder.writelines([FRAME_HEAD.pack(round(durations[n] * 1000), len(picture)), picture])
            await encoder.drain()
            n += 1

    def _check_gif(self, picture: bytes, count: int) -> None:
        rows, columns = from_pnm(picture).shape[:2]
        if rows * columns * count > MAX_GIF_PIXELS:
            other = f" or for {MP4}" if self.has_video else ""
            raise WebRequestError(
                413, f"a GIF of {count} frames is too large; ask for a smaller viewport{other}"
            )

    def _durations(self, frames: Frames) -> list[float]:
        """Milliseconds of each frame, as its object says."""
        by_object: dict[bytes, tuple[float, ...]] = {}
        durations = []
        for location, frame in frames:
            if location.dataset_sha256 not in by_object:
                by_object[location.dataset_sha256] = self._renderer.images.durations_ms(location)
            durations.append(by_object[location.dataset_sha256][frame - 1])
        return durations
