"""The DICOM JSON Model of a whole file, from which the file can be made again.

A model as PS3.18 F.2 has it loses what a value's bytes have beyond its meaning: ``1.50`` becomes 1.5,
padding goes. Here each value is written by the encoder of the way back, and where that does not give its
bytes again, it stands in the model otherwise: a DS or IS as text (which PS3.18 Table F.2.3-1 allows), text
with its padding, and what even that does not keep, such as characters outside of the character set, as
InlineBinary. The file meta information goes in with its group 0002; encapsulated Pixel Data as InlineBinary
of its Items, as they are.

What comes back is the same element for element, byte for byte, but for: how lengths of sequences are written
(defined), group lengths (retired), the preamble (zeros), padding of odd values (to even), how well a deflated
Data Set is deflated.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from gantry.dataset.charset import decode_text
from gantry.dataset.deflate import deflate
from gantry.dataset.encode import encode, encode_element
from gantry.dataset.json_model import PIXEL_TAGS, from_json, to_json_model
from gantry.dataset.model_check import JsonModel
from gantry.dataset.part10 import (
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    META_GROUP_LENGTH,
    PREAMBLE_BYTES,
    PREFIX,
    TRANSFER_SYNTAX_UID,
    FileMeta,
    encode_file_meta,
)
from gantry.dataset.reencode import little_endian_value
from gantry.dataset.scan import DataSet, Element
from gantry.dataset.xml_model import from_xml
from gantry.errors import DataSetError
from gantry.standard.dictionary import SPECIFIC_CHARACTER_SET, vr_of
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)

_LITTLE = transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN)
_CHARSET_KEY = f"{SPECIFIC_CHARACTER_SET:08X}"
_NUMBER_TEXT = frozenset({"DS", "IS"})
_TEXT = frozenset(
    {"AE", "AS", "CS", "DA", "DT", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_ONE_VALUE = frozenset({"LT", "ST", "UT", "UR"})
_PN_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_SHORT_HEADER, _LONG_HEADER = 8, 12
_LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})


def exact_model(meta: FileMeta, ds: DataSet, *, for_xml: bool = False) -> JsonModel:
    """The model of a whole file. With `for_xml` nothing is in it that XML cannot hold.

    Pixel Data is in it, so that the model is a third larger than the file.
    """
    model = {f"{tag:08X}": _meta_attribute(tag, raw) for tag, raw in sorted(meta.values.items())}
    content = to_json_model(ds, inline_pixel_data=True)
    _make_exact(content, ds, ds.charset, for_xml)
    return model | content


def _meta_attribute(tag: int, raw: bytes) -> JsonModel:
    vr = vr_of(tag)
    if vr == "UI" and raw:
        return {"vr": "UI", "Value": [raw.decode("latin-1").rstrip("\0 ")]}
    return {"vr": vr, "InlineBinary": _base64(raw)} if raw else {"vr": vr}


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _make_exact(model: JsonModel, ds: DataSet, charset: tuple[str, ...], for_xml: bool) -> None:
    own = ds.charset or charset
    for key, attribute in list(model.items()):
        tag = int(key, 16)
        element = ds.elements[tag]
        if element[1] == "UN" and not ds.syntax.implicit_vr and tag != SPECIFIC_CHARACTER_SET:
            # The model would say what the dictionary knows; the file does not.
            raw = ds.raw(tag)
            model[key] = {"vr": "UN", "InlineBinary": _base64(raw)} if raw else {"vr": "UN"}
            continue
        if attribute["vr"] == "SQ":
            for item, inner in zip(attribute.get("Value", ()), ds.items(tag), strict=True):
                _make_exact(item, inner, own, for_xml)
            continue
        if "InlineBinary" in attribute and tag in PIXEL_TAGS and ds.syntax.little_endian:
            continue  # its bytes as they are; only their order could differ
        value = little_endian_value(ds, element)
        value += (b"\0" if attribute["vr"] == "UI" or attribute["vr"] in _LONG_VRS else b" ") * (
            len(value) % 2
        )
        found = _exact(attribute, element, value, own, for_xml)
        if found is not attribute:
            model[key] = found


def _exact(
    attribute: JsonModel, element: Element, value: bytes, charset: tuple[str, ...], for_xml: bool
) -> JsonModel:
    """The attribute, or another way to write it, that encodes to `value`."""
    vr = attribute["vr"]
    if not value or ("InlineBinary" in attribute and b64decode(attribute["InlineBinary"]) == value):
        return attribute
    if _encoded(element[0], attribute, charset, vr) == value and not (for_xml and _is_lost_in_xml(attribute)):
        return attribute
    if vr in _TEXT:
        other = _as_text(value, vr, charset)
        if _encoded(element[0], other, charset, vr) == value and not (for_xml and _is_lost_in_xml(other)):
            return other
    return {"vr": vr, "InlineBinary": _base64(value)}


def _encoded(tag: int, attribute: JsonModel, charset: tuple[str, ...], vr: str) -> bytes | None:
    """The value's bytes as the way back writes them; None where it cannot, or not in this character set."""
    model = {f"{tag:08X}": attribute}
    if tag != SPECIFIC_CHARACTER_SET and charset:
        model[_CHARSET_KEY] = {"vr": "CS", "Value": list(charset)}
    try:
        alone = encode({_CHARSET_KEY: model[_CHARSET_KEY]}, _LITTLE) if len(model) == 2 else b""
        both = encode(model, _LITTLE)
    except DataSetError:
        return None
    header = _LONG_HEADER if vr in _LONG_VRS else _SHORT_HEADER
    if tag < SPECIFIC_CHARACTER_SET:
        return both[header : len(both) - len(alone)]
    if alone and not both.startswith(alone):
        return None  # written in UTF-8, because the character set does not hold it
    if not alone and tag != SPECIFIC_CHARACTER_SET and both[4:6].decode("latin-1") != vr:
        return None
    return both[len(alone) + header :]


