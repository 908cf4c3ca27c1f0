"""``/api/edits``: edits done, looked at beforehand, listed and undone.

An edit of a large study takes its time; it is made in a thread, and the list says meanwhile how far it is.
Who edits is the person that the door knows, or whom the request names, which nobody checks.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from gantry.archive.acts import ActEntry, ActKind, AttributeChange
from gantry.archive.archive import Archive
from gantry.archive.edits.model import MAX_SHOWN_INSTANCES, EditDone, EditRequest, Preview, Progress
from gantry.archive.index import EditFilter, EditRow
from gantry.archive.records import InstanceKey, Origin
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.dicomweb.paths import require_uid
from gantry.errors import WebRequestError
from gantry.server.drafts_api import read_json
from gantry.server.http import Request, Response, json_response
from gantry.server.outcome import RETRY_AFTER_S
from gantry.server.persons import doer_of
from gantry.server.policy import HttpPolicy
from gantry.standard.dictionary import keyword_of, name_of

MAX_LISTED: Final = 500
MAX_AT_ONCE: Final = 4
"""Edits that are made at the same time: each reads and writes all of its objects."""

_FRESH = (b"cache-control", b"private, no-cache")
_Done = TypeVar("_Done")


class RevertRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an edit is undone, and by whom."""

    why: str
    who: str = ""


@dataclass(slots=True)
class _Running:
    """An edit while it is made."""

    kind: str
    done: int = 0
    total: int = 0


class EditDoor:
    """Answers for edits."""

    def __init__(self, archive: Archive, policy: HttpPolicy) -> None:
        self._archive = archive
        self._policy = policy
        self._running: dict[int, _Running] = {}
        self._numbers = itertools.count(1)

    async def edit(self, request: Request) -> Response:
        """Do an edit. Answers 201; 200 for a dry run, which changes nothing."""
        dry = flag(request, "dry_run")
        asked = _decoded(await read_json(request, self._policy), EditRequest)
        asked = msgspec.structs.replace(asked, who=doer_of(request, self._policy, asked.who))
        origin = origin_of(request)
        with self._making(asked.kind.value) as progress:
            if dry:
                return _previewed(await asyncio.to_thread(self._archive.preview_edit, asked, progress))
            done = await asyncio.to_thread(self._archive.edit, asked, origin, progress)
        return await _answered(done, 201)

    async def revert(self, request: Request, number: str) -> Response:
        """Undo an edit. Answers 201; 200 for a dry run, which changes nothing."""
        dry, force = flag(request, "dry_run"), flag(request, "force")
        wanted = _number(number)
        asked = _decoded(await read_json(request, self._policy), RevertRequest)
        who, origin = doer_of(request, self._policy, asked.who), origin_of(request)
        with self._making("revert"):
            if dry:
                return _previewed(
                    await asyncio.to_thread(lambda: self._archive.preview_revert(wanted, force=force))
                )
            done = await asyncio.to_thread(
                lambda: self._archive.revert_edit(wanted, who=who, why=asked.why, origin=origin, force=force)
            )
        return await _answered(done, 201)

    async def list(self, request: Request) -> Response:
        """Edits, newest first, and those that are being made."""
        pairs = split_query(request.query)
        limit = max(1, min(unsigned("limit", single(pairs, "limit") or "100"), MAX_LISTED))
        before = unsigned("before", single(pairs, "before") or "0", maximum=1 << 62)
        what = EditFilter(
            single(pairs, "patient") or "",
            single(pairs, "issuer"),
            *(_uid(single(pairs, name)) for name in ("study", "series", "instance")),
        )
        if (what.series_uid and not what.study_uid) or (what.sop_uid and not what.series_uid):
            raise WebRequestError(400, "a series is named with its study, an instance with its series")
        rows = await asyncio.to_thread(self._archive.edits, what, before, limit)
        answer = {
            "edits": [shown_row(row) for row in rows],
            "next": rows[-1].number if len(rows) == limit else None,
            "running": [
                {"kind": one.kind, "done": one.done, "total": one.total} for one in self._running.values()
            ],
        }
        return json_response(answer).with_header(*_FRESH)

    async def one(self, _request: Request, number: str) -> Response:
        """One edit, with what became of each attribute and instance."""
        return await _answered(await asyncio.to_thread(self._archive.edit_done, _number(number)), 200)

    @contextmanager
    def _making(self, kind: str) -> Iterator[Progress]:
        """Note an edit that is being made. Raises WebRequestError 503 where enough are."""
        if len(self._running) >= MAX_AT_ONCE:
            raise WebRequestError(503, f"{MAX_AT_ONCE} edits are being made: try in {RETRY_AFTER_S} seconds")
        number, running = next(self._numbers), _Running(kind)
        self._running[number] = running

        def reached(done: int, total: int) -> None:
            running.done, running.total = done, total

        try:
            yield reached
        finally:
            del self._running[number]


