"""`gantry convert` as a whole process, from its start to its end, beside programs that do the same:
`python -m benchmarks.convert` measures these rows alone.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.corpus import study
from benchmarks.results import Line

GANTRY = (sys.executable, "-m", "gantry", "convert")
CENTER, WIDTH = 40.0, 400.0


def lines(folder: Path, slices: int, rounds: int) -> Iterator[Line]:
    """Rows of the table; volumes need dcm2niix, video needs PyAV."""
    given = folder / "ct"
    given.mkdir()
    for n, item in enumerate(study(900, slices)):
        (given / f"{n:04d}.dcm").write_bytes(item.part10)
    if shutil.which("dcm2niix"):
        yield from _nifti(folder, given, slices, rounds)
    else:
        print("dcm2niix is not installed: no NIfTI row", file=sys.stderr)
    yield _video(folder, given, slices, rounds)


def _nifti(folder: Path, given: Path, slices: int, rounds: int) -> Iterator[Line]:
    ours, theirs = folder / "ours", folder / "theirs"
    for suffix, zipped, must in (("nii", "n", 1.5), ("nii.gz", "y", None)):
        mine, peers = [], []
        for _ in range(rounds):
            for out in (ours, theirs):
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
            mine.append(_seconds(*GANTRY, given, ours / f"x.{suffix}"))
            peers.append(_seconds("dcm2niix", "-z", zipped, "-b", "n", "-f", "x", "-o", theirs, given))
        if suffix == "nii" and (ours / "x.nii").read_bytes()[352:] != (theirs / "x.nii").read_bytes()[352:]:
            raise RuntimeError("the voxels are not the same")
        work = f"{slices}-slice CT to NIfTI" + (", compressed" if zipped == "y" else "")
        yield Line(work, "s", statistics.median(mine), "dcm2niix", statistics.median(peers), must, rate=False)


def _video(folder: Path, given: Path, slices: int, rounds: int) -> Line:
    """Beside the same encoder that is given pictures which are ready."""
    ready, out = folder / "ready.npy", folder / "video"
    pixels = np.stack([np.frombuffer(item.part10[-524288:], "<u2") for item in study(900, slices)])
    share = (pixels.reshape(-1, 512, 512).astype(np.float32) - 1024 - (CENTER - 0.5)) / (WIDTH - 1) + 0.5
    np.save(ready, (np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8))
    mine, theirs = [], []
    for _ in range(max(1, rounds // 2)):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        mine.append(_seconds(*GANTRY, given, out / "x.mp4"))
        theirs.append(_seconds(sys.executable, "-m", "benchmarks.convert", ready, out / "y.mp4"))
    return Line(
        f"series of {slices} to MP4", "s", statistics.median(mine), "SVT-AV1 alone, pictures ready",
        statistics.median(theirs), rate=False,
    )  # fmt: skip


def _seconds(*command: object) -> float:
    quiet = {**os.environ, "SVT_LOG": "0"}
    started = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, capture_output=True, env=quiet)
    return time.perf_counter() - started


def _encode(ready: Path, out: Path) -> None:
    import av

    with av.open(str(out), "w", format="mp4") as container:
        stream = container.add_stream("libsvtav1", rate=10, options={"preset": "10", "crf": "28"})
        stream.width = stream.height = 512
        stream.pix_fmt = "yuv420p"
        for picture in np.load(ready):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())


def main() -> None:
    if len(sys.argv) == 3:
        _encode(Path(sys.argv[1]), Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir=os.environ.get("GANTRY_BENCH_DIR")) as name:
        for line in lines(Path(name), 250, 9):
            print(f"{line.work:40} {line.gantry:.3f} s  {line.peer_name}: {line.peer:.3f} s  "
                  f"ratio {line.ratio:.2f} {line.verdict}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
