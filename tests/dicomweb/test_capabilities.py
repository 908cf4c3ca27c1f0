from __future__ import annotations

from xml.etree import ElementTree

from gantry.dicomweb.capabilities import Capability, to_json, to_wadl

NS = {"w": "http://wadl.dev.java.net/2009/02"}
SOME = (
    Capability("GET", "/studies/{study}", "get-study", ("application/dicom",), (), ("version",)),
    Capability("DELETE", "/studies/{study}", "delete-study"),
    Capability("POST", "/studies", "post-studies", ("a/b",), ('multipart/related; type="x"',)),
)


def test_wadl_is_well_formed_and_names_every_method() -> None:
    root = ElementTree.fromstring(to_wadl(SOME, 'http://h/dicom-web?"<'))
    assert root.find("w:resources", NS).get("base") == 'http://h/dicom-web?"<'  # type: ignore[union-attr]
    resources = root.findall("w:resources/w:resource", NS)
    assert [r.get("path") for r in resources] == ["/studies/{study}", "/studies"]
    assert [m.get("name") for m in resources[0].findall("w:method", NS)] == ["GET", "DELETE"]
    assert resources[0].find("w:param", NS).get("name") == "study"  # type: ignore[union-attr]
    taken = resources[1].find("w:method/w:request/w:representation", NS)
    assert taken is not None
    assert taken.get("mediaType") == 'multipart/related; type="x"'


def test_json_has_the_same_shape() -> None:
    resources = to_json(SOME, "http://h")["resources"]
    assert [(r["path"], [m["name"] for m in r["methods"]]) for r in resources] == [
        ("/studies/{study}", ["GET", "DELETE"]),
        ("/studies", ["POST"]),
    ]