def origin_of(request: Request) -> Origin:
    """By which door an edit came, as the archive notes it."""
    return Origin(peer=request.peer, via="api")


def flag(request: Request, name: str) -> bool:
    """A parameter that is true or false, false where it is absent. Raises WebRequestError 400."""
    text = single(split_query(request.query), name)
    if text not in (None, "true", "false"):
        raise WebRequestError(400, f"{name} is true or false")
    return text == "true"


def _uid(text: str | None) -> str:
    return require_uid(text) if text else ""


def _number(text: str) -> int:
    return unsigned("the number of an edit", text, maximum=1 << 62)


def _decoded(data: bytes, kind: type[_Done]) -> _Done:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WebRequestError(400, f"not a request for an edit: {error}") from error


# --- shown ---------------------------------------------------------------------------------------


async def _answered(done: EditDone, status: int) -> Response:
    shown = await asyncio.to_thread(shown_edit, done)
    return json_response(shown, status).with_header(*_FRESH)


def _previewed(preview: Preview) -> Response:
    return json_response(shown_preview(preview)).with_header(*_FRESH)


def shown_edit(done: EditDone) -> dict[str, Any]:
    """An edit as JSON: what became of attributes, counted, and of the first instances one by one."""
    entries, head = done.act.entries, done.act.head
    return {
        **shown_row(done.row),
        "patients": [{"id": name, "issuer": issuer} for name, issuer in (head.patients if head else ())],
        "changes": _summed(entry.changes for entry in entries),
        "instances": [_entry(entry) for entry in entries[:MAX_SHOWN_INSTANCES]],
    }


def shown_preview(preview: Preview) -> dict[str, Any]:
    """What an edit would do, as JSON."""
    concerned = preview.concerned
    return {
        "dryRun": True,
        "kind": preview.kind.value,
        "objects": len(concerned),
        "changes": _summed(one.changes for one in concerned),
        "instances": [
            {
                "before": _named(one.before) if one.before else None,
                "after": _named(one.after) if one.after else None,
                "changes": [_change(change) for change in one.changes],
            }
            for one in concerned[:MAX_SHOWN_INSTANCES]
        ],
    }


def shown_row(row: EditRow) -> dict[str, Any]:
    """An edit as a list has it."""
    return {
        "edit": row.number,
        "kind": row.kind,
        "at": row.at.isoformat(),
        "who": row.who,
        "why": row.why,
        "peer": row.origin.peer,
        "via": row.origin.via,
        "objects": row.objects,
        "reverts": row.reverts or None,
        "revertedBy": row.reverted_by or None,
    }


_WORDS: Final[dict[ActKind, str]] = {
    ActKind.EDIT: "changed",
    ActKind.DELETE: "hidden",
    ActKind.RESTORE: "shown",
}


def _entry(entry: ActEntry) -> dict[str, Any]:
    source = entry.source
    return {
        **_named(entry.key),
        "version": entry.number,
        "result": _WORDS[entry.kind],
        "restores": entry.restores or None,
        "madeOf": {**_named(source[0]), "version": source[1]} if source is not None else None,
        "changes": [_change(change) for change in entry.changes],
    }


def _named(key: InstanceKey) -> dict[str, str]:
    return {"study": key.study_uid, "series": key.series_uid, "instance": key.sop_uid}


def _change(change: AttributeChange) -> dict[str, Any]:
    return {
        "tag": f"{change.tag:08X}",
        "keyword": keyword_of(change.tag),
        "name": name_of(change.tag),
        "before": change.before,
        "after": change.after,
    }


def _summed(each: Iterable[Sequence[AttributeChange]]) -> list[dict[str, Any]]:
    """Each change once, with how many objects it is of, by tag."""
    counts: dict[AttributeChange, int] = {}
    for changes in each:
        for change in changes:
            counts[change] = counts.get(change, 0) + 1
    ordered = sorted(counts, key=lambda change: (change.tag, -counts[change]))
    return [{**_change(change), "objects": counts[change]} for change in ordered]
