"""Delete and bring back: studies, series, instances (PS3.18 10.8 has no DELETE; the paths are its own).

A delete hides; nothing is erased. It is an edit like any other: a version of each instance, in the change
feed and in the history, undone by `restore` or by its number (`/api/edits`). `?why=` and `?who=` say more.
What was committed to somebody, or what a rule of retention keeps, is deleted only with ``?force=true``.
"""

from __future__ import annotations

import asyncio

from gantry.archive.archive import Archive
from gantry.archive.edits.guard import NO_REASON
from gantry.archive.records import InstanceKey, Origin
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.dicomweb.paths import require_uid
from gantry.errors import WebRequestError
from gantry.server.edits_api import flag
from gantry.server.http import Request, Response, json_response
from gantry.server.persons import doer_of
from gantry.server.policy import HttpPolicy


def origin_of(request: Request) -> Origin:
    """Who asks, as the archive notes it."""
    return Origin(peer=request.peer, via="dicomweb")


class Deletions:
    """DELETE on the DICOMweb paths, and restoring."""

    def __init__(self, archive: Archive, policy: HttpPolicy) -> None:
        self._archive = archive
        self._policy = policy

    async def delete(self, request: Request, *uids: str) -> Response:
        """Hide a study, series or instance. Answers 204; 409 for what only `force` deletes."""
        for uid in uids:
            require_uid(uid)
        study, series, sop = (*uids, None, None)[:3]
        assert study is not None
        who, why = self._words(request)
        force = flag(request, "force")
        await asyncio.to_thread(
            lambda: self._archive.delete(
                study, series, sop, origin_of(request), who=who, why=why, force=force
            )
        )
        return Response(204)

    async def restore(self, request: Request, *uids: str) -> Response:
        """Show again what was deleted, or make an earlier `version` of an instance current."""
        for uid in uids:
            require_uid(uid)
        text = single(split_query(request.query), "version")
        version = 0 if text is None else unsigned("version", text, maximum=1 << 31)
        if text is not None and not version:
            raise WebRequestError(404, "versions are numbered from 1")
        study, series, sop = (*uids, None, None)[:3]
        assert study is not None
        who, why = self._words(request)
        keys = await asyncio.to_thread(
            lambda: self._archive.restore(
                study, series, sop, origin_of(request), version=version, who=who, why=why
            )
        )
        return json_response({"restored": [_named(key) for key in keys]})

    async def versions(self, request: Request, study_uid: str, series_uid: str, sop_uid: str) -> Response:
        """All versions of an instance, oldest first."""
        key = InstanceKey(require_uid(study_uid), require_uid(series_uid), require_uid(sop_uid))
        rows = await asyncio.to_thread(self._archive.versions, key)
        if not rows:
            raise WebRequestError(404, "no such instance")
        return json_response(
            [
                {
                    "version": row.number,
                    "kind": row.kind.name.lower(),
                    "at": row.at.isoformat(),
                    "source_aet": row.origin.source_aet,
                    "peer": row.origin.peer,
                    "via": row.origin.via,
                    "current": row.location is not None and row.location.current,
                    "aside": row.location is not None and row.location.aside,
                    "size_bytes": row.location.file_size if row.location else None,
                    "transfer_syntax": row.location.transfer_syntax_uid if row.location else None,
                    "sha256": row.location.dataset_sha256.hex() if row.location else None,
                    "restores": row.restores or None,
                }
                for row in rows
            ]
        )

    def _words(self, request: Request) -> tuple[str, str]:
        """Who does it, and why, as the history keeps it."""
        pairs = split_query(request.query)
        return doer_of(request, self._policy, single(pairs, "who")), single(pairs, "why") or NO_REASON


def _named(key: InstanceKey) -> dict[str, str]:
    return {"study": key.study_uid, "series": key.series_uid, "instance": key.sop_uid}
