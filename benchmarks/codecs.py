"""Codecs beside GDCM and DCMTK, in one run: `python -m benchmarks.codecs`. Ratios count, milliseconds drift.

Ours is a whole transcode of a file in memory. The peers are programs that read and write files, so that what
a program costs that copies the same file (its start, its reading and writing) is taken off their time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset

from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import NAMES
from gantry.pixels.transcode import plan, transcode, transcode_frame

ROUNDS = 7
EXPLICIT = NAMES["explicit"]
SIZES = (512, 2048)
CODECS = (
    "rle",
    "jpeg-lossless",
    "jpeg-ls",
    "jpeg2000-lossless",
    "htj2k-rpcl",
    "jpegxl-lossless",
    "deflated-frames",
)
PEERS: dict[str, dict[str, tuple[list[str], list[str]]]] = {
    "rle": {"DCMTK": (["dcmcrle"], ["dcmdrle"]), "GDCM": (["gdcmconv", "--rle"], ["gdcmconv", "-w"])},
    "jpeg-lossless": {
        "DCMTK": (["dcmcjpeg", "+e1"], ["dcmdjpeg"]),
        "GDCM": (["gdcmconv", "--jpeg"], ["gdcmconv", "-w"]),
    },
    "jpeg-ls": {
        "DCMTK": (["dcmcjpls"], ["dcmdjpls"]),
        "GDCM": (["gdcmconv", "--jpegls"], ["gdcmconv", "-w"]),
    },
    "jpeg2000-lossless": {"GDCM": (["gdcmconv", "--j2k"], ["gdcmconv", "-w"])},
}


def main() -> None:
    """Print a table."""
    print(
        f"{'codec':18} {'size':>5} {'encode ms':>10} {'decode ms':>10}  peers' time over ours: encode, decode"
    )
    for name in CODECS:
        for size in SIZES:
            _measure(name, size)


def _measure(name: str, size: int) -> None:
    native = _phantom(size)
    compressed = _transcoded(native, NAMES[name])
    encode = _timed(lambda: _transcoded(native, NAMES[name]))
    decode = _timed(lambda: _transcoded(compressed, EXPLICIT))
    words = [
        f"{peer} {e / encode:.1f} {d / decode:.1f}"
        for peer, (e, d) in _peers(name, native, compressed).items()
    ]
    cores = _on_all_cores(native, NAMES[name])
    print(
        f"{name:18} {size:5} {encode * 1e3:10.2f} {decode * 1e3:10.2f}  {', '.join(words) or 'none'};"
        f" {os.cpu_count()} cores {cores:.1f} x one"
    )


def _phantom(size: int) -> bytes:
    """A CT-like slice: an ellipse with noise of a few values, air around it."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = x**2 / 0.8 + y**2 / 0.5 < 1
    pixels = np.where(body, 1000 + 200 * np.sin(6 * x) + rng.normal(0, 12, (size, size)), 0).astype(np.uint16)
    ds = pydicom.Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.3", "1.2.3.1", "CT"
    ds.Rows = ds.Columns = size
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    with tempfile.TemporaryFile() as file:
        ds.save_as(file, enforce_file_format=True)
        file.seek(0)
        return file.read()


def _transcoded(file: bytes, uid: str) -> bytes:
    made = transcode(read_part10(file)[1], uid)
    head = encode_file_meta(
        sop_class_uid=made.sop_class_uid, sop_instance_uid=made.sop_instance_uid, transfer_syntax_uid=uid
    )
    return head + b"".join(bytes(piece) for piece in made.pieces)


def _timed(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return median(times)


def _peers(name: str, native: bytes, compressed: bytes) -> dict[str, tuple[float, float]]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, packed, out = (Path(folder) / name for name in ("plain.dcm", "packed.dcm", "out.dcm"))
        plain.write_bytes(native)
        packed.write_bytes(compressed)
        for peer, (encoder, decoder) in PEERS.get(name, {}).items():
            if shutil.which(encoder[0]) is None:
                continue
            copy = ["dcmconv"] if peer == "DCMTK" else ["gdcmconv"]
            encode = _program(encoder, plain, out) - _program(copy, plain, out)
            decode = _program(decoder, packed, out) - _program(copy, packed, out)
            found[peer] = max(encode, 0.0), max(decode, 0.0)
    return found


def _program(words: list[str], source: Path, target: Path) -> float:
    return _timed(lambda: subprocess.run([*words, source, target], check=True, capture_output=True))


def _on_all_cores(native: bytes, uid: str) -> float:
    """How many times as many frames a second as one thread makes, with as many threads as there are cores."""
    planned = plan(read_part10(native)[1], uid, Compression())
    assert planned.job is not None
    frame, job, cores = planned.frame(0), planned.job, os.cpu_count() or 1
    one = _timed(lambda: [transcode_frame(frame, job) for _ in range(2 * cores)])
    with ThreadPoolExecutor(cores) as pool:
        many = _timed(lambda: list(pool.map(lambda _: transcode_frame(frame, job), range(2 * cores))))
    return one / many


if __name__ == "__main__":
    main()
