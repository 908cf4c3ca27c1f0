"""Who asks. The one place that says it: there are no accounts yet, so everybody is one person."""

from __future__ import annotations

from gantry.server.http import Request

LOCAL = "local"


def person_of(_request: Request) -> str:
    """The name under which what a person made is kept."""
    return LOCAL
