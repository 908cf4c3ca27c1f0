"""The Native DICOM Model (PS3.19 A.1): what is written, what is read, what is refused."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dataset.json_model import from_json, to_json_model
from gantry.dataset.part10 import read_part10
from gantry.dataset.xml_model import NAMESPACE, from_xml, to_xml
from gantry.errors import DataSetError

Model = dict[str, Any]


def document(content: str, root: str = "NativeDicomModel") -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{root}>{content}</{root}>'.encode()


def refused(data: bytes) -> DataSetError:
    with pytest.raises(DataSetError) as caught:
        from_xml(data)
    return caught.value


NAME: Model = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}}

# Writing


def test_the_form_is_that_of_the_standard() -> None:
    model = {
        "00080008": {"vr": "CS", "Value": ["MPG", "", "XR3"]},
        "00080020": {"vr": "DA"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane^^Dr", "Ideographic": "山田^太郎"}]},
        "00280009": {"vr": "AT", "Value": ["00181063"]},
        "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["1"]}}, {}]},
        "7FE00010": {"vr": "OW", "BulkDataURI": 'http://host/a?b&c="d"'},
    }
    expected = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
        '<DicomAttribute tag="00080008" vr="CS" keyword="ImageType"><Value number="1">MPG</Value>'
        '<Value number="2"></Value><Value number="3">XR3</Value></DicomAttribute>'
        '<DicomAttribute tag="00080020" vr="DA" keyword="StudyDate"></DicomAttribute>'
        '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"><PersonName number="1">'
        "<Alphabetic><FamilyName>Doe</FamilyName><GivenName>Jane</GivenName><MiddleName></MiddleName>"
        "<NamePrefix>Dr</NamePrefix></Alphabetic>"
        "<Ideographic><FamilyName>山田</FamilyName><GivenName>太郎</GivenName></Ideographic>"
        "</PersonName></DicomAttribute>"
        '<DicomAttribute tag="00280009" vr="AT" keyword="FrameIncrementPointer"><Value number="1">00181063</Value>'
        "</DicomAttribute>"
        '<DicomAttribute tag="00400275" vr="SQ" keyword="RequestAttributesSequence"><Item number="1">'
        '<DicomAttribute tag="00400009" vr="SH" keyword="ScheduledProcedureStepID"><Value number="1">1</Value>'
        '</DicomAttribute></Item><Item number="2"></Item></DicomAttribute>'
        '<DicomAttribute tag="7FE00010" vr="OW" keyword="PixelData">'
        '<BulkData uri="http://host/a?b&amp;c=&quot;d&quot;"/></DicomAttribute>'
        "</NativeDicomModel>\n"
    )
    assert to_xml(model).decode() == expected
    assert from_xml(expected.encode()) == model


def test_group_lengths_are_left_out() -> None:
    assert from_xml(to_xml({"00080000": {"vr": "UL", "Value": [4]}} | NAME)) == NAME


def test_private_attributes_carry_their_creator_instead_of_a_block() -> None:
    model = {
        "00090010": {"vr": "LO", "Value": ["ACME <1>"]},
        "00090011": {"vr": "LO", "Value": ["OTHER"]},
        "00091001": {"vr": "LO", "Value": ["a"]},
        "00091101": {"vr": "LO", "Value": ["b"]},
    }
    written = to_xml(model).decode()
    assert '<DicomAttribute tag="00090001" vr="LO" privateCreator="ACME &lt;1>">' in written
    assert '<DicomAttribute tag="00090001" vr="LO" privateCreator="OTHER">' in written
    assert from_xml(written.encode()) == model


def test_a_block_whose_creator_is_missing_or_twice_there_keeps_its_tags() -> None:
    model = {
        "00090010": {"vr": "LO", "Value": ["ACME"]},
        "00090011": {"vr": "LO", "Value": ["ACME"]},
        "00091001": {"vr": "LO", "Value": ["a"]},
        "00091101": {"vr": "LO", "Value": ["b"]},
        "00091201": {"vr": "LO", "Value": ["c"]},
    }
    assert from_xml(to_xml(model)) == model


def test_a_creator_without_a_block_gets_the_next_free_one() -> None:
    content = (
        '<DicomAttribute tag="00090010" vr="LO"><Value number="1">TAKEN</Value></DicomAttribute>'
        '<DicomAttribute tag="00090001" vr="LO" privateCreator="ACME"><Value number="1">a</Value></DicomAttribute>'
        '<DicomAttribute tag="00090002" vr="LO" privateCreator="ACME"><Value number="1">b</Value></DicomAttribute>'
    )
    assert from_xml(document(content)) == {
        "00090010": {"vr": "LO", "Value": ["TAKEN"]},
        "00090011": {"vr": "LO", "Value": ["ACME"]},
        "00091101": {"vr": "LO", "Value": ["a"]},
        "00091102": {"vr": "LO", "Value": ["b"]},
    }


def test_a_group_has_240_blocks_and_no_more() -> None:
    content = "".join(f'<DicomAttribute tag="00090001" vr="LO" privateCreator="C{n}"/>' for n in range(241))
    assert "blocks" in refused(document(content)).cause


@pytest.mark.parametrize(
    "text", ["a<b>&c", " a\tb\nc\r\n ", "]]>", '"', "é😀", "a\x00b\x1bc\ufffe", "{{7*7}}<script>"]
)
def test_b35_b36_text_of_any_kind_is_written_as_text(text: str) -> None:
    model = {
        "00104000": {"vr": "LT", "Value": [text]},
        "00091001": {"vr": "PN", "Value": [{"Alphabetic": text}]},
    }
    read = from_xml(to_xml(model))
    kept = "".join("\ufffd" if c in "\x00\x1b\ufffe" else c for c in text)
    assert read["00104000"]["Value"] == [kept]
    assert read["00091001"]["Value"] == [{"Alphabetic": kept}]


TEXT = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Cn")), max_size=8)
NUMBERS = {
    "US": st.integers(0, 65535), "SS": st.integers(-32768, 32767), "UV": st.integers(0, (1 << 64) - 1),
    "SV": st.integers(-(1 << 63), (1 << 63) - 1), "FD": st.floats(allow_nan=False, allow_infinity=False),
    "FL": st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from(["NaN", "-Infinity"]),
    "DS": st.floats(-1e300, 1e300) | st.none(), "IS": st.integers(-(1 << 31), 1 << 31) | st.none(),
}  # fmt: skip
VALUES = (
    dict.fromkeys(("LO", "LT", "CS", "UI", "UT"), TEXT)
    | NUMBERS
    | {
        "PN": st.fixed_dictionaries({"Alphabetic": TEXT}, optional={"Ideographic": TEXT}),
        "AT": st.integers(0, 0xFFFFFFFF).map(lambda tag: f"{tag:08X}"),
    }
)
TAGS = st.integers(0x00080005, 0x7FE00010).map(lambda tag: f"{tag:08X}")


def _attributes(inner: st.SearchStrategy[Model]) -> st.SearchStrategy[Model]:
    plain = st.sampled_from(sorted(VALUES)).flatmap(
        lambda vr: st.fixed_dictionaries({"vr": st.just(vr), "Value": st.lists(VALUES[vr], max_size=3)})
    )
    binary = st.fixed_dictionaries({"vr": st.sampled_from(["OB", "UN"]), "InlineBinary": st.just("AAEC")})
    bulk = st.fixed_dictionaries(
        {"vr": st.sampled_from(["OW", "LO"]), "BulkDataURI": TEXT.map(lambda t: "u:" + t)}
    )
    sequence = st.fixed_dictionaries({"vr": st.just("SQ"), "Value": st.lists(inner, max_size=2)})
    return plain | binary | bulk | sequence


MODELS: st.SearchStrategy[Model] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(
        TAGS.filter(lambda tag: not tag.endswith("0000")), _attributes(inner), max_size=4
    ),
    max_leaves=8,
)


@given(MODELS)
def test_what_is_written_is_read_again(model: Model) -> None:
    checked = from_json(model)
    assert from_xml(to_xml(checked)) == checked
    root = ET.fromstring(to_xml(checked))  # another reader finds it well formed
    assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"


# Reading

LAUGHS = "".join(
    f'<!ENTITY l{n} "{"&l" + str(n - 1) + ";" if n else "lol"}{"&l" + str(n - 1) + ";" if n else ""}">'
    for n in range(30)
)


@pytest.mark.parametrize(
    "prologue",
    [
        "<!DOCTYPE NativeDicomModel>",
        '<!DOCTYPE NativeDicomModel SYSTEM "http://169.254.169.254/x.dtd">',
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
        f"<!DOCTYPE x [{LAUGHS}]>",
        f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]>',
    ],
)
def test_b60_a_document_type_declaration_is_refused(prologue: str) -> None:
    body = '<DicomAttribute tag="00100020" vr="LO"><Value number="1">&e;&l29;&a;</Value></DicomAttribute>'
    data = f'<?xml version="1.0"?>{prologue}<NativeDicomModel>{body}</NativeDicomModel>'.encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    assert "document type" in refused(data).cause
    assert time.process_time() - started < 1.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_b60_an_entity_that_nobody_declared_is_refused() -> None:
    refused(document('<DicomAttribute tag="00100020" vr="LO"><Value number="1">&e;</Value></DicomAttribute>'))


def test_b60_depth_of_100_000_is_refused_at_once() -> None:
    opening = '<DicomAttribute tag="0040A730" vr="SQ"><Item number="1">' * 100_000
    started = time.process_time()
    assert "in one another" in refused(f"<NativeDicomModel>{opening}".encode()).cause
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(("depth", "fine"), [(64, True), (65, False)])
def test_b40_sequences_nest_to_the_limit_and_no_deeper(depth: int, fine: bool) -> None:
    model: Model = {}
    for _ in range(depth):
        model = {"0040A730": {"vr": "SQ", "Value": [model]}}
    if fine:
        assert from_xml(to_xml(model)) == model
    else:
        refused(to_xml(model))


ATTRIBUTE = '<DicomAttribute tag="00100020" vr="LO">{}</DicomAttribute>'


@pytest.mark.parametrize(
    "content",
    [
        "text", "<x/>", "<Value number='1'>a</Value>", "<Item number='1'/>", "<NativeDicomModel/>",
        "<DicomAttribute/>", '<DicomAttribute tag="1"/>', '<DicomAttribute tag="PatientID" vr="LO"/>',
        '<DicomAttribute tag="00100020" vr="XX"/>', '<DicomAttribute tag="00100020" vr=""><x/></DicomAttribute>',
        '<DicomAttribute tag="00100020" vr="LO" privateCreator="ACME"/>',
        '<DicomAttribute tag="00100020" vr="LO"/><DicomAttribute tag="00100020" vr="LO"/>',
        '<DicomAttribute xmlns="urn:other" tag="00100020" vr="LO"/>',
        ATTRIBUTE.format("text"), ATTRIBUTE.format('<Value number="2">a</Value>'),
        ATTRIBUTE.format('<Value number="1">a</Value><Value number="1">b</Value>'),
        ATTRIBUTE.format('<Value number="1">a</Value><BulkData uri="x"/>'),
        ATTRIBUTE.format('<BulkData uri="x"/><BulkData uri="y"/>'), ATTRIBUTE.format("<BulkData/>"),
        ATTRIBUTE.format('<Value number="1"><Value number="1"/></Value>'),
        ATTRIBUTE.format('<PersonName number="1"><FamilyName>a</FamilyName></PersonName>'),
        ATTRIBUTE.format('<PersonName number="1"><Alphabetic>a</Alphabetic></PersonName>'),
        ATTRIBUTE.format('<Item number="1"/>'),
        '<DicomAttribute tag="00100010" vr="PN"><PersonName number="1"><Alphabetic><GivenName>a</GivenName>'
        "<FamilyName>b</FamilyName></Alphabetic></PersonName></DicomAttribute>",
        '<DicomAttribute tag="00280010" vr="US"><Value number="1">x</Value></DicomAttribute>',
        '<DicomAttribute tag="00280010" vr="US"><Value number="1">65536</Value></DicomAttribute>',
        '<DicomAttribute tag="00280010" vr="FD"><Value number="1">1e400</Value></DicomAttribute>',
        '<DicomAttribute tag="00280010" vr="UV"><Value number="1">' + "9" * 5000 + "</Value></DicomAttribute>",
        '<DicomAttribute tag="7FE00010" vr="OB"><InlineBinary>a!b=</InlineBinary></DicomAttribute>',
        '<DicomAttribute tag="7FE00010" vr="OB"><Value number="1">a</Value></DicomAttribute>',
    ],
)  # fmt: skip
def test_what_the_schema_does_not_have_is_refused(content: str) -> None:
    refused(document(content))


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"<", document("", root="DicomAttribute"), document("")[:-3], document("") + b"<x/>", b"\xff\xfe",
     b'<?xml version="1.0" encoding="nonsense"?><NativeDicomModel/>',
     b'<?xml version="1.0" encoding="shift_jis"?><NativeDicomModel/>'],
)  # fmt: skip
def test_what_is_no_document_is_refused(data: bytes) -> None:
    refused(data)


def test_what_is_meant_well_is_read() -> None:
    assert from_xml(document("")) == {}
    assert from_xml(document('<DicomAttribute tag="00100020"><Value>a</Value></DicomAttribute>')) == {
        "00100020": {"vr": "LO", "Value": ["a"]}
    }
    spread = '\n <DicomAttribute tag="7FE00010" vr="OB">\n <InlineBinary>\nAA\nEC </InlineBinary>\n</DicomAttribute>\n'
    assert from_xml(document(spread)) == {"7FE00010": {"vr": "OB", "InlineBinary": "AAEC"}}
    uuid = '<DicomAttribute tag="7FE00010" vr="OB"><BulkData uuid="2fb9"/></DicomAttribute>'
    assert from_xml(document(uuid)) == {"7FE00010": {"vr": "OB", "BulkDataURI": "urn:uuid:2fb9"}}
    latin = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><NativeDicomModel><DicomAttribute tag="00100020" vr="LO">'
    )
    latin += '<Value number="1">M\xfcller</Value></DicomAttribute></NativeDicomModel>'
    assert from_xml(latin.encode("latin-1")) == {"00100020": {"vr": "LO", "Value": ["Müller"]}}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_model_or_refused(data: bytes) -> None:
    with suppress(DataSetError):
        from_xml(data)


PIECES = st.sampled_from(
    ['<DicomAttribute tag="00100020" vr="LO">', "</DicomAttribute>", '<Value number="1">', "</Value>", "a", "<Item>",
     "</Item>", '<DicomAttribute tag="00081140" vr="SQ">', "<PersonName>", "</PersonName>", "<Alphabetic>",
     "</Alphabetic>", "<FamilyName>", "</FamilyName>", '<BulkData uri="x"/>', "&amp;", "&#0;", "<!--x-->", "<?x?>",
     "<![CDATA[", "]]>"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
def test_any_pieces_are_a_model_or_refused(pieces: list[str]) -> None:
    try:
        model = from_xml(document("".join(pieces)))
    except DataSetError:
        return
    assert from_json(model) == model


# Another program


@pytest.mark.peer
@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "JPEG2000.dcm"])
def test_dcmtks_document_is_read_to_the_same_model(name: str) -> None:
    if shutil.which("dcm2xml") is None:
        pytest.skip("dcm2xml (Debian package dcmtk) is not installed")
    path = Path(pydicom.__file__).parent / "data" / "test_files" / name
    done = subprocess.run(
        ["dcm2xml", "--native-format", "+Eb", str(path)], check=True, capture_output=True, timeout=30
    )
    ours = to_json_model(read_part10(path.read_bytes())[1])
    theirs = from_xml(done.stdout)
    for key, attribute in from_xml(to_xml(ours)).items():
        if attribute["vr"] in ("UN", "OB", "OW") or int(key, 16) >> 16 & 1:
            continue  # DCMTK keeps private attributes in its own dictionary's VRs
        assert theirs[key]["vr"] == attribute["vr"], key
        if attribute["vr"] not in ("SQ", "FL", "FD", "DS"):
            assert theirs[key].get("Value") == attribute.get("Value"), key
