"""Decoding under guard: a frame that kills, stalls or fills its worker costs that frame and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from gantry.errors import DataSetError
from gantry.pixels.display.render import Rendering
from gantry.pixels.image import ImageHeader, Window
from gantry.server.decoders import Decoders

HTJ2K = "1.2.840.10008.1.2.4.201"
NATIVE = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"

HEADER = ImageHeader(
    rows=64, columns=64, samples_per_pixel=1, photometric_interpretation="MONOCHROME2", planar_configuration=0,
    bits_allocated=16, bits_stored=16, high_bit=15, signed=False, number_of_frames=1, rescale_slope=1.0,
    rescale_intercept=0.0, windows=(Window(2000, 4000),), voi_lut_function="LINEAR", presentation_lut_shape="",
    pixel_padding_value=None, palette=None, pixel_aspect=(1.0, 1.0),
)  # fmt: skip
PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def test_a_frame_comes_back_as_samples_and_as_a_picture() -> None:
    async def journey() -> None:
        decoders = Decoders(size=1)
        photometric, samples = await decoders.decode(imagecodecs.htj2k_encode(PIXELS), HTJ2K, HEADER)
        assert (photometric, samples) == ("MONOCHROME2", PIXELS.tobytes())
        picture = await decoders.render(PIXELS.tobytes(), NATIVE, HEADER, Rendering())
        assert picture[:2] == b"\xff\xd8"
        await decoders.close()

    asyncio.run(journey())


def test_b57_broken_streams_are_errors_of_their_frame_only() -> None:
    async def journey() -> None:
        decoders = Decoders(size=1)
        good = imagecodecs.htj2k_encode(PIXELS)
        for broken in (b"", good[:20], b"\xff" * 500, RLE.encode() * 40):
            for syntax in (
                HTJ2K,
                RLE,
                "1.2.840.10008.1.2.4.70",
                "1.2.840.10008.1.2.4.80",
                "1.2.840.10008.1.2.4.90",
            ):
                with pytest.raises(DataSetError):
                    await decoders.decode(broken, syntax, HEADER)
        assert (await decoders.decode(good, HTJ2K, HEADER))[1] == PIXELS.tobytes()
        await decoders.close()

    asyncio.run(journey())


def test_b54_a_header_that_claims_too_much_is_refused_before_memory_is_taken() -> None:
    async def journey() -> None:
        decoders = Decoders(size=1)
        for rows, columns in ((65535, 65535), (0, 64), (64, 0)):
            with pytest.raises(DataSetError):
                await decoders.decode(b"ten bytes!", NATIVE, replace(HEADER, rows=rows, columns=columns))
        await decoders.close()

    asyncio.run(journey())


def test_b55_missing_pixels_are_zero() -> None:
    async def journey() -> None:
        decoders = Decoders(size=1)
        _, samples = await decoders.decode(b"\x01\x02", NATIVE, HEADER)
        assert samples == b"\x01\x02" + bytes(64 * 64 * 2 - 2)
        await decoders.close()

    asyncio.run(journey())


def test_a_killed_worker_costs_its_frame_and_the_next_is_served() -> None:
    async def journey() -> None:
        decoders = Decoders(size=1)
        await decoders.warm()
        for child in _workers():
            os.kill(child, signal.SIGKILL)
        with pytest.raises(DataSetError, match="ended on this frame"):
            await decoders.decode(PIXELS.tobytes(), NATIVE, HEADER)
        assert (await decoders.decode(PIXELS.tobytes(), NATIVE, HEADER))[1] == PIXELS.tobytes()
        await decoders.close()

    asyncio.run(journey())


def test_a_worker_that_stalls_is_ended_at_its_deadline() -> None:
    async def journey() -> None:
        decoders = Decoders(size=1, deadline_s=0.3)
        await decoders.warm()
        for child in _workers():
            os.kill(child, signal.SIGSTOP)
        with pytest.raises(DataSetError, match=r"longer than 0\.3 s"):
            await decoders.decode(PIXELS.tobytes(), NATIVE, HEADER)
        assert not _workers()
        await decoders.close()

    asyncio.run(journey())


def _workers() -> list[int]:
    """Decoder workers of this process, and none of its other children: servers that tests share are some, too."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z" and b"gantry.server.decoder_worker" in command:
            found.append(int(stat.parent.name))
    return found
