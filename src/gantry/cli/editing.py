"""What `edit`, `history` and `revert` share: they ask our archive, or the server that has it open."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gantry.cli.local import open_archive, running_server
from gantry.cli.output import Table, counted, note, print_json, result
from gantry.errors import CallerError, ConnectError, NotFound, StorageError

if TYPE_CHECKING:
    from gantry.archive.archive import Archive
    from gantry.settings import Settings

# An edit of a large study reads and writes all of it before it is answered.
_ANSWER_S = 3600.0
_MOST_UIDS = 8

Answer = dict[str, Any]


def asked(
    settings: Settings,
    method: str,
    path: str,
    locally: Callable[[Archive], Answer],
    *,
    body: Answer | None = None,
    query: dict[str, str] | None = None,
) -> Answer:
    """What the running server answers, or what `locally` does on the archive opened here.

    Raises CallerError, NotFound, StorageError, ConnectError.
    """
    running = running_server(settings)
    if running is None:
        with open_archive(settings) as archive:
            return locally(archive)
    import httpx

    try:
        answer = httpx.request(
            method, f"{running.page}{path}", params=query, json=body, timeout=_ANSWER_S, trust_env=False
        )
        said: Answer = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ConnectError(f"the server at {running.page} does not answer: {error}") from error
    if answer.is_success:
        return said
    words = str(said.get("error", answer.status_code))
    if answer.status_code == 404:
        raise NotFound(words)
    if answer.is_client_error and answer.status_code != 410:
        raise CallerError(words)
    raise StorageError(words)


def me() -> str:
    """Who is at this terminal, as far as the system knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def tell(said: Answer, as_json: bool) -> None:
    """Print an edit, or what one would do."""
    if as_json:
        print_json(said)
        return
    objects = counted(said["objects"], "object")
    if said.get("dryRun"):
        result(f"{said['kind']} would change {objects}")
    else:
        result(f"edit {said['edit']}, {said['kind']}: {objects}")
    _tell_changes(said["changes"])
    places = [_place(one) for one in said["instances"]]
    for text in list(dict.fromkeys(places))[:_MOST_UIDS]:
        result(f"  {text}")
    if len(set(places)) > _MOST_UIDS:
        note(f"and {len(set(places)) - _MOST_UIDS} more: --json lists the first thousand instances")


def tell_one(said: Answer, as_json: bool) -> None:
    """Print an edit of the history, with who, when and why."""
    if not as_json:
        by = f" by {said['who']}" if said["who"] else ""
        result(f"{_time(said['at'])}{by}: {said['why']}")
        if said["revertedBy"]:
            result(f"undone by edit {said['revertedBy']}")
    tell(said, as_json)


def tell_list(said: Answer, as_json: bool) -> None:
    """Print a history, newest first."""
    if as_json:
        for row in said["edits"]:
            print_json(row)
        return
    with Table(["Edit", "When", "Who", "What", "Objects", "Why"]) as table:
        for row in said["edits"]:
            kind = row["kind"]
            if row["reverts"]:
                kind = f"{kind} of {row['reverts']}"
            elif row["revertedBy"]:
                kind = f"{kind}, undone by {row['revertedBy']}"
            table.row([str(row["edit"]), _time(row["at"]), row["who"], kind, str(row["objects"]), row["why"]])
    note(f"{len(said['edits'])} edits" + (", and there are more" if said["next"] else ""))


def _tell_changes(changes: list[Answer]) -> None:
    for change in changes:
        name = change["keyword"] or change["tag"]
        before, after = change["before"] or "(none)", change["after"] or "(none)"
        result(f"  {name}: {before} -> {after}  [{counted(change['objects'], 'object')}]")


def _place(one: Answer) -> str:
    """Which series an instance is of, and what became of it, in words."""
    if "result" in one:
        return f"{one['result']}: study {one['study']}, series {one['series']}"
    before, after = one["before"], one["after"]
    where = after or before
    what = "changed" if before and after else "shown" if after else "hidden"
    return f"{what}: study {where['study']}, series {where['series']}"


def _time(text: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
