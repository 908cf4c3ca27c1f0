"""Codecs beside DCMTK, GDCM and pydicom's plugins, in one run: `python -m benchmarks.codecs`.

Ours is a whole transcode of a file in memory. DCMTK and GDCM are programs that read and write files, so that
what a program of theirs costs that copies the same file (its start, its reading and writing) is taken off.
pydicom's plugins run in this process: compression of a Data Set, and `pixel_array` of a file in memory. What
is counted is processor time, which neighbours of the machine disturb least; all take turns. Files have
several frames, so that codecs are most of what is done.
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import get_decoder, get_encoder, pixel_array

from benchmarks.results import Line
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import NAMES
from gantry.pixels.transcode import plan, transcode, transcode_frame
from gantry.server.allocator import FRAME_MAPPING_BYTES, keep_buffers

ROUNDS = 7
EXPLICIT = NAMES["explicit"]
FRAMES = {512: 16, 2048: 2}
"""Frames of a file by the side of a frame in pixels."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Programs:
    """Encoder and decoder of a peer that is a program, and its program that copies."""

    encode: tuple[str, ...]
    decode: tuple[str, ...]
    copy: tuple[str, ...]


def _dcmtk(encode: str, decode: str) -> Programs:
    return Programs(tuple(encode.split()), (decode,), ("dcmconv",))


def _gdcm(*options: str) -> Programs:
    return Programs(("gdcmconv", *options), ("gdcmconv", "-w"), ("gdcmconv",))


CODECS: dict[str, dict[str, Programs]] = {
    "rle": {"DCMTK": _dcmtk("dcmcrle", "dcmdrle"), "GDCM": _gdcm("--rle")},
    "jpeg": {
        "DCMTK": _dcmtk("dcmcjpeg +eb +q 90", "dcmdjpeg"),
        "GDCM": _gdcm("--jpeg", "--lossy", "-q", "90"),
    },
    "jpeg-lossless": {"DCMTK": _dcmtk("dcmcjpeg +e1", "dcmdjpeg"), "GDCM": _gdcm("--jpeg")},
    "jpeg-ls": {"DCMTK": _dcmtk("dcmcjpls", "dcmdjpls"), "GDCM": _gdcm("--jpegls")},
    "jpeg2000-lossless": {"GDCM": _gdcm("--j2k")},
    "htj2k-rpcl": {},
    "jpegxl-lossless": {},
    "deflated-frames": {},
}


def lines(names: Iterable[str] = CODECS) -> Iterator[Line]:
    """Encoding and decoding beside the fastest peer, and all cores beside one."""
    keep_buffers(FRAME_MAPPING_BYTES)  # as the processes that decode do
    for name in names:
        for size in FRAMES:
            yield from _measured(name, size)


def _measured(name: str, size: int) -> Iterator[Line]:
    native = _phantom(size, 8 if name == "jpeg" else 12)
    compressed = _transcoded(native, NAMES[name])
    with tempfile.TemporaryDirectory() as folder:
        work: dict[str, Work] = {
            "ours encode": lambda: _transcoded(native, NAMES[name]),
            "ours decode": lambda: _transcoded(compressed, EXPLICIT),
            **_programs(CODECS[name], native, compressed, Path(folder)),
            **_plugins(NAMES[name], native, compressed),
        }
        seconds = _in_turn(work, _processor)
    for direction in ("encode", "decode"):
        peers = {
            words[0]: spent - seconds.get(f"{words[0]} copy", 0.0)
            for label, spent in seconds.items()
            if (words := label.rsplit(" ", 1))[1] == direction and words[0] != "ours"
        }
        work_name = f"{direction} {name}, {size} x {size}"
        mine = seconds[f"ours {direction}"] * 1e3 / FRAMES[size]
        if peers:
            fastest = min(peers, key=lambda peer: peers[peer])
            yield Line(
                work_name, "CPU ms", mine, fastest, peers[fastest] * 1e3 / FRAMES[size], 1.0, rate=False
            )
    one, many = _frames_a_second(native, NAMES[name])
    cores = os.cpu_count() or 1
    must = 1.8 if cores > 1 else None
    yield Line(f"{name}, {size} x {size}, {cores} cores", "frames/s", many, "Gantry on one core", one, must)


