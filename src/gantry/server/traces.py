"""Traces: what a request waited for, as spans that lie in one another, here and in other programs.

Nothing here knows who takes them: `gantry.server.otlp` sends them to an OpenTelemetry collector, and is only
loaded where the setting `traces` names one. Without it there are no spans, and a request costs one look at a
None. What may stand in a span is what may stand in a log line, and less: no name, no identifier and no UID of
a patient's objects, no path and no query; routes, verbs, statuses, counts and the application entity titles
and addresses of peers do. UIDs of objects, and paths, which hold them, are given to `Span.identify`, which
passes them on only where the setting `trace_identifiers` says so.

The span that a piece of work belongs to travels with it: `within` sets it, tasks and `asyncio.to_thread` take
it along, `part` and `outgoing_headers` look for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from gantry.errors import SettingsError
from gantry.standard.status import Category, category

if TYPE_CHECKING:
    from gantry.server.otlp import OtlpTraces

Value = str | int | bool

ARCHIVE_STORE = "archive store"
"""Of spans: objects that arrived whole are checked and made durable."""

DECODE = "decode"
"""Of spans: a stored frame becomes a picture, samples, or a frame in another transfer syntax."""

SOP_INSTANCE = "dicom.sop_instance_uid"
PATH = "url.path"
"""Of what identifies: the object that is sent or received; the path that was asked for."""

TRACEPARENT = "traceparent"
"""The header field by which one program tells another which span asks (W3C Trace Context, 3.2)."""


class Span(Protocol):
    """Something that takes time. Its methods may be called from any thread, and never fail."""

    @property
    def traceparent(self) -> str:
        """How it is named to other programs; empty where they need not know."""

    def child(self, name: str) -> Span:
        """Something that is part of this begins."""

    def note(self, name: str, value: Value) -> None:
        """Say something of it."""

    def identify(self, name: str, text: str) -> None:
        """Say which object it is about, in a peer's words; kept only where the settings ask for that."""

    def end(self, *, name: str = "", failed: bool = False) -> None:
        """It is over; `name` is a better one than it began with."""


class Traces(Protocol):
    """Where spans begin."""

    def begin(
        self,
        name: str,
        attributes: Mapping[str, Value],
        *,
        parent: str | None = None,
        began_ns: int | None = None,
        serves: bool = True,
    ) -> Span:
        """Begin a span that is part of no other of ours.

        `parent` is the traceparent of who asks, `began_ns` when it began where that was earlier (Unix time),
        and `serves` says that somebody waits for it.
        """


_current: ContextVar[Span | None] = ContextVar("gantry_span", default=None)


@contextmanager
def within(span: Span) -> Iterator[None]:
    """What is done here belongs to `span`."""
    token = _current.set(span)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def part(name: str, of: Span | None = None) -> Iterator[Span | None]:
    """A span for what is done here, in `of` or in the one that it belongs to; None where there is none."""
    parent = of or _current.get()
    if parent is None:
        yield None
        return
    with _until_end(parent.child(name)) as span:
        yield span


@contextmanager
def whole(name: str, traces: Traces) -> Iterator[Span]:
    """A span for what is done here, that nobody asked for."""
    with _until_end(traces.begin(name, {}, serves=False)) as span:
        yield span


@contextmanager
def _until_end(span: Span) -> Iterator[Span]:
    try:
        with within(span):
            yield span
    except BaseException:
        span.end(failed=True)
        raise
    span.end()


def outgoing_headers() -> dict[str, str]:
    """The header fields of a request to another program that tell it which span asks."""
    span = _current.get()
    name = "" if span is None else span.traceparent
    return {TRACEPARENT: name} if name else {}


def traces_to(url: str, *, identifiers: bool = False) -> OtlpTraces | None:
    """Traces for the collector at `url`, None where that is empty; with `identifiers` they name objects.

    Raises SettingsError without the SDK.
    """
    if not url:
        return None
    try:
        from gantry.server.otlp import OtlpTraces
    except ImportError as error:
        raise SettingsError(
            f"traces need the OpenTelemetry SDK: pip install 'gantry[traces]' ({error})"
        ) from error
    return OtlpTraces(url, identifiers=identifiers)


def end_dimse(span: Span, status: int) -> None:
    """A DIMSE request was answered with this status (PS3.7 Annex C)."""
    span.note("dicom.status", f"{status:04X}")
    span.end(failed=category(status) is Category.FAILURE)
