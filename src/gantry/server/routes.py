"""The table of routes: which handler answers which method on which path.

A path is matched piece by piece against templates like ``/studies/{study}/series``. Pieces are cut at
the slashes before escapes are decoded, so an escaped slash cannot add one, and a piece must match whole:
a path has one spelling (no empty pieces, no trailing slash unless the template has one, case counts).
The same table makes the OpenAPI document, so what is documented and what answers cannot part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from gantry.errors import WebRequestError
from gantry.server.http import Handler

MAX_PATH_CHARS = 8192
"""A list of 1,000 frames fits; nothing else is long."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter, for the document."""

    name: str
    description: str
    schema: str = "string"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path template, with the words for the document.

    `tail` lets the last parameter take the rest of the path, slashes included.
    """

    method: str
    template: str
    handler: Handler
    summary: str
    tag: str
    produces: tuple[str, ...] = ("application/json",)
    consumes: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = (200,)
    tail: bool = False


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    methods: dict[str, Route] = field(default_factory=dict)
    tail: bool = False


class RouteTable:
    """Routes by path, looked up in time that depends on the path alone."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for piece in route.template.split("/")[1:]:
            if piece.startswith("{"):
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(piece, _Node())
        node.tail = node.tail or route.tail
        if route.method in node.methods:
            raise ValueError(f"two routes for {route.method} {route.template}")
        node.methods[route.method] = route

    def match(self, path: str) -> tuple[dict[str, Route], tuple[str, ...]]:
        """The routes of a path by method, and the values of its parameters. Raises WebRequestError 404."""
        if len(path) > MAX_PATH_CHARS:
            raise WebRequestError(414, f"the path is longer than {MAX_PATH_CHARS} characters")
        node, values = self._root, []
        pieces = path.split("/")[1:]
        for position, piece in enumerate(pieces):
            literal = node.literals.get(piece)
            if literal is not None:
                node = literal
                continue
            if node.parameter is None or not piece:
                raise _no_such_path()
            node = node.parameter
            if node.tail:
                values.append("/".join(map(_decoded, pieces[position:])))
                break
            values.append(_decoded(piece))
        if not node.methods:
            raise _no_such_path()
        return node.methods, tuple(values)


def _decoded(piece: str) -> str:
    return unquote(piece, errors="replace") if "%" in piece else piece


def _no_such_path() -> WebRequestError:
    return WebRequestError(404, "there is nothing at this path; /api/docs lists what there is")
