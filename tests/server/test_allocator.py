"""The allocator is tuned where it is glibc, in a process of its own: there is no way back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import threading
from pathlib import Path
from gantry.server.allocator import keep_buffers

def faults():
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[7])

def churn():
    before = faults()
    for _ in range(100):
        held = [b"x" * size for size in (512 << 10, 300 << 10, 700 << 10, 1 << 20)]
        del held
    print(faults() - before)

assert not {tuned} or keep_buffers()
for _ in range(2):
    thread = threading.Thread(target=churn)
    thread.start()
    thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is tuned")
@pytest.mark.parametrize("tuned", [False, True])
def test_buffers_that_threads_freed_are_used_again(tuned: bool) -> None:
    program = PROGRAM.format(tuned=tuned)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # 2.5 MB are 625 pages: all of them are new each time, or none.
    assert (int(done.stdout.split()[1]) < 1000) is tuned
