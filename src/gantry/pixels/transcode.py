"""The same object in another transfer syntax: any to any where it is lawful (PS3.5 8.2 and Annex A).

What is lossless stays bit for bit and stays the same SOP Instance. What loses something is a derived image: a
new SOP Instance UID, Image Type DERIVED, and how much was lost by which method (PS3.3 C.7.6.1.1.5,
C.7.6.1.1.2, C.12.4.1.1). A stream that is lawful in the other syntax as it is, or becomes so without decoding
(JPEG and JPEG XL), is not decoded.

In three steps, so that each runs where it should: `plan` reads headers only; `transcode_frame` runs codecs,
in a guarded process or a thread, one frame at a time; `Assembly` writes the Data Set around the frames.
`transcode` does all three here. Frames wait in a spool, because the offset table that stands before them
tells their lengths: memory holds one frame, whatever the object is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from struct import Struct
from typing import IO, Final

import numpy as np

from gantry.dataset.deflate import deflate
from gantry.dataset.encode import encode
from gantry.dataset.reencode import before_pixels, behind_pixels, item_bytes, pixel_data_header, reencode
from gantry.dataset.scan import Buffer, DataSet
from gantry.errors import CallerError, DataSetError
from gantry.pixels.codecs import jpeg_xl, native
from gantry.pixels.codecs.codec import (
    COLOR_BY_LUMINANCE,
    Compression,
    Decoded,
    Pixels,
    has_stray_bits,
    stored_values,
)
from gantry.pixels.codecs.native import swapped_words
from gantry.pixels.codecs.registry import can_encode, codec_of, is_lossy_encoder, why_not
from gantry.pixels.decode import decode, header_of_frame
from gantry.pixels.encapsulation import FrameTable, Kind, frame_table
from gantry.pixels.image import ImageHeader
from gantry.pixels.stretches import Stretches, in_buffer
from gantry.pixels.video import VideoReader, describe, native_header
from gantry.standard import transfer_syntaxes as ts
from gantry.standard.dictionary import PIXEL_DATA
from gantry.standard.transfer_syntaxes import TransferSyntax, transfer_syntax

MAX_BASIC_OFFSET: Final = 0xFFFFFFFF
"""Offsets above this need the Extended Offset Table (PS3.3 C.7.6.3.1.8)."""

MAX_NATIVE_BYTES: Final = 0xFFFFFFFE
"""What the 32-bit length of native Pixel Data can tell (PS3.5 8.2)."""

_COPY_BYTES: Final = 1 << 20
_ITEM: Final = Struct("<HHL")
_ITEM_HEADER_BYTES: Final = 8

_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_IMAGE_TYPE: Final = 0x00080008
_DERIVATION_DESCRIPTION: Final = 0x00082111
_SOURCE_IMAGE_SEQUENCE: Final = 0x00082112
_DERIVATION_CODE_SEQUENCE: Final = 0x00089215
_LOSSY_IMAGE_COMPRESSION: Final = 0x00282110
_LOSSY_RATIO: Final = 0x00282112
_LOSSY_METHOD: Final = 0x00282114
_EXTENDED_OFFSET_TABLE: Final = 0x7FE00001
_EXTENDED_OFFSET_TABLE_LENGTHS: Final = 0x7FE00002
_MOST_DESCRIPTION: Final = 1024

_FITS_AS_IT_IS: Final = frozenset(
    {
        (ts.JPEG_BASELINE_8_BIT, ts.JPEG_EXTENDED_12_BIT),
        (ts.JPEG_LOSSLESS_SV1, ts.JPEG_LOSSLESS),
        (ts.JPEG_2000_LOSSLESS, ts.JPEG_2000),
        (ts.HTJ2K_LOSSLESS_RPCL, ts.HTJ2K_LOSSLESS),
        (ts.HTJ2K_LOSSLESS_RPCL, ts.HTJ2K),
        (ts.HTJ2K_LOSSLESS, ts.HTJ2K),
        (ts.JPEG_XL_LOSSLESS, ts.JPEG_XL),
        (ts.JPEG_XL_JPEG_RECOMPRESSION, ts.JPEG_XL),
    }
)
"""Streams of the first syntax are streams of the second too."""

_RECOMPRESSED: Final[dict[tuple[str, str], Callable[[bytes], bytes]]] = {
    (ts.JPEG_BASELINE_8_BIT, ts.JPEG_XL_JPEG_RECOMPRESSION): jpeg_xl.recompress,
    (ts.JPEG_BASELINE_8_BIT, ts.JPEG_XL): jpeg_xl.recompress,
    (ts.JPEG_XL_JPEG_RECOMPRESSION, ts.JPEG_BASELINE_8_BIT): jpeg_xl.original_jpeg,
}


@dataclass(frozen=True, slots=True)
class FrameJob:
    """What is to be done to each frame; `source` is the header as stored, `target` that of the new frames."""

    source_uid: str
    source: ImageHeader
    target_uid: str
    target: ImageHeader
    compression: Compression

    @property
    def keeps_stream(self) -> bool:
        """Whether nothing is decoded."""
        pair = self.source_uid, self.target_uid
        return pair in _FITS_AS_IT_IS or pair in _RECOMPRESSED

    @property
    def loses(self) -> bool:
        """Whether something is lost."""
        return not self.keeps_stream and is_lossy_encoder(self.target_uid)


@dataclass(frozen=True, slots=True)
class Plan:
    """An object and what becomes of it. `job` is None where only headers are written anew.

    `notes` says where the first frame's stream and the header disagree.
    """

    ds: DataSet
    target: TransferSyntax
    table: FrameTable | None
    job: FrameJob | None
    new_sop_instance_uid: str
    notes: tuple[str, ...] = ()
    left_out: frozenset[int] = frozenset()
    """Elements that cannot come along."""
    video: VideoReader | None = None
    """Where frames come from that are those of a video."""

    @property
    def frames(self) -> int:
        """How many frames are to be made."""
        if self.table is None or self.job is None:
            return 0
        return self.table.declared if self.video is not None else len(self.table)

    def close(self) -> None:
        """Let go of a video; the plan can be thrown away without it otherwise."""
        if self.video is not None:
            self.video.close()

    @property
    def sop_instance_uid(self) -> str:
        """Of the object that is made."""
        loses = self.job is not None and self.job.loses
        return self.new_sop_instance_uid if loses else self.ds.text(_SOP_INSTANCE_UID) or ""

    def frame(self, index: int) -> bytes:
        """The stored bytes of a frame, from 0, as `transcode_frame` takes them."""
        assert self.table is not None
        if self.video is not None:
            decoded = self.video.frame(index)
            return native.octets(decoded.pixels, decoded.header)
        return stored_frame(self.ds, self.table, index)


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A Data Set in its new transfer syntax, in pieces that can be had once."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    pieces: Iterator[Buffer]
    lossy: bool
    notes: tuple[str, ...] = ()


def transcode(
    ds: DataSet,
    target_uid: str,
    *,
    compression: Compression | None = None,
    new_sop_instance_uid: str = "",
    spool: IO[bytes] | None = None,
    on_frame: Callable[[int], None] = lambda _: None,
) -> Transcoded:
    """Make the same Data Set in another transfer syntax, in this process.

    `new_sop_instance_uid` is needed where something is lost. Compressed frames wait in `spool`, an empty file
    open for writing and reading; memory if none is given. `on_frame` is told the number of each that is done.
    Raises CallerError for what is not lawful, DataSetError, which names the frame, for what cannot be
    decoded.
    """
    planned = plan(ds, target_uid, compression or Compression(), new_sop_instance_uid)
    assembly = Assembly(planned, spool)
    notes = dict.fromkeys(planned.notes)

    def frames() -> Iterator[bytes]:
        assert planned.job is not None
        for index in range(planned.frames):
            try:
                data, said = transcode_frame(planned.frame(index), planned.job)
            except DataSetError as error:
                raise frame_error(index, error) from error
            notes.update(dict.fromkeys(said))
            on_frame(index + 1)
            yield data
        planned.close()

    if assembly.needs_all_first:
        for data in frames():
            assembly.add(data)
        pieces = assembly.pieces()
    else:
        pieces = assembly.pieces(frames())
    loses = planned.job is not None and planned.job.loses
    return Transcoded(
        ds.text(_SOP_CLASS_UID) or "",
        planned.sop_instance_uid,
        target_uid,
        pieces,
        loses,
        tuple(notes),
    )


def pixel_value(ds: DataSet, target_uid: str, spool: IO[bytes] | None = None) -> Iterator[Buffer]:
    """The value of Pixel Data alone in another transfer syntax, as `transcode` would write it.

    Of encapsulated Pixel Data, all Items. Raises CallerError, DataSetError.
    """
    planned = plan(ds, target_uid, Compression())
    if planned.job is None:
        raise CallerError("Pixel Data stays as it is between these transfer syntaxes")
    job = planned.job
    frames = (transcode_frame(planned.frame(index), job)[0] for index in range(planned.frames))
    if not planned.target.encapsulated:
        yield from join_native(frames, job.target, planned.target)
        return
    assembly = Assembly(planned, spool)
    for frame in frames:
        assembly.add(frame)
    yield from assembly.items()


def frame_error(index: int, error: DataSetError) -> DataSetError:
    """The error of one frame, named as people count: from 1."""
    return DataSetError(f"frame {index + 1}: {error.cause}", tag=error.tag, offset=error.offset)


def plan(ds: DataSet, target_uid: str, compression: Compression, new_sop_instance_uid: str = "") -> Plan:
    """Decide what becomes of an object, from its headers and those of its first frame.

    Raises CallerError for what cannot be written so, DataSetError for pixels that cannot be read.
    """
    target = transfer_syntax(target_uid)
    if not can_encode(target_uid):
        raise CallerError(f"nothing is written in {target.name} ({target_uid})")
    pixels = ds.pixel_data
    if pixels is None and "JPIP" in ds.syntax.name:
        raise DataSetError(why_not(ds.syntax))
    plain = ds.syntax.uid != ts.GE_PRIVATE_IMPLICIT_VR_LITTLE_ENDIAN
    if pixels is None or (not ds.syntax.encapsulated and not target.encapsulated and plain):
        return Plan(ds, target, None, None, new_sop_instance_uid)
    header = ImageHeader.from_dataset(ds)
    table = frame_table(ds)
    if table is None or not len(table):
        raise DataSetError("the frames of this object cannot be told apart", tag=PIXEL_DATA)
    if table.is_stream:
        return _plan_of_video(ds, table, header, target, compression, new_sop_instance_uid)
    if len(table) < table.declared:
        raise DataSetError(
            f"there are {len(table)} frames where {table.declared} are declared", tag=PIXEL_DATA
        )
    job, notes = plan_frames(stored_frame(ds, table, 0), ds.syntax.uid, header, target_uid, compression)
    if job.loses and not new_sop_instance_uid:
        raise CallerError("what loses something needs a SOP Instance UID of its own")
    left_out = _with_compressed_pixels(ds)
    for tag in sorted(left_out):
        name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        notes = (*notes, f"{name} is left out: it holds pixels compressed in the transfer syntax that was")
    return Plan(ds, target, table, job, new_sop_instance_uid, notes, left_out)


def _plan_of_video(
    ds: DataSet,
    table: FrameTable,
    header: ImageHeader,
    target: TransferSyntax,
    compression: Compression,
    new_sop_instance_uid: str,
) -> Plan:
    job = job_for_video(ds, header, target.uid, compression)
    if job.loses and not new_sop_instance_uid:
        raise CallerError("what loses something needs a SOP Instance UID of its own")
    description = describe(ds)
    video = VideoReader(Stretches(in_buffer(ds.buffer), table.frame(0)), header)
    try:
        if len(video) < table.declared:
            raise DataSetError(
                f"the video has {len(video)} frames where {table.declared} are declared", tag=PIXEL_DATA
            )
    except BaseException:
        video.close()
        raise
    notes = description.notes if description is not None else ()
    return Plan(ds, target, table, job, new_sop_instance_uid, notes, video=video)


def _with_compressed_pixels(ds: DataSet) -> frozenset[int]:
    """Sequences that hold compressed pixels, which are in the transfer syntax of the whole object (PS3.5
    A.4)."""
    if not ds.syntax.encapsulated:
        return frozenset()
    sequences = (tag for tag, element in ds.elements.items() if element[1] == "SQ")
    return frozenset(tag for tag in sequences if any(_holds_compressed(item) for item in ds.items(tag)))


def _holds_compressed(ds: DataSet) -> bool:
    pixels = ds.elements.get(PIXEL_DATA)
    return (pixels is not None and pixels[4]) or bool(_with_compressed_pixels(ds))


def job_for_video(ds: DataSet, header: ImageHeader, target_uid: str, compression: Compression) -> FrameJob:
    """What is to be done to each frame of a video once it is decoded. Raises CallerError, DataSetError."""
    description, codec = describe(ds), codec_of(target_uid)
    if description is None:
        raise DataSetError("the object has no video", tag=PIXEL_DATA)
    if codec.plan is None:
        raise CallerError(f"nothing is written in {transfer_syntax(target_uid).name}")
    decoded = native_header(header, description.facts)
    target = codec.plan(target_uid, decoded)
    return FrameJob(ts.EXPLICIT_VR_LITTLE_ENDIAN, decoded, target_uid, target, compression)


def plan_frames(
    first: bytes, source_uid: str, header: ImageHeader, target_uid: str, compression: Compression
) -> tuple[FrameJob, tuple[str, ...]]:
    """What is to be done to each frame, decided by the first. Raises CallerError, DataSetError."""
    true, _, notes = header_of_frame(first, source_uid, header)
    pair = source_uid, target_uid
    if pair in _FITS_AS_IT_IS or pair in _RECOMPRESSED:
        return FrameJob(source_uid, header, target_uid, header, compression), notes
    codec = codec_of(target_uid)
    if codec.plan is None:
        raise CallerError(f"nothing is written in {transfer_syntax(target_uid).name}")
    target = codec.plan(target_uid, _as_words(true, keeps_words=codec.keeps_words))
    return FrameJob(source_uid, header, target_uid, target, compression), notes


def _as_words(header: ImageHeader, *, keeps_words: bool) -> ImageHeader:
    """Values stand at the lowest bits, except where whole words are kept."""
    if keeps_words or header.is_float or not header.signed:
        return header
    return replace(header, high_bit=header.bits_stored - 1)


def keeps_pixels(source_uid: str, target_uid: str) -> bool:
    """Whether what is in one transfer syntax can be had in the other with nothing lost."""
    pair = source_uid, target_uid
    return (
        pair in _FITS_AS_IT_IS
        or pair in _RECOMPRESSED
        or (can_encode(target_uid) and not is_lossy_encoder(target_uid))
    )


def transcode_frame(data: bytes, job: FrameJob) -> tuple[bytes, tuple[str, ...]]:
    """One frame in the target's transfer syntax, and where its stream disagreed with the header.

    Raises DataSetError for a frame that cannot be decoded.
    """
    pair = job.source_uid, job.target_uid
    if pair in _FITS_AS_IT_IS:
        return data, ()
    if pair in _RECOMPRESSED:
        return _RECOMPRESSED[pair](data), ()
    decoded = decode(data, job.source_uid, job.source)
    return encode_frame(decoded, job), decoded.notes


def encode_frame(decoded: Decoded, job: FrameJob) -> bytes:
    """A decoded frame in the target's transfer syntax. Raises DataSetError where it is not like the first."""
    codec = codec_of(job.target_uid)
    assert codec.encode is not None
    pixels = _prepared(decoded, job, keeps_words=codec.keeps_words)
    try:
        return codec.encode(pixels, job.target_uid, job.target, job.compression)
    except (CallerError, DataSetError, MemoryError):
        raise
    except Exception as error:  # every codec raises types of its own; this is their door
        raise DataSetError(f"{codec.name} cannot encode this frame: {error}", tag=PIXEL_DATA) from error


