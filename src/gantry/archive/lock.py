"""One process at a time: the lock on an archive folder, let go of when the process ends however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gantry.errors import StorageError


class FolderLock:
    """Holds an archive folder for this process. Raises StorageError where another one has it.

    `busy` is what the error says then.
    """

    def __init__(self, folder: Path, busy: str = "") -> None:
        self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise StorageError(
                busy
                or f"the archive in {folder} is in use by another process; stop it, or send objects to it"
            ) from error

    def release(self) -> None:
        """Let go of the folder; harmless twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
