"""The page at a study, and what it will ask for first, named in the same answer (RFC 8288, ``rel=preload``).

A browser fetches these while it reads the program, which finds them there when it asks: on a far link the
first image comes two round trips earlier. The addresses are, letter by letter, those of
``viewer/src/api/dicomweb.ts``; a page test counts that none is asked for twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gantry.archive.archive import Archive
from gantry.archive.query import Query
from gantry.dicomweb.parameters import single, split_query
from gantry.dicomweb.paths import series_path, study_path
from gantry.errors import QueryError, StorageError, WebRequestError
from gantry.server.http import Request, Response
from gantry.server.pages import Pages
from gantry.standard.query_keys import Level
from gantry.standard.uids import is_tolerated_uid

SERIES_FIELDS = "0008103E,00080021,00081030,00080020,00080030,00100010,00100020,00100030,00100040"
MOST_SERIES = 1000
"""As many as the page lists."""

_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = "0020000D", "0020000E"
_MODALITY, _SERIES_NUMBER = "00080060", "00200011"
_LAST = frozenset({"SR", "KO", "PR", "SEG", "DOC", "RTPLAN", "RTSTRUCT", "REG", "RWV"})
"""Objects about images come after the images themselves."""


class StudyPages:
    """Answers with the page where its address names a study; `root` is that of DICOMweb."""

    def __init__(self, pages: Pages, archive: Archive, root: str) -> None:
        self._pages = pages
        self._archive = archive
        self._root = root

    async def open(self, request: Request, path: str) -> Response:
        """The page, which routes by itself."""
        answer = await self._pages.index(request)
        study = path.rstrip("/")
        if not is_tolerated_uid(study) or not self._pages.names:
            return answer
        first = await asyncio.to_thread(self._first_series, study, _asked(request.query))
        paths = [f"{study_path(study)}/series?limit={MOST_SERIES}&includefield={SERIES_FIELDS}"]
        if first:
            paths.append(f"{series_path(study, first)}/metadata")
        links = (f"<{self._root}{one}>; rel=preload; as=fetch; crossorigin" for one in paths)
        return answer.with_header(b"link", ", ".join(links))

    def _first_series(self, study: str, asked: str) -> str:
        """The series that the page opens first; "" where that cannot be said."""
        keys = {_STUDY_INSTANCE_UID: {"vr": "UI", "Value": [study]}}
        try:
            found = self._archive.find(Query(Level.SERIES, keys=keys, limit=MOST_SERIES))
        except (QueryError, StorageError):
            return ""  # the page asks itself, and says what is wrong
        models = [row.model() for row in found.rows]
        series = [_value(model, _SERIES_INSTANCE_UID) for model in sorted(models, key=_by_use)]
        return asked if asked in series else next(iter(series), "")


def _asked(query: str) -> str:
    try:
        return single(split_query(query), "series") or ""
    except WebRequestError:
        return ""


def _by_use(model: dict[str, Any]) -> tuple[bool, float, str]:
    number = _value(model, _SERIES_NUMBER)
    uid = _value(model, _SERIES_INSTANCE_UID)
    return _value(model, _MODALITY) in _LAST, float(number) if number else 1e9, uid


def _value(model: dict[str, Any], tag: str) -> str:
    values = model.get(tag, {}).get("Value") or [""]
    return str(values[0])
