"""Progress on standard error, for people: nothing is drawn where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """A bar, over `total()` things where that can be told; it is asked only if the bar is shown."""

    def __init__(
        self, label: str, total: Callable[[], int | None] = lambda: None, *, quiet: bool = False
    ) -> None:
        self._label = label
        self._total = total
        self._shown = not quiet and sys.stderr.isatty()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._shown:
            # rich takes a tenth of a second to import, which scripts need not wait for.
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            # Results keep their own stream, whatever is drawn on the other.
            console = Console(stderr=True)
            self._progress = Progress(*columns, console=console, transient=True, redirect_stdout=False)
            self._progress.start()
            self._task = self._progress.add_task(self._label, total=self._total())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, count)

    def reached(self, count: int, total: int | None = None) -> None:
        """So many are done in all."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=count, total=total)
