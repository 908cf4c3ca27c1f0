"""Options of commands that work on many objects, and who does that work: threads, processes, a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gantry.errors import CallerError
from gantry.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from gantry.archive.archive import Archive
    from gantry.archive.batch import Batch
    from gantry.archive.disk import Disk

_F = TypeVar("_F", bound=Callable[..., Any])
_Place = TypeVar("_Place")

_FEW = 1_000
"""Objects that threads are done with before processes have begun."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Who does the work, as the options say."""

    jobs: int | None
    cluster: str | None

    def can_be_threads(self, objects: int) -> bool:
        """Whether so many objects need no other processes."""
        return not self.jobs and not self.cluster and objects < _FEW

    @contextmanager
    def executor(self) -> Iterator[tuple[Executor, int]]:
        """Who does it, and how many shares of the work to give out at once. Raises SettingsError."""
        from gantry.toolkit import executors
        from gantry.toolkit.cores import CORES

        chosen = executors.cluster(self.cluster) if self.cluster else executors.processes(self.jobs or CORES)
        with chosen as found:
            yield found

    @contextmanager
    def batch(self, reach: Callable[[], AbstractContextManager[_Place]]) -> Iterator[Batch[_Place]]:
        """Them at work on what `reach` gives, which is called where the work is done."""
        from gantry.archive.batch import Batch

        with self.executor() as (executor, width):
            yield Batch(executor, reach, width)

    @contextmanager
    def on_archive(self, archive: Archive, settings: Settings) -> Iterator[Batch[Disk]]:
        """Them at work on the objects of our archive, which is open here."""
        from gantry.archive.places import Places

        if self.can_be_threads(archive.stats().versions):
            with archive.batch() as batch:
                yield batch
            return
        # Workers have folders of their own to be in. The index is ours alone, and so is its password
        places = replace(Places.of(settings), folder=settings.data.absolute(), index="")
        with self.batch(places.working) as batch:
            yield batch


def batch_options(command: _F) -> _F:
    """Options of a command that works on many objects: it is called with `hands` and `resume`."""

    def chosen(context: click.Context, parameter: click.Parameter, cluster: str | None) -> Hands:
        jobs: int | None = context.params.pop("jobs", None)
        if jobs and cluster:
            raise CallerError("--jobs is for processes of this machine; a cluster has its own workers")
        return Hands(jobs, cluster)

    for option in (
        click.option("--resume", is_flag=True, help="Go on with what was broken off."),
        click.option(
            "--cluster",
            "hands",
            metavar="ADDRESS",
            callback=chosen,
            help="Have the workers of a dask cluster do it, whose scheduler is at tcp://HOST:PORT.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(1, 256),
            is_eager=True,
            help="Processes that do the work.  [default: number of cores]",
        ),
    ):
        command = option(command)
    return command
