"""WADO-URI: one object or one picture by query parameters (PS3.18 9).

The oldest of the web services, still what many viewers and reports link to. The parameters name the
object; `contentType` picks a form from the same table as the other services. Parameters that exclude each
other are refused as 9.1.2 says, so that nobody takes a picture for what it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from gantry.dicomweb.media_types import MediaType, parse_media_types
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.dicomweb.rendering import (
    MAX_VIEWPORT_PIXELS,
    Region,
    RenderingParameters,
    Viewport,
    Window,
    check_charset,
    finite,
    make_window,
    parse_annotations,
    parse_quality,
)
from gantry.errors import WebRequestError
from gantry.standard.uids import is_tolerated_uid

IMAGE_PARAMETERS = (
    "annotation",
    "rows",
    "columns",
    "region",
    "windowCenter",
    "windowWidth",
    "frameNumber",
    "imageQuality",
    "presentationUID",
    "presentationSeriesUID",
)
"""What has a meaning for pictures only (PS3.18 9.1.2.3)."""

_NOT_WITH_PRESENTATION = ("region", "windowCenter", "windowWidth", "frameNumber")


@dataclass(frozen=True, slots=True)
class UriRequest:
    """A WADO-URI request. `media_types` is empty where the client leaves the form to the server.

    `frame` counts from 1 and is None where the parameter was not given. `transfer_syntax` applies to
    application/dicom; absent, Explicit VR Little Endian is meant (PS3.18 9.1.2.2.1). `presentation` is series
    and instance of the presentation state to apply. `asks_of_image` are the parameters given that only
    pictures have.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    media_types: tuple[MediaType, ...]
    transfer_syntax: str | None
    frame: int | None
    rendering: RenderingParameters
    anonymize: bool
    presentation: tuple[str, str] | None
    asks_of_image: tuple[str, ...]


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
    check_charset(single(pairs, "charset"))
    return UriRequest(
        study,
        series,
        instance,
        parse_media_types(content_type) if content_type else (),
        single(pairs, "transferSyntax"),
        None if frame is None else _frame(frame),
        _rendering(pairs),
        anonymize == "yes",
        _presentation(pairs),
        tuple(name for name in IMAGE_PARAMETERS if single(pairs, name) is not None),
    )


def _uid(pairs: list[tuple[str, str]], name: str) -> str:
    value = single(pairs, name)
    if not value:
        raise WebRequestError(400, f"the parameter {name} is missing")
    if not is_tolerated_uid(value):
        raise WebRequestError(400, f"{name} is not a UID")
    return value


def _frame(text: str) -> int:
    frame = unsigned("frameNumber", text, maximum=(1 << 31) - 1)
    if frame < 1:
        raise WebRequestError(400, "frameNumber counts from 1")
    return frame


def _rendering(pairs: list[tuple[str, str]]) -> RenderingParameters:
    quality = single(pairs, "imageQuality")
    known, unknown = parse_annotations(single(pairs, "annotation"))
    return RenderingParameters(
        viewport=_viewport(pairs),
        region=_region(single(pairs, "region")),
        window=_window(pairs),
        quality=None if quality is None else parse_quality(quality),
        annotations=known,
        unknown_annotations=unknown,
    )


def _viewport(pairs: list[tuple[str, str]]) -> Viewport | None:
    rows, columns = single(pairs, "rows"), single(pairs, "columns")
    if rows is None and columns is None:
        return None
    # PS3.18 9.1.2.3.1: one side alone leaves the other to the aspect ratio.
    return Viewport(_side("columns", columns), _side("rows", rows))


def _side(name: str, text: str | None) -> int:
    if text is None:
        return 0
    value = unsigned(name, text, maximum=MAX_VIEWPORT_PIXELS)
    if not value:
        raise WebRequestError(400, f"{name} must be at least 1")
    return value


def _region(text: str | None) -> Region | None:
    """Left, top, right and bottom in parts of the image, 0.0 to 1.0 (PS3.18 9.1.2.3.3)."""
    if text is None:
        return None
    parts = text.split(",", 4)
    if len(parts) != 4:
        raise WebRequestError(400, "region is not LEFT,TOP,RIGHT,BOTTOM")
    left, top, right, bottom = (finite("region", part) for part in parts)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise WebRequestError(
            400, "region: its edges are from 0.0 to 1.0, left and top before right and bottom"
        )
    return Region(left, top, right - left, bottom - top, is_relative=True)


def _window(pairs: list[tuple[str, str]]) -> Window | None:
    center, width = single(pairs, "windowCenter"), single(pairs, "windowWidth")
    if (center is None) != (width is None):
        raise WebRequestError(400, "windowCenter and windowWidth go together")
    if center is None or width is None:
        return None
    return make_window(center, width)


def _presentation(pairs: list[tuple[str, str]]) -> tuple[str, str] | None:
    names = ("presentationSeriesUID", "presentationUID")
    given = [name for name in names if single(pairs, name) is not None]
    if not given:
        return None
    if len(given) == 1:
        raise WebRequestError(400, "presentationUID and presentationSeriesUID go together")
    for name in _NOT_WITH_PRESENTATION:
        if single(pairs, name) is not None:
            raise WebRequestError(400, f"{name} and a presentation state exclude each other")
    series, instance = (_uid(pairs, name) for name in names)
    return series, instance
