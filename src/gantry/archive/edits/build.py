"""One object as an edit makes it: the same bytes, but for what is changed and a note of what was before.

What was before stands in the Original Attributes Sequence (PS3.3 C.12.1.1.9), one Item for each edit, as
receivers expect it; the File Meta Information stays as it came. The new object is read again to its end, and
held against what it was to be, before anybody may see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gantry.archive.acts import AttributeChange
from gantry.archive.blobs.files import write_durably
from gantry.archive.disk import Disk, unmap
from gantry.archive.edits.attributes import (
    ISSUER,
    ORIGINAL_ATTRIBUTES,
    PATIENT_ID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Wanted,
    encoded,
)
from gantry.archive.records import InstanceKey, Location, ObjectRecord, Origin
from gantry.archive.store import Unfit, opened
from gantry.dataset.charset import CHARSET_VRS, UTF_8, decode_text
from gantry.dataset.deflate import deflate
from gantry.dataset.part10 import read_part10
from gantry.dataset.reencode import element_value
from gantry.dataset.rewrite import Changes, items, rewrite
from gantry.dataset.scan import Buffer, DataSet
from gantry.dataset.values import Value, Values, item, sequence, text_value
from gantry.dataset.vr import element_vr
from gantry.errors import Corrupt, DataSetError
from gantry.standard.dictionary import vr_of

MODIFYING_SYSTEM: Final = "Gantry"
MAX_SHOWN_CHARS: Final = 256
"""Of a value in a history; the object keeps all of it."""

_SIGNATURES: Final = (0x4FFE0001, 0xFFFAFFFA)
"""MAC parameters and digital signatures (PS3.15 C), which sign what is changed now."""
_NUMBERS: Final = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What one object is to become. `uids` are replaced wherever it refers to them."""

    location: Location
    wanted: Wanted
    uids: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> InstanceKey:
        """The instance that the new version is of."""
        key = self.location.key
        return key._replace(study_uid=self.uids.get(key.study_uid, key.study_uid))


@dataclass(frozen=True, slots=True)
class About:
    """What the note in each object says: from whom it came, when it was changed, and in which sense."""

    source: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """An object and what becomes of it."""

    meta: bytes
    ds: DataSet
    changes: Changes
    told: tuple[AttributeChange, ...]
    patients: tuple[tuple[str, str], tuple[str, str]]

    def pieces(self) -> Iterator[Buffer]:
        """The bytes of the new object, which can be had once. Raises DataSetError."""
        yield self.meta
        body = rewrite(self.ds, self.changes)
        yield from deflate(_plain(body)) if self.ds.syntax.deflated else body


def _plain(pieces: Iterator[Buffer]) -> Iterator[bytes | memoryview]:
    for piece in pieces:
        yield piece if isinstance(piece, bytes | memoryview) else bytes(piece)


@contextmanager
def changed(disk: Disk, rewrite: Rewrite, about: About) -> Iterator[Changed | None]:
    """What becomes of an object, over its mapped file; None where it is all as wanted already.

    Raises DataSetError where it cannot be written so, Corrupt, OSError.
    """
    content = disk.map(rewrite.location.path)
    try:
        try:
            meta, ds = read_part10(content)
        except DataSetError as error:
            raise Corrupt(f"{rewrite.location.path}: {error}") from error
        yield _changed(bytes(content[: meta.dataset_offset]), ds, rewrite, about)
        del ds
    finally:
        unmap(content)


def make(disk: Disk, name: str, one: Changed, key: InstanceKey, origin: Origin) -> ObjectRecord:
    """Write an object under a temporary name, durably, and read it again; its record, without place and time.

    Raises DataSetError where it is not what it was to be, OSError, SyncFailed.
    """
    write_durably(disk, name, list(one.pieces()))
    content = disk.map(name)
    try:
        with opened(disk, f"{name}-read", content) as found:
            if found.key != key:
                raise DataSetError(f"the edited object became {found.key.sop_uid} of another place")
            for tag, value in one.changes.values.items():
                if (tag in found.ds) is (value is None) or found.ds.raw(tag).rstrip(b"\0 ") != (
                    value[1].rstrip(b"\0 ") if value else b""
                ):
                    raise DataSetError("the edited object does not hold its new value", tag=tag)
            return found.digested(found.describe(origin))
    except Unfit as unfit:
        raise DataSetError(f"the edited object cannot be kept: {unfit}") from unfit
    finally:
        unmap(content)


