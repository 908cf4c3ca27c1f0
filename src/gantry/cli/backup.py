"""`gantry backup`: a copy of the archive, also while it is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.local import open_archive, running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import counted, note, print_json, result
from gantry.cli.progress import Bar
from gantry.errors import CallerError, ConnectError, NotFound
from gantry.settings import Settings

if TYPE_CHECKING:
    from gantry.archive.backup.manifest import Lost
    from gantry.archive.backup.restore import Restored
    from gantry.archive.backup.store import Store

# The server pauses commits for the list; one that is busy may take its time until it can.
_ANSWER_S = 300.0


@click.command("backup")
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--list", "only_list", is_flag=True, help="Print the points that TARGET holds; copy nothing.")
@click.option("--check", "only_check", is_flag=True, help="Read a point back and compare digests.")
@click.option("--point", metavar="NAME", help="The point to check; the latest if absent.")
@click.option("--force", is_flag=True, help="Also where TARGET holds backups of what seems another archive.")
@archive_options
def command(
    target: Path,
    only_list: bool,
    only_check: bool,
    point: str | None,
    force: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Copy the archive into the folder TARGET, where it becomes a point that gantry restore goes back to.

    Works beside a running server, and holds all that was acknowledged when it began. Only what TARGET does
    not hold yet is copied, each file compared with its digest; nothing in TARGET is written over or removed.
    One that was broken off leaves earlier points as they were, and the next one goes on. The exit code is 1
    when something could not be copied.
    """
    if only_list + only_check > 1 or (point and not only_check):
        raise CallerError("--list and --check exclude each other, and --point belongs to --check")
    settings = settings_from(config_file, data=data).settings
    if only_list:
        return _list(target, as_json)
    if only_check:
        return _check(target, point, as_json)
    return _back_up(settings, target, as_json, force=force)


def _back_up(settings: Settings, target: Path, as_json: bool, *, force: bool) -> int:
    from gantry.archive.backup.take import Ask, take
    from gantry.archive.places import Places

    source, place = settings.data.resolve(), target.resolve()
    Places.of(settings).require_archive()
    if place.is_relative_to(source) or source.is_relative_to(place):
        raise CallerError("a backup lies neither in its archive nor around it")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)

    def run(ask: Ask) -> int:
        with (
            _locked(target) as store,
            Places.of(settings).reading() as disk,
            Bar("copying", quiet=as_json) as bar,
        ):
            taken = take(disk, store, ask, bar.reached, force=force)
        _tell_lost(taken.lost, "not copied", as_json)
        if as_json:
            print_json(
                {
                    "point": taken.point,
                    "objects": taken.objects,
                    "bytes": taken.size_bytes,
                    "copied": taken.copied,
                    "copiedBytes": taken.copied_bytes,
                    "elsewhere": taken.elsewhere,
                    "lost": len(taken.lost),
                }
            )
        else:
            if taken.elsewhere:
                note(f"{counted(taken.elsewhere, 'object')} not copied: kept outside of the archive")
            result(
                f"point {taken.point}: {counted(taken.objects, 'object')}, {taken.size_bytes:,} bytes; "
                f"{counted(taken.copied, 'file')}, {taken.copied_bytes:,} bytes copied, {len(taken.lost)} not"
            )
        return Exit.PROBLEMS if taken.lost else Exit.OK

    running = running_server(settings)
    if running is not None:
        return run(lambda: _asked(f"{running.page}api/backup-list"))
    from gantry.archive.backup.listing import listed

    with open_archive(settings) as archive:
        return run(lambda: listed(archive.point()))


def _list(target: Path, as_json: bool) -> int:
    store = opened(target)
    for name in store.names():
        found = store.note(name)
        if as_json:
            print_json({"point": name, "at": found.at.isoformat(), "versions": found.versions})
        else:
            result(f"{name}  {counted(found.versions, 'version')}")
    return Exit.OK


def _check(target: Path, point: str | None, as_json: bool) -> int:
    from gantry.archive.backup.restore import check

    store = opened(target)
    with Bar("checking", quiet=as_json) as bar:
        found = check(store, point, bar.reached)
    tell(found, "read", as_json)
    return Exit.OK if found.is_whole else Exit.PROBLEMS


def opened(target: Path) -> Store:
    """The backups in a folder, only to be read. Raises NotFound where there are none."""
    from gantry.archive.backup.store import Store
    from gantry.archive.clock import SystemClock
    from gantry.archive.disk import OsDisk

    if not target.is_dir():
        raise NotFound(f"there is no backup in {target}")
    return Store(OsDisk(target), SystemClock())


def tell(found: Restored, done: str, as_json: bool) -> None:
    """What became of the files of a point."""
    _tell_lost(found.damaged, "damaged in the backup", as_json)
    _tell_lost(found.lost, "not in the backup", as_json)
    if as_json:
        print_json(
            {
                "point": found.point,
                "files": found.files,
                "bytes": found.size_bytes,
                "versions": found.versions,
                "damaged": len(found.damaged),
                "lost": len(found.lost),
            }
        )
        return
    wrong = [
        f"{len(some)} {what}" for some, what in ((found.damaged, "damaged"), (found.lost, "lost")) if some
    ]
    result(
        f"point {found.point}: {counted(found.files, 'file')}, {found.size_bytes:,} bytes {done}: "
        f"{', '.join(wrong) or 'all well'}"
    )


def _tell_lost(lost: Iterable[Lost], what: str, as_json: bool) -> None:
    for one in lost:
        if as_json:
            print_json({"file": one.path, "problem": what, "reason": one.why})
        else:
            note(f"{what}: {one.path}: {one.why}")


@contextmanager
def _locked(target: Path) -> Iterator[Store]:
    """The backups in a folder, for this process alone to write to."""
    from gantry.archive.lock import FolderLock

    lock = FolderLock(target, f"another backup is being made into {target}")
    try:
        yield opened(target)
    finally:
        lock.release()


def _asked(url: str) -> Iterator[bytes]:
    import httpx

    try:
        with httpx.stream("GET", url, timeout=_ANSWER_S, trust_env=False) as answer:
            if answer.is_error:
                answer.read()
            answer.raise_for_status()
            yield from answer.iter_bytes()
    except httpx.HTTPError as error:
        raise ConnectError(f"the server does not list what it holds at {url}: {error}") from error
