"""Sends spans to an OpenTelemetry collector: OTLP over HTTP, in protobuf, through the OpenTelemetry SDK.

Loaded only where the setting `traces` names a collector. Spans wait in a queue that a thread of the SDK
empties; when it is full the oldest go. So a collector that is slow or away costs nobody anything but that
memory, and one line in the log. What else there is to set (headers, certificates, how many are taken) the SDK
reads from the variables ``OTEL_…`` of the environment.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gantry import __version__
from gantry.server.logs import escaped
from gantry.server.traces import TRACEPARENT, Span, Value

log = logging.getLogger("gantry.server.traces")

MAX_WAITING: Final = 2048
"""Spans that wait to be sent, some 4 MB; beyond, the oldest are dropped."""

BATCH: Final = 512
"""Spans in one request to the collector."""

CLOSE_S: Final = 3.0
"""How long the end of the server waits for the last spans to be taken."""

_MAX_WORDS = 200
_MAX_IDENTIFIER = 512
"""Characters; a path of ours with three UIDs has at most 300."""


class OtlpSpan:
    """A span of the SDK, as `traces.Span`."""

    __slots__ = ("_identifiers", "_span", "_tracer")

    def __init__(self, tracer: Tracer, span: OtelSpan, *, identifiers: bool) -> None:
        self._tracer = tracer
        self._span = span
        self._identifiers = identifiers

    @property
    def traceparent(self) -> str:
        named: dict[str, str] = {}
        _PROPAGATOR.inject(named, set_span_in_context(self._span))
        return named.get(TRACEPARENT, "")

    def child(self, name: str) -> Span:
        span = self._tracer.start_span(name, set_span_in_context(self._span))
        return OtlpSpan(self._tracer, span, identifiers=self._identifiers)

    def note(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def identify(self, name: str, text: str) -> None:
        if self._identifiers:
            self._span.set_attribute(name, escaped(text[:_MAX_IDENTIFIER]))

    def end(self, *, name: str = "", failed: bool = False) -> None:
        if name:
            self._span.update_name(name)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class OtlpTraces:
    """Spans of one server, sent to the collector at `url`, with `identifiers` or without. `close` it."""

    def __init__(self, url: str, *, identifiers: bool = False) -> None:
        self._identifiers = identifiers
        _quiet_sdk()
        self._exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")
        service = Resource.create({"service.name": "gantry", "service.version": __version__})
        self._provider = TracerProvider(
            # What the environment says of this service comes before what we say
            resource=service.merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _Collector(self._exporter, url), max_queue_size=MAX_WAITING, max_export_batch_size=BATCH
            )
        )
        self._tracer = self._provider.get_tracer("gantry", __version__)

    def begin(
        self,
        name: str,
        attributes: Mapping[str, Value],
        *,
        parent: str | None = None,
        began_ns: int | None = None,
        serves: bool = True,
    ) -> Span:
        """See `traces.Traces`."""
        # Without tracestate: it is text of the peer's choice
        named = {} if parent is None else {TRACEPARENT: parent}
        span = self._tracer.start_span(
            name,
            _PROPAGATOR.extract(named),
            SpanKind.SERVER if serves else SpanKind.INTERNAL,
            attributes,
            start_time=began_ns,
        )
        return OtlpSpan(self._tracer, span, identifiers=self._identifiers)

    def close(self) -> None:
        """Send what waits, as far as the collector takes it within `CLOSE_S`; blocks."""
        # A thread that nobody waits for: the SDK's own waiting ends after 30 s.
        closing = threading.Thread(target=self._provider.shutdown, name="gantry-traces", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            log.info("the last traces were not taken")


_PROPAGATOR = TraceContextTextMapPropagator()


class _Collector(SpanExporter):
    """The SDK's exporter, and a line in the log when the collector goes away and when it is back."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self._is_away = False
        self._words = _LastWords()
        _EXPORTER_LOG.addHandler(self._words)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        if is_away and not self._is_away:
            log.warning("%s takes no traces, they are dropped until it does: %s", self._url, self._words.last)
        elif self._is_away and not is_away:
            log.info("%s takes traces again", self._url)
        self._is_away = is_away
        return result

    def shutdown(self) -> None:
        _EXPORTER_LOG.removeHandler(self._words)
        self._exporter.shutdown()


_EXPORTER_LOG = logging.getLogger("opentelemetry.exporter")


class _LastWords(logging.Handler):
    """What the exporter said last of why it failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()[:_MAX_WORDS]


def _quiet_sdk() -> None:
    """The SDK writes a line for each batch that is not taken and each span that is dropped."""
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    _EXPORTER_LOG.propagate = False
