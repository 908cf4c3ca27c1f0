"""Resource paths below the service root: which study, series, instance, frames (PS3.18 10.1, 10.4, 10.6).

A UID in a path is digits and points, 1 to 64 of them and not points alone. That is wider than PS3.5 9.1
(objects with a leading zero or an empty component exist and are kept) and has no room for a traversal, an
escape or a wild card, so a path has one spelling.
"""

from __future__ import annotations

from gantry.errors import WebRequestError
from gantry.standard.uids import is_tolerated_uid


def require_uid(text: str) -> str:
    """`text` if it can be a UID. Raises WebRequestError 400."""
    if not is_tolerated_uid(text):
        raise WebRequestError(400, f"{text[:80]!r} in the path is not a UID")
    return text


def study_path(study_uid: str) -> str:
    """Path of a study below the service root."""
    return f"/studies/{study_uid}"


def series_path(study_uid: str, series_uid: str) -> str:
    """Path of a series below the service root."""
    return f"/studies/{study_uid}/series/{series_uid}"


def instance_path(study_uid: str, series_uid: str, sop_uid: str) -> str:
    """Path of an instance below the service root."""
    return f"/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
