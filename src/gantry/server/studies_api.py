"""``/api/studies``: the study list of the page, found as a person types, as plain JSON rows."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from gantry.archive.archive import Archive
from gantry.archive.query import MAX_COUNTED_IN_SQL, Row, TextQuery
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.dicomweb.paths import study_path
from gantry.errors import WebRequestError
from gantry.server.http import Request, Response, json_response

MAX_ROWS = 500
"""A page of rows; lists scroll on by offset."""

MAX_TYPED_CHARS = 200

_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_MODALITY = re.compile(r"[A-Z0-9_]{1,16}")
_WITHOUT_PICTURES = frozenset(
    {"ECG", "HD", "SR", "DOC", "KO", "PR", "AU", "EPS", "RTPLAN", "RTSTRUCT", "REG", "FID"}
)
"""Modalities that have no picture: a study of nothing else gets no thumbnail."""


class StudyList:
    """Answers ``/api/studies``."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def list(self, request: Request) -> Response:
        pairs = split_query(request.query)
        words = (single(pairs, "q") or "")[:MAX_TYPED_CHARS].split()
        limit = min(unsigned("limit", single(pairs, "limit") or "50"), MAX_ROWS)
        offset = unsigned("offset", single(pairs, "offset") or "0")
        query = TextQuery(
            words,
            limit,
            offset,
            modality=_modalities(single(pairs, "modality") or ""),
            date_from=_date("from", single(pairs, "from") or ""),
            date_to=_date("to", single(pairs, "to") or ""),
            want_total=True,
        )
        found = await asyncio.to_thread(self._archive.search_text, query)
        rows = [_shown(row) for row in found.rows]
        answer: dict[str, Any] = {"total": found.total, "studies": rows}
        if found.total is None:  # too many to count
            answer |= {"total": max(offset + len(rows), MAX_COUNTED_IN_SQL), "totalIsLeast": True}
        return json_response(answer).with_header(b"cache-control", b"no-cache")


def _modalities(text: str) -> str:
    """Modalities, comma-separated. Raises WebRequestError 400."""
    codes = [code for code in text.split(",") if code]
    if len(codes) > 32 or not all(_MODALITY.fullmatch(code) for code in codes):
        raise WebRequestError(400, "modality is a comma-separated list of codes such as CT,MR")
    return ",".join(codes)


def _date(name: str, text: str) -> str:
    """A DICOM date of ``YYYY-MM-DD`` or ``YYYYMMDD``. Raises WebRequestError 400."""
    if not text:
        return ""
    found = _DATE.fullmatch(text)
    if not found or not text.isascii():
        raise WebRequestError(400, f"{name} is not a date: YYYY-MM-DD")
    return "".join(found.groups())


def _shown(row: Row) -> dict[str, Any]:
    model = row.model()
    counts = row.study_counts
    modalities = list(counts.modalities) if counts else []
    pictured = any(code not in _WITHOUT_PICTURES for code in modalities)
    return {
        "studyUid": row.study_uid,
        "patientName": _name(model, "00100010"),
        "patientId": _text(model, "00100020"),
        "patientBirthDate": _text(model, "00100030"),
        "patientSex": _text(model, "00100040"),
        "studyDate": _text(model, "00080020"),
        "studyTime": _text(model, "00080030"),
        "description": _text(model, "00081030"),
        "accession": _text(model, "00080050"),
        "referringPhysician": _name(model, "00080090"),
        "modalities": modalities,
        "series": counts.series if counts else 0,
        "instances": counts.instances if counts else 0,
        "thumbnail": f"/dicom-web{study_path(row.study_uid)}/thumbnail" if pictured else None,
    }


def _text(model: dict[str, Any], tag: str) -> str:
    values = model.get(tag, {}).get("Value") or [""]
    return str(values[0] if values[0] is not None else "")


def _name(model: dict[str, Any], tag: str) -> str:
    """The first component group that is not empty; the alphabetic one comes first."""
    values = model.get(tag, {}).get("Value") or [{}]
    groups = values[0] or {}
    return next((groups[g] for g in ("Alphabetic", "Ideographic", "Phonetic") if groups.get(g)), "")
