"""Executors for work on many objects: processes of this machine, or a cluster that is there already.

Each is a `concurrent.futures.Executor` whose futures raise BrokenExecutor where a process died of its call,
and goes on with others after that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from gantry import __version__
from gantry.errors import SettingsError, StorageError
from gantry.toolkit.workers import WorkerDied, Workers

R = TypeVar("R")

_CONNECT_S = 10
_SHARES_EACH = 2
"""Under way for each core: one more than it works on, so that it never waits for the next."""

_AWAY = "the cluster let go of the work: is its scheduler away?"


class Processes(Executor):
    """`count` processes, begun as they are needed; one that dies is replaced."""

    def __init__(self, count: int) -> None:
        self._workers = Workers(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="gantry-processes")

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """As `Executor.submit`; `fn` is a function of a module, what it takes and answers can be pickled."""
        if kwargs:
            raise TypeError("arguments are passed by place")
        return self._threads.submit(self._call, fn, args)

    def _call(self, fn: Callable[..., R], args: tuple[Any, ...]) -> R:
        try:
            answer: R = self._workers.call(fn, *args, deadline_s=None)
        except WorkerDied as error:
            raise BrokenExecutor(str(error)) from error
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `Executor.shutdown`; it always waits for calls that were begun."""
        self._threads.shutdown(cancel_futures=cancel_futures)
        self._workers.__exit__()


@contextmanager
def processes(count: int) -> Iterator[tuple[Executor, int]]:
    """An executor of so many processes, and how many shares of work to give it at once."""
    executor = Processes(count)
    try:
        yield executor, _SHARES_EACH * count
    finally:
        executor.shutdown(cancel_futures=True)


class _OnCluster(Executor):
    """Calls made by the workers of a cluster, through the futures of its client."""

    def __init__(self, client: Any) -> None:
        # A call whose worker is lost is made again by another; the scheduler counts how often
        self._executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """As `Executor.submit`."""
        from distributed.client import ClosedClientError

        answer: Future[R] = Future()
        answer.set_running_or_notify_cancel()
        try:
            done = self._executor.submit(fn, *args, **kwargs)
        except ClosedClientError as error:
            raise StorageError(_AWAY) from error
        done.add_done_callback(lambda done: _pass_on(done, answer))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `Executor.shutdown`."""
        from distributed.client import ClosedClientError

        # Without its scheduler there is nothing to be taken back
        with suppress(ClosedClientError):
            self._executor.shutdown(wait=wait)


def _pass_on(done: Future[R], answer: Future[R]) -> None:
    from distributed import KilledWorker

    if done.cancelled():
        answer.set_exception(StorageError(_AWAY))
        return
    error = done.exception()
    if isinstance(error, KilledWorker):
        answer.set_exception(BrokenExecutor(f"workers of the cluster died of it: {error}"))
    elif error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """An executor of the workers that a dask scheduler at ``tcp://HOST:PORT`` has, as `processes`.

    Raises SettingsError where there is none, where it has no workers, or they run another version of us.
    """
    try:
        import distributed
    except ImportError as error:
        raise SettingsError(
            f"a cluster needs distributed: pip install 'gantry[cluster]' ({error})"
        ) from error
    # What they say of a scheduler that is away is told as our own error, without where in them that was seen
    for name in "distributed", "distributed.client", "tornado.application":
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client: Any = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise SettingsError(f"no scheduler answers at {address}: {error}") from error
    with client:
        cores = sum(client.ncores().values())
        if not cores:
            raise SettingsError(f"the scheduler at {address} has no workers")
        for worker, version in _versions(client).items():
            if version != __version__:
                raise SettingsError(f"worker {worker} has version {version}, and we are {__version__}")
        executor = _OnCluster(client)
        try:
            yield executor, _SHARES_EACH * cores
        finally:
            executor.shutdown(wait=False)


def _versions(client: Any) -> dict[str, str]:
    answers: dict[str, Any] = client.run(_version, on_error="return")
    return {
        worker: answer if isinstance(answer, str) else f"none ({answer})"
        for worker, answer in answers.items()
    }


def _version() -> str:
    return __version__