def _prepared(decoded: Decoded, job: FrameJob, *, keeps_words: bool) -> Pixels:
    """Samples as the encoder takes them."""
    header, target = decoded.header, job.target
    if header.samples_per_pixel != target.samples_per_pixel or header.signed != target.signed:
        raise DataSetError("the frame is of another kind than the first", tag=PIXEL_DATA)
    pixels = decoded.pixels
    if not keeps_words and (job.loses or target.signed) and has_stray_bits(pixels, header):
        pixels = stored_values(pixels, header)
    converts = target.photometric_interpretation not in COLOR_BY_LUMINANCE or target.bits_allocated == 8
    if (
        job.loses
        and converts
        and header.photometric_interpretation in COLOR_BY_LUMINANCE
        and target.photometric_interpretation != "YBR_FULL"
    ):
        pixels = _to_rgb(pixels, header.bits_stored)
    width = max(1, target.bits_allocated // 8)
    if pixels.dtype.itemsize != width and pixels.dtype.kind in "iu":
        if pixels.dtype.itemsize > width and int(pixels.max()) >> target.bits_stored:
            raise DataSetError("the frame has values of more bits than the first tells", tag=PIXEL_DATA)
        pixels = pixels.astype(np.dtype(f"{pixels.dtype.kind}{width}"))
    return pixels


def _to_rgb(pixels: Pixels, bits: int) -> Pixels:
    """YBR_FULL to RGB (PS3.3 C.7.6.3.1.2)."""
    middle, top = 1 << (bits - 1), (1 << bits) - 1
    y, cb, cr = (pixels[..., n].astype(np.float32) for n in range(3))
    cb, cr = cb - middle, cr - middle
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.asarray(np.clip(np.rint(rgb), 0, top).astype(pixels.dtype))


def stored_frame(ds: DataSet, table: FrameTable, index: int) -> bytes:
    """The bytes of a frame, from 0, its first pixel at the first bit; all its fragments joined."""
    spans = table.frame(index)
    if table.kind is not Kind.NATIVE:
        return b"".join(bytes(ds.buffer[offset : offset + length]) for offset, length in spans)
    (offset, length), pixels = spans[0], ds.pixel_data
    assert pixels is not None
    bits, shift = table.frame_bits or 0, table.first_bit(index)
    if not ds.syntax.little_endian and pixels.vr == "OW" and (length % 2 or (offset - pixels.offset) % 2):
        # The frame begins or ends inside a 16-bit word, whose bytes are exchanged.
        start = offset - (offset - pixels.offset) % 2
        stop = min(offset + length + (offset + length - start) % 2, pixels.offset + pixels.length)
        words = swapped_words(bytes(ds.buffer[start:stop]))
        data = words[offset - start : offset - start + length]
        return swapped_words(data + b"\0" * (length % 2))
    data = bytes(ds.buffer[offset : offset + length])
    if not shift and bits % 8 == 0:
        return data
    # Frames of single bits follow one another without padding (PS3.5 8.1.1).
    swaps = not ds.syntax.little_endian and pixels.vr == "OW"
    number = int.from_bytes(swapped_words(data) if swaps else data, "little") >> shift & (1 << bits) - 1
    plain = number.to_bytes(-(-bits // 8), "little")
    return swapped_words(plain + b"\0" * (len(plain) % 2)) if swaps else plain


class Assembly:
    """Writes the Data Set around its frames.

    Native pixels need no more than one frame at a time: give `pieces` the frames. Compressed ones are added
    first, to lie in the spool; `needs_all_first` says which it is.
    """

    def __init__(self, plan: Plan, spool: IO[bytes] | None = None) -> None:
        self._plan = plan
        self._spool = spool if spool is not None else BytesIO()
        self._lengths: list[int] = []

    @property
    def needs_all_first(self) -> bool:
        """Whether all frames must be added before the first piece can be had."""
        return self._plan.job is not None and self._plan.target.encapsulated

    def add(self, frame: bytes) -> None:
        """The next compressed frame."""
        self._lengths.append(len(frame))
        self._spool.write(frame)

    def pieces(self, frames: Iterable[bytes] = ()) -> Iterator[Buffer]:
        """The Data Set, deflated where its transfer syntax is."""
        plain = self._plain(frames)
        return deflate(map(memoryview, plain)) if self._plan.target.deflated else plain

    @property
    def native_bytes(self) -> int:
        """Length of native Pixel Data, even. Raises CallerError where it is more than can be told."""
        job = self._plan.job
        assert job is not None
        length = native_frames_bytes(job.target, self._plan.frames)
        if length > MAX_NATIVE_BYTES:
            raise CallerError(f"{length} bytes of native Pixel Data are more than its length can tell")
        return length

    def _plain(self, frames: Iterable[bytes]) -> Iterator[Buffer]:
        ds, target, job = self._plan.ds, self._plan.target, self._plan.job
        if job is None:
            yield from reencode(ds, target)
            return
        if target.encapsulated:
            yield from before_pixels(ds, target, self._attributes(), self._plan.left_out)
            yield pixel_data_of_undefined_length(target)
            yield from self.items()
            yield _ITEM.pack(0xFFFE, 0xE0DD, 0)
        else:
            yield from self.head()
            yield from join_native(frames, job.target, target)
        yield from self.tail()

    def tail(self) -> Iterator[Buffer]:
        """What stands behind Pixel Data."""
        return behind_pixels(self._plan.ds, self._plan.target)

    def head(self) -> Iterator[Buffer]:
        """What stands before the first native frame."""
        ds, job = self._plan.ds, self._plan.job
        assert job is not None
        yield from before_pixels(ds, self._plan.target, self._attributes(), self._plan.left_out)
        vr = "OB" if job.target.bits_allocated <= 8 else "OW"
        yield pixel_data_header(vr, self.native_bytes, self._plan.target)

    def _attributes(self) -> dict[int, tuple[str, bytes]]:
        job = self._plan.job
        assert job is not None
        order = "<" if self._plan.target.little_endian else ">"
        changed = dict(_image_pixel(self._plan.ds, job.target, order))
        if job.loses:
            changed |= self._derivation(job)
        elif self._plan.ds.syntax.lossy and not self._plan.ds.text(_LOSSY_IMAGE_COMPRESSION):
            changed[_LOSSY_IMAGE_COMPRESSION] = ("CS", b"01")  # else nobody would know any more
        if self._plan.target.encapsulated and self._extended:
            offsets = _offsets(self._lengths)
            words = Struct(f"<{len(offsets)}Q")
            changed[_EXTENDED_OFFSET_TABLE] = ("OV", words.pack(*offsets))
            changed[_EXTENDED_OFFSET_TABLE_LENGTHS] = ("OV", words.pack(*self._lengths))
        return changed

    def _derivation(self, job: FrameJob) -> dict[int, tuple[str, bytes]]:
        """PS3.3 C.7.6.1.1.2 to C.7.6.1.1.5 and C.12.4.1.1."""
        ds = self._plan.ds
        native = native_frames_bytes(job.target, self._plan.frames)
        ratio = f"{native / max(1, sum(self._lengths)):.6g}"
        codec, name = codec_of(job.target_uid), self._plan.target.name
        words = f"Lossy compression {name}, ratio {ratio}"
        earlier = ds.text(_DERIVATION_DESCRIPTION)
        description = f"{earlier}; {words}" if earlier else words
        if len(description) > _MOST_DESCRIPTION or not description.isascii():
            description = words
        kind = [*ds.texts(_IMAGE_TYPE), "", ""]
        image_type = "\\".join(["DERIVED", kind[1] or "PRIMARY", *[k for k in kind[2:] if k]])
        ratios = [text for text in ds.texts(_LOSSY_RATIO) if text]
        methods = [text for text in ds.texts(_LOSSY_METHOD) if text]
        if len(ratios) == len(methods):
            methods.append(codec.method)
        else:
            methods = [codec.method]
            ratios = []
        ratios.append(ratio)
        return {
            _IMAGE_TYPE: ("CS", image_type.encode("ascii", "replace")),
            _SOP_INSTANCE_UID: ("UI", self._plan.new_sop_instance_uid.encode("ascii")),
            _DERIVATION_DESCRIPTION: ("ST", description.encode("ascii")),
            _SOURCE_IMAGE_SEQUENCE: ("SQ", self._sequence(_SOURCE_IMAGE_SEQUENCE, _source_image(ds))),
            _DERIVATION_CODE_SEQUENCE: ("SQ", self._sequence(_DERIVATION_CODE_SEQUENCE, _LOSSY_CODE)),
            _LOSSY_IMAGE_COMPRESSION: ("CS", b"01"),
            _LOSSY_RATIO: ("DS", "\\".join(ratios).encode("ascii")),
            _LOSSY_METHOD: ("CS", "\\".join(methods).encode("ascii")),
        }

    def _sequence(self, tag: int, item: dict[str, dict[str, object]]) -> bytes:
        """The Items that are there, and one more."""
        content = encode(item, self._plan.target)
        new = _ITEM.pack(0xFFFE, 0xE000, len(content)) + content
        return b"".join([*item_bytes(self._plan.ds, tag, self._plan.target), new])

    @property
    def _extended(self) -> bool:
        offsets = _offsets(self._lengths)
        return offsets[-1] > MAX_BASIC_OFFSET if offsets else False

    def items(self) -> Iterator[Buffer]:
        """PS3.5 A.4: a fragment for each frame, with a Basic Offset Table where it can tell."""
        offsets = [] if self._extended else _offsets(self._lengths)
        table = Struct(f"<{len(offsets)}L").pack(*offsets)
        yield _ITEM.pack(0xFFFE, 0xE000, len(table)) + table
        self._spool.seek(0)
        for length in self._lengths:
            yield _ITEM.pack(0xFFFE, 0xE000, length + length % 2)
            left = length
            while left:
                piece = self._spool.read(min(left, _COPY_BYTES))
                if not piece:
                    raise DataSetError("the spool of frames was cut", tag=PIXEL_DATA)
                left -= len(piece)
                yield piece
            if length % 2:
                yield b"\0"


def pixel_data_of_undefined_length(target: TransferSyntax) -> bytes:
    """The header of encapsulated Pixel Data."""
    return Struct("<HH2sHL").pack(PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OB", 0, 0xFFFFFFFF)


def _offsets(lengths: Sequence[int]) -> list[int]:
    """Of each fragment's Item Tag from the first one's."""
    offsets, position = [], 0
    for length in lengths:
        offsets.append(position)
        position += _ITEM_HEADER_BYTES + length + length % 2
    return offsets


def native_frames_bytes(header: ImageHeader, frames: int) -> int:
    """Bytes of so many frames in native form, padded to an even number."""
    length = -(-header.frame_samples * header.bits_allocated * frames // 8)
    return length + length % 2


def join_native(frames: Iterable[bytes], header: ImageHeader, target: TransferSyntax) -> Iterator[Buffer]:
    """Native frames one after the other: bits without padding between them, words in the byte order, padded.

    Raises DataSetError for a frame of another size.
    """
    bits = header.frame_samples * header.bits_allocated
    joined = _joined_bits(frames, bits) if bits % 8 else frames
    swaps = not target.little_endian and header.bits_allocated > 8
    written = 0
    for frame in joined:
        if not bits % 8 and len(frame) != bits // 8:
            raise DataSetError("a frame decodes to another size than the first", tag=PIXEL_DATA)
        written += len(frame)
        yield swapped_words(frame) if swaps else frame
    if written % 2:
        yield b"\0"


def _joined_bits(frames: Iterable[bytes], bits: int) -> Iterator[bytes]:
    held, kept = 0, 0
    for frame in frames:
        kept |= (int.from_bytes(frame, "little") & (1 << bits) - 1) << held
        held += bits
        whole = held // 8
        yield (kept & (1 << 8 * whole) - 1).to_bytes(whole, "little")
        kept >>= 8 * whole
        held -= 8 * whole
    if held:
        yield kept.to_bytes(1, "little")


def _image_pixel(ds: DataSet, header: ImageHeader, order: str) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """The attributes of the Image Pixel Module that are no longer true (PS3.3 C.7.6.3)."""
    if header.is_float:
        return
    photometric = header.photometric_interpretation
    if photometric != (ds.text(0x00280004) or "").upper():
        yield 0x00280004, ("CS", photometric.encode("ascii", "replace"))
    numbers = {
        0x00280002: header.samples_per_pixel,
        0x00280100: header.bits_allocated,
        0x00280101: header.bits_stored,
        0x00280102: header.high_bit,
        0x00280103: int(header.signed),
    }
    if header.samples_per_pixel > 1:
        numbers[0x00280006] = header.planar_configuration
    number = Struct(order + "H")
    for tag, value in numbers.items():
        if ds.ints(tag)[:1] != [value]:
            yield tag, ("US", number.pack(value))


def _source_image(ds: DataSet) -> dict[str, dict[str, object]]:
    """An Item of Source Image Sequence: what the derived image was made of (PS3.3 C.12.4, CID 7202)."""
    purpose = _code("121320", "Uncompressed predecessor")
    if ds.syntax.lossy or ds.text(_LOSSY_IMAGE_COMPRESSION) == "01":
        purpose = _code(
            "121322", "Source image for image processing operation"
        )  # it had lost something before
    return {
        "00081150": {"vr": "UI", "Value": [ds.text(_SOP_CLASS_UID) or ""]},
        "00081155": {"vr": "UI", "Value": [ds.text(_SOP_INSTANCE_UID) or ""]},
        "0040A170": {"vr": "SQ", "Value": [purpose]},
    }


def _code(value: str, meaning: str) -> dict[str, dict[str, object]]:
    return {
        "00080100": {"vr": "SH", "Value": [value]},
        "00080102": {"vr": "SH", "Value": ["DCM"]},
        "00080104": {"vr": "LO", "Value": [meaning]},
    }


_LOSSY_CODE: Final = _code("113040", "Lossy Compression")
