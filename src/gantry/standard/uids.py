"""What a UID looks like (PS3.5 9.1), and what is let pass of what devices send in its place."""

from __future__ import annotations

import hashlib
import re
from typing import Final

MAX_UID_LENGTH: Final = 64

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_TOLERATED: Final = re.compile(r"(?=[.]*[0-9])[0-9.]+")


def is_uid(text: str) -> bool:
    """Whether it has a UID's components of digits and its length; leading zeros are let pass."""
    return len(text) <= MAX_UID_LENGTH and _UID.fullmatch(text) is not None


def is_tolerated_uid(text: str) -> bool:
    """Whether a UID is good enough to be stored: digits and dots, at most 64 of them (B32, B33).

    Real devices send doubled and trailing dots. Nothing outside of digits and dots, and not dots alone, so
    that no UID can ever name another folder, or a path have two spellings.
    """
    return len(text) <= MAX_UID_LENGTH and _TOLERATED.fullmatch(text) is not None


def uid_name(uid: str) -> str:
    """The UID as a path component: itself where it is one, else a digest of it."""
    if is_uid(uid):
        return uid
    return "x-" + hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()[:40]
