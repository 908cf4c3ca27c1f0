"""Reports of measurements: a draft becomes a Structured Report, and those of a study are read again.

A report is made once for each key that a client chooses. What the key stands for (UIDs, time, version of the
draft) is durable first, so that the same request again, after an answer that was lost or a crash, makes the
same report or finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gantry.archive.archive import Archive
from gantry.archive.drafts import DraftVersion, MadeReport, NotCurrent
from gantry.archive.outcome import Refused
from gantry.archive.records import InstanceKey, Location, Origin
from gantry.dicomweb.paths import require_uid
from gantry.errors import CallerError, DataSetError, NotFound, StorageError, WebRequestError
from gantry.server.delete import origin_of
from gantry.server.drafts_api import EMPTY, DraftDoor, content_of, read_json, wanted_version
from gantry.server.http import Request, Response, json_response
from gantry.server.outcome import Answer, answer_for
from gantry.server.persons import person_of
from gantry.server.policy import HttpPolicy
from gantry.standard.sop_classes import COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR, ENHANCED_SR
from gantry.toolkit.measurements.model import Measurement
from gantry.toolkit.measurements.report_read import Report, is_measurement_report, read_report

if TYPE_CHECKING:
    from gantry.toolkit.measurements.report_write import Extent

MAX_KEY_CHARS: Final = 128
MAX_REPORTS: Final = 500
"""Of a study, the newest. A patient with a report a week for ten years."""
MAX_REPORT_BYTES: Final = 32 << 20
"""A thousand outlines of a thousand points are 8 MB."""
MAX_ANSWERED: Final = 10_000
"""Measurements in one answer."""

_SR_CLASSES = frozenset({ENHANCED_SR, COMPREHENSIVE_SR, COMPREHENSIVE_3D_SR})
_FRESH = (b"cache-control", b"private, no-cache")


class ReportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a report is to say besides the draft; `observer` is a person's name (PN)."""

    key: str
    title: str = ""
    description: str = ""
    observer: str = ""


