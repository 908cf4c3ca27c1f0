"""The capabilities transaction: what this origin server can do, as WADL or JSON (PS3.18 8.9).

WADL nests resources as paths nest. Each entry says the method, the media types taken and given, and the
query parameters; it is made of the same values that route requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

WADL = "application/vnd.sun.wadl+xml"
_NAMESPACE = "http://wadl.dev.java.net/2009/02"


@dataclass(frozen=True, slots=True)
class Capability:
    """One method of one resource. `path` is below the service root, like ``/studies/{study}``."""

    method: str
    path: str
    name: str
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


def to_wadl(capabilities: Iterable[Capability], base: str) -> bytes:
    """The capabilities as a WADL document. `base` is the URL of the service root."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<application xmlns="{_NAMESPACE}">',
        f"<resources base={quoteattr(base)}>",
    ]
    for path, methods in _by_path(capabilities).items():
        lines.append(f"<resource path={quoteattr(path)}>")
        lines += [
            f'<param name={quoteattr(name)} style="template" type="xs:string" required="true"/>'
            for name in _template_names(path)
        ]
        for method in methods:
            lines += _method(method)
        lines.append("</resource>")
    lines += ["</resources>", "</application>"]
    return "\n".join(lines).encode("utf-8")


def _method(capability: Capability) -> list[str]:
    lines = [f"<method name={quoteattr(capability.method)} id={quoteattr(capability.name)}>", "<request>"]
    lines += [
        f'<param name={quoteattr(name)} style="query" type="xs:string"/>' for name in capability.parameters
    ]
    lines += [f"<representation mediaType={quoteattr(media)}/>" for media in capability.consumes]
    lines += ["</request>", "<response>"]
    lines += [f"<representation mediaType={quoteattr(media)}/>" for media in capability.produces]
    return [*lines, "</response>", "</method>"]


def to_json(capabilities: Iterable[Capability], base: str) -> dict[str, Any]:
    """The capabilities as a JSON object of the same shape."""
    return {
        "base": base,
        "resources": [
            {
                "path": path,
                "methods": [
                    {
                        "name": method.method,
                        "id": method.name,
                        "parameters": list(method.parameters),
                        "consumes": list(method.consumes),
                        "produces": list(method.produces),
                    }
                    for method in methods
                ],
            }
            for path, methods in _by_path(capabilities).items()
        ],
    }


def _by_path(capabilities: Iterable[Capability]) -> Mapping[str, Sequence[Capability]]:
    found: dict[str, list[Capability]] = {}
    for capability in capabilities:
        found.setdefault(capability.path, []).append(capability)
    return found


def _template_names(path: str) -> list[str]:
    return [piece[1:-1] for piece in path.split("/") if piece.startswith("{")]
