"""Codecs at work on many files: a process for each core, and one that dies costs the file it was at.

Tasks are taken as there is room for them, so that there may be any number. Those that were under way when a
process died are tried again one by one, each in a process that it may take with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
D = TypeVar("D")


def in_processes(
    tasks: Iterable[T],
    run: Callable[[T], D],
    crashed: Callable[[T], D],
    jobs: int,
    begin: Callable[[], object] = int,
) -> Iterator[tuple[T, D]]:
    """Each task with what `run`, a function of a module, made of it; `crashed` says it where that died.

    `begin` is called at the beginning of each process.
    """
    waiting = iter(tasks)
    first = list(islice(waiting, 2 * jobs))
    while first:
        under_way: dict[Future[D], T] = {}
        with _processes(min(jobs, len(first)), begin) as pool:
            try:
                for task in first:
                    under_way[pool.submit(run, task)] = task
                while under_way:
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        done = future.result()
                        yield under_way.pop(future), done
                        for task in islice(waiting, 1):
                            under_way[pool.submit(run, task)] = task
            except BrokenProcessPool:
                suspects = list(under_way.values())
        if under_way:
            for task in suspects:
                yield task, _alone(task, run, crashed, begin)
        first = list(islice(waiting, 2 * jobs))


def _processes(count: int, begin: Callable[[], object]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=begin)


def _alone(task: T, run: Callable[[T], D], crashed: Callable[[T], D], begin: Callable[[], object]) -> D:
    with _processes(1, begin) as pool:
        try:
            return pool.submit(run, task).result()
        except BrokenProcessPool:
            return crashed(task)
