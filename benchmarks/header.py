"""The header scan against pydicom, over a made header and, where they are, the shared files."""

from __future__ import annotations

import gc
import io
import statistics
import struct
import time
import zlib
from collections.abc import Callable

import pydicom

from benchmarks.corpus import study
from gantry.dataset.part10 import read_part10
from gantry.errors import DataSetError


def _median_us(call: Callable[[], object], repeat: int) -> float:
    times = []
    gc.collect()
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


def one_header(elements: int = 150) -> tuple[float, float]:
    """Microseconds to scan a CT header of `elements` elements: Gantry, pydicom `stop_before_pixels`."""
    item = next(iter(study(1, slices=1)))
    ds = pydicom.dcmread(io.BytesIO(item.part10))
    block = ds.private_block(0x0029, "BENCH", create=True)
    for n in range(elements - len(ds) - 1):
        block.add_new(n, "LO", f"value {n}")
    buffer = io.BytesIO()
    ds.save_as(buffer)
    data = buffer.getvalue()
    ours = _median_us(lambda: read_part10(data), 500)
    theirs = _median_us(lambda: pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True), 300)
    return ours, theirs


def _readable(data: bytes) -> bool:
    """Whether both read it; pydicom says no in many ways."""
    try:
        read_part10(data)
        pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    except (
        DataSetError,
        pydicom.errors.InvalidDicomError,
        ArithmeticError,
        LookupError,
        OSError,
        ValueError,
    ):
        return False
    except (NotImplementedError, TypeError, AttributeError, struct.error, zlib.error):
        return False
    return True


def files(contents: list[bytes]) -> tuple[float, float, int]:
    """Median microseconds over many files that both read, and how many there were."""
    ours, theirs = [], []
    for data in contents:
        if not _readable(data):
            continue
        ours.append(_median_us(lambda data=data: read_part10(data), 5))
        theirs.append(
            _median_us(lambda data=data: pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True), 5)
        )
    return statistics.median(ours), statistics.median(theirs), len(ours)
