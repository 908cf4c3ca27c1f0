"""STOW-RS: what a store request carries, and the answer to it (PS3.18 10.5).

A body is one of four kinds: Part 10 objects in parts, one Part 10 object alone, or metadata (DICOM JSON or
Native DICOM XML) with its bulk data in further parts. The answer is the Store Instances Response Module:
what was stored, what was not and why, each instance with its own reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gantry.dicomweb.accept import DICOM, DICOM_JSON, DICOM_XML, MULTIPART_RELATED
from gantry.dicomweb.media_types import MediaType, parse_media_type
from gantry.dicomweb.multipart import boundary_of
from gantry.dicomweb.paths import instance_path, study_path
from gantry.errors import WebRequestError

JsonModel = dict[str, Any]


class StoreKind(Enum):
    """What the parts of a store request are."""

    OBJECTS = DICOM
    JSON = DICOM_JSON
    XML = DICOM_XML


@dataclass(frozen=True, slots=True)
class StoreContent:
    """How to read a body. `boundary` is None where the body is one object without wrapping."""

    kind: StoreKind
    boundary: str | None


def parse_content_type(text: str | None) -> StoreContent:
    """Read the Content-Type of a store request.

    Raises WebRequestError 400 where it is missing or malformed, 415 where it is another type.
    """
    if not text:
        raise WebRequestError(400, "a store request needs a Content-Type")
    media = parse_media_type(text)
    if media.essence == DICOM:
        return StoreContent(StoreKind.OBJECTS, None)
    if media.essence == DICOM_JSON:
        return StoreContent(StoreKind.JSON, None)
    if media.essence != MULTIPART_RELATED:
        raise WebRequestError(415, f"Content-Type {media.essence} cannot be stored; send {_ACCEPTED}")
    return StoreContent(_kind_of(media), boundary_of(media))


_ACCEPTED = f'{MULTIPART_RELATED} with type="{DICOM}", "{DICOM_JSON}" or "{DICOM_XML}", or a bare {DICOM}'


def _kind_of(media: MediaType) -> StoreKind:
    # RFC 2387 requires type; senders that leave it out send Part 10 objects.
    kind = media.parameters.get("type", DICOM).strip().lower()
    try:
        return StoreKind(kind)
    except ValueError:
        raise WebRequestError(
            415, f"parts of type {kind[:80]!r} cannot be stored; send {_ACCEPTED}"
        ) from None


def check_part_type(kind: StoreKind, headers_content_type: str | None) -> None:
    """A part of an object request must be an object. Raises WebRequestError 415."""
    if kind is not StoreKind.OBJECTS or not headers_content_type:
        return
    essence = parse_media_type(headers_content_type).essence
    if essence != DICOM:
        raise WebRequestError(415, f"a part is {essence} in a request of {DICOM}")


@dataclass(frozen=True, slots=True)
class InstanceResult:
    """What became of one instance. UIDs are empty where the object did not get as far as showing them.

    `failure_reason` (0008,1197) or `warning_reason` (0008,1196) are status codes of PS3.4 Annex GG / PS3.18
    Tables 10.5.3-2 and -3; None where there is none. `comment` tells a person why.
    """

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    failure_reason: int | None = None
    warning_reason: int | None = None
    comment: str = ""


def status_of(results: Sequence[InstanceResult]) -> int:
    """HTTP status of the whole answer (PS3.18 Table 10.5.3-1)."""
    failed = sum(r.failure_reason is not None for r in results)
    if results and failed == len(results):
        return 409
    if failed or any(r.warning_reason is not None for r in results):
        return 202
    return 200


def response_model(results: Iterable[InstanceResult], service_root: str) -> JsonModel:
    """The Store Instances Response Module (PS3.18 Table 10.5.3-4) as a DICOM JSON Model object.

    `service_root` is the URL below which the instances can be retrieved.
    """
    results = tuple(results)
    stored = [r for r in results if r.failure_reason is None]
    failed = [r for r in results if r.failure_reason is not None]
    model: JsonModel = {}
    studies = {r.study_uid for r in stored}
    # Type 2: a URL where one study holds everything stored, empty otherwise.
    model["00081190"] = {"vr": "UR"}
    if len(studies) == 1:
        model["00081190"]["Value"] = [service_root + study_path(studies.pop())]
    if failed:
        # An object that cannot be read has no UIDs to be referenced by: Other Failures Sequence.
        other = [r for r in failed if not r.sop_instance_uid]
        named = [r for r in failed if r.sop_instance_uid]
        if named:
            model["00081198"] = {"vr": "SQ", "Value": [_failed_item(r) for r in named]}
        if other:
            model["0008119A"] = {"vr": "SQ", "Value": [_failure(r) for r in other]}
    if stored:
        model["00081199"] = {"vr": "SQ", "Value": [_stored_item(r, service_root) for r in stored]}
    return dict(sorted(model.items()))


def _reference(result: InstanceResult) -> JsonModel:
    return {
        "00081150": {"vr": "UI", "Value": [result.sop_class_uid]} if result.sop_class_uid else {"vr": "UI"},
        "00081155": {"vr": "UI", "Value": [result.sop_instance_uid]},
    }


def _failure(result: InstanceResult) -> JsonModel:
    item: JsonModel = {"00081197": {"vr": "US", "Value": [result.failure_reason]}}
    if result.comment:
        # PS3.18 has no attribute for words; (0000,0902) Error Comment is what other servers use. LO: 64.
        item["00000902"] = {"vr": "LO", "Value": [result.comment[:64]]}
    return item


def _failed_item(result: InstanceResult) -> JsonModel:
    return dict(sorted((_reference(result) | _failure(result)).items()))


def _stored_item(result: InstanceResult, service_root: str) -> JsonModel:
    item = _reference(result)
    url = instance_path(result.study_uid, result.series_uid, result.sop_instance_uid)
    item["00081190"] = {"vr": "UR", "Value": [service_root + url]}
    if result.warning_reason is not None:
        item["00081196"] = {"vr": "US", "Value": [result.warning_reason]}
    return dict(sorted(item.items()))
