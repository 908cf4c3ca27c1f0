"""An object in another transfer syntax, for a peer that does not take the one it is kept in.

Between native syntaxes only headers and byte order change, never a value (PS3.5 Annex A), which is cheap
enough to do while sending. Compressed objects are decompressed, and images compressed without loss for a peer
that takes nothing else; the frames go through a function that may run codecs elsewhere. Codecs are imported
when something is sent: commands that send nothing do without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

from gantry.client.objects import Outgoing
from gantry.dataset.deflate import inflate
from gantry.dataset.scan import scan
from gantry.dimse.negotiation import AcceptedContext, ProposedContext
from gantry.errors import CallerError, DataSetError
from gantry.standard import transfer_syntaxes as ts
from gantry.standard.sop_classes import name_of
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)

if TYPE_CHECKING:
    from gantry.pixels.transcode import FrameJob

NATIVE_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
"""The syntaxes that differ in headers and byte order only, those preferred for sending first."""

COMPRESSED_SYNTAXES = (ts.JPEG_LOSSLESS_SV1, ts.RLE_LOSSLESS, ts.JPEG_LS_LOSSLESS, ts.JPEG_2000_LOSSLESS)
"""For a peer that takes no native syntax: lossless, and known to many."""

MAX_CONVERTED_BYTES = 64 << 20
"""An object is held in memory to be rewritten; a larger one is sent as it is or not at all."""

SPOOL_BYTES = 8 << 20

RunFrame = Callable[[bytes, "FrameJob"], bytes]
"""Makes one frame in another transfer syntax; called in threads, and may block."""


def run_here(data: bytes, job: FrameJob) -> bytes:
    """Codecs in this process."""
    from gantry.pixels.transcode import transcode_frame

    return transcode_frame(data, job)[0]


def can_convert(outgoing: Outgoing) -> bool:
    """Whether `as_native` takes this object."""
    return outgoing.transfer_syntax_uid in NATIVE_SYNTAXES and outgoing.size <= MAX_CONVERTED_BYTES


def other_syntaxes(outgoing: Outgoing) -> tuple[str, ...]:
    """Transfer syntaxes in which this object can be sent besides its own, those preferred first.

    Nothing is lost in any of them. Whether pixels fit into one shows when they are read.
    """
    if outgoing.size > MAX_CONVERTED_BYTES:
        return ()
    return _others(outgoing.sop_class_uid, outgoing.transfer_syntax_uid)


@lru_cache(maxsize=256)
def _others(sop_class_uid: str, own: str) -> tuple[str, ...]:
    # Remembered, because the objects of a study are nearly always all of one kind.
    from gantry.pixels.codecs.registry import can_decode
    from gantry.pixels.transcode import keeps_pixels

    syntax = transfer_syntax(own)
    if not syntax.known:
        return ()
    if syntax.encapsulated and not can_decode(own):
        return ()
    others = [uid for uid in NATIVE_SYNTAXES if uid != own]
    if "Image" in name_of(sop_class_uid):
        others += [uid for uid in COMPRESSED_SYNTAXES if uid != own and keeps_pixels(own, uid)]
    return tuple(others)


def proposals(outgoing: Outgoing) -> tuple[ProposedContext, ...]:
    """The object's own syntax and the others it can be sent in, a context each."""
    others = other_syntaxes(outgoing)
    return _proposals(outgoing.sop_class_uid, (outgoing.transfer_syntax_uid, *others))


@lru_cache(maxsize=256)
def _proposals(sop_class_uid: str, syntaxes: tuple[str, ...]) -> tuple[ProposedContext, ...]:
    return tuple(ProposedContext(sop_class_uid, (syntax,)) for syntax in syntaxes)


def in_accepted_form(
    outgoing: Outgoing, contexts: Iterable[AcceptedContext], run: RunFrame = run_here
) -> Outgoing:
    """The object as it is where a context takes it, else in the first other syntax that one takes."""
    accepted = {c.transfer_syntax for c in contexts if c.abstract_syntax == outgoing.sop_class_uid}
    if outgoing.transfer_syntax_uid in accepted:
        return outgoing
    target = next((uid for uid in other_syntaxes(outgoing) if uid in accepted), None)
    return outgoing if target is None else as_native(outgoing, target, run)


def as_native(outgoing: Outgoing, target_uid: str, run: RunFrame = run_here) -> Outgoing:
    """`outgoing` in the syntax `target_uid`; it is read and rewritten when it is sent.

    Reading may then raise DataSetError as well.
    """

    def read() -> Iterable[bytes]:
        from gantry.pixels.codecs.codec import Compression
        from gantry.pixels.transcode import Assembly, plan

        source = transfer_syntax(outgoing.transfer_syntax_uid)
        pieces = outgoing.read()
        ds = scan(b"".join(inflate(pieces) if source.deflated else pieces), source)
        try:
            planned = plan(ds, target_uid, Compression())
            with SpooledTemporaryFile(SPOOL_BYTES) as spool:
                assembly = Assembly(planned, spool)
                frames = (_frame(run, planned.frame(n), planned.job, n) for n in range(planned.frames))
                if assembly.needs_all_first:
                    for frame in frames:
                        assembly.add(frame)
                return [bytes(piece) for piece in assembly.pieces(frames)]
        except CallerError as error:
            raise DataSetError(f"it cannot be sent in {transfer_syntax(target_uid).name}: {error}") from error

    return replace(outgoing, transfer_syntax_uid=target_uid, read=read, open=None)


def _frame(run: RunFrame, data: bytes, job: FrameJob | None, index: int) -> bytes:
    from gantry.pixels.transcode import frame_error

    assert job is not None
    try:
        return run(data, job)
    except DataSetError as error:
        raise frame_error(index, error) from error
