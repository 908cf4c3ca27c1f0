"""Work beside the thread that waits: in the pool while there is one, at once when there is none any more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import current_thread

import pytest

from gantry.archive.beside import beside


def test_it_runs_in_the_pool() -> None:
    with ThreadPoolExecutor(1, thread_name_prefix="other") as pool:
        assert beside(pool, current_thread).result().name.startswith("other")


def test_without_a_pool_it_runs_at_once() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    assert beside(pool, current_thread).result() is current_thread()
    with pytest.raises(ZeroDivisionError):
        beside(pool, divmod, 1, 0).result()