def _as_text(value: bytes, vr: str, charset: tuple[str, ...]) -> JsonModel:
    """The value as texts with their padding, all but the last character that the encoder adds itself."""
    text = decode_text(value, charset, vr)
    parts = [text] if vr in _ONE_VALUE else text.split("\\")
    if vr == "PN":
        return {"vr": vr, "Value": [_name(part) for part in parts]}
    return {"vr": vr, "Value": parts}


def _name(text: str) -> dict[str, str]:
    return dict(zip(_PN_GROUPS, text.split("=", 2), strict=False))


def _is_lost_in_xml(attribute: JsonModel) -> bool:
    """Whether XML cannot hold a value: it has no control characters, and its readers trim numbers."""
    for value in attribute.get("Value", ()):
        texts = value.values() if isinstance(value, dict) else (value,) if isinstance(value, str) else ()
        for text in texts:
            if any(
                (c < " " and c not in "\t\n\r") or "\ud800" <= c < "\ue000" or c in "\ufffd\ufffe\uffff"
                for c in text
            ):
                return True
    return False


# Back


def file_from_document(content: bytes) -> bytes:
    """The DICOM file that a document describes: a Native DICOM Model in XML, or a DICOM JSON Model.

    A document without file meta information becomes Explicit VR Little Endian. Raises DataSetError.
    """
    begins = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if begins == b"<":
        return file_from_model(from_xml(content, numbers_as_text=True))
    if begins in (b"{", b"["):
        return file_from_model(from_json(content))
    raise DataSetError("neither XML nor JSON")


def file_from_model(model: JsonModel) -> bytes:
    """The DICOM file that a model describes. Raises DataSetError where it lacks SOP Class or Instance UID."""
    meta = {key: attribute for key, attribute in model.items() if key.startswith("0002")}
    body = {key: attribute for key, attribute in model.items() if not key.startswith("0002")}
    uid = _text_of(meta, TRANSFER_SYNTAX_UID) or EXPLICIT_VR_LITTLE_ENDIAN
    syntax = transfer_syntax(uid)
    content = encode(body, syntax, inline_fragments=True)
    if syntax.deflated:
        content = b"".join(deflate([content]))
    return _meta(meta, body, uid) + content


def _text_of(model: JsonModel, tag: int) -> str:
    values = model.get(f"{tag:08X}", {}).get("Value") or [""]
    return str(values[0]).strip(" \0")


def _meta(meta: JsonModel, body: JsonModel, uid: str) -> bytes:
    sop_class = _text_of(meta, MEDIA_STORAGE_SOP_CLASS_UID) or _text_of(body, 0x00080016)
    instance = _text_of(meta, MEDIA_STORAGE_SOP_INSTANCE_UID) or _text_of(body, 0x00080018)
    if not meta:
        if not sop_class or not instance:
            raise DataSetError("SOP Class UID or SOP Instance UID is missing")
        return encode_file_meta(sop_class_uid=sop_class, sop_instance_uid=instance, transfer_syntax_uid=uid)
    elements = b"".join(
        _meta_element(int(key, 16), attribute)
        for key, attribute in sorted(meta.items())
        if int(key, 16) != META_GROUP_LENGTH
    )
    length = encode_element(META_GROUP_LENGTH, "UL", len(elements).to_bytes(4, "little"), _LITTLE)
    return bytes(PREAMBLE_BYTES) + PREFIX + length + elements


def _meta_element(tag: int, attribute: dict[str, Any]) -> bytes:
    # The encoder refuses group 0002 in a Data Set; the element is the same in another group.
    moved = encode({f"{0x00080000 | tag & 0xFFFF:08X}": attribute}, _LITTLE)
    return b"\x02\x00" + moved[2:]