def _phantom(size: int, bits: int) -> bytes:
    """A CT-like slice: an ellipse with noise of a few values, air around it."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = x**2 / 0.8 + y**2 / 0.5 < 1
    values = np.where(body, 1000 + 200 * np.sin(6 * x) + rng.normal(0, 12, (size, size)), 0)
    frame = (values / 6).astype(np.uint8) if bits == 8 else values.astype(np.uint16)
    pixels = np.stack([np.roll(frame, n, axis=0) for n in range(FRAMES[size])])
    ds = pydicom.Dataset()
    ds.NumberOfFrames = len(pixels)
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.3", "1.2.3.1", "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.Rows = ds.Columns = size
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = pixels.itemsize * 8, bits, bits - 1
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    with tempfile.TemporaryFile() as file:
        ds.save_as(file, enforce_file_format=True)
        file.seek(0)
        return file.read()


def _transcoded(file: bytes, uid: str) -> bytes:
    made = transcode(read_part10(file)[1], uid, new_sop_instance_uid="1.2.3.5")
    head = encode_file_meta(
        sop_class_uid=made.sop_class_uid, sop_instance_uid=made.sop_instance_uid, transfer_syntax_uid=uid
    )
    return b"".join([head, *made.pieces])


def _in_turn(work: dict[str, Work], clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each by `clock`, medians of rounds in which all take their turn."""
    spent: dict[str, list[float]] = {label: [] for label in work}
    for call in work.values():
        call()
    for _ in range(ROUNDS):
        for label, call in work.items():
            begun = clock()
            call()
            spent[label].append(clock() - begun)
    return {label: median(times) for label, times in spent.items()}


def _processor() -> float:
    """Seconds of processor time of this process and of the programs it has run."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _programs(peers: dict[str, Programs], native: bytes, compressed: bytes, folder: Path) -> dict[str, Work]:
    plain, packed, out = (folder / name for name in ("plain.dcm", "packed.dcm", "out.dcm"))
    plain.write_bytes(native)
    packed.write_bytes(compressed)
    work: dict[str, Work] = {}
    for peer, programs in peers.items():
        if shutil.which(programs.encode[0]) is None:
            continue
        work[f"{peer} encode"] = partial(_run, programs.encode, plain, out)
        work[f"{peer} decode"] = partial(_run, programs.decode, packed, out)
        work[f"{peer} copy"] = partial(_run, programs.copy, plain, out)
    return work


def _run(words: tuple[str, ...], source: Path, target: Path) -> None:
    subprocess.run([*words, source, target], check=True, capture_output=True)


def _plugins(uid: str, native: bytes, compressed: bytes) -> dict[str, Work]:
    work: dict[str, Work] = {}
    with suppress(NotImplementedError):
        for plugin in get_encoder(uid).available_plugins:
            work[f"pydicom {plugin} encode"] = partial(_compress, native, uid, plugin)
    with suppress(NotImplementedError):
        for plugin in get_decoder(uid).available_plugins:
            work[f"pydicom {plugin} decode"] = partial(_pixel_array, compressed, plugin)
    return work


def _compress(native: bytes, uid: str, plugin: str) -> None:
    pydicom.dcmread(io.BytesIO(native)).compress(uid, encoding_plugin=plugin)


def _pixel_array(compressed: bytes, plugin: str) -> None:
    pixel_array(io.BytesIO(compressed), decoding_plugin=plugin)


def _frames_a_second(native: bytes, uid: str) -> tuple[float, float]:
    """Encoded by one thread, and by as many as there are cores: codecs let go of the interpreter."""
    planned = plan(read_part10(native)[1], uid, Compression(), new_sop_instance_uid="1.2.3.5")
    assert planned.job is not None
    frame, job, cores = planned.frame(0), planned.job, os.cpu_count() or 1
    count = 4 * cores
    with ThreadPoolExecutor(cores) as pool:
        seconds = _in_turn(
            {
                "one": lambda: [transcode_frame(frame, job) for _ in range(count)],
                "many": lambda: list(pool.map(lambda _: transcode_frame(frame, job), range(count))),
            },
            time.perf_counter,
        )
    return count / seconds["one"], count / seconds["many"]


def main() -> None:
    """Print a table; of some codecs only, where they are named."""
    for line in lines(sys.argv[1:] or CODECS):
        print(
            f"{line.work:42} {line.gantry:9.2f} {line.unit:9} {line.peer_name}: {line.peer:.2f}"
            f"  ratio {line.ratio:.2f} {line.verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
