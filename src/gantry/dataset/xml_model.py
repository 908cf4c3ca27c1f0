"""The Native DICOM Model, the XML form of a Data Set (PS3.19 A.1), from and to the DICOM JSON Model.

Both say the same (PS3.18 F.3.1) but for three things, which are translated here:

- XML writes every value as text, so numbers are read again by their VR;
- XML has a private attribute as ``gggg00ee`` with its creator's name beside it instead of a block; reading
  finds the creator's block again or gives it the next free one. Where a creator has reserved two blocks, or
  is missing, the attributes keep their tags;
- XML leaves out group lengths, and cannot hold most control characters: these become U+FFFD.

Reading is by events, without a tree. A document type declaration is refused at its first word, so that there
are no entities to expand and nothing to fetch. What was read goes through the same checks as JSON
(`model_check`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from xml.parsers import expat

from gantry.dataset.json_values import decimal_value, integer_value
from gantry.dataset.limits import MAX_ELEMENTS, MAX_NESTING
from gantry.dataset.model_check import NOT_FINITE, JsonModel, checked_model
from gantry.dataset.person_name import GROUPS
from gantry.errors import DataSetError
from gantry.standard.dictionary import is_private_creator, keyword_of, tag_of, vr_of

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

_INTEGER_VRS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_BLOCKS: Final = range(0x10, 0x100)  # PS3.5 7.8.1

# XML 1.0 Char: the control characters that a document cannot hold, not even escaped
_UNWRITABLE: Final = dict.fromkeys(
    [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd"
)
_ESCAPES: Final = str.maketrans({**_UNWRITABLE, "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE_ESCAPES: Final = str.maketrans(
    {**_UNWRITABLE, "&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


# Writing


def to_xml(model: JsonModel) -> bytes:
    """The model as a Native DICOM Model document in UTF-8. The model is one that `json_model` made."""
    out = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
    ]
    _write_data_set(model, out)
    out.append("</NativeDicomModel>\n")
    return "".join(out).encode("utf-8", errors="replace")


def _write_data_set(model: JsonModel, out: list[str]) -> None:
    creators = _creators(model)
    for key, attribute in model.items():
        tag = int(key, 16)
        if tag & 0xFFFF:
            out.append(_start(tag, attribute["vr"], creators.get(tag >> 8)))
            _write_content(attribute, out)
            out.append("</DicomAttribute>")


def _creators(model: JsonModel) -> dict[int, str]:
    """Private creators by the upper 24 bits of the tags in their block; the first block of each."""
    seen: set[tuple[int, str]] = set()
    creators: dict[int, str] = {}
    for key, attribute in model.items():
        tag = int(key, 16)
        values = attribute.get("Value")
        if not values or not is_private_creator(tag):
            continue
        group, name = tag >> 16, values[0]
        if isinstance(name, str) and name == name.translate(_UNWRITABLE) and (group, name) not in seen:
            seen.add((group, name))
            creators[group << 8 | tag & 0xFF] = name
    return creators


def _start(tag: int, vr: str, creator: str | None) -> str:
    if creator:
        return (
            f'<DicomAttribute tag="{tag & 0xFFFF00FF:08X}" vr="{vr}" '
            f'privateCreator="{creator.translate(_ATTRIBUTE_ESCAPES)}">'
        )
    keyword = keyword_of(tag)
    name = f' keyword="{keyword}"' if keyword else ""
    return f'<DicomAttribute tag="{tag:08X}" vr="{vr}"{name}>'


def _write_content(attribute: JsonModel, out: list[str]) -> None:
    if "BulkDataURI" in attribute:
        out.append(f'<BulkData uri="{attribute["BulkDataURI"].translate(_ATTRIBUTE_ESCAPES)}"/>')
    elif "InlineBinary" in attribute:
        out.append(f"<InlineBinary>{attribute['InlineBinary']}</InlineBinary>")
    elif attribute["vr"] == "SQ":
        for number, item in enumerate(attribute["Value"], 1):
            out.append(f'<Item number="{number}">')
            _write_data_set(item, out)
            out.append("</Item>")
    else:
        text = _person_name if attribute["vr"] == "PN" else _value
        out += [text(number, value) for number, value in enumerate(attribute.get("Value", ()), 1)]


def _value(number: int, value: Any) -> str:
    text = _escaped(value) if isinstance(value, str) else "" if value is None else str(value)
    return f'<Value number="{number}">{text}</Value>'


def _escaped(text: str) -> str:
    if text.isalnum():  # most are, and looking is much faster than translating
        return text
    return text.translate(_ESCAPES)


def _person_name(number: int, value: JsonModel) -> str:
    groups = "".join(f"<{group}>{_components(value[group])}</{group}>" for group in GROUPS if group in value)
    return f'<PersonName number="{number}">{groups}</PersonName>'


def _components(group: str) -> str:
    if not group:
        return ""
    parts = group.split("^", len(COMPONENTS) - 1)
    return "".join(
        f"<{name}>{_escaped(part)}</{name}>" for name, part in zip(COMPONENTS, parts, strict=False)
    )


# Reading


def from_xml(data: bytes, *, numbers_as_text: bool = False) -> JsonModel:
    """The model in a Native DICOM Model document. Raises DataSetError for anything else.

    With `numbers_as_text` a DS or IS stays the text that it is (PS3.18 Table F.2.3-1 allows both), so that
    1.50 does not become 1.5.
    """
    reader = _Reader(numbers_as_text)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise DataSetError(f"not XML: {error}") from None
    except (LookupError, ValueError) as error:  # an encoding that is not known, or not one of single bytes
        raise DataSetError(f"not XML that can be read: {error}") from None
    if reader.model is None:
        raise DataSetError("not a Native DICOM Model: no content")
    return checked_model(reader.model)


def _no_doctype(*_: object) -> NoReturn:
    raise DataSetError("not a Native DICOM Model: a document type declaration is not accepted")


def _refuse(cause: str, tag: int | None = None) -> NoReturn:
    raise DataSetError(f"not a Native DICOM Model: {cause}", tag=tag)


# Which element may stand in which (PS3.19 A.1.6)
_PARENTS: Final[dict[str, frozenset[str]]] = {
    "NativeDicomModel": frozenset({""}),
    "DicomAttribute": frozenset({"NativeDicomModel", "Item"}),
    **dict.fromkeys(
        ("Value", "Item", "PersonName", "BulkData", "InlineBinary"), frozenset({"DicomAttribute"})
    ),
    **dict.fromkeys(GROUPS, frozenset({"PersonName"})),
    **dict.fromkeys(COMPONENTS, frozenset(GROUPS)),
}
_WITH_TEXT: Final = frozenset({"Value", "InlineBinary", *COMPONENTS})
_DEEPEST: Final = 2 * MAX_NESTING + 8  # DicomAttribute and Item for each level, and what a value needs


@dataclass(slots=True)
class _Attribute:
    """A DicomAttribute that is being read."""

    tag: int
    vr: str
    creator: str
    content: JsonModel = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Level:
    """A Data Set that is being read: its attributes, and private ones that still lack their block."""

    model: JsonModel = field(default_factory=dict)
    private: list[_Attribute] = field(default_factory=list)


class _Reader:
    """What expat's events have built so far."""

    def __init__(self, numbers_as_text: bool) -> None:
        self.model: JsonModel | None = None
        self._numbers_as_text = numbers_as_text
        self._path: list[str] = []
        self._levels: list[_Level] = []
        self._attributes: list[_Attribute] = []
        self._name: dict[str, list[str]] = {}
        self._text: list[str] = []
        self._elements_left = MAX_ELEMENTS

    def start(self, qualified: str, given: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        parents = _PARENTS.get(name)
        if parents is None or namespace not in ("", NAMESPACE):
            _refuse(f"an element {name[:64]!r}")
        if (self._path[-1] if self._path else "") not in parents:
            _refuse(f"a {name} where none may stand")
        if len(self._path) > _DEEPEST:
            _refuse(f"more than {MAX_NESTING} sequences in one another")
        self._elements_left -= 1
        if self._elements_left < 0:
            _refuse(f"more than {MAX_ELEMENTS} elements")
        self._path.append(name)
        self._text.clear()
        if name in ("NativeDicomModel", "Item"):
            self._levels.append(_Level())
        elif name == "DicomAttribute":
            self._attributes.append(_new_attribute(given))
        elif name == "BulkData":
            self._set("BulkDataURI", given.get("uri") or _uuid_uri(given.get("uuid")))
        elif name == "PersonName":
            self._name = {}
        elif name in GROUPS:
            self._name[name] = []
        if name in ("Value", "Item", "PersonName"):
            self._check_number(given.get("number"))

    def _check_number(self, number: str | None) -> None:
        attribute = self._attributes[-1]
        if number is not None and number.strip() != str(len(attribute.values) + 1):
            _refuse("the numbers of values run 1, 2, 3 and so on", attribute.tag)

    def text(self, data: str) -> None:
        if self._path[-1] in _WITH_TEXT:
            self._text.append(data)
        elif data.strip():
            _refuse(f"text in a {self._path[-1]}")

    def end(self, _: str) -> None:
        name = self._path.pop()
        text = "".join(self._text)
        self._text.clear()
        if name == "Value":
            vr = self._attributes[-1].vr
            as_text = self._numbers_as_text and vr in ("DS", "IS")
            self._attributes[-1].values.append(text if as_text else _read_value(vr, text))
        elif name == "InlineBinary":
            self._set("InlineBinary", "".join(text.split()))
        elif name in COMPONENTS:
            self._add_component(name, text)
        elif name == "PersonName":
            self._attributes[-1].values.append(
                {group: "^".join(parts) for group, parts in self._name.items()}
            )
        elif name == "DicomAttribute":
            self._end_attribute()
        elif name == "Item":
            self._attributes[-1].values.append(_with_blocks(self._levels.pop()))
        elif name == "NativeDicomModel":
            self.model = _with_blocks(self._levels.pop())

    def _set(self, name: str, value: str) -> None:
        attribute = self._attributes[-1]
        if attribute.content:
            _refuse("an attribute with two contents", attribute.tag)
        attribute.content[name] = value

    def _add_component(self, name: str, text: str) -> None:
        group = self._name[self._path[-1]]
        place = COMPONENTS.index(name)
        if len(group) > place:
            _refuse("the components of a person name out of order", self._attributes[-1].tag)
        group += [""] * (place - len(group)) + [text]

    def _end_attribute(self) -> None:
        attribute = self._attributes.pop()
        if attribute.values:
            if attribute.content:
                _refuse("an attribute with two contents", attribute.tag)
            attribute.content["Value"] = attribute.values
        if attribute.creator:
            self._levels[-1].private.append(attribute)
        else:
            _put(self._levels[-1].model, attribute.tag, attribute)


def _put(model: JsonModel, tag: int, attribute: _Attribute) -> None:
    key = f"{tag:08X}"
    if key in model:
        _refuse("an attribute that comes twice", tag)
    model[key] = {"vr": attribute.vr, **attribute.content}


def _new_attribute(given: dict[str, str]) -> _Attribute:
    text = given.get("tag", "")
    tag = tag_of(text) if len(text) == 8 else None
    if tag is None:
        _refuse("a DicomAttribute names its tag, eight hexadecimal digits")
    creator = given.get("privateCreator", "")
    if creator and not tag >> 16 & 1:
        _refuse("a private creator beside an attribute of the standard", tag)
    return _Attribute(tag, given.get("vr") or vr_of(tag), creator)


def _uuid_uri(uuid: str | None) -> str:
    if not uuid:
        _refuse("bulk data without uri and without uuid")
    return f"urn:uuid:{uuid}"


def _read_value(vr: str, text: str) -> Any:
    if vr == "DS":
        return decimal_value(text)
    if vr == "IS":
        return integer_value(text)
    if vr in _INTEGER_VRS:
        return integer_value(text)  # beyond 63 bits it stays text, which the check takes for a UV
    if vr in ("FL", "FD"):
        return text if text in NOT_FINITE else decimal_value(text)
    return text


def _with_blocks(level: _Level) -> JsonModel:
    """The Data Set with each private attribute in the block of its creator."""
    model = level.model
    blocks: dict[tuple[int, str], int] = {}
    for key, element in model.items():
        tag = int(key, 16)
        if is_private_creator(tag) and element.get("Value"):
            blocks.setdefault((tag >> 16, str(element["Value"][0])), tag & 0xFFFF)
    for attribute in level.private:
        group = attribute.tag >> 16
        block = blocks.get((group, attribute.creator))
        if block is None:
            block = _free_block(model, group)
            blocks[group, attribute.creator] = block
            model[f"{group << 16 | block:08X}"] = {"vr": "LO", "Value": [attribute.creator]}
        _put(model, group << 16 | block << 8 | attribute.tag & 0xFF, attribute)
    return model


def _free_block(model: JsonModel, group: int) -> int:
    for block in _BLOCKS:
        if f"{group << 16 | block:08X}" not in model:
            return block
    _refuse(f"more private creators than group {group:04X} has blocks")
