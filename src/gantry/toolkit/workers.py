"""Processes of our own in which codecs run: one that crashes costs the file it was working on.

Not `multiprocessing`, whose processes import the caller's own program again, so that a short script that
calls `gantry.convert` would begin anew in each of them. A worker is `python -m gantry.toolkit.workers`: it
reads a call from its input, a length and a pickle, makes it, and writes what came of it. It ends with its
input, and so with the process that began it.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from struct import Struct
from typing import IO, Any, Self, TypeVar

from gantry.errors import CallerError, DataSetError, GantryError, StorageError

_LENGTH = Struct("<Q")


class WorkerDied(DataSetError):
    """The process ended before it had an answer."""


MEMORY_LIMIT_BYTES = 24 << 30
"""Address space of a worker, most of it never used: a volume or animation at its limit, encoders' threads."""


T = TypeVar("T")
D = TypeVar("D")


def in_processes(
    tasks: Iterable[T],
    run: Callable[[T], D],
    failed: Callable[[T, str], D],
    jobs: int,
    first: Callable[[], object] | None = None,
) -> Iterator[tuple[T, D]]:
    """Each task with what `run`, a function of a module, made of it in another process, as it is done.

    There are `jobs` processes. Tasks are taken as there is room for them, so that there may be any number.
    `failed` makes the result of one whose process died, from the reason in words. `first` is called once in
    each process.
    """
    from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

    def done(task: T) -> D:
        try:
            result: D = workers.call(run, task, deadline_s=None)
        except DataSetError as error:
            return failed(task, str(error))
        return result

    waiting = iter(tasks)
    under_way: dict[Future[D], T] = {}
    with Workers(jobs, first) as workers, ThreadPoolExecutor(jobs) as threads:
        try:
            for task in islice(waiting, 2 * jobs):
                under_way[threads.submit(done, task)] = task
            while under_way:
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield under_way.pop(future), future.result()
                    for task in islice(waiting, 1):
                        under_way[threads.submit(done, task)] = task
        finally:
            for future in under_way:
                future.cancel()


class Workers:
    """Up to `count` processes, begun when they are needed; used as a context, which ends them.

    `first` is called once in each of them.
    """

    def __init__(self, count: int, first: Callable[[], object] | None = None) -> None:
        # The one that worked last works next: no other is begun for calls that come one by one.
        self._idle: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._count = count
        self._first = first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for _ in range(self._count):
            with suppress(queue.Empty):
                worker = self._idle.get_nowait()
                if worker is not None:
                    _end(worker)

    def call(self, function: Callable[..., Any], *arguments: object, deadline_s: float | None = 600.0) -> Any:
        """What `function` answers, in another process; waits for one that is idle.

        Raises what it raises where that is a GantryError or OSError, and WorkerDied where the process dies
        or has no answer after `deadline_s`.
        """
        worker = self._idle.get()
        try:
            if worker is None or worker.poll() is not None:
                worker = _begin()
                if self._first is not None and (answer := _ask(worker, pickle.dumps((self._first, ())))):
                    _value(answer)
            answer, is_late = _ask_until(worker, pickle.dumps((function, arguments)), deadline_s)
        except BaseException:
            # An answer may still be on its way, which must not be taken for that to the next call.
            if worker is not None:
                _end(worker)
            self._idle.put(None)
            raise
        if answer is None or is_late:
            code = worker.wait()
            _end(worker)
            self._idle.put(None)
            raise WorkerDied(f"no result after {deadline_s:g} s" if is_late else _how_it_died(code))
        self._idle.put(worker)
        return _value(answer)


_MADE, _FAILED = "made", "failed"


def _value(answer: bytes) -> Any:
    what, value = pickle.loads(answer)
    if what == _FAILED:
        raise value
    return value


def _begin() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gantry.toolkit.workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _ask_until(
    worker: subprocess.Popen[bytes], call: bytes, deadline_s: float | None
) -> tuple[bytes | None, bool]:
    """As `_ask`; and whether the time was over, in which case the process is ended."""
    if deadline_s is None:
        return _ask(worker, call), False
    started = time.monotonic()
    deadline = threading.Timer(deadline_s, worker.kill)
    deadline.daemon = True
    deadline.start()
    try:
        answer = _ask(worker, call)
    finally:
        deadline.cancel()
    is_late = time.monotonic() - started >= deadline_s
    if is_late:
        worker.kill()
    return answer, is_late


def _ask(worker: subprocess.Popen[bytes], call: bytes) -> bytes | None:
    """The answer; None where the process dies before it has one."""
    assert worker.stdin is not None and worker.stdout is not None
    try:
        _write(worker.stdin, call)
    except BrokenPipeError:
        return None
    return _read(worker.stdout)


def _how_it_died(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"the codec crashed on it ({signal.Signals(-code).name})"
    return f"the codec ended its process on it (exit code {code})"


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length: int = _LENGTH.unpack(head)[0]
    data = stream.read(length)
    return data if len(data) == length else None


# In the worker


def main() -> None:
    """Make calls from standard input until it ends."""
    # Ctrl-C reaches all processes of a terminal; it is for the one that began us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_resources()
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a codec prints must not reach the answers
    with os.fdopen(answers, "wb") as out:
        while (call := _read(sys.stdin.buffer)) is not None:
            _write(out, pickle.dumps(_answer(*pickle.loads(call))))


def _limit_resources() -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT_BYTES if most == resource.RLIM_INFINITY else min(most, MEMORY_LIMIT_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.setdefault("SVT_LOG", "0")  # what is fatal only; it tells of itself otherwise


def _answer(function: Callable[..., Any], arguments: tuple[object, ...]) -> tuple[str, Any]:
    try:
        return _MADE, function(*arguments)
    except MemoryError:
        return _FAILED, DataSetError("it takes more memory than there is")
    except DataSetError as error:
        return _FAILED, DataSetError(error.cause, tag=error.tag, offset=error.offset)
    except StorageError as error:
        return _FAILED, StorageError(str(error))
    except GantryError as error:
        return _FAILED, CallerError(str(error))
    except OSError as error:
        return _FAILED, OSError(error.errno, error.strerror, error.filename)


if __name__ == "__main__":
    main()
