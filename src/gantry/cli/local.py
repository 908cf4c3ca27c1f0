"""Commands that work on our own archive: opened here, or reached through the server that has it open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantry.cli.peers import running_server
from gantry.errors import StorageError
from gantry.settings import Settings

if TYPE_CHECKING:
    from gantry.archive.archive import Archive


def open_archive(settings: Settings) -> Archive:
    """Our archive, opened for this process alone. Raises StorageError, also while a server has it."""
    from gantry.archive.archive import Archive, Options

    running = running_server(settings.data)
    if running is not None and _is_alive(running.get("pid", "")):
        raise StorageError(
            f"the archive in {settings.data} is being served by process {running['pid']} at "
            f"http://{running['http']}/ ; stop that first"
        )
    options = Options(
        same_uid=settings.same_uid,
        reserve_bytes=settings.reserve_bytes,
        max_object_bytes=settings.max_object_bytes,
    )
    return Archive.open(settings.data, options)


def is_served(settings: Settings) -> bool:
    """Whether a server has our archive open now."""
    running = running_server(settings.data)
    return running is not None and _is_alive(running.get("pid", ""))


def _is_alive(pid: str) -> bool:
    import os

    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
