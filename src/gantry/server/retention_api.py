"""``/api/retention``: studies past their time by the rules of whoever asks, looked at first, or rejected.

What is asked twice changes nothing twice: what went is a note, which no rule fits. Who has a long list asks
with `dry_run` first and then for some of its studies at a time; the rules are held against each of them anew.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import msgspec

from gantry.archive.archive import Archive
from gantry.archive.records import Origin
from gantry.errors import CallerError, GantryError, WebRequestError
from gantry.server.drafts_api import read_json
from gantry.server.edits_api import flag
from gantry.server.http import Request, Response, json_response
from gantry.server.outcome import RETRY_AFTER_S
from gantry.server.persons import doer_of
from gantry.server.policy import HttpPolicy
from gantry.settings import RetentionRule
from gantry.toolkit.retention import Due, due, let_expire

MAX_RULES: Final = 100
MAX_STUDIES: Final = 1000
"""That one request may name."""

_FRESH = (b"cache-control", b"private, no-cache")


class RetentionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules, the first that fits a study counts; `today` is for ages, `studies` narrows where it is given.

    With `force`, also studies go that were committed to somebody, or that a rule of the settings keeps.
    """

    rules: tuple[str, ...]
    today: date | None = None
    who: str = ""
    studies: tuple[str, ...] | None = None
    force: bool = False


class RetentionDoor:
    """Answers for retention, for one who asks at a time: it looks at all studies."""

    def __init__(self, archive: Archive, policy: HttpPolicy) -> None:
        self._archive = archive
        self._policy = policy
        self._turn = threading.Lock()

    async def expire(self, request: Request) -> Response:
        """Reject what is due, or only say what would go."""
        dry = flag(request, "dry_run")
        try:
            asked = msgspec.json.decode(await read_json(request, self._policy), type=RetentionRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise WebRequestError(400, f"not a request for retention: {error}") from error
        asked = msgspec.structs.replace(asked, who=doer_of(request, self._policy, asked.who))
        origin = Origin(peer=request.peer, via="retention")
        said = await asyncio.to_thread(self._expire, asked, dry, origin)
        return json_response(said).with_header(*_FRESH)

    def _expire(self, asked: RetentionRequest, dry: bool, origin: Origin) -> dict[str, Any]:
        if not self._turn.acquire(blocking=False):
            raise WebRequestError(503, f"retention is at work: try in {RETRY_AFTER_S} seconds")
        try:
            return expire(self._archive, asked, dry=dry, origin=origin)
        finally:
            self._turn.release()


def expire(
    archive: Archive,
    asked: RetentionRequest,
    *,
    dry: bool,
    origin: Origin,
    each: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """What is asked for, done, as JSON; `each` is called after each study. Raises CallerError, StorageError.

    A study that could not be rejected says why, and those behind it go.
    """
    if len(asked.rules) > MAX_RULES or len(asked.studies or ()) > MAX_STUDIES:
        raise CallerError(f"at most {MAX_RULES} rules and {MAX_STUDIES} studies at once")
    rules = [RetentionRule.parse(text) for text in asked.rules]
    if not rules:
        raise CallerError("say by which rules")
    found = due(archive, rules, asked.today or date.today(), asked.studies)
    said = []
    for study in found:
        edit, error = None, None
        if not dry:
            try:
                edit = let_expire(archive, study, asked.who, origin, force=asked.force).row.number
            except GantryError as problem:
                error = str(problem)
            each()
        said.append({**_shown(study), "edit": edit, "error": error})
    return {"dryRun": dry, "studies": said}


def _shown(study: Due) -> dict[str, Any]:
    return {
        "study": study.study_uid,
        "patient": study.patient_id,
        "date": study.study_date,
        "modalities": study.modalities,
        "objects": study.instances,
        "bytes": study.size_bytes,
        "rule": study.rule.text,
    }
