"""What the exit codes of every command mean, and which error gives which."""

from __future__ import annotations

from enum import IntEnum

from gantry.errors import (
    CallerError,
    ConnectError,
    DataSetError,
    GantryError,
    NotFound,
    PeerError,
    StorageError,
)


class Exit(IntEnum):
    """The exit codes; `meaning` is the text that help shows."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    NETWORK = 3
    STORAGE = 4
    BAD_INPUT = 5
    NOT_FOUND = 6
    STOPPED = 130

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Exit.OK: "done",
    Exit.PROBLEMS: "done in part, or problems found",
    Exit.USAGE: "wrong arguments or settings",
    Exit.NETWORK: "the other side could not be reached or refused",
    Exit.STORAGE: "disk or index failed",
    Exit.BAD_INPUT: "what was read is not DICOM, or is broken",
    Exit.NOT_FOUND: "there is no such object",
    Exit.STOPPED: "stopped by the user",
}


def exit_code(error: GantryError) -> Exit:
    """The exit code for an error that ended a command."""
    match error:
        case CallerError():
            return Exit.USAGE
        case ConnectError():
            return Exit.NETWORK
        case NotFound():
            return Exit.NOT_FOUND
        case StorageError():
            return Exit.STORAGE
        case DataSetError():
            return Exit.BAD_INPUT
        case PeerError():
            return Exit.NETWORK
        case _:
            return Exit.PROBLEMS
