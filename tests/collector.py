"""An OpenTelemetry collector of the tests' own: a web server that takes OTLP in protobuf and keeps it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True, slots=True)
class TakenSpan:
    """A span as it arrived; identifiers are hexadecimal, `parent` empty for the first of a trace."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: Mapping[str, str | int | bool]
    resource: Mapping[str, str | int | bool]
    began_ns: int
    ended_ns: int


@dataclass(slots=True)
class Collector:
    """What arrived, and how often somebody came.

    `status` is what is answered, and nothing is answered until `lets_go` is set.
    """

    port: int = 0
    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    lets_go: threading.Event = field(default_factory=threading.Event)
    requests: int = 0
    authorizations: set[str | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def octets(self) -> bytes:
        """All that was exported."""
        return b"".join(self.bodies)

    def spans(self, name: str = "") -> list[TakenSpan]:
        """The spans of that name, or all, in the order in which they began."""
        found = [span for body in list(self.bodies) for span in _spans(body)]
        return sorted((s for s in found if not name or s.name == name), key=lambda span: span.began_ns)

    def one(self, name: str) -> TakenSpan:
        """The only span of that name."""
        (found,) = self.spans(name)
        return found


@contextmanager
def collecting(*, port: int = 0, status: int = 200, silent: bool = False) -> Iterator[Collector]:
    """A collector that listens on `port`, a free one if it is 0; with `silent` it answers nothing."""
    collector = Collector(status=status)
    if not silent:
        collector.lets_go.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.requests += 1
            collector.authorizations.add(self.headers.get("authorization"))
            collector.lets_go.wait()
            if (self.path, self.headers["content-type"]) != ("/v1/traces", "application/x-protobuf"):
                self.send_error(404)
                return
            if collector.status == 200:
                collector.bodies.append(body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    collector.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="collector")
    thread.start()
    try:
        yield collector
    finally:
        collector.lets_go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: bytes) -> Iterator[TakenSpan]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _taken(span, resource)


def _taken(span: ProtoSpan, resource: Mapping[str, str | int | bool]) -> TakenSpan:
    assert not span.events, "an event of an exception has its text"
    assert not span.trace_state
    return TakenSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.status.code == Status.STATUS_CODE_ERROR,
        _values(span.attributes),
        resource,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def _values(attributes: object) -> dict[str, str | int | bool]:
    found = {}
    for attribute in attributes:  # type: ignore[attr-defined]
        kind = attribute.value.WhichOneof("value")
        found[attribute.key] = getattr(attribute.value, kind)
    return found
