"""What is sent: objects with their identity known and their bytes read only when the wire asks for them.

A C-STORE carries the Data Set alone, without preamble and group 0002 (PS3.7 9.1.1), so an
`Outgoing` names what the Data Set is and reads the bytes behind the meta information. Nothing is decoded:
what lies in the file is what the peer gets. Where the two differ, as in many files that were edited, the Data
Set is right: the peer gets no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gantry.dataset.deflate import inflate
from gantry.dataset.part10 import FileMeta, read_file_meta
from gantry.dataset.scan import beginning
from gantry.dimse.limits import MAX_CONTEXTS
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import DataSetError
from gantry.standard.status import Category, category
from gantry.standard.transfer_syntaxes import transfer_syntax
from gantry.standard.uids import is_tolerated_uid

_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018

CHUNK_BYTES = 1 << 20
"""How much of a file is read at once: one read for most slices, flat memory for a 2 GB object."""

META_BYTES = 256 + (64 << 10)
"""Enough of a file's beginning to hold its meta information, which is capped at 64 KiB."""


@dataclass(frozen=True, slots=True)
class OpenDataSet:
    """A Data Set in an open file whose bytes are in memory; it goes on from `offset` to the end.

    `close` lets go of the file; so does whoever forgets this value.
    """

    file: int
    offset: int
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One object to send; `read` gives the Data Set's bytes in order and may block on a disk.

    `label` is what reports call it (a file name), `size` the Data Set's length in bytes. Where the Data Set
    lies in a file as it is sent, `open` gives that file, so that nobody need read it; it may block and fail
    as `read` does, and gives None where there is no such file after all.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int
    read: Callable[[], Iterable[bytes]]
    label: str = ""
    open: Callable[[], OpenDataSet | None] | None = None


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of one object sent: `status` of PS3.4 B.2.3, None where no answer came.

    `label` is the name of the file where there was one.
    """

    sop_class_uid: str
    sop_instance_uid: str
    status: int | None
    comment: str = ""
    label: str = ""

    @property
    def ok(self) -> bool:
        """Stored, perhaps with a warning."""
        return self.status is not None and category(self.status) in (Category.SUCCESS, Category.WARNING)


def outgoing_file(path: Path) -> Outgoing:
    """The Part 10 file at `path`, of which only the beginning is read now.

    Raises DataSetError when it is not Part 10 and OSError when it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(META_BYTES)
        size = file.seek(0, 2)
    meta = read_file_meta(head)
    sop_class_uid, sop_instance_uid = _identity(head, meta)
    offset = meta.dataset_offset

    def read() -> Iterator[bytes]:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    return Outgoing(sop_class_uid, sop_instance_uid, meta.transfer_syntax_uid, size - offset, read, str(path))


def outgoing_bytes(data: bytes, label: str = "") -> Outgoing:
    """A Part 10 file held in memory; raises DataSetError when it is none."""
    meta = read_file_meta(data)
    sop_class_uid, sop_instance_uid = _identity(data, meta)
    dataset = data[meta.dataset_offset :]
    return Outgoing(
        sop_class_uid,
        sop_instance_uid,
        meta.transfer_syntax_uid,
        len(dataset),
        lambda: (dataset,),
        label or sop_instance_uid,
    )


def outgoing(source: Outgoing | Path | str | bytes) -> Outgoing:
    """`source` as something to send: a path, the bytes of a file, or what already is one."""
    match source:
        case Outgoing():
            return source
        case bytes():
            return outgoing_bytes(source)
        case _:
            return outgoing_file(Path(source))


def _identity(head: bytes, meta: FileMeta) -> tuple[str, str]:
    """SOP Class UID and SOP Instance UID, of the meta information where the Data Set tells none."""
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    dataset, offset = head, meta.dataset_offset
    if syntax.deflated:
        with suppress(DataSetError):  # whether it can be inflated at all is the peer's to say
            dataset, offset = next(inflate([head[offset : offset + META_BYTES]]), b""), 0
    told = beginning(dataset, syntax, _SOP_INSTANCE_UID, offset=offset)
    sop_class_uid = _uid(told.get(_SOP_CLASS_UID, b"")) or meta.media_storage_sop_class_uid
    sop_instance_uid = _uid(told.get(_SOP_INSTANCE_UID, b"")) or meta.media_storage_sop_instance_uid
    needed = {
        "SOP Class UID": sop_class_uid,
        "SOP Instance UID": sop_instance_uid,
        "Transfer Syntax UID": meta.transfer_syntax_uid,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise DataSetError(f"the file lacks {' and '.join(missing)}, so it cannot be sent")
    return sop_class_uid, sop_instance_uid


def _uid(value: bytes) -> str:
    """The value as a UID that can be announced; empty where it is none."""
    uid = value.decode("latin-1").rstrip("\0 ")
    return uid if is_tolerated_uid(uid) else ""


def contexts_for(objects: Iterable[Outgoing]) -> list[ProposedContext]:
    """One presentation context for each SOP class and transfer syntax that occurs.

    A context holds one transfer syntax only, so that the acceptor cannot choose one that the file
    is not in.
    """
    pairs = dict.fromkeys((o.sop_class_uid, o.transfer_syntax_uid) for o in objects)
    return [ProposedContext(abstract, (syntax,)) for abstract, syntax in pairs]


def groups_for_association(
    objects: Iterable[Outgoing], proposals: Callable[[Outgoing], Sequence[ProposedContext]]
) -> Iterator[list[Outgoing]]:
    """`objects`, in their order, in runs whose contexts fit into one association each."""
    group: list[Outgoing] = []
    contexts: set[ProposedContext] = set()
    before: Sequence[ProposedContext] = ()
    for item in objects:
        wanted = proposals(item)
        if wanted != before:  # those of a study mostly follow others of their kind
            if len(contexts.union(wanted)) > MAX_CONTEXTS and group:
                yield group
                group, contexts = [], set()
            contexts.update(wanted)
            before = wanted
        group.append(item)
    if group:
        yield group
