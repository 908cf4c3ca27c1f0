"""Where objects lie: by UID, and by version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select

from gantry.archive.index import schema
from gantry.archive.index.columns import from_microseconds
from gantry.archive.index.database import Readers
from gantry.archive.index.protocol import VersionKind, VersionRow
from gantry.archive.index.rows import in_order
from gantry.archive.index.statements import Prepared, prepare
from gantry.archive.records import InstanceKey, Location, Origin, PixelLocation

_CHUNK = 1_000
"""Versions read in one transaction by `all_versions`, so that a long walk holds no snapshot open."""

_ST, _SE, _I, _V = schema.studies.c, schema.series.c, schema.instances.c, schema.versions.c

_LOCATION = (
    _ST.study_uid, _SE.series_uid, _I.sop_uid, _V.number, _V.aside, _V.sop_class_uid, _V.transfer_syntax_uid,
    _V.path, _V.file_size, _V.dataset_offset, _V.dataset_sha256, _V.meta_sha256, _V.at, _V.pixel_offset,
    _V.pixel_length, _V.frame_table, (_V.id == _I.version).label("current"), _V.restores,
)  # fmt: skip
_OF_VERSION = (_V.id, _V.kind, _V.act, _V.source_aet, _V.peer, _V.via, _V.edit)


def _joined(columns: tuple[ColumnElement[Any], ...], joint: ColumnElement[bool]) -> Select[Any]:
    return (
        select(*columns)
        .join_from(schema.instances, schema.versions, joint)
        .join(schema.series, _SE.id == _I.series_row)
        .join(schema.studies, _ST.id == _SE.study_row)
    )


def _locate_statement(study: bool, series: bool, sop: bool, version: bool) -> Prepared:
    if version:
        found = _joined(_LOCATION, (_V.instance_row == _I.id) & (_V.number == bindparam("number")))
        found = found.where(_V.kind == literal_column(str(VersionKind.OBJECT.value)))
    else:
        found = _joined(_LOCATION, _V.id == _I.version)
    for given, column in ((study, _ST.study_uid), (series, _SE.series_uid), (sop, _I.sop_uid)):
        if given:
            found = found.where(column == bindparam(column.name))
    names = [*(["number"] if version else []), "study_uid", "series_uid", "sop_uid"]
    asked = [name for name, given in zip(names[-3:], (study, series, sop), strict=True) if given]
    order = in_order(_SE.study_row, _SE.series_number, _SE.id, _I.instance_number, _I.id)
    return prepare(found.order_by(*order), *names[:-3], *asked)


_FLAGS = (False, True)
_LOCATE = {
    (study, series, sop, version): _locate_statement(study, series, sop, version)
    for study in _FLAGS
    for series in _FLAGS
    for sop in _FLAGS
    for version in _FLAGS
}
_VERSIONS = prepare(
    _joined((*_LOCATION, *_OF_VERSION), _V.instance_row == _I.id)
    .where(
        _I.sop_uid == bindparam("sop_uid"),
        _SE.series_uid == bindparam("series_uid"),
        _ST.study_uid == bindparam("study_uid"),
    )
    .order_by(_V.number),
    "sop_uid",
    "series_uid",
    "study_uid",
)
_OF_ROW = prepare(_joined(_LOCATION, _V.instance_row == _I.id).where(_V.id == bindparam("row")))
_ALL_VERSIONS = prepare(
    _joined((*_LOCATION, *_OF_VERSION), _V.instance_row == _I.id)
    .where(_V.id > bindparam("after"))
    .order_by(_V.id)
    .limit(literal_column(str(_CHUNK)))
    .offset(literal_column("0")),
)


_KNOWN = prepare(
    select(_I.id)
    .join_from(schema.instances, schema.series, _SE.id == _I.series_row)
    .join(schema.studies, _ST.id == _SE.study_row)
    .where(
        _I.sop_uid == bindparam("sop_uid"),
        _SE.series_uid == bindparam("series_uid"),
        _ST.study_uid == bindparam("study_uid"),
    ),
    "sop_uid",
    "series_uid",
    "study_uid",
)


def location_of(row: tuple[Any, ...]) -> Location:
    """A location from the columns `_LOCATION`."""
    pixel = None if row[13] is None else PixelLocation(row[13], row[14], row[15] or b"")
    return Location(
        key=InstanceKey(row[0], row[1], row[2]),
        number=row[3],
        current=bool(row[16]),
        aside=bool(row[4]),
        sop_class_uid=row[5],
        transfer_syntax_uid=row[6],
        path=row[7],
        file_size=row[8],
        dataset_offset=row[9],
        dataset_sha256=row[10],
        meta_sha256=row[11],
        received_at=from_microseconds(row[12]),
        pixel=pixel,
        made_from=row[17],
    )


def _version_of(row: tuple[Any, ...]) -> VersionRow:
    kind = VersionKind(row[19])
    return VersionRow(
        key=InstanceKey(row[0], row[1], row[2]),
        number=row[3],
        kind=kind,
        at=from_microseconds(row[12]),
        origin=Origin(*row[21:24]),
        location=location_of(row) if kind is VersionKind.OBJECT else None,
        restores=row[17] if kind is VersionKind.RESTORE else 0,
        act=row[20],
        edit=row[24],
    )


def known(readers: Readers, keys: Iterable[InstanceKey]) -> set[InstanceKey]:
    """See `Index.known`."""
    asked = list(keys)
    with readers.raw() as session:
        found = session.first_rows(_KNOWN, [(key.sop_uid, key.series_uid, key.study_uid) for key in asked])
    return {key for key, row in zip(asked, found, strict=True) if row}


def locate(
    readers: Readers,
    study_uid: str | None,
    series_uid: str | None,
    sop_uid: str | None,
    version: int | None,
) -> list[Location]:
    """See `Index.locate`."""
    asked = (study_uid, series_uid, sop_uid)
    statement = _LOCATE[
        study_uid is not None, series_uid is not None, sop_uid is not None, version is not None
    ]
    parameters = tuple(value for value in (version, *asked) if value is not None)
    return [location_of(row) for row in readers.fetch(statement, parameters)]


def location_of_version(readers: Readers, version: int) -> Location:
    """The object version in a row of the table of versions, which exists."""
    return location_of(readers.fetch(_OF_ROW, (version,))[0])


def versions(readers: Readers, key: InstanceKey) -> list[VersionRow]:
    """See `Index.versions`."""
    return [
        _version_of(row) for row in readers.fetch(_VERSIONS, (key.sop_uid, key.series_uid, key.study_uid))
    ]


def all_versions(readers: Readers) -> Iterator[VersionRow]:
    """See `Index.all_versions`."""
    after = 0
    while rows := versions_after(readers, after):
        after = rows[-1][0]
        yield from (row for _, row in rows)


def versions_after(readers: Readers, after: int) -> list[tuple[int, VersionRow]]:
    """See `Index.versions_after`."""
    return [(row[18], _version_of(row)) for row in readers.fetch(_ALL_VERSIONS, (after,))]