class Refusal(Exception):
    """The archive did not take the report."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.comment)


@dataclass(frozen=True, slots=True)
class _Made:
    report: MadeReport
    is_new: bool
    version: int


class ReportDoor:
    """Answers for reports."""

    def __init__(self, archive: Archive, policy: HttpPolicy, drafts: DraftDoor) -> None:
        self._archive = archive
        self._policy = policy
        self._drafts = drafts

    async def make(self, request: Request, study_uid: str) -> Response:
        """A report of the current draft, stored; the draft is then empty. Answers 201, 200 when repeated."""
        study, person = require_uid(study_uid), person_of(request, self._policy)
        after = wanted_version(request, required=False)
        asked = await asyncio.to_thread(_read_request, await read_json(request, self._policy))
        try:
            made = await asyncio.to_thread(self._make, person, study, asked, after, origin_of(request))
        except NotCurrent as error:
            return await self._drafts.not_current(person, study, error)
        except Refusal as error:
            said = {"status": error.answer.http_status, "error": error.answer.comment}
            response = json_response(said, error.answer.http_status)
            if error.answer.retry_after_s is not None:
                response.with_header(b"retry-after", str(error.answer.retry_after_s))
            return response
        answer = {
            "studyInstanceUid": study,
            "seriesInstanceUid": made.report.series_instance_uid,
            "sopInstanceUid": made.report.sop_instance_uid,
            "version": made.version,
        }
        return json_response(answer, 201 if made.is_new else 200).with_header(*_FRESH)

    def _make(
        self, person: str, study: str, asked: ReportRequest, after: int | None, origin: Origin
    ) -> _Made:
        from gantry.toolkit.writing import new_uid

        drafts = self._archive.drafts
        file = b""
        begun = drafts.made_report(person, study, asked.key)
        if begun is None:
            current = drafts.current(person, study)
            # Asked again: the draft may be what the same request, made twice at once, has just emptied
            begun = drafts.made_report(person, study, asked.key)
        is_new = begun is None
        if begun is None:
            if after is not None and after != current.version:
                raise NotCurrent(current.version)
            mine = MadeReport(
                asked.key, current.version, new_uid(), new_uid(), datetime.now().astimezone(),
                msgspec.Raw(msgspec.json.encode(asked)),
            )  # fmt: skip
            # Before the key stands for anything, since it may be refused
            file = self._written(study, current, mine)
            begun = drafts.begin_report(person, study, mine)
            if begun.sop_instance_uid != mine.sop_instance_uid:
                file = b""  # a request beside this one was first
        if not self._is_kept(study, begun):
            file = file or self._written(study, self._version(person, study, begun), begun)
            self._keep(file, origin)
        return _Made(begun, is_new, self._emptied(person, study, begun))

    def _version(self, person: str, study: str, begun: MadeReport) -> DraftVersion:
        try:
            return self._archive.drafts.version(person, study, begun.version)
        except NotFound:
            raise WebRequestError(
                409,
                f"version {begun.version} of the draft, which this key stands for, is gone: use another key",
            ) from None

    def _is_kept(self, study: str, begun: MadeReport) -> bool:
        """Whether the report was stored, though it may have been deleted since."""
        key = InstanceKey(study, begun.series_instance_uid, begun.sop_instance_uid)
        return bool(self._archive.versions(key))

    def _written(self, study: str, draft: DraftVersion, begun: MadeReport) -> bytes:
        # What writes brings pydicom, which a server that writes none does without.
        from gantry.toolkit.measurements.report_write import About, Extent, write_report

        asked = msgspec.json.decode(begun.request, type=ReportRequest)
        about = About(
            begun.sop_instance_uid, begun.series_instance_uid, begun.made,
            asked.title, asked.description, asked.observer,
        )  # fmt: skip
        measurements = content_of(draft).measurements
        if not measurements:
            raise WebRequestError(409, "the draft has no measurements")
        located = {one.image.sop_instance_uid: self._located(study, one) for one in measurements}
        extents: dict[str, Extent] = {}
        spaces: dict[str, str] = {}
        for uid, location in located.items():
            with self._archive.dataset(location) as ds:
                numbers = [(ds.ints(tag) or [0])[0] for tag in (0x00280008, 0x00280011, 0x00280010)]
                extents[uid] = Extent(max(numbers[0], 1), *numbers[1:])
                spaces[uid] = ds.text(0x00200052) or ""
        seen = [_as_seen(one, spaces) for one in measurements]
        if any(now.points3d and now.image != one.image for now, one in zip(seen, measurements, strict=True)):
            raise WebRequestError(409, "points in space are of another Frame of Reference than their image")
        with self._archive.dataset(located[seen[0].image.sop_instance_uid]) as ds:
            try:
                return write_report(seen, ds, about, extents)
            except CallerError as error:
                raise WebRequestError(409, str(error)) from error

    def _located(self, study: str, one: Measurement) -> Location:
        """The image of a measurement. Raises WebRequestError 409 where it is not here, or another."""
        image = one.image
        found = self._archive.locate(study, image.series_instance_uid, image.sop_instance_uid)
        if not found:
            raise WebRequestError(409, f"the image {image.sop_instance_uid} is not in this study here")
        if found[0].sop_class_uid != image.sop_class_uid:
            raise WebRequestError(409, f"the image {image.sop_instance_uid} is of another SOP Class")
        return found[0]

    def _keep(self, file: bytes, origin: Origin) -> None:
        outcome = self._archive.store([file], origin)
        if isinstance(outcome, Refused):
            raise Refusal(answer_for(outcome))

    def _emptied(self, person: str, study: str, begun: MadeReport) -> int:
        """Empty the draft, unless it went on meanwhile; the number of the version that is current."""
        drafts = self._archive.drafts
        try:
            return drafts.save(
                person, study, EMPTY, after=begun.version, report=begun.sop_instance_uid
            ).version
        except NotCurrent as error:
            return error.current

    async def of_study(self, _request: Request, study_uid: str) -> Response:
        """The measurements of all reports of a study, and what of them was not understood."""
        found = await asyncio.to_thread(self._of_study, require_uid(study_uid))
        return json_response(found).with_header(*_FRESH)

    def _of_study(self, study: str) -> dict[str, Any]:
        located = self._archive.locate(study)
        if not located:
            raise WebRequestError(404, "there is no such study")
        reports = [one for one in located if one.sop_class_uid in _SR_CLASSES]
        reports.sort(key=lambda one: one.received_at, reverse=True)
        measurements: list[dict[str, Any]] = []
        missed: list[dict[str, Any]] = []
        count = 0
        for location in reports[:MAX_REPORTS]:
            report = self._read(location)
            if report is None:
                continue
            count += 1
            source = {
                "sopInstanceUid": location.key.sop_uid,
                "seriesInstanceUid": location.key.series_uid,
                "title": report.title,
                "date": report.date,
                "time": report.time,
                "observer": report.observer,
            }
            room = MAX_ANSWERED - len(measurements)
            measurements += _sourced(report.measurements[:room], source)
            missed += _counted(report, location, room)
        if len(reports) > MAX_REPORTS:
            missed.append({"reason": f"more than {MAX_REPORTS} reports", "count": len(reports) - MAX_REPORTS})
        return {"reports": count, "measurements": measurements, "notUnderstood": missed}

    def _read(self, location: Location) -> Report | None:
        """A report; None for an object that is none. One that cannot be read says so as not understood."""
        if location.file_size > MAX_REPORT_BYTES:
            return Report("", (), {f"a report larger than {MAX_REPORT_BYTES} bytes": 1})
        try:
            with self._archive.dataset(location) as ds:
                return read_report(ds) if is_measurement_report(ds) else None
        except (DataSetError, StorageError):
            return Report("", (), {"an object that cannot be read": 1})


def _sourced(measurements: Iterable[Measurement], source: dict[str, str]) -> Iterator[dict[str, Any]]:
    for one in measurements:
        yield {**msgspec.to_builtins(one), "source": source}


def _counted(report: Report, location: Location, room: int) -> Iterator[dict[str, Any]]:
    reasons = dict(report.not_understood)
    left_out = len(report.measurements) - room
    if left_out > 0:
        reasons[f"more than {MAX_ANSWERED} measurements"] = left_out
    for reason, count in reasons.items():
        yield {
            "sopInstanceUid": location.key.sop_uid,
            "seriesInstanceUid": location.key.series_uid,
            "reason": reason,
            "count": count,
        }


def _as_seen(one: Measurement, spaces: dict[str, str]) -> Measurement:
    """A measurement with the Frame of Reference that the image itself names."""
    image = one.image
    space = spaces[image.sop_instance_uid]
    return msgspec.structs.replace(one, image=msgspec.structs.replace(image, frame_of_reference_uid=space))


def _read_request(data: bytes) -> ReportRequest:
    """Raises WebRequestError 400."""
    from gantry.toolkit.measurements.report_write import check_about

    try:
        asked = msgspec.json.decode(data, type=ReportRequest)
        check_about(asked.title, asked.description, asked.observer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, CallerError) as error:
        raise WebRequestError(400, f"not a request for a report: {error}") from error
    if not 0 < len(asked.key) <= MAX_KEY_CHARS or any("\ud800" <= c <= "\udfff" for c in asked.key):
        raise WebRequestError(
            400, f"key is the client's name for this request, of 1 to {MAX_KEY_CHARS} letters"
        )
    return asked
