"""A DICOM file as people read it: one line for each element, what is nested indented below.

    (0010,0010) PN     10  PatientName                       Doe^Jane
    (0008,1140) SQ    112  ReferencedImageSequence           1 Item
      Item 1
        (0008,1150) UI     26  ReferencedSOPClassUID         1.2.840.10008.5.1.4.1.1.2 = CT Image Storage

Values are shortened, and nothing in them reaches the terminal as a command: what is not printable is written
as an escape, direction marks included. Pixel Data is summed up, not shown. `dump_json` gives the same object
as a DICOM JSON Model, file meta included.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterator

from gantry.dataset.json_model import PIXEL_TAGS, to_json_model
from gantry.dataset.json_values import READERS
from gantry.dataset.model_check import JsonModel
from gantry.dataset.part10 import FileMeta, guess_syntax, read_part10
from gantry.dataset.scan import Buffer, DataSet, Element, scan
from gantry.dataset.vr import element_vr
from gantry.errors import DataSetError
from gantry.standard import sop_classes
from gantry.standard.dictionary import is_private, keyword_of, name_of, vr_of
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES, is_video

VALUE_WIDTH = 72  # characters of a value that are shown
KEYWORD_WIDTH = 32

_PREFIX_BYTES = 1024  # bytes of a value that are decoded for it
_HEX_BYTES = 16  # bytes of a binary value that are shown
_INDENT = "  "


def read_any(buffer: Buffer) -> tuple[FileMeta | None, DataSet]:
    """A Part 10 file, one that lacks the preamble, or a Data Set alone whose syntax can be guessed.

    Raises DataSetError for anything else; for a file that is Part 10, what is wrong in it.
    """
    try:
        return read_part10(buffer, tolerate_missing_preamble=True)
    except DataSetError:
        syntax = None if bytes(buffer[128:132]) == b"DICM" else guess_syntax(buffer)
        if syntax is None:
            raise
    return None, scan(buffer, syntax)


def dump_text(buffer: Buffer, *, value_width: int = VALUE_WIDTH) -> str:
    """All lines of `dump_lines`, each ended."""
    return "".join(line + "\n" for line in dump_lines(buffer, value_width=value_width))


def dump_lines(buffer: Buffer, *, value_width: int = VALUE_WIDTH) -> Iterator[str]:
    """The file line by line. Raises DataSetError, before the first line, where it is not DICOM."""
    meta, ds = read_any(buffer)
    return _lines(meta, ds, value_width)


def _lines(meta: FileMeta | None, ds: DataSet, width: int) -> Iterator[str]:
    if meta is not None:
        for tag, raw in sorted(meta.values.items()):
            yield _line(tag, vr_of(tag), len(raw), _meta_text(tag, raw, width), "")
    else:
        yield f"No file meta information; read as {ds.syntax.name}"
    yield from data_set_lines(ds, value_width=width)


def data_set_lines(ds: DataSet, *, value_width: int = VALUE_WIDTH, indent: str = "") -> Iterator[str]:
    """The lines of a Data Set or an Item, in the order of their tags."""
    for tag in sorted(ds.elements):
        element = ds.elements[tag]
        vr = element_vr(ds, element)
        length = element[3]
        if vr != "SQ":
            yield _line(tag, vr, length, _value_text(ds, element, vr, value_width), indent)
            continue
        items = list(ds.items(tag))
        summary = f"{len(items)} Item{'' if len(items) == 1 else 's'}"
        yield _line(tag, vr, length, summary, indent, undefined=element[4])
        for number, item in enumerate(items, 1):
            yield f"{indent}{_INDENT}Item {number}"
            yield from data_set_lines(item, value_width=value_width, indent=indent + 2 * _INDENT)


def _line(tag: int, vr: str, length: int, text: str, indent: str, *, undefined: bool = False) -> str:
    keyword = keyword_of(tag) or name_of(tag) or ("Private" if is_private(tag) else "Unknown")
    size = f"u/{length}" if undefined else str(length)
    head = f"{indent}({tag >> 16:04X},{tag & 0xFFFF:04X}) {vr} {size:>8}  {keyword:<{KEYWORD_WIDTH}}"
    return f"{head}  {text}".rstrip()


def printable(text: str) -> str:
    """The text with everything that a terminal would act upon, or that hides, written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _shortened(text: str, width: int, *, more: bool = False) -> str:
    if len(text) <= width and not more:
        return text
    return text[: max(width - 1, 0)] + "…"


