"""The viewer's files, as the package carries them, and a word where it carries none.

All files are known when the server starts, by their exact names: a path asks a table, never a disk. Names
with a digest in them may be kept for ever; the page itself is asked for each time, at the cost of a 304.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from gantry.dicomweb.ranges import not_modified
from gantry.errors import WebRequestError
from gantry.server.compression import GZIP_FROM_BYTES, accepts_gzip
from gantry.server.http import HTML_TYPE, Headers, Request, Response

FOLDER = "_viewer"
INDEX = "index.html"

# The viewer decodes in workers and WebAssembly, and shows pictures it made itself (blob:).
PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    b"style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; font-src 'self'; "
    b"connect-src 'self' blob:; frame-src 'self' blob:; media-src 'self' blob:; manifest-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_ISOLATED: Headers = [(b"cross-origin-opener-policy", b"same-origin")]

_HASHED = re.compile(r".+-[A-Za-z0-9_-]{8}\.[a-z0-9]+")
_FOR_EVER = b"public, max-age=31536000, immutable"
_ASK_EACH_TIME = b"no-cache"
_PACKED_TYPES = ("text/", "application/javascript", "application/json", "application/wasm", "image/svg")

NO_VIEWER = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Gantry</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><h1>Gantry is running</h1>
<p>The archive, DICOM and DICOMweb work. The viewer is not part of this installation: it is made
when the package is built, with <code>make run</code> or <code>pip install .</code>.</p>
<ul><li><a href="/api/docs">What this server answers</a></li>
<li><a href="/api/studies">Studies, as JSON</a></li></ul></body></html>
"""


@dataclass(slots=True)
class _Asset:
    """One file; `packed` is made when it is first asked for, which keeps the start short."""

    body: bytes
    media_type: str
    etag: str
    for_ever: bool
    packed: bytes = b""

    @property
    def is_packable(self) -> bool:
        return len(self.body) >= GZIP_FROM_BYTES and self.media_type.startswith(_PACKED_TYPES)


class Pages:
    """Serves the built viewer, or says that there is none."""

    def __init__(self, folder: Traversable | None = None) -> None:
        root = folder if folder is not None else files("gantry.server").joinpath(FOLDER)
        self._assets = dict(_assets(root, "")) if root.is_dir() else {}

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of all files, without the leading slash."""
        return tuple(self._assets)

    async def index(self, request: Request, *_: str) -> Response:
        """The page, for every address that the viewer's own routing knows."""
        asset = self._assets.get(INDEX)
        if asset is None:
            headers: Headers = [(b"content-type", HTML_TYPE), PAGE_POLICY, (b"cache-control", b"no-store")]
            return Response(200, NO_VIEWER.encode(), headers)
        return await _answer(request, asset, [PAGE_POLICY, *_ISOLATED])

    async def file(self, request: Request, *_: str) -> Response:
        """A file of the viewer."""
        asset = self._assets.get(request.path[1:])
        if asset is None:
            raise WebRequestError(404, "the viewer has no such file")
        # Workers take the policy of their own file: they may run WebAssembly too.
        return await _answer(request, asset, [PAGE_POLICY])


async def _answer(request: Request, asset: _Asset, headers: Headers) -> Response:
    headers = [
        *headers,
        (b"etag", asset.etag.encode()),
        (b"cache-control", _FOR_EVER if asset.for_ever else _ASK_EACH_TIME),
    ]
    if not_modified(request.header(b"if-none-match"), asset.etag):
        return Response(304, b"", headers)
    headers.append((b"content-type", asset.media_type.encode()))
    if asset.is_packable and accepts_gzip(request):
        if not asset.packed:
            asset.packed = await asyncio.to_thread(gzip.compress, asset.body, 6, mtime=0)
        headers.append((b"content-encoding", b"gzip"))
        return Response(200, asset.packed, headers)
    return Response(200, asset.body, headers)


def _assets(folder: Traversable, prefix: str) -> Iterator[tuple[str, _Asset]]:
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            yield from _assets(entry, f"{name}/")
        elif entry.is_file():
            yield name, _asset(entry.name, entry.read_bytes())


_MEDIA_TYPES = {
    "js": "text/javascript",
    "mjs": "text/javascript",
    "wasm": "application/wasm",
    "woff2": "font/woff2",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}


def _asset(name: str, body: bytes) -> _Asset:
    suffix = name.rpartition(".")[2]
    media_type = _MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    return _Asset(body, media_type, etag, _HASHED.fullmatch(name) is not None)
