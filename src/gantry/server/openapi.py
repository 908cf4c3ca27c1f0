"""The API described: an OpenAPI 3.1 document, and a page of it that needs nothing from elsewhere.

Both are made from the table of routes when the app is built. The page is plain HTML with one style sheet,
served by us, and no script, so it needs no exception in the Content-Security-Policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from http import HTTPStatus
from typing import Any

import msgspec

from gantry import __version__
from gantry.server.http import HTML_TYPE, Request, Response, json_response
from gantry.server.routes import Route

_PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_KEPT = (b"cache-control", b"no-cache")
_PAGE_TAG = "The page"

_STYLE = b"""
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
details { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .4rem 0; }
summary { cursor: pointer; display: flex; gap: .8rem; flex-wrap: wrap; align-items: baseline; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.method { font-weight: 600; min-width: 4.5rem; }
table { border-collapse: collapse; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1.2rem .15rem 0; }
"""


class ApiDocument:
    """The document and its page; `describe` is given the routes once they are known."""

    def __init__(self) -> None:
        self._document = b""
        self._page = b""

    def routes(self) -> list[Route]:
        """Where the document itself is had."""
        tag, statuses = "This document", (200,)
        return [
            Route("GET", "/api/openapi.json", self.document, "OpenAPI", tag, statuses=statuses),
            Route("GET", "/api/docs", self.page, "This page", tag, ("text/html",), statuses=statuses),
            Route("GET", "/api/docs.css", self.style, "Its style", tag, ("text/css",), statuses=statuses),
        ]

    def describe(self, routes: Iterable[Route]) -> None:
        """Make the document of these routes."""
        shown = [route for route in routes if route.tag != _PAGE_TAG]
        self._document = msgspec.json.encode(openapi(shown))
        self._page = _page(shown).encode("utf-8")

    async def document(self, _request: Request) -> Response:
        return json_response(self._document).with_header(*_KEPT)

    async def page(self, _request: Request) -> Response:
        headers = [(b"content-type", HTML_TYPE), _PAGE_POLICY, _KEPT]
        return Response(200, self._page, headers, compressible=True)

    async def style(self, _request: Request) -> Response:
        return Response(200, _STYLE, [(b"content-type", b"text/css; charset=utf-8"), _KEPT])


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `routes`."""
    paths: dict[str, dict[str, Any]] = {}
    tags: dict[str, None] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
        tags[route.tag] = None
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gantry",
            "version": __version__,
            "summary": "DICOMweb (PS3.18) and what else this archive answers",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR_SCHEMA}},
    }


_ERROR_SCHEMA = {
    "type": "object",
    "properties": {"status": {"type": "integer"}, "error": {"type": "string"}},
    "required": ["status", "error"],
}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "responses": {str(status): _response(route, status) for status in route.statuses},
    }
    parameters = [_path_parameter(name) for name in _names(route.template)]
    parameters += [
        {
            "name": parameter.name,
            "in": "query",
            "description": parameter.description,
            "required": parameter.required,
            "schema": {"type": parameter.schema},
        }
        for parameter in route.parameters
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.consumes:
        content = {media: {"schema": {"type": "string"}} for media in route.consumes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def operation_id(route: Route) -> str:
    """A name for programs, unique among routes."""
    words = [piece.strip("{}").replace(".", "-") or "root" for piece in route.template.split("/")[1:]]
    return "-".join([route.method.lower(), *words])


def _names(template: str) -> list[str]:
    return [piece[1:-1] for piece in template.split("/") if piece.startswith("{")]


def _path_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name in ("study", "series", "instance"):
        schema["pattern"] = "^[0-9.]{1,64}$"
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _response(route: Route, status: int) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status in (200, 202, 206, 409):
        content = {media: {"schema": {"type": "string"}} for media in route.produces}
        if content:
            response["content"] = content
    elif status >= 400:
        reference = {"schema": {"$ref": "#/components/schemas/Error"}}
        response["content"] = {"application/json": reference}
    return response


def _page(routes: Iterable[Route]) -> str:
    by_tag: dict[str, list[Route]] = {}
    for route in routes:
        by_tag.setdefault(route.tag, []).append(route)
    sections = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(_entry(route) for route in some)}" for tag, some in by_tag.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>Gantry API</title><link rel="stylesheet" href="/api/docs.css"></head><body>'
        f"<h1>Gantry {escape(__version__)}: what this server answers</h1>"
        "<p>DICOMweb as PS3.18 has it, and the archive's own API. For programs: "
        '<a href="/api/openapi.json">OpenAPI document</a>, <a href="/dicom-web/">capabilities</a>.</p>'
        f"{sections}</body></html>"
    )


def _entry(route: Route) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p.name)}</code></td><td>{escape(p.description)}</td></tr>"
        for p in route.parameters
    )
    parameters = f"<table>{rows}</table>" if rows else ""
    takes = f"<p>Takes {_types(route.consumes)}</p>" if route.consumes else ""
    gives = f"<p>Gives {_types(route.produces)}</p>" if route.produces else ""
    statuses = ", ".join(f"{s} {HTTPStatus(s).phrase}" for s in route.statuses)
    return (
        f'<details><summary><span class="method">{escape(route.method)}</span>'
        f"<code>{escape(route.template)}</code><span>{escape(route.summary)}</span></summary>"
        f"{parameters}{takes}{gives}<p>{escape(statuses)}</p></details>"
    )


def _types(media_types: Iterable[str]) -> str:
    return ", ".join(f"<code>{escape(media)}</code>" for media in media_types)
