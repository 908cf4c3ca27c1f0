"""WADO-URI: one object or one picture by query parameters (PS3.18 9).

The oldest of the web services, still what many viewers and reports link to. The parameters name the
object; `contentType` picks a form from the same table as the other services.
"""

from __future__ import annotations

from dataclasses import dataclass

from gantry.dicomweb.media_types import MediaType, parse_media_types
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.dicomweb.paths import is_uid
from gantry.dicomweb.wado import (
    MAX_VIEWPORT_PIXELS,
    RenderingParameters,
    Viewport,
    Window,
    make_window,
    parse_quality,
)
from gantry.errors import WebRequestError

RENDERED_TYPES = ("image/jpeg", "image/png")


@dataclass(frozen=True, slots=True)
class UriRequest:
    """A WADO-URI request. `media_types` is empty where the client leaves the form to the server.

    `frame` counts from 1 and is None where the parameter was not given. `transfer_syntax` applies to
    application/dicom; absent, Explicit VR Little Endian is meant (PS3.18 9.1.2.2.1).
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    media_types: tuple[MediaType, ...]
    transfer_syntax: str | None
    frame: int | None
    rendering: RenderingParameters
    anonymize: bool


def parse(query: str) -> UriRequest:
    """Read the parameters. Raises WebRequestError 400 for what is missing or cannot be."""
    pairs = split_query(query)
    request_type = single(pairs, "requestType")
    if request_type != "WADO":
        raise WebRequestError(400, "requestType must be WADO")
    study, series, instance = (_uid(pairs, name) for name in ("studyUID", "seriesUID", "objectUID"))
    content_type = single(pairs, "contentType")
    frame = single(pairs, "frameNumber")
    anonymize = single(pairs, "anonymize")
    if anonymize not in (None, "yes"):
        raise WebRequestError(400, "anonymize can only be yes")
    return UriRequest(
        study,
        series,
        instance,
        parse_media_types(content_type) if content_type else (),
        single(pairs, "transferSyntax"),
        None if frame is None else _frame(frame),
        RenderingParameters(_viewport(pairs), _window(pairs), _quality(pairs)),
        anonymize == "yes",
    )


def _uid(pairs: list[tuple[str, str]], name: str) -> str:
    value = single(pairs, name)
    if not value:
        raise WebRequestError(400, f"the parameter {name} is missing")
    if not is_uid(value):
        raise WebRequestError(400, f"{name} is not a UID")
    return value


def _frame(text: str) -> int:
    frame = unsigned("frameNumber", text, maximum=(1 << 31) - 1)
    if frame < 1:
        raise WebRequestError(400, "frameNumber counts from 1")
    return frame


def _quality(pairs: list[tuple[str, str]]) -> int | None:
    text = single(pairs, "imageQuality")
    return None if text is None else parse_quality(text)


def _viewport(pairs: list[tuple[str, str]]) -> Viewport | None:
    rows, columns = single(pairs, "rows"), single(pairs, "columns")
    if rows is None and columns is None:
        return None
    # PS3.18 9.1.2.3.1: one side alone leaves the other to the aspect ratio.
    return Viewport(_side("columns", columns), _side("rows", rows))


def _side(name: str, text: str | None) -> int:
    if text is None:
        return MAX_VIEWPORT_PIXELS
    value = unsigned(name, text, maximum=MAX_VIEWPORT_PIXELS)
    if not value:
        raise WebRequestError(400, f"{name} must be at least 1")
    return value


def _window(pairs: list[tuple[str, str]]) -> Window | None:
    center, width = single(pairs, "windowCenter"), single(pairs, "windowWidth")
    if (center is None) != (width is None):
        raise WebRequestError(400, "windowCenter and windowWidth go together")
    if center is None or width is None:
        return None
    return make_window(center, width)
