"""Work in processes of our own: one that dies costs its task, and the others are done."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gantry.errors import CallerError
from gantry.toolkit.workers import Workers, in_processes


def half(task: int) -> int:
    """Of an even number; an odd one kills the process."""
    if task % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task // 2


def failed(task: int, why: str) -> str:
    return f"{task}: {why}"


def test_tasks_that_kill_their_process_cost_only_themselves() -> None:
    done = dict(in_processes(range(10), half, failed, 2))
    assert {task: done[task] for task in range(0, 10, 2)} == {task: task // 2 for task in range(0, 10, 2)}
    assert {task: done[task] for task in range(1, 10, 2)} == {
        task: f"{task}: the codec crashed on it (SIGKILL)" for task in range(1, 10, 2)
    }


def test_tasks_are_taken_as_there_is_room() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(1_000_000):
            taken += 1
            yield 2 * number

    results = in_processes(tasks(), half, failed, 2)
    assert next(results)[1] in range(4)
    results.close()
    assert taken <= 8


def test_what_comes_first_is_called_once_in_each_process() -> None:
    niceness = os.nice(0)
    done = list(in_processes(range(3), os.nice, failed, 1, partial(os.nice, 3)))
    assert sorted(done) == [(0, niceness + 3), (1, niceness + 4), (2, niceness + 6)]  # as they are ready


def test_what_fails_first_is_told() -> None:
    with Workers(1, partial(os.stat, "/nothing/there")) as workers, pytest.raises(FileNotFoundError):
        workers.call(half, 2)


def test_calls_one_by_one_begin_one_process() -> None:
    with Workers(8) as workers:
        assert len({workers.call(os.getpid) for _ in range(5)}) == 1


def test_an_error_of_a_task_is_raised() -> None:
    with pytest.raises(CallerError):
        list(in_processes([1], _wrong, failed, 1))


def _wrong(_: int) -> None:
    raise CallerError("as asked")


def test_processes_end_with_the_work() -> None:
    with Workers(1) as workers:
        process = workers.call(os.getpid)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
