"""C-FIND SCP: Patient Root, Study Root and the retired Patient/Study Only (PS3.4 C.4.1).

The Identifier becomes one `archive.Query`, the same that QIDO-RS and the page ask. Every key of the
Identifier comes back: with its value where the archive can tell it, empty where it cannot. The status says
which: FF00 when all keys could be answered and matched, FF01 when one could not. The answer is written in the
character set of the query where that holds it, else in UTF-8 (PS3.4 C.4.1.1.3.2).

More matches than the limit end in A700 with a comment, after as many as the limit allows, not in silence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gantry.archive.query import FindResult, Query, Row
from gantry.dataset.encode import encode
from gantry.dimse.extended import NO_OPTIONS, QueryOptions, decode_query_options
from gantry.dimse.message import c_find_rsp
from gantry.server.identifier import Attribute, Identifier, read_identifier
from gantry.server.operation import Operation
from gantry.standard import status
from gantry.standard.dictionary import vr_of
from gantry.standard.query_keys import (
    INSTANCE_AVAILABILITY,
    LEVEL_NAMES,
    RETRIEVE_AE_TITLE,
    Level,
    level_of,
)
from gantry.standard.transfer_syntaxes import TransferSyntax

log = logging.getLogger("gantry.dimse.find")

ANSWERS_AT_ONCE = 64
"""Answers encoded in one hop to a thread; between hops a cancel is looked for."""

_NAME_OF_LEVEL = {level: name for name, level in LEVEL_NAMES.items()}
_CHARACTER_SET = "00080005"
_LEVEL = "00080052"
_RETRIEVE_AET = f"{RETRIEVE_AE_TITLE:08X}"


@dataclass(frozen=True, slots=True)
class Match:
    """One answer, encoded, and whether every key could be answered."""

    dataset: bytes
    complete: bool


async def answer_find(operation: Operation) -> None:
    """Answer one C-FIND-RQ. Raises GantryError for a query that cannot be answered at all."""
    loop = asyncio.get_running_loop()
    executor = operation.services.executor
    request = operation.command
    identifier, result = await loop.run_in_executor(executor, _search, operation)
    answers = _encoded(identifier, result.rows, operation.services.ae_title, operation.syntax)
    while batch := await loop.run_in_executor(executor, _next_batch, answers):
        for match in batch:
            if operation.is_over:
                operation.respond(c_find_rsp(request, status.CANCEL))
                return
            code = status.PENDING if match.complete else status.PENDING_OPTIONAL_KEYS_NOT_SUPPORTED
            operation.respond(c_find_rsp(request, code, has_dataset=True), match.dataset)
        await operation.wire.has_room()
    if result.more or result.truncated:
        comment = f"first {len(result.rows)} matches only, narrow the query"
        operation.respond(c_find_rsp(request, status.OUT_OF_RESOURCES, error_comment=comment))
        return
    operation.respond(c_find_rsp(request, status.SUCCESS))


def negotiated_options(operation: Operation) -> QueryOptions:
    """What was agreed by SOP class extended negotiation for the operation's SOP class."""
    answer = operation.association.answer
    for item in answer.user.extended if answer is not None else ():
        if item.sop_class_uid == operation.context.abstract_syntax:
            return decode_query_options(item.information)
    return NO_OPTIONS


def query_of(identifier: Identifier, *, fuzzy: bool, limit: int) -> Query:
    """The archive's query for an Identifier.

    Keys that belong to a level below the one asked for are no condition there, only asked back; so is
    what describes the archive itself.
    """
    matching: dict[str, Attribute] = {}
    wanted: list[int] = []
    for tag, attribute in identifier.keys.items():
        if _can_match(tag, identifier.level):
            matching[f"{tag:08X}"] = attribute
        else:
            wanted.append(tag)
    return Query(
        identifier.level,
        keys=dict(matching),
        wanted=tuple(wanted),
        limit=limit,
        fuzzy=fuzzy,
    )


def _can_match(tag: int, level: Level) -> bool:
    if tag in (RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY):
        return False
    return level_of(tag) <= level


def answer_of(
    identifier: Identifier, row_model: Mapping[str, Any], ae_title: str
) -> tuple[dict[str, Any], bool]:
    """The Identifier of one answer as JSON model, and whether all keys could be answered and matched."""
    model: dict[str, Any] = {_LEVEL: {"vr": "CS", "Value": [_NAME_OF_LEVEL[identifier.level]]}}
    if identifier.character_set is not None:
        model[_CHARACTER_SET] = identifier.character_set
    model[_RETRIEVE_AET] = {"vr": "AE", "Value": [ae_title]}
    complete = True
    for tag, asked in identifier.keys.items():
        name = f"{tag:08X}"
        if name in model:
            continue
        found = row_model.get(name)
        if found is None:
            model[name] = {"vr": asked.get("vr") or vr_of(tag)}
            complete = complete and _can_match(tag, identifier.level)
        else:
            model[name] = _selected(found, asked)
            complete = complete and (_can_match(tag, identifier.level) or not _has_value(asked))
    return model, complete


def _selected(found: Attribute, asked: Attribute) -> Attribute:
    """Of a sequence only the attributes that were asked for, all of them for an empty Item (C.2.2.2.6)."""
    items = asked.get("Value") or []
    if found.get("vr") != "SQ" or not items or not items[0]:
        return found
    wanted: Mapping[str, Attribute] = items[0]
    return {
        "vr": "SQ",
        "Value": [
            {
                tag: _selected(item[tag], key) if tag in item else {"vr": key["vr"]}
                for tag, key in wanted.items()
            }
            for item in found.get("Value", [])
        ],
    }


def _has_value(attribute: Attribute) -> bool:
    return any(value not in (None, "", {}) for value in attribute.get("Value", ()))


def _search(operation: Operation) -> tuple[Identifier, FindResult]:
    options = negotiated_options(operation)
    identifier = read_identifier(
        operation.identifier, operation.syntax, operation.information_model, relational=options.relational
    )
    query = query_of(identifier, fuzzy=options.fuzzy, limit=operation.services.find_limit)
    return identifier, operation.services.archive.find(query)


def _encoded(
    identifier: Identifier, rows: Sequence[Row], ae_title: str, syntax: TransferSyntax
) -> Iterator[Match]:
    for row in rows:
        model, complete = answer_of(identifier, row.model(), ae_title)
        yield Match(encode(model, syntax), complete)


def _next_batch(answers: Iterable[Match]) -> list[Match]:
    return list(islice(answers, ANSWERS_AT_ONCE))
