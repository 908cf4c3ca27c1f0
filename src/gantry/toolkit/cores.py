"""Work on all cores of this process that lets others run meanwhile: reading, writing, NumPy, codecs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_Result = TypeVar("_Result")


def for_each(count: int, call: Callable[[int], None]) -> None:
    """`call(n)` for each n below `count`, in no certain order. Raises the first error; no other call begins
    after it.
    """
    # Not an executor: importing one takes as long as a tenth of the work on a whole series.
    numbers = iter(range(count))
    failed: list[Exception] = []
    stopped = threading.Event()

    def work() -> None:
        for number in numbers:  # next() of a range is one step that no other thread can come between
            if stopped.is_set():
                return
            call(number)

    def work_beside() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - as a pool does: whoever waits for all gets it
            failed.append(error)
            stopped.set()

    threads = [threading.Thread(target=work_beside) for _ in range(min(CORES, count) - 1)]
    for thread in threads:
        thread.start()
    try:
        work()
    except BaseException:
        stopped.set()
        raise
    finally:
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def in_order(count: int, call: Callable[[int], _Result]) -> Iterator[_Result]:
    """Results of `call(n)` in order, never more than a few computed ahead of who takes them."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(CORES) as pool:
        waiting: list[Future[_Result]] = []
        try:
            for number in range(count):
                waiting.append(pool.submit(call, number))
                if len(waiting) > 2 * CORES:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