def _value_text(ds: DataSet, element: Element, vr: str, width: int) -> str:
    tag, own_vr, offset, length, undefined = element
    if not length and not undefined:
        return ""
    if tag in PIXEL_TAGS:
        return _pixel_text(ds, tag)
    prefix = min(length, _PREFIX_BYTES)
    reader = READERS.get(vr)
    values = reader(ds, (tag, own_vr, offset, prefix, False)) if reader is not None else None
    if values is None:
        return _bytes_text(bytes(ds.buffer[offset : offset + min(length, _HEX_BYTES)]), length)
    text = printable("\\".join(_one_text(value) for value in values))
    return _shortened(_with_name(vr, text), width, more=prefix < length)


def _one_text(value: object) -> str:
    if isinstance(value, dict):
        return "=".join(value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip(
            "="
        )
    return "" if value is None else str(value)


def _with_name(vr: str, text: str) -> str:
    """A UID with the standard's name for it."""
    if vr != "UI":
        return text
    if text in TRANSFER_SYNTAXES:
        return f"{text} = {TRANSFER_SYNTAXES[text].name}"
    name = sop_classes.name_of(text)
    return text if name == text else f"{text} = {name}"


def _bytes_text(head: bytes, length: int) -> str:
    shown = head.hex(" ").upper()
    return shown if len(head) == length else f"{shown} …"


def _pixel_text(ds: DataSet, tag: int) -> str:
    pixels = ds.pixel_data
    if pixels is None or pixels.tag != tag or pixels.fragments is None:
        return "native"
    total = sum(length for _, length in pixels.fragments)
    table = pixels.basic_offset_table
    entries = table[1] // 4 if table else 0
    offsets = f"Basic Offset Table of {entries}" if entries else "no Basic Offset Table"
    count = len(pixels.fragments)
    return f"{count} fragment{'' if count == 1 else 's'}, {total} bytes, {offsets}{_video_text(ds)}"


def _video_text(ds: DataSet) -> str:
    """What a video is, and where it is not what the header says."""
    if not is_video(ds.syntax.uid):
        return ""
    from gantry.pixels.video import describe  # only videos need so much of `pixels`

    try:
        video = describe(ds)
    except DataSetError as error:
        return f"; {printable(error.cause)}"
    return "" if video is None else "; ".join(["", video.facts.text, *video.notes])


def _meta_text(tag: int, raw: bytes, width: int) -> str:
    vr = vr_of(tag)
    if vr == "UL":
        return str(int.from_bytes(raw, "little"))
    if vr in ("OB", "UN"):
        return _bytes_text(raw[:_HEX_BYTES], len(raw))
    text = printable(raw[:_PREFIX_BYTES].decode("latin-1").rstrip(" \0"))
    return _shortened(_with_name(vr, text), width)


def dump_json(buffer: Buffer, *, inline_pixel_data: bool = False) -> JsonModel:
    """The whole file as one DICOM JSON Model object, with the attributes of group 0002 in it."""
    meta, ds = read_any(buffer)
    model: JsonModel = {}
    if meta is not None:
        for tag, raw in sorted(meta.values.items()):
            model[f"{tag:08X}"] = _meta_attribute(tag, raw)
    return model | to_json_model(ds, inline_pixel_data=inline_pixel_data)


def _meta_attribute(tag: int, raw: bytes) -> JsonModel:
    vr = vr_of(tag)
    if not raw:
        return {"vr": vr}
    if vr == "UL":
        return {"vr": vr, "Value": [int.from_bytes(raw, "little")]}
    if vr in ("OB", "UN"):
        return {"vr": vr, "InlineBinary": b2a_base64(raw, newline=False).decode("ascii")}
    text = raw.decode("latin-1").rstrip(" \0")
    return {"vr": vr, "Value": [text]} if text else {"vr": vr}
