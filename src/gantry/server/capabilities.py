"""Answers the capabilities transaction of the DICOMweb root (PS3.18 8.9)."""

from __future__ import annotations

from collections.abc import Iterable

from gantry.dicomweb import accept
from gantry.dicomweb.capabilities import WADL, Capability, to_json, to_wadl
from gantry.server.http import Request, Response, json_response
from gantry.server.openapi import operation_id
from gantry.server.routes import Route

_OFFERS = (accept.Offer(WADL), accept.Offer(accept.JSON), accept.Offer(accept.DICOM_JSON))


class Capabilities:
    """The service's own description; `describe` is given the routes once they are known."""

    def __init__(self) -> None:
        self._capabilities: tuple[Capability, ...] = ()
        self._root = ""

    def describe(self, routes: Iterable[Route], root: str) -> None:
        """Take over the routes below the service root."""
        self._root = root
        self._capabilities = tuple(
            Capability(
                route.method,
                route.template[len(root) :],
                operation_id(route),
                route.produces,
                route.consumes,
                tuple(parameter.name for parameter in route.parameters),
            )
            for route in routes
            if route.template.startswith(f"{root}/") and len(route.template) > len(root) + 1
        )

    async def retrieve(self, request: Request) -> Response:
        form = accept.require(request.accepted(), _OFFERS, "the capabilities")
        base = request.base + self._root
        if form.media_type == WADL:
            body = to_wadl(self._capabilities, base)
            return Response(200, body, [(b"content-type", WADL.encode())], compressible=True)
        return json_response(to_json(self._capabilities, base))
