"""Codecs beside DCMTK, GDCM and pydicom's plugins, in one run: `python -m benchmarks.codecs`.

Ours encodes by a whole transcode of a file in memory, and decodes such a file to one array. pydicom's plugins
do the same in this process (compression of a Data Set, and `pixel_array`), so does GDCM's library. DCMTK's
are programs that read and write files, so that what it costs one to start, to read the one file and to write
the other is taken off: half of copying the one and half of copying the other. Where hardly anything is left,
no more can be said than that codec and copying are about as fast. What is counted is processor time,
which neighbours of the machine disturb least; all take turns. Files have several frames, so that codecs are
most of what is done.
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
from benchmarks.transcoding import decoded, length_transcoded, transcoded
from gantry.pixels.codecs.registry import NAMES
from gantry.server.allocator import FRAME_MAPPING_BYTES, keep_buffers
from gantry.toolkit.workers import Workers

ROUNDS = 7
EXPLICIT = NAMES["explicit"]
FRAMES = {512: 16, 2048: 2}
"""Frames of a file by the side of a frame in pixels."""

AT_ONCE_S = 0.5
"""Work of one core that is given to all, long enough for processes to be awake."""

LEAST_SHARE = 0.1
"""Of a program's time, which must be its codec's: what is less is not told from what else it does."""

FIRST = partial(keep_buffers, FRAME_MAPPING_BYTES)
"""What processes that decode and encode begin with."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Programs:
    """Encoder and decoder of a peer that is a program, and its program that copies."""

    encode: tuple[str, ...]
    decode: tuple[str, ...]
    copy: tuple[str, ...]


def _dcmtk(encode: str, decode: str) -> Programs:
    return Programs(tuple(encode.split()), (decode,), ("dcmconv",))


CODECS: dict[str, Programs | None] = {
    "rle": _dcmtk("dcmcrle", "dcmdrle"),
    "jpeg": _dcmtk("dcmcjpeg +eb +q 90", "dcmdjpeg"),
    "jpeg-lossless": _dcmtk("dcmcjpeg +e1", "dcmdjpeg"),
    "jpeg-ls": _dcmtk("dcmcjpls", "dcmdjpls"),
    "jpeg2000-lossless": None,
    "htj2k-rpcl": None,
    "jpegxl-lossless": None,
    "deflated-frames": None,
}
"""Codecs by their names, and the programs of DCMTK that have them."""


def lines(names: Iterable[str] = CODECS) -> Iterator[Line]:
    """Encoding and decoding beside the fastest peer, and all cores beside one."""
    FIRST()
    for name in names:
        for size in FRAMES:
            yield from _measured(name, size)


def _measured(name: str, size: int) -> Iterator[Line]:
    native = _phantom(size, 8 if name == "jpeg" else 12)
    compressed = transcoded(native, NAMES[name])
    with tempfile.TemporaryDirectory() as folder:
        work: dict[str, Work] = {
            "ours encode": lambda: transcoded(native, NAMES[name]),
            "ours decode": lambda: decoded(compressed),
            **_dcmtk_programs(CODECS[name], native, compressed, Path(folder)),
            **_gdcm(NAMES[name], Path(folder) / "plain.dcm"),
            **_plugins(NAMES[name], native, compressed),
        }
        seconds = _in_turn(work, _processor)
        one, many = _frames_a_second(Path(folder) / "plain.dcm", NAMES[name], size)
    for direction in ("encode", "decode"):
        peers = {}
        for label, spent in seconds.items():
            peer, _, what = label.rpartition(" ")
            if what == direction and peer != "ours":
                around = (seconds.get(f"{peer} copy", 0.0) + seconds.get(f"{peer} copy-packed", 0.0)) / 2
                if spent - around > LEAST_SHARE * spent:
                    peers[peer] = spent - around
        work_name = f"{direction} {name}, {size} x {size}"
        mine = seconds[f"ours {direction}"] * 1e3 / FRAMES[size]
        if peers:
            fastest = min(peers, key=lambda peer: peers[peer])
            yield Line(
                work_name, "CPU ms", mine, fastest, peers[fastest] * 1e3 / FRAMES[size], 1.0, rate=False
            )
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


def _in_turn(work: dict[str, Work], clock: Callable[[], float], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of each by `clock`, medians of rounds in which all take their turn."""
    spent: dict[str, list[float]] = {label: [] for label in work}
    for call in work.values():
        call()
    for _ in range(rounds):
        for label, call in work.items():
            begun = clock()
            call()
            spent[label].append(clock() - begun)
    return {label: median(times) for label, times in spent.items()}


def _processor() -> float:
    """Seconds of processor time of this process and of the programs it has run."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _dcmtk_programs(
    programs: Programs | None, native: bytes, compressed: bytes, folder: Path
) -> dict[str, Work]:
    plain, packed, out = (folder / name for name in ("plain.dcm", "packed.dcm", "out.dcm"))
    plain.write_bytes(native)
    packed.write_bytes(compressed)
    if programs is None or shutil.which(programs.encode[0]) is None:
        return {}
    return {
        "DCMTK encode": partial(_run, programs.encode, plain, out),
        "DCMTK decode": partial(_run, programs.decode, packed, out),
        "DCMTK copy": partial(_run, programs.copy, plain, out),
        "DCMTK copy-packed": partial(_run, programs.copy, packed, out),
    }


def _gdcm(uid: str, plain: Path) -> dict[str, Work]:
    """GDCM as a library, where it writes that transfer syntax. What it decodes is a plugin of pydicom."""
    try:
        import gdcm
    except ImportError:
        return {}
    syntax = gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(uid))

    def encode() -> bool:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(syntax)
        if uid == NAMES["jpeg"]:
            codec = gdcm.JPEGCodec()
            codec.SetLossless(False)
            codec.SetQuality(90)
            change.SetUserCodec(codec)
        if not reader.Read():
            return False
        change.SetInput(reader.GetImage())
        return bool(change.Change())

    return {"GDCM encode": encode} if encode() else {}


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


def _frames_a_second(file: Path, uid: str, size: int) -> tuple[float, float]:
    """Of files transcoded by one process of `gantry transcode`, and by one for each core."""
    cores = os.cpu_count() or 1

    def made(threads: ThreadPoolExecutor, workers: Workers) -> None:
        list(threads.map(lambda _: workers.call(length_transcoded, file, uid), range(files)))

    files = cores
    with Workers(1, FIRST) as one, Workers(cores, FIRST) as all_of_them, ThreadPoolExecutor(cores) as threads:
        works = {
            "one": lambda: made(threads, one),
            "many": lambda: made(threads, all_of_them),
        }
        _in_turn(works, time.perf_counter, rounds=1)
        seconds = _in_turn(works, time.perf_counter, rounds=1)
        files = max(cores, cores * round(AT_ONCE_S / seconds["one"]))
        seconds = _in_turn(works, time.perf_counter)
    frames = files * FRAMES[size]
    return frames / seconds["one"], frames / seconds["many"]


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
