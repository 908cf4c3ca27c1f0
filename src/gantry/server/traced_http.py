"""A span for each HTTP request, named by method and route as OpenTelemetry's conventions for HTTP have it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from gantry.server.http import Headers, Request
from gantry.server.metrics import CLIENT_GONE, METHODS
from gantry.server.plans import Direct, Shortcut
from gantry.server.traces import PATH, TRACEPARENT, Traces, Value, within

_TRACEPARENT = TRACEPARENT.encode()


async def trace_request(traces: Traces, request: Request, answer: Callable[[], Awaitable[int]]) -> None:
    """Answer a request within a span; `answer` returns the status that was sent, or `CLIENT_GONE`."""
    # A peer may make up methods
    method = request.method if request.method in METHODS else "_OTHER"
    attributes: dict[str, Value] = {
        "http.request.method": method,
        "url.scheme": request.scope.get("scheme", "http"),
        "gantry.request_id": request.id,
    }
    client = request.scope.get("client")
    if client:
        attributes["network.peer.address"] = client[0]
    span = traces.begin(method, attributes, parent=request.header(_TRACEPARENT))
    status = CLIENT_GONE
    try:
        with within(span):
            status = await answer()
    finally:
        if request.route:
            span.note("http.route", request.route)
            span.identify(PATH, request.path)
        if status == CLIENT_GONE:
            span.note("error.type", "client gone")
        else:
            span.note("http.response.status_code", status)
        name = f"{method} {request.route}" if request.route else ""
        # What a client did wrong, or left, is no failure of this server
        span.end(name=name, failed=status >= 500)


def trace_direct(direct: Shortcut, traces: Traces) -> Shortcut:
    """`direct` with a span for what leaves the short way; it tells how long finding it took, not sending."""

    def traced(raw_path: bytes, headers: Headers) -> Direct | None:
        began_ns = time.time_ns()
        answer = direct(raw_path, headers)
        if answer is not None:
            parent = next((value.decode("latin-1") for name, value in headers if name == _TRACEPARENT), None)
            attributes: dict[str, Value] = {
                "http.request.method": "GET",
                "url.scheme": "http",
                "http.route": answer.route,
                "http.response.status_code": 200,
                "gantry.direct": True,
            }
            span = traces.begin(f"GET {answer.route}", attributes, parent=parent, began_ns=began_ns)
            span.identify(PATH, raw_path.partition(b"?")[0].decode("latin-1"))
            span.end()
        return answer

    return traced
