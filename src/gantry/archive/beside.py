"""Work done in a thread beside the one that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def beside(
    pool: ThreadPoolExecutor, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> Future[_T]:
    """`pool.submit`; here and now where the interpreter is ending, when no pool takes work any more.

    Threads of a program whose main thread has ended may still be storing then.
    """
    try:
        return pool.submit(call, *args, **kwargs)
    except RuntimeError:
        done: Future[_T] = Future()
        try:
            done.set_result(call(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as a pool does: whoever asks for the result gets it
            done.set_exception(error)
        return done
