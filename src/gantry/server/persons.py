"""Who asks. The one place that says it: whom a proxy in front names, else everybody is one person.

There are no accounts yet. A proxy that asks people who they are says so in a header field of its requests
(the setting `person_header`), and takes away what a client had put there.
"""

from __future__ import annotations

from gantry.errors import WebRequestError
from gantry.server.http import Request
from gantry.server.policy import HttpPolicy

LOCAL = "local"
LONGEST_NAME = 200


def person_of(request: Request, policy: HttpPolicy) -> str:
    """The name under which what a person made is kept.

    Raises WebRequestError (403) where a proxy is to name one person, and did not.
    """
    if not policy.person_header:
        return LOCAL
    field = policy.person_header.encode()
    lines = [value for name, value in request.scope["headers"] if name == field]
    name = _text(lines[0]).strip() if len(lines) == 1 else ""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise WebRequestError(403, f"the proxy in front names nobody in {policy.person_header}")
    return name


def doer_of(request: Request, policy: HttpPolicy, said: str | None) -> str:
    """Who the history says did it: whom the proxy names, else what the request says of itself."""
    if policy.person_header:
        return person_of(request, policy)
    return said or LOCAL


def _text(line: bytes) -> str:
    """Proxies send UTF-8, where RFC 9110 5.5 has no more than Latin-1 in mind."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
