"""QIDO-RS: searches answered from rows that were serialised at ingest (PS3.18 10.6).

The common answer, the default attributes of the level asked for, is a join of bytes. Only a request
that wants other attributes, or levels above its own, is put together from the rows' models.

Where nothing matches, the answer is 200 with an empty array: that is what RFC 9110, IHE and every
edition but a few between 2017 and 2025 say (CP-2473), and what clients can parse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gantry.archive.archive import Archive
from gantry.archive.query import FindResult, Query, Row
from gantry.dataset.xml_model import to_xml
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.paths import instance_path, require_uid, series_path, study_path
from gantry.dicomweb.qido import SearchRequest, TagPath, parse
from gantry.server.answers import Answers
from gantry.server.compression import accepts_gzip, pack
from gantry.server.http import Request, Response, add_warnings, json_response, new_boundary
from gantry.server.policy import HttpPolicy
from gantry.standard.query_keys import DEFAULT_ANSWERS, Level

SERVICE_ROOT = "/dicom-web"

_RETRIEVE_URL = "00081190"
_CHARACTER_SET = "00080005"


class Searches:
    """The search transactions of all levels over one archive."""

    def __init__(self, archive: Archive, policy: HttpPolicy, answers: Answers) -> None:
        self._archive = archive
        self._policy = policy
        self._answers = answers

    async def studies(self, request: Request) -> Response:
        return await self._search(request, Level.STUDY)

    async def series(self, request: Request) -> Response:
        return await self._search(request, Level.SERIES)

    async def instances(self, request: Request) -> Response:
        return await self._search(request, Level.IMAGE)

    async def series_of_study(self, request: Request, study_uid: str) -> Response:
        return await self._search(request, Level.SERIES, study_uid)

    async def instances_of_study(self, request: Request, study_uid: str) -> Response:
        return await self._search(request, Level.IMAGE, study_uid)

    async def instances_of_series(self, request: Request, study_uid: str, series_uid: str) -> Response:
        return await self._search(request, Level.IMAGE, study_uid, series_uid)

    async def _search(
        self, request: Request, level: Level, study_uid: str | None = None, series_uid: str | None = None
    ) -> Response:
        form = accept.require(request.accepted(), accept.METADATA_OFFERS, "a search result")
        packed = accepts_gzip(request)
        words = (request.path, request.query, accept.describe(form), request.base, str(packed))
        known = self._answers.find(words)
        if known is not None:
            return known
        generation = self._answers.generation()
        response = await self._looked_up(request, form, level, study_uid, series_uid)
        if packed:
            await pack(response)
        self._answers.keep(words, response, generation)
        return response

    async def _looked_up(
        self,
        request: Request,
        form: accept.Offer,
        level: Level,
        study_uid: str | None,
        series_uid: str | None,
    ) -> Response:
        for uid in (study_uid, series_uid):
            if uid is not None:
                require_uid(uid)
        search = parse(
            level,
            request.query,
            study_uid=study_uid,
            series_uid=series_uid,
            max_results=self._policy.max_results,
        )
        tags = _tags_to_show(search, study_uid, series_uid)
        result = await asyncio.to_thread(self._archive.find, _query(search))
        root = request.base + SERVICE_ROOT
        if form.media_type == accept.DICOM_XML:
            response = _xml_answer(_model(row, search, tags, root) for row in result.rows)
        else:
            response = _json_answer(result, search, tags, root, form)
        _add_counts(response, request, search, result)
        return response


def _query(search: SearchRequest) -> Query:
    wanted = {path[0] for path in search.include}
    return Query(
        level=search.level,
        keys=search.keys,
        wanted=tuple(sorted(wanted)),
        limit=search.limit,
        offset=search.offset,
        fuzzy=search.fuzzy,
        empty_values=search.empty_value,
        multiple_values=search.multiple_value,
        combined_date_time=True,  # PS3.18 8.3.4.1: as if negotiated
        want_total=True,
    )


def _defaults(level: Level) -> frozenset[str]:
    return frozenset(f"{tag:08X}" for tag in DEFAULT_ANSWERS[level])


_DEFAULTS = {level: _defaults(level) for level in Level}


def _tags_to_show(
    search: SearchRequest, study_uid: str | None, series_uid: str | None
) -> frozenset[str] | None:
    """Top-level attributes of an answer, or None where those of the level itself will do.

    PS3.18 10.6.3.3: the level's own, those asked for or matched on, and those of each level above
    that the path does not name.
    """
    extra = {f"{path[0]:08X}" for path in search.include} | search.keys.keys()
    if search.level >= Level.SERIES and study_uid is None:
        extra |= _DEFAULTS[Level.STUDY]
    if search.level >= Level.IMAGE and series_uid is None:
        extra |= _DEFAULTS[Level.SERIES]
    if search.include_all:
        return frozenset(extra | _DEFAULTS[search.level])
    # The UIDs of the path are asked for by nobody: they would cost every answer the fast way.
    bound = {"0020000D"} if study_uid else set()
    bound |= {"0020000E"} if series_uid else set()
    if extra - bound <= _DEFAULTS[search.level]:
        return None
    return frozenset(extra | _DEFAULTS[search.level])


def _url(row: Row, root: str) -> str:
    if row.level is Level.STUDY:
        return root + study_path(row.study_uid)
    if row.level is Level.SERIES:
        return root + series_path(row.study_uid, row.series_uid)
    return root + instance_path(row.study_uid, row.series_uid, row.sop_uid)


def _json_answer(
    result: FindResult, search: SearchRequest, tags: frozenset[str] | None, root: str, form: accept.Offer
) -> Response:
    if tags is None:
        body = b"[" + b",".join([row.json(_url(row, root)) for row in result.rows]) + b"]"
    else:
        body = msgspec.json.encode([_model(row, search, tags, root) for row in result.rows])
    if form.multipart:
        return _in_parts(accept.DICOM_JSON, [body])
    return json_response(body, content_type=form.media_type.encode())


def _model(row: Row, search: SearchRequest, tags: frozenset[str] | None, root: str) -> dict[str, Any]:
    """The attributes to show of one row, in tag order."""
    shown = row.model()
    if not search.include_all:
        wanted = _DEFAULTS[search.level] if tags is None else tags
        shown = {tag: element for tag, element in shown.items() if tag in wanted}
        for path in search.include:
            if len(path) > 1:
                _keep_only(shown, path, search.include)
    shown[_CHARACTER_SET] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    shown[_RETRIEVE_URL] = {"vr": "UR", "Value": [_url(row, root)]}
    return dict(sorted(shown.items()))


def _keep_only(shown: dict[str, Any], path: TagPath, paths: Sequence[TagPath]) -> None:
    """Reduce a sequence to the attributes asked for inside it, unless it was asked for whole."""
    top = f"{path[0]:08X}"
    if (path[0],) in paths or top not in shown:
        return
    inside = [p[1:] for p in paths if p[0] == path[0] and len(p) > 1]
    shown[top] = _reduced(shown[top], inside)


def _reduced(element: dict[str, Any], paths: Sequence[TagPath]) -> dict[str, Any]:
    if element.get("vr") != "SQ":
        return element
    names: dict[str, list[TagPath]] = {}
    for path in paths:
        names.setdefault(f"{path[0]:08X}", []).append(path[1:])
    items = []
    for item in element.get("Value", ()):
        kept = {}
        for name, deeper in names.items():
            if name in (item or {}):
                whole = () in deeper
                kept[name] = item[name] if whole else _reduced(item[name], [p for p in deeper if p])
        items.append(kept)
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def _xml_answer(models: Iterable[dict[str, Any]]) -> Response:
    return _in_parts(accept.DICOM_XML, [to_xml(model) for model in models])


def _in_parts(media_type: str, documents: Sequence[bytes]) -> Response:
    boundary = new_boundary()
    pieces: list[bytes] = []
    for number, document in enumerate(documents):
        pieces += [part_head(boundary, {"Content-Type": media_type}, first=number == 0), document]
    body = b"".join(pieces) + closing(boundary)
    content_type = related_content_type(media_type, boundary)
    return Response(200, body, [(b"content-type", content_type.encode())], compressible=True)


def _add_counts(response: Response, request: Request, search: SearchRequest, result: FindResult) -> None:
    """The total, and the warnings of PS3.18 8.3.4.4 and ours."""
    warnings = list(search.warnings)
    if result.total is not None:
        response.with_header(b"x-total-count", str(result.total))
        remaining = result.total - search.offset - len(result.rows)
        if remaining > 0 and result.rows:
            warnings.append(f"There are {remaining} additional results that can be requested")
    elif result.more:
        warnings.append("There are additional results that can be requested")
    if result.truncated:
        warnings.append("The search stopped at a limit of the server: results may be missing")
    add_warnings(response, request, warnings)
