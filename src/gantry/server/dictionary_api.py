"""What attributes are called: the data dictionary for pages that show objects (PS3.6 Chapters 6 to 9)."""

from __future__ import annotations

import hashlib
from functools import cache

import msgspec

from gantry.dicomweb.ranges import not_modified
from gantry.server.http import Request, Response, json_response
from gantry.standard.dictionary import attributes


@cache
def _document() -> tuple[bytes, str]:
    """The dictionary as JSON, and its entity tag: by tag, the VR, the keyword and the name."""
    rows = {tag: (vr, keyword, name) for tag, vr, keyword, name in attributes()}
    body = msgspec.json.encode(rows)
    return body, f'"{hashlib.sha256(body).hexdigest()[:20]}"'


async def dictionary(request: Request) -> Response:
    """All attributes of the standard; a client keeps them until they change with the program."""
    body, tag = _document()
    headers = [(b"etag", tag.encode()), (b"cache-control", b"no-cache")]
    if not_modified(request.header(b"if-none-match"), tag):
        return Response(304, b"", headers)
    answer = json_response(body)
    answer.headers += headers
    return answer
