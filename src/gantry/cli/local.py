"""Commands that work on our own archive: opened here, or reached through the server that has it open."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantry.errors import SettingsError, StorageError
from gantry.settings import Address, Settings

if TYPE_CHECKING:
    from gantry.archive.archive import Archive

SERVING_FILE = "serving.json"
LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The server that has an archive open, as it says of itself."""

    pid: int
    http: Address
    dicom: Address
    aet: str

    @property
    def page(self) -> str:
        return f"http://{self.http}/"

    @property
    def dicomweb(self) -> str:
        return f"http://{self.http}/dicom-web"


def running_server(settings: Settings) -> RunningServer | None:
    """The server that serves our archive now; None where none does."""
    try:
        word: Any = json.loads((settings.data / SERVING_FILE).read_text(encoding="utf-8"))
        server = RunningServer(
            int(word["pid"]), Address.parse(word["http"]), Address.parse(word["dicom"]), str(word["aet"])
        )
    except (OSError, ValueError, LookupError, TypeError, SettingsError):
        return None
    # A server that was killed leaves its word behind, and its number may be another process's by now.
    return server if _is_alive(server.pid) and _is_locked(settings.data / LOCK_FILE) else None


def open_archive(settings: Settings, *, making: bool = False) -> Archive:
    """Our archive, opened for this process alone; `making` it where there is none.

    Raises SettingsError, StorageError, also while a server has it, NotFound.
    """
    running = running_server(settings)
    if running is not None:
        raise StorageError(
            f"the archive in {settings.data} is being served by process {running.pid} at {running.page} ; "
            "stop that first"
        )
    from gantry.archive.places import Places, options_of

    places = Places.of(settings)
    if not making:
        places.require_archive()
    return places.open(options_of(settings))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's archive: nobody but its server says that it serves it
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