def _changed(meta: bytes, ds: DataSet, rewrite: Rewrite, about: About) -> Changed | None:
    wanted: Wanted = dict(rewrite.wanted)
    if rewrite.key != rewrite.location.key:
        wanted[STUDY_INSTANCE_UID] = {"vr": "UI", "Value": [rewrite.key.study_uid]}
    new = encoded(wanted, ds.charset, ds.syntax)
    to_utf_8 = new is None
    if new is None:
        new = encoded(wanted, (UTF_8,), ds.syntax)
        assert new is not None, "UTF-8 holds every text"
    differing = [tag for tag in sorted(wanted) if _differs(ds, new, tag, to_utf_8)]
    before = _patient(ds)
    if not differing:
        return None
    signed = [tag for tag in _SIGNATURES if tag in ds]
    values: dict[int, Value | None] = {
        tag: _value(new, tag) if wanted[tag] is not None else None for tag in differing
    }
    told = [AttributeChange(tag, shown(ds, tag), shown(new, tag)) for tag in differing]
    told += [AttributeChange(tag, shown(ds, tag), "") for tag in signed]
    if to_utf_8:
        told.append(AttributeChange(SPECIFIC_CHARACTER_SET, shown(ds, SPECIFIC_CHARACTER_SET), UTF_8))
    values |= dict.fromkeys(signed)
    inner = Changes({}, rewrite.uids, to_utf_8)
    values[ORIGINAL_ATTRIBUTES] = _original_attributes(ds, differing, inner, about)
    after = _patient(new)
    patients = (
        before,
        (
            after[0] if PATIENT_ID in values else before[0],
            after[1] if ISSUER in values else before[1],
        ),
    )
    return Changed(meta, ds, Changes(values, rewrite.uids, to_utf_8), tuple(told), patients)


def _patient(ds: DataSet) -> tuple[str, str]:
    return ds.text(PATIENT_ID) or "", ds.text(ISSUER) or ""


def _differs(ds: DataSet, new: DataSet, tag: int, to_utf_8: bool) -> bool:
    """Whether an attribute is not yet what it is to be."""
    if (tag in ds) != (tag in new):
        return True
    if tag not in ds:
        return False
    vr = element_vr(ds, ds.elements[tag])
    if vr in CHARSET_VRS and to_utf_8:
        return ds.texts(tag) != new.texts(tag)
    if vr == "SQ":
        return _value(ds, tag)[1] != _value(new, tag)[1]
    return ds.raw(tag).rstrip(b"\0 ") != new.raw(tag).rstrip(b"\0 ")


def _value(ds: DataSet, tag: int) -> Value:
    return element_value(ds, ds.elements[tag], ds.syntax) if tag in ds else ("", b"")


def _original_attributes(ds: DataSet, tags: list[int], inner: Changes, about: About) -> Value:
    """The sequence with an Item more, of what the attributes were (PS3.3 C.12.1.1.9)."""
    modified: Values = {}
    for tag in tags:
        element = ds.elements.get(tag)
        if element is None:
            modified[tag] = vr_of(tag), b""
            continue
        vr, raw = element_value(ds, element, ds.syntax)
        if vr == "SQ":
            raw = b"".join(items(ds, tag, inner, ds.syntax))
        elif inner.to_utf_8 and vr in CHARSET_VRS and (not raw.isascii() or b"\x1b" in raw):
            raw = decode_text(raw, ds.charset, vr).encode("utf-8")
        modified[tag] = vr, raw
    note: Values = {
        0x04000550: sequence([modified], ds.syntax),
        0x04000562: text_value("DT", f"{about.at.astimezone(UTC):%Y%m%d%H%M%S.%f}+0000"),
        0x04000563: text_value("LO", MODIFYING_SYSTEM),
        0x04000564: text_value("LO", about.source),
        0x04000565: text_value("CS", about.reason),
    }
    earlier = b"".join(items(ds, ORIGINAL_ATTRIBUTES, inner, ds.syntax)) if ORIGINAL_ATTRIBUTES in ds else b""
    return "SQ", earlier + item(note, ds.syntax)


def shown(ds: DataSet, tag: int) -> str:
    """A value as people read it, shortened; empty where there is none."""
    element = ds.elements.get(tag)
    if element is None or not element[3]:
        return ""
    vr = element_vr(ds, element)
    if vr == "SQ":
        count = len(ds.sequence(tag))
        return f"{count} item" if count == 1 else f"{count} items"
    if vr in _NUMBERS:
        numbers = ds.ints(tag) if vr not in ("FL", "FD") else ds.floats(tag)
        text = "\\".join(str(number) for number in numbers)
    elif vr in ("OB", "OW", "OD", "OF", "OL", "OV", "UN"):
        text = f"{element[3]} bytes"
    else:
        text = "\\".join(ds.texts(tag))
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"
